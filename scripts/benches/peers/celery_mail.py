"""Celery as its documentation shows it: a task a mail, smtplib in it, Redis (or Valkey) between.

As a program: number of mails as its argument, {subject, html, text} as JSON on standard input, BENCH_REDIS and
BENCH_PORT in the environment. It starts a worker with a process a core, and prints mails a second, the first few not
counted.
"""

import json
import os
import smtplib
import subprocess
import sys
import time
from email.message import EmailMessage

import redis
from celery import Celery

URL = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379/0")
app = Celery("celery_mail", broker=URL)
app.conf.broker_connection_retry_on_startup = True
done = redis.Redis.from_url(URL)
WARM = 20


@app.task(acks_late=True)
def send(to: str, subject: str, html: str, text: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "noreply@example.com", to, subject
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    with smtplib.SMTP("127.0.0.1", int(os.environ["BENCH_PORT"])) as client:
        client.send_message(message)
    done.incr("done")


def main(count: int) -> None:
    mail = json.load(sys.stdin)
    for n in range(count + WARM):
        send.delay(f"b{n}@example.com", mail["subject"], mail["html"], mail["text"])
    command = (
        sys.executable,
        "-m",
        "celery",
        "-A",
        "celery_mail",
        "worker",
        "--loglevel=ERROR",
        "--without-mingle",
        "--without-gossip",
    )
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end_s = time.monotonic() + 300
        began_s = began = 0.0
        while (sent := int(done.get("done") or 0)) < count + WARM:
            if sent >= WARM and not began_s:
                began_s, began = time.perf_counter(), float(sent)
            if time.monotonic() > end_s or worker.poll() is not None:
                raise SystemExit(f"{sent} of {count + WARM} were sent, then the worker stood still")
            time.sleep(0.02)
        print((count + WARM - began) / (time.perf_counter() - began_s))
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
