"""Compiling one language of a template: MJML and Jinja become programs for subject, headers, HTML and text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import TemplateSyntaxError

from service.mail.addresses import AddressInvalid, parse_header
from service.templates.findings import CompileAborted, FindingCollector
from service.templates.invariants import check_control_tokens, check_delimiters, check_elements, check_tag_sequence
from service.templates.jinja.expressions import VariableUses
from service.templates.jinja.html_content import canonical_html, check_html
from service.templates.jinja.html_scanner import tag_sequence
from service.templates.jinja.loader import SourceLoader
from service.templates.jinja.restore import Restored, restore_html, restore_text
from service.templates.jinja.statements import check_jinja
from service.templates.jinja.tokens import Token, assemble
from service.templates.mjml.emit import emit
from service.templates.mjml.html_tree import parse_html, write_html
from service.templates.mjml.include import expand_includes, head_of
from service.templates.mjml.parse import Attribute, Element, Node, Slice, parse
from service.templates.mjml.unprinted import set_unprinted
from service.templates.mjml.validate import validate
from service.templates.plain_text import derive_text, html_to_text, settle_marks, texts_of
from service.templates.positions import Place, Source
from service.templates.runtime.program import Program
from service.templates.runtime.sandbox import RenderLimits, Sandbox, sandbox_without_modules
from service.templates.site_uses import SiteUses
from service.templates.template import Variant

_NO_VARIABLES: Mapping[str, Any] = {"properties": {}}


@dataclass(frozen=True)
class VariantSource:
    """One language of a template before it is compiled.

    `texts` are the front matter's Jinja fields by name. `text_path` is the file of the text part; without such a file
    the text part is derived from `body`.
    """

    language: str
    body: Source
    texts: Mapping[str, Source]
    text_path: str


def compile_variant(
    source: VariantSource,
    loader: SourceLoader,
    schema: Mapping[str, Any] | None,
    used: set[str],
    limits: RenderLimits,
    site: SiteUses,
) -> Variant:
    """Compile one language of a template. Raises CompileAborted for mistakes, which are all reported.

    `schema` is None where the front matter can't be read: then names can't be checked. The names of the variables that
    are used join `used`; `site` notes the installation's values that are.
    """
    sandbox = sandbox_without_modules(limits, source.language)
    compiler = _VariantCompiler(source.language, loader, schema, VariableUses(used, site), sandbox)
    programs: dict[str, Program] = {}
    failed = False
    for name in ("subject", "from", "reply_to"):
        if name in source.texts:
            try:
                programs[name] = compiler.text_program(source.texts[name])
            except CompileAborted:
                failed = True
                continue
            if name != "subject" and programs[name].is_constant:
                _check_sender(programs[name].source, source.texts[name], loader.collector)
    loader.size.add(len(source.body.text), source.body.place(0))
    own_text = loader.read_included(source.text_path, source.body.place(0))
    if own_text is not None:
        try:
            programs["text"] = compiler.text_program(Source(source.text_path, own_text))
        except CompileAborted:
            failed = True
    programs |= compiler.html_programs(source.body, source.texts.get("preheader"), derive="text" not in programs)
    html_modules, text_modules = compiler.modules()
    if failed or loader.collector.has_errors:
        raise CompileAborted
    return Variant(source.language, programs, html_modules, text_modules)


def _check_sender(written: str, source: Source, collector: FindingCollector) -> None:
    """Check the address of a constant `from` or `reply_to`; one with an expression is checked at each rendering."""
    try:
        parse_header(written)
    except AddressInvalid as error:
        collector.error(
            source.place(0), "bad-address", str(error), 'write name@example.com or "Name <name@example.com>"'
        )


class _VariantCompiler:
    def __init__(
        self,
        language: str,
        loader: SourceLoader,
        schema: Mapping[str, Any] | None,
        uses: VariableUses,
        sandbox: Sandbox,
    ) -> None:
        self._language = language
        self._loader = loader
        self._tokens = loader.tokens
        self._collector = loader.collector
        self._schema = schema
        self._uses = uses
        self._sandbox = sandbox

    def text_program(self, source: Source) -> Program:
        """The program of a subject, a header or a text part: Jinja without HTML."""
        mapped = self._loader.flat(source)
        if not self._loader.is_jinja:
            raise CompileAborted
        found = self._tokens.within(mapped.text)
        self._check(found)
        program = self._program(restore_text(mapped.text, self._tokens, self._collector), source.place(0))
        self._parse(program, found, is_html=False)
        return program

    def html_programs(self, body: Source, preheader: Source | None, *, derive: bool) -> dict[str, Program]:
        """The program of the HTML part, and with `derive` of the text part derived from it."""
        mapped = self._loader.flat(body)
        nodes = expand_includes(parse(mapped, self._tokens, self._collector), self._loader, stack=(body.path,))
        root = validate(nodes, self._tokens, self._collector, file=Place(body.path, 1, 1))
        if root is not None:
            self._add_preheader(root, preheader)
            self._set_language(root)
        if not self._loader.is_jinja:
            raise CompileAborted
        self._check([token for text in texts_of(nodes) for token in self._tokens.expanded(text.text)])
        if root is None or self._collector.has_errors:
            raise CompileAborted
        programs = {"html": self._html(nodes, root)}
        if derive:
            text = derive_text(root, self._tokens, self._collector)
            prologue = "".join(found.placeholder for found in self._definitions(nodes, root))
            programs["text"] = self._program(restore_text(prologue + text, self._tokens, self._collector), root.place)
            self._parse(programs["text"], [], is_html=False)
        return programs

    def _html(self, nodes: list[Node], root: Element) -> Program:
        # Imported here, as children alone compile: what it loads takes a tenth of the start of every other process.
        from service.templates.mjml.inline_css import inline_css, mjml_to_html

        emitted = emit(nodes, root, self._tokens, self._collector)
        check_elements(emitted.mjml, root.place, self._collector)
        try:
            printed = mjml_to_html(emitted.mjml)
            if emitted.unprinted:
                self._check_structure(printed, write_html(parse_html(printed)), root)
            before = set_unprinted(printed, emitted.unprinted)
            after = inline_css(before, emitted, self._tokens, self._collector)
        except ValueError as error:
            message = str(error).split("\n", 1)[0]
            self._collector.error(root.place, "mjml-refused", f"the MJML can't be compiled: {message}")
            raise CompileAborted from None
        self._check_structure(before, after, root)
        restored = restore_html(emitted.prologue + after, self._tokens, self._collector)
        check_control_tokens(nodes, restored, emitted.uncounted, self._tokens, self._collector)
        program = self._program(restored, root.place)
        self._parse(program, [], is_html=True)
        return program

    def _check_structure(self, before: str, after: str, root: Element) -> None:
        check_tag_sequence(tag_sequence(before), tag_sequence(after), root.place, self._collector)

    def _definitions(self, nodes: list[Node], root: Element) -> list[Token]:
        """Tags in the head and around the document that define names; the text part needs them as well."""
        head = next((element for element in root.elements() if element.tag == "mj-head"), None)
        around = [node for node in nodes if node is not root]
        inside = [node for node in head.children if isinstance(node, Slice) or node.tag == "mj-raw"] if head else []
        level = [node for node in root.children if isinstance(node, Slice)]
        found: list[Token] = []
        for text in texts_of([*around, *level, *inside]):
            tokens = self._tokens.within(text.text)
            if tokens and tokens[0].word in ("set", "import", "from", "macro"):
                found += tokens
        return found

    def _add_preheader(self, root: Element, preheader: Source | None) -> None:
        if preheader is None:
            return
        head = head_of(root)
        if any(element.tag == "mj-preview" for element in head.elements()):
            self._collector.error(
                preheader.place(0),
                "two-preheaders",
                "there is a preheader here and an <mj-preview> in the head",
                "delete one",
            )
            return
        mapped = self._loader.flat(preheader)
        text = mapped.text.replace("&", "&amp;").replace("<", "&lt;")
        head.children.append(Element("mj-preview", preheader.place(0), content=Slice(text, mapped, 0)))

    def _set_language(self, root: Element) -> None:
        attribute = root.attribute("lang")
        if attribute is not None:
            root.attributes.remove(attribute)
        mapped = assemble([])
        root.attributes.append(Attribute("lang", Slice(self._language, mapped, 0), root.place))

    def modules(self) -> tuple[dict[str, Program], dict[str, Program]]:
        """The programs of all imported files, direct and indirect: for HTML, for text."""
        html: dict[str, Program] = {}
        text: dict[str, Program] = {}
        imports = self._loader.flattener.imports
        while pending := [path for path in imports if path not in html]:
            path = pending[0]
            source = self._loader.read_included(path, imports[path])
            if source is None:
                self._collector.error(
                    imports[path],
                    "file-not-found",
                    f"there is no file {path}",
                    "paths are relative to the file that imports",
                )
                raise CompileAborted
            mapped = self._loader.flat(Source(path, source))
            content = Slice(mapped.text, mapped, 0)
            check_html(content, self._tokens, self._collector)
            found = self._tokens.expanded(mapped.text)
            self._check(found, _NO_VARIABLES, " in an imported file, which sees only a macro's arguments")
            canonical = canonical_html(content, self._tokens, self._collector)
            place = mapped.place(0)
            html[path] = self._program(restore_html(canonical, self._tokens, self._collector), place)
            plain = settle_marks(html_to_text(canonical, self._tokens), self._tokens)
            text[path] = self._program(restore_text(plain, self._tokens, self._collector), place)
        return html, text

    def _program(self, restored: Restored, place: Place) -> Program:
        check_delimiters(restored, place, self._collector)
        return Program.of(restored, self._tokens, self._uses.by_token)

    def _check(self, found: list[Token], schema: Mapping[str, Any] | None = None, where: str = "") -> None:
        if found and self._schema is not None:
            check_jinja(found, schema or self._schema, self._sandbox.html, self._collector, self._uses, where=where)

    def _parse(self, program: Program, found: list[Token], *, is_html: bool) -> None:
        """Parse the program with the sandbox's Jinja, which must accept what `restore` put together."""
        try:
            environment = self._sandbox.html if is_html else self._sandbox.text
            if self._collector.has_errors or self._loader.flattener.imports:
                environment.parse(program.source)  # it will not run, or not in this sandbox
            else:
                environment.compiled(program.source)
        except TemplateSyntaxError as error:
            self._syntax_error(program, found, error.lineno, str(error.message))
        except SyntaxError as error:  # CPython's compiler, which has limits of its own
            self._syntax_error(program, found, 0, str(error.msg))

    def _syntax_error(self, program: Program, found: list[Token], line: int, message: str) -> NoReturn:
        entry = program.entry_at(line)
        place = Place(entry.file, entry.line, entry.column) if entry else found[0].place if found else Place("", 1, 1)
        self._collector.error(
            place, "jinja-syntax", f"Jinja: {message}", "a block opens and closes in the same element"
        )
        raise CompileAborted
