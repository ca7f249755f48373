"""The values that a component has from the head: those of its classes, of its kind and of all components."""

from collections.abc import Iterator

from service.templates.mjml.parse import Attribute, Element


class Defaults:
    """The defaults in a document's mj-attributes."""

    def __init__(self, root: Element) -> None:
        self._kinds: dict[str, Element] = {}
        self._classes: dict[str, Element] = {}
        for attributes in (element for element in root.walk() if element.tag == "mj-attributes"):
            for default in attributes.elements():
                if default.tag == "mj-class":
                    self._classes[default.literal("name") or ""] = default
                else:
                    self._kinds[default.tag] = default

    def resolve(self, element: Element, name: str) -> Attribute | None:
        """The attribute that holds: the component's own, else its last class's, its kind's, that of mj-all."""
        own = element.attribute(name)
        if own is not None:
            return own
        of_classes = [one for default in self._classes_of(element) if (one := default.attribute(name))]
        if of_classes:
            return of_classes[-1]
        of_kinds = (default for tag in (element.tag, "mj-all") if (default := self._kinds.get(tag)))
        return next((one for default in of_kinds if (one := default.attribute(name))), None)

    def css_classes(self, element: Element) -> list[Attribute]:
        """The css-class attributes that hold together: npm mjml joins those of several classes."""
        if element.attribute("css-class") is None:
            joined = [one for default in self._classes_of(element) if (one := default.attribute("css-class"))]
            if joined:
                return joined
        one = self.resolve(element, "css-class")
        return [one] if one else []

    def _classes_of(self, element: Element) -> Iterator[Element]:
        for name in (element.literal("mj-class") or "").split():
            if name in self._classes:
                yield self._classes[name]
