"""The URL of a git repository: its protocol, its login, and the text of it that may be shown."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from service.config.secret_url import SecretUrl

_HIDDEN = "***"
_HOST = r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])"
_USER = r"[A-Za-z0-9_.~+%][A-Za-z0-9_.~+%-]*"
_WEB = re.compile(
    rf"(?P<scheme>https?)://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?{_HOST}(?P<port>:[0-9]+)?"
    r"(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
_SSH = re.compile(
    rf"(?P<scheme>ssh|git)://(?:(?P<user>{_USER})(?::(?P<password>[^@/?#]*))?@)?{_HOST}(?P<port>:[0-9]+)?(?P<path>/[^?#]*)"
)
#: user@host:path, as scp has it. The path can't begin with - (an option) or : (git-remote-ext), and has no @, so that
#: user:password@host is none.
_SCP = re.compile(rf"(?:{_USER}@)?{_HOST}:(?P<path>[^-:@\s][^@\s]*)")
_FILE = re.compile(r"(?:(?P<scheme>file)://)?(?P<path>/[^?#]*)")


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """A URL as it was given; `str()` of it has no credentials."""

    text: str = field(repr=False)

    def problem(self) -> str | None:
        """What is wrong with it, as the rest of a sentence; None for a URL that git may be given."""
        if self._parts() is None:
            return (
                "is no URL of a repository: write https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH, and"
                " percent-encode /, ?, # and @ in a password"
            )
        return None

    @property
    def protocol(self) -> str:
        """What git calls its protocol: https, http, ssh, git or file."""
        parts = self._parts()
        if parts is None:
            return ""
        return parts.groupdict().get("scheme") or ("file" if parts.re is _FILE else "ssh")

    @property
    def host(self) -> str:
        """The host; "" for a file."""
        parts = self._parts()
        return (parts.groupdict().get("host") or "") if parts else ""

    @property
    def path(self) -> str:
        """The path of the repository on its host."""
        parts = self._parts()
        return (parts["path"] or "") if parts else ""

    @property
    def port(self) -> str:
        """The port with its colon, as in ":8443"; "" for the usual one."""
        parts = self._parts()
        return (parts.groupdict().get("port") or "") if parts else ""

    @property
    def origin(self) -> str:
        """Scheme, host and port of a URL of the web, which credentials are sent to and no other."""
        return f"{self.protocol}://{self.host}{self.port}"

    @property
    def login(self) -> tuple[str, str]:
        """User and password in a URL of the web, decoded; "" for what is not in it."""
        parts = self._parts()
        if parts is None or parts.re is not _WEB:
            return "", ""
        return unquote(parts["user"] or ""), unquote(parts["password"] or "")

    def for_git(self) -> str:
        """The URL that git is given: without user and password of the web, which it gets in the environment."""
        parts = self._parts()
        if parts is None:
            return ""
        if parts.re is _WEB:
            query = f"?{parts['query']}" if parts["query"] else ""
            return f"{self.origin}{parts['path'] or ''}{query}"
        return self.text

    def scrubbed(self, text: str, *more_secrets: str) -> str:
        """A text without the credentials of this URL, further secrets, and the logins of any URL."""
        secrets = {one for secret in (*self._secrets(), *more_secrets) for one in (secret, unquote(secret)) if one}
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return re.sub(r"\b(https?://)[^/\s@]*@", r"\1", text)

    def _secrets(self) -> list[str]:
        parts = self._parts()
        if parts is None:  # nobody knows where a password of it begins, and so all of it is one
            return [self.text, self.text.partition("://")[2]]
        found = parts.groupdict()
        web = parts.re is _WEB
        login = [found.get("password") or "", (found["user"] or "") if web and not found["password"] else ""]
        return [*login, *(pair.partition("=")[2] for pair in (found.get("query") or "").split("&"))]

    def _parts(self) -> re.Match[str] | None:
        if not self.text.isprintable() or " " in self.text:
            return None
        if web := _WEB.fullmatch(self.text):
            # https://user:1/2@host/x may have a password with a slash, which nobody would take for a path.
            return None if "@" in (web["path"] or "") and web["user"] is None else web
        found = _SSH.fullmatch(self.text) or _FILE.fullmatch(self.text)
        return found or (_SCP.fullmatch(self.text) if "://" not in self.text else None)

    def __str__(self) -> str:
        parts = self._parts()
        if parts is None:
            scheme = self.text.partition("://")[0]
            return f"{scheme}://{_HIDDEN}" if re.fullmatch("[a-z]{1,10}", scheme) else _HIDDEN
        if parts.re is _WEB:
            return str(SecretUrl(self.for_git()))
        if parts.re is _SSH:
            user = f"{parts['user']}@" if parts["user"] else ""
            return f"{parts['scheme']}://{user}{parts['host']}{parts['port'] or ''}{parts['path']}"
        return self.text

    def __repr__(self) -> str:
        return f"RemoteUrl({str(self)!r})"
