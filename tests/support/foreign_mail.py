"""A mail of another program: with a script, a form, pictures and a file, as the development mailbox may get it."""

from email.message import EmailMessage

PIXEL = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff;"
FOREIGN_HTML = """<html><head><style>div { display: flex; position: absolute }</style></head><body>
<script>alert(1)</script><form action="/x"><input></form><img src="cid:logo@x">
<img src="https://e.example/p.gif" alt="">
<a href="https://example.com/a?b=1&amp;c=2">a</a><a href="/relative">b</a></body></html>"""


def foreign_mail() -> EmailMessage:
    """What somebody's own program may send to the mailbox."""
    mail = EmailMessage()
    mail["Subject"] = "<b>Étranger</b>"
    mail["From"], mail["To"] = "me@example.com", "you@example.com"
    mail.set_content("See https://example.com/plain.")
    mail.add_alternative(FOREIGN_HTML, subtype="html")
    mail.get_payload()[1].add_related(PIXEL, "image", "gif", cid="<logo@x>")  # type: ignore[union-attr,index]
    mail.add_attachment(b"<script>alert(1)</script>", "text", "html", filename="page.html")
    return mail
