"""The connection to a remote repository: git with these credentials and no others, within a time and a size."""

import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.errors import GitError
from service.templates.source.git import Bounds, git
from service.templates.source.remote_errors import explained
from service.templates.source.remote_url import RemoteUrl

_MAX_TOKEN_BYTES = 16 * 1024
_MAX_OUTPUT_BYTES = 32_000_000  # a list of about 300,000 refs
#: A user name that goes with a token where the URL has none: GitHub, GitLab and Gitea take any.
_TOKEN_USER = "x-access-token"  # noqa: S105 - a name, and no secret
#: Asked by git when a server wants a login, for this server alone. A redirect to another one gets nothing.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n"'
    ' "$RGZ_EMAIL_GIT_USER" "$RGZ_EMAIL_GIT_PASSWORD"; }; f'
)
#: Mistakes that old commits of ordinary repositories have, and that nothing of ours reads.
_HARMLESS = (
    "badDate", "badDateOverflow", "badEmail", "badFilemode", "badName", "badTagName", "badTimezone", "extraHeaderEntry",
    "missingEmail", "missingNameBeforeEmail", "missingSpaceBeforeDate", "missingSpaceBeforeEmail", "missingTaggerEntry",
    "multipleAuthors", "zeroPaddedDate", "zeroPaddedFilemode",
)  # fmt: skip
_SETTINGS = {
    "protocol.allow": "never",
    "core.symlinks": "false",
    "transfer.fsckObjects": "true",
    "fetch.unpackLimit": "1",
    "fetch.writeCommitGraph": "false",
    "fetch.recurseSubmodules": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "20",
    "http.sslVerify": "true",
    "credential.helper": "",
    **{f"fetch.fsck.{name}": "ignore" for name in _HARMLESS},
}
#: Of the machine's environment: the way through a proxy, and the authorities of an organisation.
_KEPT = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Connection:
    """How a repository is reached. `environment` is that of the process, for its proxy and authorities."""

    url: RemoteUrl
    protocols: Collection[str]
    token_file: Path | None
    ssh_key_file: Path | None
    known_hosts_file: Path | None
    timeout_s: float
    max_bytes: int
    environment: Mapping[str, str]

    def run(
        self,
        folder: Path,
        command: str,
        *arguments: str,
        ref: str = "",
        is_explained: Callable[[str], bool] = lambda _: True,
    ) -> bytes:
        """Run a command of git that talks to the remote `origin`.

        Raises GitError, whose message is for people; `reply` is empty in it where the words are understood, so that
        what is left is about the mirror. `is_explained`: whether a reply is to be put in our words.
        """
        self._check()
        user, password = self._login()
        bounds = Bounds(output_bytes=_MAX_OUTPUT_BYTES, file_bytes=self.max_bytes)
        try:
            return git(
                folder, command, *arguments, timeout_s=self.timeout_s, bounds=bounds,
                extra_environment=self._environment(folder, user, password),
            )  # fmt: skip
        except GitError as error:
            reply = self.url.scrubbed(error.reply, password)
            if not reply:
                message = str(error)
                raise GitError(f"{message.rstrip('.')} ({self.url}).") from None
            limit = f"{self.max_bytes // 1_000_000} MB"
            sentence = explained(reply, where=str(self.url), ref=ref, limit=limit) if is_explained(reply) else None
            if sentence is None:
                raise GitError(f"git can't {command} {self.url}.", reply=reply) from None
            raise GitError(sentence) from None

    def _check(self) -> None:
        if problem := self.url.problem():
            raise GitError(f"EMAIL_TEMPLATES_GIT_URL {problem}.")
        protocol = self.url.protocol
        if protocol not in self.protocols:
            allowed = ", ".join(self.protocols)
            raise GitError(
                f"The protocol {protocol} of {self.url} is not allowed ({allowed}); name it in"
                " EMAIL_TEMPLATES_GIT_PROTOCOLS if it is wanted."
            )
        if protocol == "ssh":
            for name, file in (("SSH_KEY", self.ssh_key_file), ("KNOWN_HOSTS", self.known_hosts_file)):
                if file is None:
                    raise GitError(f"{self.url} is fetched over ssh, which needs EMAIL_TEMPLATES_GIT_{name}_FILE.")
                _readable(file, f"EMAIL_TEMPLATES_GIT_{name}_FILE")

    def _login(self) -> tuple[str, str]:
        """User and password; the token is read each time, so that one that is replaced works at once."""
        user, password = self.url.login
        if self.token_file is None or self.url.protocol not in ("http", "https"):
            return user, password
        return user or _TOKEN_USER, read_token(self.token_file)

    def _environment(self, folder: Path, user: str, password: str) -> dict[str, str]:
        settings = _SETTINGS | {f"protocol.{name}.allow": "always" for name in self.protocols}
        settings["remote.origin.url"] = self.url.for_git()
        environment = {name: self.environment[name] for name in _KEPT if self.environment.get(name)}
        authorities = self.environment.get("GIT_SSL_CAINFO") or self.environment.get("SSL_CERT_FILE")
        if authorities:
            environment["GIT_SSL_CAINFO"] = authorities
        if user or password:
            settings[f"credential.{self.url.origin}.helper"] = _HELPER
            environment |= {"RGZ_EMAIL_GIT_USER": user, "RGZ_EMAIL_GIT_PASSWORD": password}
        if self.url.protocol == "ssh":
            environment |= {"GIT_SSH_COMMAND": self._ssh(), "GIT_SSH_VARIANT": "ssh"}
        environment |= {
            "GIT_ALLOW_PROTOCOL": ":".join(self.protocols),
            "GIT_CEILING_DIRECTORIES": str(folder.parent),
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for index, (name, value) in enumerate(settings.items()):
            environment |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
        return environment

    def _ssh(self) -> str:
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": _ssh_path(self.known_hosts_file),
            "GlobalKnownHostsFile": "none",
            "UpdateHostKeys": "no",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "IdentityFile": _ssh_path(self.ssh_key_file),
            "ConnectTimeout": "15",
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "2",
            "ProxyCommand": "none",
            "ForwardAgent": "no",
            "PermitLocalCommand": "no",
        }
        arguments = [
            "ssh",
            "-F",
            "none",
            *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
        ]
        return shlex.join(arguments)


def read_token(file: Path, name: str = "EMAIL_TEMPLATES_GIT_TOKEN_FILE") -> str:
    """The token in the file of the setting `name`. Raises GitError."""
    data = _readable(file, name)
    token = data.decode("utf-8", "replace").strip()
    if not token or not token.isprintable() or len(data) > _MAX_TOKEN_BYTES:
        raise GitError(f"{name} holds no token: one line of printable characters.")
    return token


def _ssh_path(file: Path | None) -> str:
    """A path as ssh's options take it: with blanks quoted, and nothing expanded."""
    text = str(file.absolute() if file else "none").replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"' if file else "none"


def _readable(file: Path, name: str) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise GitError(f"The file of {name} can't be read: {error.strerror}.") from None
