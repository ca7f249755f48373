"""Canary words in every place that can name a person, and a search for them in every byte of files."""

import base64
import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from service.bootstrap import Services
from service.delivery.outcome import Outcome, OutcomeKind, Transport
from service.feedback.event import FeedbackEvent, FeedbackKind
from service.mail.mime import Wire
from service.models.requests import AttachmentRequest, SendRequest, SuppressionRequest
from tests.support.running import ADMIN_TOKEN
from tests.support.samples import ADMIN
from tests.support.scripted import Clock, ScriptedTransport, outcome

MAIL = """\
---
subject: "Bonjour {{ name }}"
description: A mail for the tests.
category: support
stream: STREAM
version: 1
from: "{{ sender }} <agent@rgz.bj>"
variables:
  name: {type: string, example: Zoé}
  sender: {type: string, example: Ada}
attachments:
  allowed: true
---
<mjml lang="fr"><mj-body><mj-section><mj-column><mj-text>Bonjour {{ name }}</mj-text></mj-column></mj-section>
</mj-body></mjml>
"""


@dataclass
class Canaries:
    """Unique words of 80 random bits, no longer than a local part may be."""

    words: list[str] = field(default_factory=list)

    def new(self) -> str:
        self.words.append(f"canary{secrets.token_hex(10)}")
        return self.words[-1]


class TellTale(ScriptedTransport):
    """A relay that accepts, defers or refuses, and repeats the recipient's address and a canary in its replies."""

    def __init__(self, canaries: Canaries) -> None:
        super().__init__()
        self._canaries = canaries

    def deliver(self, sender: str, recipient: str, wire: Wire, **more: Any) -> Outcome:
        kinds = (OutcomeKind.SENT, OutcomeKind.DEFERRED, OutcomeKind.BOUNCED, OutcomeKind.FAILED)
        is_marketing = b"List-Unsubscribe" in wire.encode("8bit")
        kind = OutcomeKind.SENT if is_marketing else kinds[len(self.sent) % len(kinds)]
        reply, provider_id = f"<{recipient}> {self._canaries.new()}", self._canaries.new()
        code = 250 if kind is OutcomeKind.SENT else 550
        self.outcomes = [outcome(kind, code=code, wire_sha256="0" * 64, reply=reply, provider_id=provider_id)]
        return super().deliver(sender, recipient, wire, **more)


def write_templates(root: Path) -> Path:
    for key, stream in (("plain", "transactional"), ("news", "marketing")):
        folder = root / key
        folder.mkdir(parents=True)
        (folder / "template.mjml").write_text(MAIL.replace("STREAM", stream), encoding="utf-8")
    return root


def transport_of(canaries: Canaries) -> Transport:
    return TellTale(canaries)


def plant(services: Services, clock: Clock, canaries: Canaries, *, mails: int) -> list[str]:
    """Make messages in all states, suppressions and feedback; returns the ids of the messages."""
    ids = []
    for n in range(mails):
        address = f"{canaries.new()}@example.com"
        text = f"{canaries.new()} {canaries.new()}"
        other = f"{canaries.new()}@example.com"
        request = SendRequest(
            to=address if n % 2 else [address, other],
            cc=other if n % 2 else None,
            template_key="news" if n % 4 == 3 else "plain",
            variables={"name": text, "sender": canaries.new()},
            metadata={"customer": canaries.new(), canaries.new(): 1},
            reply_to=f"{canaries.new()}@example.com",
            attachments=[
                AttachmentRequest(
                    filename=f"{canaries.new()}.csv",
                    content_type="text/csv",
                    data_base64=base64.b64encode(f"name\n{canaries.new()}\n".encode() * 400).decode(),
                )
            ],
        )
        accepted = services.sending.acceptor.send(request, ADMIN, idempotency_key=canaries.new())
        ids += [message.id for message in accepted.messages]
    _redirect(services, canaries, ids[::5])
    _die_while_accepting(services, canaries)
    services.delivery.deliverer.drain(threading.Event())
    _tell(services, clock, canaries, ids)
    for n in range(20):
        body = SuppressionRequest(address=f"{canaries.new()}@example.com", reason=f"said {canaries.new()}")
        item, _ = services.recipients.suppressions.add(body, ADMIN, source="api")
        if n % 2:
            services.recipients.suppressions.lift(item.id, ADMIN, reason=canaries.new())
    services.admin_actions.person_shown(f"{canaries.new()}@example.com", ADMIN)
    services.admin_actions.person_exported(f"{canaries.new()}@example.com", ADMIN)
    services.sessions.create_session(ADMIN_TOKEN, client="203.0.113.9", browser="Firefox")
    return ids


