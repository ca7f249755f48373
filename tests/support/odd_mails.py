"""Mails that no program should send, and texts that a careless reader takes minutes for; each grows with its size."""

from collections.abc import Callable, Mapping

Grown = Callable[[int], bytes]

_HEAD = b"From: MAILER-DAEMON@mx.example\r\nTo: bounces@rgz.bj\r\nSubject: Undelivered mail\r\nMIME-Version: 1.0\r\n"


def mail(kind: str, body: bytes, *headers: bytes) -> bytes:
    """A mail of one part."""
    head = b"".join(header + b"\r\n" for header in headers)
    return _HEAD + head + b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body


def _nested(n: int) -> bytes:
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (one, one) for one in range(n))
    return _HEAD + opened + b"\r\nx\r\n"


def _returned(n: int) -> bytes:
    return _HEAD + b"Content-Type: message/rfc822\r\n\r\n" * n + b"x\r\n"


#: Mails whose cost must grow with their size and no faster; `n` is about the number of repetitions.
GROWING: Mapping[str, Grown] = {
    "punycode": lambda n: mail("message/feedback-report; charset=punycode", b"a-" * n),
    "idna": lambda n: mail("text/plain; charset=idna", b"xn--a" * n),
    "continuation lines": lambda n: mail("text/plain", b"x", b"X-Long: a" + b"\r\n b" * n),
    "continued fields": lambda n: mail(
        "message/delivery-status", b"Final-Recipient: rfc822; a@b.example" + b"\n b" * n
    ),
    "repeated fields": lambda n: mail("message/delivery-status", b"Diagnostic-Code: a\n" * n),
    "groups of fields": lambda n: mail("message/delivery-status", b"\nFinal-Recipient: rfc822; \nStatus: 5\n" * n),
    "encoded words": lambda n: mail("text/plain", b"x", b"Subject: " + b"=?a?q?" * n),
    "whole encoded words": lambda n: mail("text/plain", b"x", b"Subject: " + b"=?utf-8?q?a?= " * n),
    "many headers": lambda n: mail("text/plain", b"x", *[b"X-H: a"] * n),
    "long header": lambda n: mail("text/plain", b"x", b"X-H: " + b"a" * n * 10),
    "long name": lambda n: mail("text/plain", b"x", b"a" * n * 10 + b": a"),
    "blanks": lambda n: mail("text/plain", b"a" + b" " * n * 4 + b"b\n550 5.1.1"),
    "parameters": lambda n: mail("text/plain" + "; a=b" * n, b"x"),
    "open quotes": lambda n: mail('text/plain; a="' + '\\"; a="' * n, b"x"),
    "sections": lambda n: mail("text/plain; " + "; ".join(f"name*{one}*=a" for one in range(n)), b"x"),
    "nested parts": _nested,
    "nested mails": _returned,
    "many parts": lambda n: mail("multipart/mixed; boundary=b", b"--b\r\n\r\nx\r\n" * n),
    "almost boundaries": lambda n: mail("multipart/mixed; boundary=b", b"--bb\r\n" * n),
    "boundaries without an end": lambda n: mail("multipart/mixed; boundary=b", b"\n--b" * n),
    "quoted-printable": lambda n: mail("text/plain", b"=\r\n=3D= " * n, b"Content-Transfer-Encoding: quoted-printable"),
    "base64": lambda n: mail("text/plain", b"YQ==\r\n-" * n, b"Content-Transfer-Encoding: base64"),
    "open tags": lambda n: mail("text/html", b"<a " * n),
    "lone brackets": lambda n: mail("text/html", b"<" * n),
    "open comments": lambda n: mail("text/html", b"<!--" * n),
    "open declarations": lambda n: mail("text/html", b"<!a <![b <?c " * n),
    "open values": lambda n: mail("text/html", b"<a href=\"'" * n),
    "open styles": lambda n: mail("text/html", b"<style>background:" * n),
    "backgrounds": lambda n: mail("text/html", b"<p style='" + b"background:" * n + b"'>"),
    "urls": lambda n: mail("text/html", b"<style>" + b"url( //url( //" * n + b"</style>"),
    "references": lambda n: mail("text/html", b"&#" + b"9" * n + b";" + b"&#x" + b"f" * n),
    "addresses": lambda n: mail("text/plain", b"550 5.1.1 <a@b.example>\n" * n),
    "local parts": lambda n: mail("text/plain", b"550 " + b"a" * n + b"@"),
    "reply codes": lambda n: mail("text/plain", b"550 seconds " * n),
    "failed recipients": lambda n: mail("text/plain", b"x", b"X-Failed-Recipients: " + b"a@b.example, " * n),
    "json": lambda n: mail("text/plain", b'{"Type": ' + b"[" * n),
    "return paths": lambda n: mail("text/plain", b"x", b"Cc: " + b"a" * 42 * n + b"@" + (b"a" * 42 + b"@") * n),
}

