"""A URL with a password in it, which nothing prints: DATABASE_URL and QUEUE_URL.

What is shown is the URL with `***` for its password and for every parameter that is not known to be harmless; where the
parts can't be told apart for certain, only its scheme is.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

_HIDDEN = "***"
_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^/?#]*))?@)?(?P<place>[^@/?#]*)(?P<path>/[^@?#]*)?"
    r"(?:\?(?P<query>[^#]*))?"
)
#: Parameters whose values are shown.
_HARMLESS = frozenset(
    {
        "application_name", "connect_timeout", "db", "dbname", "host", "hostaddr", "port", "ssl_cert_reqs", "sslmode",
        "sslrootcert", "target_session_attrs", "user", "username",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SecretUrl:
    """A URL that shows no password as text; `get_secret_value` is the whole."""

    _text: str = field(repr=False)

    def get_secret_value(self) -> str:
        """The URL as it was given."""
        return self._text

    @property
    def scheme(self) -> str:
        """The part before `://`; "" where there is none."""
        return self._text.partition("://")[0] if "://" in self._text else ""

    def problem(self) -> str | None:
        """What a driver would read otherwise than it is meant, and then name parts of the password in its errors."""
        authority, _, rest = self._text.partition("://")[2].partition("/")
        is_postgresql = self.scheme in ("postgresql", "postgres")
        if self.scheme == "sqlite":
            return None
        if "@" in rest.partition("?")[0] or (is_postgresql and authority.partition("?")[0].count("@") > 1):
            return "percent-encode /, ?, # and @ in the password: %2F, %3F, %23 and %40"
        return None

    def scrubbed(self, text: str) -> str:
        """The words of an error without the password; where it can't be told from the rest, without any of them."""
        found = self._parts()
        if self.scheme == "sqlite":
            return text
        if found is None:
            return f"its words are left out, as {self} may be in them"
        values = [pair.partition("=") for pair in (found["query"] or "").split("&")]
        secrets = [found["password"] or "", *(value for name, _, value in values if name.lower() not in _HARMLESS)]
        for secret in sorted({one for text in secrets for one in (text, unquote(text)) if one}, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return text

    def _parts(self) -> re.Match[str] | None:
        """The parts; None where they can't be told apart: the ? of u:a?b@h may begin a query or be in a password."""
        found = _URL.fullmatch(self._text)
        return None if found is None or (found["user"] is None and "@" in (found["query"] or "")) else found

    def __str__(self) -> str:
        if self.scheme == "sqlite":
            return self._text
        found = self._parts()
        if found is None:
            return f"{self.scheme}://{_HIDDEN}"
        user = found["user"]
        who = "" if user is None else f"{user}@" if found["password"] is None else f"{user}:{_HIDDEN}@"
        query = f"?{'&'.join(_shown(pair) for pair in found['query'].split('&'))}" if found["query"] else ""
        return f"{found['scheme']}://{who}{found['place']}{found['path'] or ''}{query}"

    def __repr__(self) -> str:
        return f"SecretUrl({str(self)!r})"


def _shown(pair: str) -> str:
    name, sign, _ = pair.partition("=")
    return pair if name.lower() in _HARMLESS else f"{name}={_HIDDEN}" if sign else _HIDDEN
