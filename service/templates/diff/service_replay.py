"""Ask a running service whether it would still accept what callers sent: it answers with numbers alone.

The token goes to the host of the URL only, over TLS with a verified chain and name; no redirect is followed. What the
service answers is read as a stranger's: bounded, and nothing but the fields of a report.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from service.config.http_client import may_carry_token, opener_for
from service.config.tls import verifying_context
from service.errors import ConfigurationError
from service.templates.diff.comparison import Comparison
from service.templates.diff.report import Replayed, ServiceReplay
from service.templates.source.files import Files

#: The environment variables with the API key (scope `deploy`), or with a file that holds it.
TOKEN_VARIABLE = "RGZ_EMAIL_TOKEN"  # noqa: S105  # the name of it
TOKEN_FILE_VARIABLE = "RGZ_EMAIL_TOKEN_FILE"  # noqa: S105
PATH = "/api/v1/email/deployments/replay"
#: As the service takes them: templates and bytes of texts in one question.
MAX_KEYS = 10
MAX_QUESTION_BYTES = 4_000_000
_TIMEOUT_S = 120.0
#: Waiting for a service that is busy, seconds each time; then it is a failure.
_WAITS_S = (5.0, 10.0, 20.0, 30.0)
_MAX_ANSWER_BYTES = 2_000_000
_FIELDS = ("environment", "days", "templates")
_HINTS: Mapping[int, str] = {
    401: f"it does not know the key: put a valid one into {TOKEN_VARIABLE}",
    403: "the key lacks the scope deploy",
    404: "it has no such route: is the URL that of the service, and its version new enough?",
    413: "the templates are too large",
}


class _Failed(Exception):
    """There is no answer; the message says why."""


def ask_service(
    url: str,
    comparison: Comparison,
    *,
    environment: Mapping[str, str] = os.environ,
    sleep: Callable[[float], None] = time.sleep,
) -> ServiceReplay:
    """Let the service at `url` replay its last sends with the templates that change.

    What goes wrong is the `failure` of the answer. The key is that of RGZ_EMAIL_TOKEN, or in the file that
    RGZ_EMAIL_TOKEN_FILE names.
    """
    keys = [one.key for one in comparison.report.templates if one.change == "changed"]
    try:
        return _Service(_base(url), _token(environment), sleep).replay(comparison.head, keys)
    except _Failed as error:
        return ServiceReplay(failure=str(error)[:1_000])


def _base(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _Failed("--service is no URL") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise _Failed("--service must be a URL, as https://mail.example.org")
    if parts.username is not None or parts.query or parts.fragment:
        raise _Failed("--service must be the URL of the service alone, without a user or a query")
    if not may_carry_token(url):
        raise _Failed("--service must begin with https://, for a key is sent there")
    return url.rstrip("/")


def _token(environment: Mapping[str, str]) -> str:
    token, file = environment.get(TOKEN_VARIABLE, ""), environment.get(TOKEN_FILE_VARIABLE)
    if file:
        try:
            token = Path(file).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise _Failed(f"the file of {TOKEN_FILE_VARIABLE} can't be read") from None
    token = token.strip()
    if not token:
        raise _Failed(f"it needs an API key with the scope deploy in {TOKEN_VARIABLE}")
    if not (token.isascii() and token.isprintable()):
        raise _Failed("the key has characters that no key has")
    return token


@dataclass(frozen=True, slots=True)
class _Service:
    base: str
    token: str
    sleep: Callable[[float], None]

    def replay(self, head: Files, keys: Sequence[str]) -> ServiceReplay:
        """Ask about all templates, a few at a time. Raises _Failed."""
        environment, days = None, 0
        found: list[Replayed] = []
        waiting = list(keys)
        while waiting:
            asked = waiting[:MAX_KEYS]
            answer = self._ask({"files": _texts(head, asked), "keys": asked})
            results = _results(answer, asked)
            environment, days = results.environment, results.days
            found += results.templates
            told = {one.key for one in results.templates}
            if not told:
                raise _Failed("it gave no result")
            waiting = [key for key in waiting if key not in told]
        return ServiceReplay(environment=environment, days=days, templates=found)

    def _ask(self, question: Mapping[str, Any]) -> Any:
        """The answer to a question, repeated while the service is busy. Raises _Failed."""
        body = json.dumps(question).encode()
        if len(body) > 2 * MAX_QUESTION_BYTES:
            raise _Failed("the templates are too large to be sent")
        for wait_s in (*_WAITS_S, None):
            answer = self._post(body)
            if answer is not None:
                return answer
            if wait_s is not None:
                self.sleep(wait_s)
        raise _Failed("it is busy")

    def _post(self, body: bytes) -> Any:
        """The answer; None from a service that is busy. Raises _Failed."""
        request = urllib.request.Request(  # noqa: S310  # `_base` allows https, and http to this machine
            f"{self.base}{PATH}",
            data=body,
            headers={
                "Accept": "application/json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "User-Agent": "rgz-email",
            },
        )
        try:
            opener = opener_for(request, lambda: verifying_context(None, setting="SSL_CERT_FILE"))
            with opener.open(request, timeout=_TIMEOUT_S) as answer:
                return _json(answer.read(_MAX_ANSWER_BYTES + 1))
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (429, 503):
                    return None
                hint = _HINTS.get(error.code) or ("it is elsewhere" if 300 <= error.code < 400 else "")
                raise _Failed(f"it answers {error.code}{f'; {hint}' if hint else ''}") from None
        except (OSError, http.client.HTTPException, ConfigurationError, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            text = f"{type(reason).__name__}: {reason}".replace(self.token, "…")
            raise _Failed(f"it can't be reached: {text[:300]}") from None


def _texts(head: Files, keys: Sequence[str]) -> dict[str, str]:
    """The files to send: all if they are few, else those of the templates, shared parts and values."""
    near = ("_", "values/", "../values/", *(f"{key}/" for key in keys))
    is_small = sum(len(file.data) for file in head.by_path.values()) <= MAX_QUESTION_BYTES
    return {
        path: file.data.decode("utf-8", "replace")
        for path, file in head.by_path.items()
        if is_small or path.startswith(near)
    }


def _json(text: bytes) -> Any:
    if len(text) > _MAX_ANSWER_BYTES:
        raise _Failed("its answer is too large")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _Failed("its answer is no JSON") from None


def _results(answer: Any, asked: Sequence[str]) -> ServiceReplay:
    """What was asked about, as a part of the report. Raises _Failed."""
    if not isinstance(answer, dict):
        raise _Failed("its answer is no result")
    try:
        found = ServiceReplay.model_validate({key: value for key, value in answer.items() if key in _FIELDS})
    except ValidationError:
        raise _Failed("its answer is no result") from None
    return found.model_copy(update={"templates": [one for one in found.templates if one.key in asked]})
