"""Meanings of a forge's answers, and repetition of requests that it could not serve now."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from service.errors import ForgeError
from service.templates.source.forge_api import Answer

T = TypeVar("T")

#: With the pauses of 2, 8 and 32 s that is under a minute, but for what the forge itself asks for.
TRIES = 4
_PAUSE_S = 2
#: The longest pause that is made though a forge asks for a longer one; a workflow's time costs.
_MAX_PAUSE_S = 60
_HINTS: Mapping[int, str] = {
    400: "it does not understand the request",
    401: "it does not know the token: give a valid one",
    403: "the token may not do that: a workflow needs the permission pull-requests: write, which one for a pull request"
    " of a fork never has; a token of GitLab needs the scope api and the role Reporter",
    404: "there is no such repository or pull request, or the token may not see it",
    410: "it is gone: comments are switched off, or the artifact has expired",
    413: "the comment is too long",
    422: "it refuses the comment: the pull request may be locked",
}


def checked(answer: Answer, what: str) -> Answer:
    """The answer, if it is a good one. Raises ForgeError, which says whether the same request may work later."""
    if answer.is_ok:
        return answer
    code = f"answer {answer.code}"
    said = f"The forge answers {answer.code} to the attempt to {what}"
    if is_rate_limit(answer):
        pause = _retry_after(answer)
        raise ForgeError(code, f"{said}; too many requests were made.", is_lasting=False, retry_after_s=pause)
    if 300 <= answer.code < 400:
        raise ForgeError(code, f"{said}; the repository is elsewhere.", is_lasting=True)
    hint = _HINTS.get(answer.code)
    is_lasting = hint is not None or 400 <= answer.code < 500
    raise ForgeError(
        code, f"{said}{'; ' + hint if hint else ''}.", is_lasting=is_lasting, retry_after_s=_retry_after(answer)
    )


def is_rate_limit(answer: Answer) -> bool:
    """Whether the forge refuses for the number of requests; GitHub does so with 403 as well as with 429."""
    if answer.code == 429:
        return True
    told = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    return answer.code == 403 and (told or b"secondary rate limit" in answer.body)


def repeated(call: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Call until it raises no ForgeError, at most `TRIES` times; one that is lasting is raised at once."""
    for number in range(1, TRIES + 1):
        try:
            return call()
        except ForgeError as error:
            if error.is_lasting or number == TRIES:
                raise
            pause_s = _PAUSE_S * 4 ** (number - 1)
            sleep(min(max(pause_s, error.retry_after_s or 0), _MAX_PAUSE_S))
    raise AssertionError("the last try returns or raises")


def _retry_after(answer: Answer) -> int | None:
    """The seconds of Retry-After; None where it is missing or a date."""
    text = answer.headers.get("retry-after", "")
    return int(text) if text.isdecimal() and len(text) < 6 else None
