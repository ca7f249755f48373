"""Builds the MIME form of a stored message, the same bytes for delivery and for the raw view."""

from collections.abc import Sequence

from service.mail import addresses
from service.mail.mime import HeaderCache, Mail, Wire, build
from service.models import REVISION_DIGITS, Attachment, Body, Message, Outgoing, Priority

__all__ = ["HeaderCache", "write"]


def named_template(message: Message | Outgoing) -> str:
    """The template of a mail as its header X-RGZ-Template names it, by which the message list finds it again.

    The preview of a pull request stands behind: a mail of nothing that was ever deployed says so.
    """
    named = f"{message.template_key}/{message.template_version} {message.template_revision[:REVISION_DIGITS]}"
    return named if message.template_ref is None else f"{named} {message.template_ref}"


def write(
    message: Message | Outgoing, body: Body, attachments: Sequence[Attachment], *, headings: HeaderCache | None = None
) -> Wire:
    """Build the wire form, the same at any time for the same message. `headings` caches header lines across messages.

    `Auto-Submitted` prevents absence notices (RFC 3834). Mail programs of the Outlook family show the importance of an
    alert (RFC 2156, 5.3.4). Marketing mail can be unsubscribed by a link (RFC 2369, 3.2) and by one click (RFC 8058,
    3.1). `X-RGZ-Template` leads from a forwarded mail to its row; mails that were accepted before there was this header
    are written without it, so that their bytes stay the same. A mail that its environment redirects
    names its true recipient in `X-RGZ-Redirected-From` alone.
    """
    headers: list[tuple[str, str]] = []
    if message.priority is Priority.CRITICAL:
        headers += [("Importance", "high"), ("X-Priority", "1")]
    if message.redirected_to:
        # Only the address that it goes to may be answered; nor may a mail program unsubscribe the true recipient.
        headers.append(("X-RGZ-Redirected-From", addresses.parse(message.recipient).wire))
    elif message.unsubscribe_url is not None:
        headers.append(("List-Unsubscribe", f"<{message.unsubscribe_url}>"))
        headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    if message.is_test:
        headers.append(("X-RGZ-Test", "yes"))
    if message.is_template_named:
        headers.append(("X-RGZ-Template", named_template(message)))
    return build(
        Mail(
            rfc_message_id=message.rfc_message_id,
            date_at=message.date_at,
            from_header=message.from_header,
            to=message.redirected_to or message.recipient,
            reply_to=message.reply_to,
            subject=message.subject,
            html=body.html_utf8,
            text=body.text_utf8,
            attachments=attachments,
            headers=tuple(headers),
            visible_to=None if message.redirected_to else message.visible_to,
            visible_cc=None if message.redirected_to else message.visible_cc,
        ),
        headings,
    )
