"""django-post-office with its default settings, SQLite and `send_queued_mail`.

Program: port and number of mails as arguments, {subject, html, text} as JSON on standard input; prints mails a second.
"""

import json
import logging
import sys
import tempfile
import time
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command


def main(port: int, count: int) -> None:
    mail = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as directory:
        settings.configure(
            SECRET_KEY="of the bench",  # noqa: S106  # signs nothing
            USE_TZ=True,
            INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(directory) / "mail.db"}},
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            EMAIL_BACKEND="post_office.EmailBackend",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=port,
            TEMPLATES=[
                {"BACKEND": "django.template.backends.django.DjangoTemplates"},
                {
                    "BACKEND": "post_office.template.backends.post_office.PostOfficeTemplates",
                    "APP_DIRS": True,
                    "OPTIONS": {"context_processors": []},
                },
            ],
            LOGGING_CONFIG=None,
        )
        django.setup()
        logging.disable(logging.CRITICAL)
        call_command("migrate", verbosity=0)

        from post_office import mail as office
        from post_office.models import STATUS, Email

        office.send_many(
            [
                {
                    "recipients": [f"b{n}@example.com"],
                    "sender": "noreply@example.com",
                    "subject": mail["subject"],
                    "message": mail["text"],
                    "html_message": mail["html"],
                }
                for n in range(count)
            ]
        )
        began_s = time.perf_counter()
        call_command("send_queued_mail", verbosity=0)
        duration_s = time.perf_counter() - began_s
        sent = Email.objects.filter(status=STATUS.sent).count()
        if sent != count:
            raise SystemExit(f"{sent} of {count} were sent")
        print(count / duration_s)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
