"""Presence: each process notes that it is alive, and which deployment it serves."""

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.models import ServiceProcess
from service.store import template_source
from service.store.database import Database
from service.templates.catalogue import Catalogue

#: How often a process notes that it is alive.
NOTED_EVERY = timedelta(seconds=4)
#: A process that was not seen for longer counts no more.
SEEN_WITHIN = timedelta(seconds=10)


def new_process_id() -> str:
    """A name for this process: host, process id, and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


@dataclass
class Presence:
    """Writes the row of this process. Not thread-safe."""

    database: Database
    catalogue: Catalogue
    process_id: str
    role: str
    clock: Callable[[], datetime]
    _noted: ServiceProcess | None = field(default=None, init=False)

    def step(self) -> None:
        """Write the row if it is due, or if another deployment is served than it says. Raises StoreBusy."""
        now = self.clock()
        serves = self.catalogue.current.deployment_id
        noted = self._noted
        if noted is not None and noted.deployment_id == serves and timedelta() <= now - noted.seen_at < NOTED_EVERY:
            return
        process = ServiceProcess(id=self.process_id, role=self.role, deployment_id=serves, seen_at=now)
        self.database.write(lambda tx: template_source.note_process(tx, process))
        self._noted = process
