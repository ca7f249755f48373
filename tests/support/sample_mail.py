"""A sample mail, and the type of the `connect` fixture."""

from collections.abc import Callable
from datetime import UTC, datetime

from service.delivery.smtp_pool import SmtpTransport
from service.mail.mime import Mail

MAIL = Mail(
    rfc_message_id="0192f3a4@rgz.bj",
    date_at=datetime(2026, 2, 21, 14, 30, tzinfo=UTC),
    from_header="RGZ Notifications <noreply@rgz.bj>",
    to="reseller@techconnect.bj",
    reply_to="support@rgz.bj",
    subject="Votre facture de février",
    html="<p>Bonjour, voici la facture de février.</p>\n.\n<p>À bientôt</p>\n",
    text="Bonjour, voici la facture de février.\n.\n..\nÀ bientôt\n",
)

#: A time-out that is long enough for a busy machine; tests in which no answer comes use less.
PATIENT_S = 10.0

Connect = Callable[..., SmtpTransport]
