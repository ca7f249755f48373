"""SMTP AUTH with user names and passwords in UTF-8 (RFC 4616, RFC 2195); smtplib's own takes ASCII alone."""

import smtplib
from collections.abc import Callable
from typing import Any

from typing_extensions import override


class _Utf8(str):
    """A text that smtplib, which asks for ASCII, gets in UTF-8."""

    __slots__ = ()

    @override
    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("utf-8", errors)


class Utf8Login(smtplib.SMTP):
    """Encodes the answers of all mechanisms in UTF-8."""

    @override
    def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        return super().login(_Utf8(user), _Utf8(password), initial_response_ok=initial_response_ok)

    @override
    def auth(
        self, mechanism: str, authobject: Callable[..., Any], *, initial_response_ok: bool = True
    ) -> tuple[int, bytes]:
        def answer(challenge: bytes | None = None, /) -> Any:
            told = authobject(challenge)
            return None if told is None else _Utf8(told)

        return super().auth(mechanism, answer, initial_response_ok=initial_response_ok)