#: Mails that break readers by what they are.
ODD: Mapping[str, bytes] = {
    "empty": b"",
    "line ends": b"\r\n\r\n\n\r",
    "nul bytes": b"\0" * 100 + _HEAD.replace(b"U", b"\0U") + b"\r\n\0",
    "binary": bytes(range(256)) * 4,
    "utf-16": "Subject: x\r\n\r\nx".encode("utf-16"),
    "no boundary": mail("multipart/mixed", b"--b\r\n\r\nx\r\n--b--"),
    "empty boundary": mail('multipart/mixed; boundary=""', b"--\r\n\r\nx\r\n----"),
    "long boundary": mail("multipart/mixed; boundary=" + "b" * 5_000, b"--" + b"b" * 5_000 + b"\r\n\r\nx"),
    "boundary beyond latin": mail("multipart/mixed; boundary*=utf-8''%E2%82%AC", "--€\r\n\r\nx".encode()),
    "header of 1 MB": mail("text/plain", b"x", b"Subject: " + b"s" * 1_000_000),
    "lone quote": b'To: "\r\nFrom: "\r\nCc: "\\\r\n\r\nx',
    "no domain": b"To: x@\r\nFrom: @\r\nReply-To: <@\r\n\r\nx",
    "open bracket": b"To: <x\r\nMessage-ID: <<\r\nReferences: <\r\nIn-Reply-To: >\r\n\r\nx",
    "message id": b"Message-ID: <[]@[>\r\n\r\nx",
    "dates": b"Date: 99 Foo 99999 99:99:99 +9999\r\nResent-Date: \r\n\r\nx",
    "colon alone": b":\r\n: x\r\n\r\nx",
    "content type": b"Content-Type: ;;;=;\"\r\n\r\nx",
    "content type without a subtype": b"Content-Type: text\r\n\r\nx",
    "disposition": b"Content-Type: a/b\r\nContent-Disposition: attachment; filename*0*=x'; filename*1=\xff\r\n\r\nx",
    "section numbers": b"Content-Type: a/b; name*999*=%; name*00=; name*=''\r\n\r\nx",
    "content ids": b"Content-Type: image/png\r\nContent-ID: <<>\r\n\r\nx",
    "encoding": mail("text/plain", b"x", b"Content-Transfer-Encoding: x-uuencode (none)"),
    "broken base64": mail("text/plain", b"A", b"Content-Transfer-Encoding: base64"),
    "broken quoted-printable": mail("text/html", b"=Z=\n=", b"Content-Transfer-Encoding: quoted-printable"),
    "surrogates": mail("text/html; charset=utf-7", b"+2AA- <a href='+3/8-'>"),
    "surrogates in a header": b"Subject: \xed\xa0\x80 =?utf-7?q?+2AA-?=\r\n\r\nx",
    "words": b"Subject: =?x?b?A?= =?utf-8?b?\xff?= =?utf-8?z?x?= =?a*b?q?=ZZ?=\r\n\r\nx",
    "divided character": b"Subject: =?utf-8?b?w6k=?= =?utf-8?q?=C3?= =?utf-8?q?=A9?=\r\n\r\nx",
    "long reference": mail("text/html", b"<p title='&#" + b"9" * 5_000 + b";'>&#" + b"9" * 5_000),
    "html without an end": mail("text/html", b"<a href=x"),
    "attributes": mail("text/html", b"<a / = b=>< a></ a></><//a><a\0b><A HREF =  X>"),
    "rfc822 in rfc822": mail("message/rfc822", b"Content-Type: message/rfc822\r\n\r\n" * 50),
    "external body": mail("message/external-body; access-type=x", b"Content-Type: text/html\r\n\r\n"),
    "partial": mail("message/partial; number=a; total=b", b"x"),
    "delivery status": mail("message/delivery-status", b"Status: 5.\xb2.\xb2\nFinal-Recipient: ;@;\nAction: \n\n"),
    "arf": mail("message/feedback-report", b"Feedback-Type: \xff\nOriginal-Rcpt-To: @\n"),
    **{
        f"charset {name}": mail(f'text/html; charset="{name}"', b"\\N{x} \xff\xfe=?<a>")
        for name in (
            "punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined", "rot13", "zlib", "hex", "bz2",
            "mbcs", "oem", "uu", "base64", "string-escape", "utf\0-8", "\0", "", "''", "a" * 1_000, "€", "utf_8_sig",
            "../utf_8", "encodings.utf_8", "none", "utf-16", "iso-2022-jp", "ks_c_5601-1987",
        )
    },
}  # fmt: skip