def _redirect(services: Services, canaries: Canaries, ids: list[str]) -> None:
    """Leave messages as an environment does that redirects them."""
    for message_id in ids:
        address = f"{canaries.new()}@example.com"
        services.database.write(
            lambda tx, id_=message_id, to=address: tx.execute(  # type: ignore[misc]
                "UPDATE email_messages SET redirected_to = :to WHERE id = :id AND status = 'queued' RETURNING id",
                {"to": to, "id": id_},
            )
        )


def _die_while_accepting(services: Services, canaries: Canaries) -> None:
    """Leave what a process leaves behind that dies between storing attachments and storing their message."""
    data = f"name\n{canaries.new()}\n".encode() * 400
    file = AttachmentRequest(filename="a.csv", content_type="text/csv", data_base64=base64.b64encode(data).decode())
    request = SendRequest(
        to=f"{canaries.new()}@example.com",
        template_key="plain",
        variables={"name": canaries.new(), "sender": canaries.new()},
        attachments=[file],
    )
    services.sending.acceptor.renderer.render(request, ADMIN, idempotency_key=None)


def _tell(services: Services, clock: Clock, canaries: Canaries, ids: list[str]) -> None:
    """Record feedback about some of the messages."""
    for n, message_id in enumerate(ids[::7]):
        words = f"smtp; 550 5.1.1 <{canaries.new()}@example.com> is unknown"
        report = FeedbackEvent(
            FeedbackKind.BOUNCED, clock(), "ses", message_id=message_id, bounce_type="permanent",
            bounce_subtype="NoEmail",
            diagnostic=words, provider_id=canaries.new(), suppresses=True,
        )  # fmt: skip
        services.feedback.feedback_recorder.record(f"told-{n}", "sns", [report])


def let_pass(services: Services, clock: Clock, canaries: Canaries) -> None:
    """Let 91 days pass: deferred messages expire, and feedback about an unknown mail arrives."""
    clock.now += timedelta(days=89)
    services.delivery.deliverer.drain(threading.Event())
    early = FeedbackEvent(
        FeedbackKind.BOUNCED, clock(), "ses", recipient=f"{canaries.new()}@example.com", provider_id=canaries.new(),
        diagnostic=canaries.new(),
    )  # fmt: skip
    services.feedback.feedback_recorder.record("early", "sns", [early])
    clock.now += timedelta(days=2)
    assert services.messages.search_indexer.catch_up() > 0


def found_in(files: Iterable[Path], words: Iterable[str]) -> set[str]:
    """The words that occur in the bytes of the files."""
    wanted = set(words)
    pattern = re.compile(rb"canary[0-9a-f]{20}")
    return {match.decode() for data in contents(files) for match in pattern.findall(data)} & wanted


def contents(files: Iterable[Path]) -> Iterator[bytes]:
    for file in files:
        if file.is_file():
            yield file.read_bytes()


def slices(blobs: Iterable[bytes]) -> list[bytes]:
    """16-byte pieces of compressed bodies; zstd makes them unique, so that they can be searched in files."""
    return [blob[start : start + 16] for blob in blobs for start in range(16, len(blob) - 16, 64)]
