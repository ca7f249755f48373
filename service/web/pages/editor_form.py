"""What the editor's form says: the files as somebody wrote them, and as they were when that began."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar.datastructures import FormMultiDict

#: Fields are named after files: what stands there now, and what stood there.
NOW, WAS = "f.", "b."


@dataclass(frozen=True, slots=True)
class EditorForm:
    """`state` is the ETag that the writer began with, "" for a template that was not there."""

    state: str
    now: Mapping[str, str]
    was: Mapping[str, str]
    message: str | None
    raises_to: int | None
    example: str | None

    @classmethod
    def of(cls, form: FormMultiDict) -> "EditorForm":
        """The editor's state from a submitted form."""
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        now = {name.removeprefix(NOW): _lines(text) for name, text in fields.items() if name.startswith(NOW)}
        was = {name.removeprefix(WAS): _lines(text) for name, text in fields.items() if name.startswith(WAS)}
        raises_to = fields.get("raises_to", "")
        return cls(
            state=fields.get("state", ""),
            now=now,
            was=was,
            message=fields.get("message", "").strip() or None,
            raises_to=int(raises_to) if raises_to.isascii() and raises_to.isdigit() and len(raises_to) < 10 else None,
            example=fields.get("example") or None,
        )

    @property
    def texts(self) -> Mapping[str, str | None]:
        """What is to be written: every file that differs from how the writer found it; an emptied one goes."""
        return {
            name: text if text.strip() else None
            for name, text in self.now.items()
            if text != self.was.get(name) and (text.strip() or name in self.was)
        }

    @property
    def all_texts(self) -> Mapping[str, str | None]:
        """Every file as it stands in the form; an emptied one is not there."""
        return {name: text if text.strip() else None for name, text in self.now.items()}


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
