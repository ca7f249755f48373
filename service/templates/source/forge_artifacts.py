"""Artifacts of a run of a GitHub workflow: one file of one artifact, of at most a size."""

import io
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from service.errors import ForgeError, InvalidRequest, NotFound
from service.templates.source.forge_api import Answer, ForgeApi
from service.templates.source.forge_retry import checked, repeated

_ZIP = b"PK\x03\x04"
#: What a zip adds to a file that can't be compressed.
_OVERHEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ForgeArtifacts:
    """Blocking requests for the artifacts of one repository's runs."""

    api: ForgeApi
    repository: str
    sleep: Callable[[float], None] = time.sleep

    def read(self, run: int, artifact: str, file: str, *, max_bytes: int) -> bytes:
        """A file of an artifact of a run; its newest where there are several.

        Raises NotFound if there is no artifact, InvalidRequest if it is not such a file of at most `max_bytes`, for
        anybody may have made it, and ForgeError.
        """
        query = urlencode({"name": artifact, "per_page": 100})
        path = f"{self.api.repository_path(self.repository)}/actions/runs/{run}/artifacts?{query}"
        listed = repeated(lambda: checked(self.api.request("GET", path, max_bytes=1_000_000), "list artifacts").json(),
                          self.sleep)  # fmt: skip
        found = _newest(listed, artifact)
        if found["size_in_bytes"] > max_bytes + _OVERHEAD_BYTES:
            raise InvalidRequest(f"The artifact {artifact} has more than {max_bytes:,} bytes.")
        data = repeated(lambda: self._download(found["id"], max_bytes + _OVERHEAD_BYTES), self.sleep)
        return _unpacked(data, file, max_bytes) if data.startswith(_ZIP) else data[: max_bytes + 1]

    def _download(self, artifact_id: int, max_bytes: int) -> bytes:
        path = f"{self.api.repository_path(self.repository)}/actions/artifacts/{artifact_id}/zip"
        answer = self.api.request("GET", path, max_bytes=max_bytes)
        if answer.code == 302:  # it lies elsewhere, at a URL that needs no token
            answer = self.api.download(answer.headers.get("location", ""), max_bytes=max_bytes)
        return _whole(checked(answer, "download the artifact"))


def _whole(answer: Answer) -> bytes:
    length = answer.headers.get("content-length")
    if length is not None and length != str(len(answer.body)):
        raise ForgeError("torn", "The artifact ended before its end.", is_lasting=False)
    return answer.body


def _newest(listed: Any, artifact: str) -> dict[str, int]:
    try:
        found = [
            {"id": int(one["id"]), "size_in_bytes": int(one["size_in_bytes"])}
            for one in listed["artifacts"]
            if one["name"] == artifact and not one["expired"]
        ]
    except (KeyError, TypeError, ValueError):
        raise ForgeError("answer", "The forge's answer is no list of artifacts.", is_lasting=False) from None
    if not found:
        raise NotFound(f"The run has no artifact {artifact}.")
    return max(found, key=lambda one: one["id"])


def _unpacked(data: bytes, file: str, max_bytes: int) -> bytes:
    """The file of a zip that anybody may have made; at most one byte more than `max_bytes` is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(file) as opened:
            return opened.read(max_bytes + 1)
    except KeyError:
        raise InvalidRequest(f"The artifact has no file {file}.") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError):
        raise InvalidRequest("The artifact is no zip that can be read.") from None
