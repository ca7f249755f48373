"""Compilation cache on disk: a start with many templates reads them compiled. A tampered cache file is ignored."""

import hashlib
import hmac
import json
import os
import tempfile
from pathlib import Path

from service.errors import ArchiveCorrupt
from service.templates.compiler import COMPILER_VERSION, Compilation, library_versions
from service.templates.runtime.sandbox import RenderLimits
from service.templates.source.files import Files

_DIGEST_BYTES = 32


class CompilationCache:
    """One file for each template: an HMAC, then JSON. The HMAC key lies beside them, readable by the owner alone."""

    def __init__(self, folder: Path, limits: RenderLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._secret: bytes | None = None

    def get(self, key: str, files: Files) -> Compilation | None:
        """The cached compilation of exactly these files; None if there is none, or its HMAC is wrong."""
        try:
            stored = self._path(key).read_bytes()
            digest, data = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
            if not hmac.compare_digest(digest, self._digest(key, data)):
                return None
            content = json.loads(data)
        except (OSError, ValueError):
            return None
        dependencies: dict[str, str | None] = content["dependencies"]
        if content["compiler"] != self._compiler() or content["folder"] != list(files.folder(key)):
            return None
        if any(files.digest(path) != known for path, known in dependencies.items()):
            return None
        try:
            return Compilation.from_json(content, limits=self._limits)
        except ArchiveCorrupt:
            return None

    def put(self, key: str, files: Files, compilation: Compilation) -> None:
        """Store a compilation that has a template. Write errors are ignored: the next start is slower, no more."""
        if compilation.template is None:
            return
        content = {
            "compiler": self._compiler(),
            "folder": files.folder(key),
            **compilation.as_json(),
        }
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(self._path(key), self._digest(key, data) + data)
        except OSError:
            return

    def _compiler(self) -> str:
        return f"{COMPILER_VERSION} {library_versions()} {self._limits}"

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.compiled"

    def _digest(self, key: str, data: bytes) -> bytes:
        if self._secret is None:
            self._secret = _secret(self._folder)
        return hmac.new(self._secret, key.encode() + b"\0" + data, hashlib.sha256).digest()


def _secret(folder: Path) -> bytes:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "key"
    try:
        found = path.read_bytes()
        if len(found) == _DIGEST_BYTES:
            return found
    except FileNotFoundError:
        pass
    _replace(path, os.urandom(_DIGEST_BYTES))
    return path.read_bytes()


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
