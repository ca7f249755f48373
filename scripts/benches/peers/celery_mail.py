"""Celery as its documentation shows it: a task for each mail, which sends by smtplib; Redis (or Valkey) is the broker.

Program: number of mails as its argument, {subject, html, text} as JSON on standard input, BENCH_REDIS and BENCH_PORT
in the environment. It starts a worker with one process for each core, and prints mails a second after the first 20.
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
WARM_UP = 20


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
    for n in range(count + WARM_UP):
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
        deadline_s = time.monotonic() + 300
        began_s = began = 0.0
        while (sent := int(done.get("done") or 0)) < count + WARM_UP:
            if sent >= WARM_UP and not began_s:
                began_s, began = time.perf_counter(), float(sent)
            if time.monotonic() > deadline_s or worker.poll() is not None:
                raise SystemExit(f"{sent} of {count + WARM_UP} were sent, then the worker stopped")
            time.sleep(0.02)
        print((count + WARM_UP - began) / (time.perf_counter() - began_s))
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
