"""mj-include: files of MJML, CSS and HTML are inserted into the tree."""

from service.templates.findings import CompileAborted
from service.templates.jinja.inheritance import MAX_DEPTH
from service.templates.jinja.loader import SourceLoader, without_front_matter
from service.templates.jinja.tokens import PLACEHOLDER
from service.templates.mjml.parse import Attribute, Element, Node, Slice, parse, refuse_level
from service.templates.positions import Source
from service.templates.source.files import resolve


def expand_includes(nodes: list[Node], loader: SourceLoader, *, stack: tuple[str, ...]) -> list[Node]:
    """Replace each mj-include by the nodes of its file; a file that can't be included is reported and left out.

    The head of an included document goes to the head of the one that includes it. Raises CompileAborted if more
    elements stand inside each other than `MAX_LEVELS`; reported.
    """
    heads: list[Node] = []
    expanded = _Includes(loader, heads).expand(nodes, stack, level=0)
    if heads:
        root = next((node for node in expanded if isinstance(node, Element) and node.tag == "mjml"), None)
        if root is not None:
            head_of(root).children.extend(heads)
    return expanded


def head_of(root: Element) -> Element:
    """The document's head; an empty one is added if there is none."""
    for element in root.elements():
        if element.tag == "mj-head":
            return element
    head = Element("mj-head", root.place)
    root.children.insert(0, head)
    return head


class _Includes:
    def __init__(self, loader: SourceLoader, heads: list[Node]) -> None:
        self._loader = loader
        self._heads = heads

    def expand(self, nodes: list[Node], stack: tuple[str, ...], *, level: int) -> list[Node]:
        expanded: list[Node] = []
        for node in nodes:
            if isinstance(node, Element) and node.tag == "mj-include":
                expanded += self._included(node, stack, level)
            else:
                if isinstance(node, Element):
                    refuse_level(level, node.place, self._loader.collector)
                    node.children = self.expand(node.children, stack, level=level + 1)
                expanded.append(node)
        return expanded

    def _included(self, include: Element, stack: tuple[str, ...], level: int) -> list[Node]:
        """The nodes of the included file; none if it can't be included, which is reported."""
        try:
            path = _path(include, self._loader, stack)
            nodes = self._read(include, path, stack, level)
        except CompileAborted:
            return []
        return self.expand(nodes, (*stack, path), level=level)

    def _read(self, include: Element, path: str, stack: tuple[str, ...], level: int) -> list[Node]:
        loader = self._loader
        text = loader.read_included(path, include.place)
        if text is None:
            loader.collector.error(
                include.place,
                "file-not-found",
                f"there is no file {path}",
                "paths are relative to the file that includes",
            )
            raise CompileAborted
        kind = include.literal("type") or "mjml"
        if kind == "css":
            return [_style(Source(path, text), loader, is_inline=include.literal("css-inline") == "inline")]
        if kind == "html":
            mapped = loader.flat(Source(path, text), stack=stack)
            return [Element("mj-raw", mapped.place(0), content=Slice(mapped.text, mapped, 0))]
        mapped = loader.flat(Source(path, without_front_matter(text)), stack=stack)
        nodes = parse(mapped, loader.tokens, loader.collector)
        roots = [node for node in nodes if isinstance(node, Element)]
        if len(roots) == 1 and roots[0].tag == "mjml":
            nodes = []
            for part in roots[0].elements():
                if part.tag == "mj-body":
                    nodes += part.children
                elif part.tag == "mj-head":
                    self._heads += self.expand(part.children, (*stack, path), level=level)
        return nodes


def _style(source: Source, loader: SourceLoader, *, is_inline: bool) -> Element:
    mapped = loader.flat(source)
    style = Element("mj-style", mapped.place(0), content=Slice(mapped.text, mapped, 0))
    if is_inline:
        style.attributes.append(Attribute("inline", Slice("inline", mapped, 0), style.place))
    return style


def _path(include: Element, loader: SourceLoader, stack: tuple[str, ...]) -> str:
    collector = loader.collector
    wanted = include.attribute("path")
    if wanted is None or not wanted.value.text:
        collector.error(
            include.place, "missing-attribute", "<mj-include> needs a path", 'write path="../_shared/header.mjml"'
        )
        raise CompileAborted
    if token := PLACEHOLDER.search(wanted.value.text):
        collector.error(
            wanted.value.place(token.start()),
            "dynamic-name",
            "the path of <mj-include> must be literal",
            "use {% if %} around two mj-include",
        )
        raise CompileAborted
    path = resolve(include.place.file, wanted.value.text)
    if path is None:
        collector.error(
            wanted.place,
            "outside-directory",
            f'"{wanted.value.text}" leads out of the template directory',
            "use a path inside it",
        )
        raise CompileAborted
    if path in stack or len(stack) > MAX_DEPTH:
        collector.error(wanted.place, "include-cycle", "a file includes itself: " + " -> ".join((*stack, path)))
        raise CompileAborted
    return path
