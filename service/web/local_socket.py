"""EMAIL_LOCAL_SOCKET: a Unix socket for programs on this machine, which need no key there.

Only the user of the service may connect to it (mode 0600). Behind a reverse proxy on this machine every client of a
port comes from loopback; to a socket a proxy leads only where it is told to.
"""

import os
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.errors import ConfigurationError

#: Of the name of a Unix socket, without its final zero (unix(7)).
_MAX_PATH_BYTES = 107


@contextmanager
def local_socket(path: Path | None) -> Iterator[list[socket.socket]]:
    """Listen at `path`, and remove it in the end; [] for None. A file that a dead process left there is replaced.

    Raises ConfigurationError where another process listens there, or it can't be made.
    """
    if path is None:
        yield []
        return
    path = path.absolute()
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise ConfigurationError([f"EMAIL_LOCAL_SOCKET: {path} is too long; at most {_MAX_PATH_BYTES} bytes"])
    _require_free(path)
    with _bound(path) as listener:
        ours = _identity(path)
        try:
            yield [listener]
        finally:
            # Not one that a later process has put in its place.
            with suppress(FileNotFoundError):
                if _identity(path) == ours:
                    path.unlink()


@contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    # Made under another name: at `path` it appears with its mode, and in one step, also where an old one lies.
    draft = path.with_name(f".{secrets.token_hex(4)}.new")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            try:
                listener.bind(str(draft))
                draft.chmod(0o600)
                listener.listen(1024)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(
                [f"EMAIL_LOCAL_SOCKET: {path} can't be made ({error.strerror or error})"]
            ) from error
        yield listener


def _require_free(path: Path) -> None:
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:  # nothing is there; what else is wrong shows when it is made
        return
    if not is_socket:
        raise ConfigurationError([f"EMAIL_LOCAL_SOCKET: {path} is there already, and is no socket"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.settimeout(1)
            client.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except OSError as error:
            raise ConfigurationError(
                [f"EMAIL_LOCAL_SOCKET: {path} can't be replaced ({error.strerror or error})"]
            ) from error
    raise ConfigurationError([f"EMAIL_LOCAL_SOCKET: another process listens at {path}; give each its own"])


def _identity(path: Path) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino
