"""Reads a report.json that anybody may have written: bounded before it is parsed, and refused with one sentence."""

import json
from collections import Counter
from typing import Any, NoReturn

from pydantic import ValidationError

from service.errors import InvalidRequest, Problem, pointer
from service.templates.diff.markdown_text import one_line
from service.templates.diff.report import REPORT_VERSION, Report
from service.templates.log_line import log_line

#: A report at the bounds of its lists, with texts as long as mails have them.
MAX_REPORT_BYTES = 5_000_000
#: A number of a report has 10 digits at most, a digest in a string is no number.
_MAX_DIGITS = 20
_MAX_SENTENCE = 300


def read_report(data: bytes) -> Report:
    """Parse and validate. Raises InvalidRequest, whose message is one sentence with the JSON pointer of the mistake."""
    if len(data) > MAX_REPORT_BYTES:
        _reject("", "too_large", f"it has {len(data):,} bytes, and at most {MAX_REPORT_BYTES:,} are read")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        _reject("", "not_utf_8", f"byte {error.start} is not UTF-8")
    try:
        parsed = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_fraction
        )
    except RecursionError:
        _reject("", "too_deep", "too many objects and lists are inside each other")
    except json.JSONDecodeError as error:
        _reject("", "not_json", f"line {error.lineno}, column {error.colno} is not JSON: {error.msg}")
    if not isinstance(parsed, dict):
        _reject("", "not_an_object", "it is no JSON object")
    version = parsed.get("version")
    if type(version) is not int or version != REPORT_VERSION:  # pydantic takes true for 1
        _reject("/version", "unknown_version", f"it is not of version {REPORT_VERSION}, which this rgz-email reads")
    try:
        return Report.model_validate(parsed)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        more = f" ({error.error_count() - 1:,} more)" if error.error_count() > 1 else ""
        _reject(pointer(*first["loc"]), first["type"], f"{first['msg'][:1].lower()}{first['msg'][1:]}{more}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        _reject("", "duplicate_name", f"the name {one_line(name, 60)!r} stands twice in an object")
    return made


def _constant(name: str) -> NoReturn:
    _reject("", "not_json", f"{name} is no JSON")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        _reject("", "too_large", f"a number has {len(digits):,} digits")
    return int(digits)


def _fraction(digits: str) -> NoReturn:
    _reject("", "not_an_integer", f"{one_line(digits, 30)} is no whole number, and a report has no others")


def _reject(where: str, code: str, what: str) -> NoReturn:
    """Raise the refusal; its words are a stranger's in part, and printed in logs."""
    place = one_line(where, 100)
    sentence = log_line(one_line(f"{f'{place}: ' if place else ''}{what}", _MAX_SENTENCE))
    raise InvalidRequest(f"report.json is no report: {sentence}.", [Problem(place, code, sentence)])
