"""What one compilation carries from step to step: the files, the tokens, the findings, and what it depended on."""

from dataclasses import dataclass, field

from jinja2 import Environment

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.inheritance import Flattener
from service.templates.jinja.syntax import check_syntax, parses
from service.templates.jinja.tokens import Piece, Token, Tokens, assemble, scan
from service.templates.positions import MappedText, Source, normalise_newlines
from service.templates.source.files import Files


@dataclass
class SourceLoader:
    """`dependencies` are all paths that were looked for, found or not; `author` is Jinja as authors write it."""

    files: Files
    author: Environment
    collector: FindingCollector
    tokens: Tokens = field(default_factory=Tokens)
    dependencies: set[str] = field(default_factory=set)
    flattener: Flattener = field(init=False)
    is_jinja: bool = True

    def __post_init__(self) -> None:
        self.flattener = Flattener(self.load, self.tokens, self.collector)

    def for_language(self) -> "SourceLoader":
        """A loader for one language of the template: tokens of its own, dependencies and findings shared."""
        return SourceLoader(self.files, self.author, self.collector, dependencies=self.dependencies)

    def read(self, path: str) -> str | None:
        """A file as text, None where there is none. Refused: it is not UTF-8, which has been reported."""
        self.dependencies.add(path)
        if path not in self.files:
            return None
        try:
            return normalise_newlines(self.files.text(path))
        except UnicodeDecodeError as error:
            line = self.files.by_path[path].data.count(b"\n", 0, error.start) + 1
            place = Source(path, "\n" * (line - 1)).place(line - 1)
            self.collector.error(place, "not-utf-8", f"the file is not UTF-8 ({error.reason})", "save it as UTF-8")
            raise CompileAborted from None

    def load(self, path: str) -> list[Piece] | None:
        """The pieces of another file; its front matter, should it have one, is left out."""
        text = self.read(path)
        return None if text is None else self.pieces(Source(path, without_front_matter(text)))

    def pieces(self, source: Source) -> list[Piece]:
        """Scanned and its syntax checked. Refused: it can't be scanned; reported.

        Expressions that can't be read are left out, so that all else is told too. A file that is no Jinja even so
        goes on for its MJML; `is_jinja` remembers it.
        """
        before = len(self.collector.findings)
        found = scan(source, self.tokens, self.collector)
        is_known = len(self.collector.findings) > before
        wrong = check_syntax(source, found, self.collector, environment=self.author, is_known=is_known)
        if wrong is not None:
            found = [self.tokens.blank(one) if isinstance(one, Token) and one in wrong else one for one in found]
        if wrong is None or ((wrong or is_known) and not parses(found, self.author)):
            self.is_jinja = False
            self.collector.silence("block-crosses")
        return found

    def flat(self, source: Source, *, stack: tuple[str, ...] = ()) -> MappedText:
        """A file as one text with placeholders; everything it takes in literally is in it."""
        return assemble(self.flattener.flatten(self.pieces(source), source.path, stack=stack))


def front_matter_end(text: str) -> int | None:
    """Where the text after the front matter begins; None: there is no front matter, -1: it is never closed."""
    if not text.startswith("---\n"):
        return None
    end = text.find("\n---\n", 3)
    if end >= 0:
        return end + 5
    return len(text) if text.endswith("\n---") else -1


def without_front_matter(text: str) -> str:
    """The text with as many newlines in place of the front matter, so that lines keep their numbers."""
    end = front_matter_end(text)
    if end is None or end < 0:
        return text
    return "\n" * text.count("\n", 0, end) + text[end:]
