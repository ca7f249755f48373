"""Requests to publish templates through the API."""

from pathlib import Path
from typing import Any

import httpx

from tests.support.checkouts import MAIL
from tests.support.running import Running

URL = "/api/v1/email/templates"
CREATE = {"If-None-Match": "*"}
SECOND = MAIL.replace("version: 1", "version: 2").replace('subject: "Bonjour', 'subject: "Bonsoir')


def etag(service: Running, key: str = "hello") -> str:
    tag: str = service.client.get(f"{URL}/{key}").raise_for_status().headers["etag"]
    return tag


def put(service: Running, source: str, key: str = "hello", *, match: str | None = None, **body: Any) -> httpx.Response:
    headers = {"If-Match": match or etag(service, key)}
    return service.admin.put(f"{URL}/{key}", json={"source": source, **body}, headers=headers)


def tree(folder: Path) -> dict[str, bytes]:
    """All files of a folder with their contents, hidden ones too, without .git."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }
