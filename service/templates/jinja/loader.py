"""The loader of a compilation: reads files, makes tokens of their Jinja, and records dependencies and findings."""

from dataclasses import dataclass, field

from jinja2 import Environment

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.inheritance import Flattener
from service.templates.jinja.nesting import check_blocks, check_levels
from service.templates.jinja.syntax import check_syntax, parses
from service.templates.jinja.tokens import Piece, Token, Tokens, assemble, refuse_control_references, scan
from service.templates.positions import MappedText, Place, Source, normalise_newlines
from service.templates.size_limits import SizeMeter
from service.templates.source.files import Files


@dataclass
class SourceLoader:
    """Reads a template's files and flattens their inheritance.

    `author` is the Jinja environment with the delimiters that authors write. `dependencies` are all paths that were
    looked for, found or not. `is_jinja` is False once a file had a syntax error outside of single expressions.
    """

    files: Files
    author: Environment
    collector: FindingCollector
    dependencies: set[str] = field(default_factory=set)
    tokens: Tokens = field(init=False)
    size: SizeMeter = field(init=False)
    flattener: Flattener = field(init=False)
    is_jinja: bool = True

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.collector)
        self.size = SizeMeter(self.collector)
        self.flattener = Flattener(self.load, self.tokens, self.collector, self.size)

    def for_language(self) -> "SourceLoader":
        """A loader for one language of the template: tokens of its own, dependencies and findings shared."""
        return SourceLoader(self.files, self.author, self.collector, dependencies=self.dependencies)

    def read(self, path: str) -> str | None:
        """A file as text; None if it does not exist. Raises CompileAborted if it is not UTF-8; reported."""
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

    def load(self, path: str, place: Place) -> list[Piece] | None:
        """The pieces of another file without its front matter, taken in at `place`; None if it does not exist."""
        text = self.read_included(path, place)
        return None if text is None else self.pieces(Source(path, without_front_matter(text)))

    def read_included(self, path: str, place: Place) -> str | None:
        """A file that is taken in at `place`, as text; None if it does not exist.

        Raises CompileAborted if the template becomes too large by it, or it is not UTF-8; reported.
        """
        self.size.include(place)
        text = self.read(path)
        if text is not None:
            self.size.add(len(text), place)
        return text

    def pieces(self, source: Source) -> list[Piece]:
        """Scan a file and check its syntax. Raises CompileAborted if it can't be scanned; reported.

        Expressions that can't be parsed are left out, so that the rest is still checked. If the file does not parse
        even so, its MJML is still checked, and `is_jinja` becomes False.
        """
        before = self.collector.count
        found = scan(source, self.tokens, self.collector)
        check_levels(found, self.collector)
        is_known = self.collector.count > before
        wrong = check_syntax(source, found, self.collector, environment=self.author, is_known=is_known)
        if wrong is not None:
            found = [self.tokens.blank(one) if isinstance(one, Token) and one in wrong else one for one in found]
        if wrong is None or ((wrong or is_known) and not parses(found, self.author)):
            self.is_jinja = False
            self.collector.silence("block-crosses")
        return found

    def flat(self, source: Source, *, stack: tuple[str, ...] = ()) -> MappedText:
        """A file as one text with placeholders, with its parents and includes expanded.

        Raises CompileAborted if it nests too deeply then, or holds references to control characters; reported.
        """
        found = self.flattener.flatten(self.pieces(source), source.path, stack=stack)
        check_blocks(found, self.collector)
        mapped = assemble(found)
        refuse_control_references(mapped, self.collector)
        return mapped


def front_matter_end(text: str) -> int | None:
    """The offset of the text after the front matter; None if there is no front matter, -1 if it is never closed."""
    if not text.startswith("---\n"):
        return None
    end = text.find("\n---\n", 3)
    if end >= 0:
        return end + 5
    return len(text) if text.endswith("\n---") else -1


def without_front_matter(text: str) -> str:
    """Replace the front matter by as many newlines, so that lines keep their numbers."""
    end = front_matter_end(text)
    if end is None or end < 0:
        return text
    return "\n" * text.count("\n", 0, end) + text[end:]
