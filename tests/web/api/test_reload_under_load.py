"""Templates are saved, broken, deleted and restored under load: no send fails, each mail is whole and of one revision.

`--long` runs it for a minute at 200 sends a second; without it a few seconds at half that pace.
"""

import random
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.checkouts import copy_templates
from tests.support.running import running, settings_for
from tests.support.samples import WELCOME

pytestmark = pytest.mark.slow


def disturb(directory: Path, stop: threading.Event) -> int:
    """Save, break, delete and restore the template over and over; how often."""
    folder, kept = directory / "onboarding_welcome", directory.parent / "kept"
    shutil.copytree(folder, kept)
    source, good = folder / "template.mjml", (folder / "template.mjml").read_text()
    chance, count = random.Random(7), 0
    while not stop.is_set():
        count += 1
        match chance.randrange(4):
            case 0:
                source.write_text(good.replace("sur RGZ Access!", f"numéro {count}").replace("Bonjour", f"B{count}"))
            case 1:
                source.write_text(good[: chance.randrange(len(good))])
            case 2:
                # Deleted and made again: an editor that saves by replacing, or a checkout.
                aside = directory.parent / f"aside-{count}"
                folder.rename(aside)
                shutil.copytree(kept, directory.parent / "draft")
                (directory.parent / "draft").rename(folder)
                shutil.rmtree(aside)
            case _:
                source.write_text(good)
        stop.wait(0.03)
    return count


def test_reload_under_load_fails_no_send_and_each_mail_is_of_one_revision(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seconds, pace = (60.0, 200) if pytestconfig.getoption("--long") else (4.0, 50)
    directory = tmp_path / "templates"
    copy_templates(directory, "onboarding_welcome")
    stop = threading.Event()
    with running(settings_for(tmp_path, email_templates_dir=directory), works=False) as service:

        def send(number: int) -> tuple[int, str, str]:
            answer = service.send("onboarding_welcome", f"a{number}@example.com", WELCOME)
            if answer.status_code != 201:
                return answer.status_code, answer.text, ""
            body = answer.json()
            return 201, body["messages"][0]["id"], body["template"]["revision"]

        with ThreadPoolExecutor(16) as senders, ThreadPoolExecutor(1) as hand:
            disturbing = hand.submit(disturb, directory, stop)
            began, answers = time.monotonic(), []
            for number in range(int(seconds * pace)):
                time.sleep(max(began + number / pace - time.monotonic(), 0))
                answers.append(senders.submit(send, number))
            results = [answer.result() for answer in answers]
            stop.set()
            assert disturbing.result() > 10
        assert [(status, text) for status, text, _ in results if status != 201] == []
        by_revision: dict[str, set[tuple[str, str]]] = {}
        for _, message_id, revision in random.Random(7).sample(results, min(len(results), 300)):
            message = service.message(message_id)
            html = service.admin.get(f"/api/v1/email/messages/{message_id}/html").text
            assert html.rstrip().endswith("</html>")
            by_revision.setdefault(revision, set()).add((message["subject"], html))
        assert len(by_revision) > 1
        assert all(len(contents) == 1 for contents in by_revision.values())
