"""The editor's form: the files as edited, and as they were when editing began."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar.datastructures import FormMultiDict

#: Prefixes of the fields, which are named after files: the edited text and the original text.
NOW, WAS = "f.", "b."
#: The form has each file twice. A file may have 2 MB, which percent-encoding makes up to three times as much; there is
#: room for the largest one, and for others beside it.
EDITOR_FORM_BYTES = 16 * 1024 * 1024
#: 50 languages with two files each, 100 examples, each twice, and the fields beside them.
EDITOR_FIELDS = 500


@dataclass(frozen=True, slots=True)
class EditorForm:
    """A submitted editor form; `state` is the ETag of the files when editing began, "" for a new template."""

    state: str
    now: Mapping[str, str]
    was: Mapping[str, str]
    message: str | None
    raises_to: int | None
    example: str | None

    @classmethod
    def of(cls, form: FormMultiDict) -> "EditorForm":
        """Parse a submitted form."""
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
        """The changed files; None for a file to delete, which was emptied."""
        return {
            name: text if text.strip() else None
            for name, text in self.now.items()
            if text != self.was.get(name) and (text.strip() or name in self.was)
        }

    @property
    def all_texts(self) -> Mapping[str, str | None]:
        """All files of the form; None for an empty one."""
        return {name: text if text.strip() else None for name, text in self.now.items()}


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
