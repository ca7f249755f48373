"""A real IMAP server for the tests: Debian's Dovecot, with a configuration of its own, on free ports of loopback.

As root it runs as uid 65534, like PostgreSQL in `servers`; it is killed with the process that started it. Where there
is no Dovecot the tests fail and say what to install: `scripts/test` does that by itself where it may.
"""

import contextlib
import grp
import imaplib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.servers import free_port, not_root, start, stop, wait_for

_NOBODY = 65534
_PASSWORD = "correct-horse"

_CONFIGURATION = """\
protocols = imap
listen = 127.0.0.1
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
ssl = yes
ssl_cert = <{home}/server.pem
ssl_key = <{home}/server.key
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_chars =
mail_location = maildir:{home}/mail/%u
mail_fsync = never
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/home/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """A running Dovecot; any user may log in with its password and has a mailbox."""

    password = _PASSWORD

    def __init__(self, home: Path) -> None:
        self._home = home
        self.plain_port, self.tls_port = free_port(), free_port()
        self.ca_file = home / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        certificate = authority.issue_cert("localhost")
        certificate.cert_chain_pems[0].write_to_path(home / "server.pem")
        certificate.private_key_pem.write_to_path(home / "server.key")
        uid, gid = (_NOBODY, _NOBODY) if os.geteuid() == 0 else (os.getuid(), os.getgid())
        names = {"user": pwd.getpwuid(uid).pw_name, "group": grp.getgrgid(gid).gr_name}
        ports = {"plain_port": self.plain_port, "tls_port": self.tls_port}
        file = home / "dovecot.conf"
        file.write_text(_CONFIGURATION.format(home=home, uid=uid, gid=gid, password=_PASSWORD, **names, **ports))
        for name in ("run", "state", "mail", "home"):
            (home / name).mkdir()
        if os.geteuid() == 0:
            for path in (home, *home.iterdir()):
                os.chown(path, uid, gid)
        self._server = start([*_program("dovecot"), "-F", "-c", file], home / "output.log", not_root())
        wait_for(self._answers, self._server, home / "output.log")

    def stop(self) -> None:
        stop(self._server, signal.SIGTERM)

    @contextlib.contextmanager
    def line(self, user: str) -> Iterator[imaplib.IMAP4]:
        """Log in as this user, to change the mailbox in a test."""
        with imaplib.IMAP4("127.0.0.1", self.plain_port, timeout=20) as line:
            line.login(f'"{user}"', self.password)
            yield line

    def put(self, user: str, *mails: bytes, folder: str = "INBOX") -> None:
        """Deliver mails into a folder."""
        with self.line(user) as line:
            line.create(folder)
            for mail in mails:
                status, said = line.append(folder, "", "", mail)
                assert status == "OK", said

    def skip_numbers(self, user: str, next_uid: int) -> None:
        """Set the UID of the next mail in this user's INBOX, as after years of deleted mail."""
        folder = ["mailbox", "update", "-u", user, "--min-next-uid", str(next_uid), "INBOX"]
        command = [*_program("doveadm"), "-c", self._home / "dovecot.conf", *folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **not_root())
        assert done.returncode == 0, done.stderr

    def flags(self, user: str, folder: str = "INBOX") -> list[str]:
        """The flags of each mail in a folder."""
        with self.line(user) as line:
            line.select(folder, readonly=True)
            _, found = line.fetch("1:*", "(FLAGS)") if line.untagged_responses["EXISTS"] != [b"0"] else ("", [])
            return [item.decode() for item in found if isinstance(item, bytes)]

    def _answers(self) -> bool:
        try:
            imaplib.IMAP4("127.0.0.1", self.plain_port, timeout=5).logout()
        except (OSError, imaplib.IMAP4.error):
            return False
        return True


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """One Dovecot for all tests of a process; each test uses a user of its own."""
    with tempfile.TemporaryDirectory(prefix="rgz-imap-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        server = Dovecot(Path(directory))
        try:
            yield server
        finally:
            server.stop()


def _program(name: str) -> list[str | Path]:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail("These tests need an IMAP server: install Dovecot (Debian, Ubuntu: apt-get install dovecot-imapd).")
    return [found]
