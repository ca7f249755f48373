"""Undefined values: what an expression gets for a missing variable or property."""

from collections.abc import Mapping

from jinja2 import Undefined


class MissingUndefined(Undefined):
    """A missing value. Using it is an error; `is defined` and `|default` are allowed."""

    def __str__(self) -> str:
        self._fail_with_undefined_error()

    __iter__ = __len__ = __eq__ = __ne__ = __hash__ = __contains__ = Undefined._fail_with_undefined_error

    def __bool__(self) -> bool:
        self._fail_with_undefined_error()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        if isinstance(self._undefined_obj, (dict, Mapping)):
            return f'there is no "{self._undefined_name}" in this object'
        if isinstance(self._undefined_obj, (list, tuple, str)):
            kind = "text" if isinstance(self._undefined_obj, str) else "list"
            return f'there is no "{self._undefined_name}" in this {kind}'
        return f"{self._undefined_name} is missing"


class OptionalUndefined(MissingUndefined):
    """An optional variable that was not given: false in a condition, an error where it is printed."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False
