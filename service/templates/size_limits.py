"""Limits of what a template may hold. No real mail comes near them; beyond them compiling takes minutes, or dies.

Depth is bounded before any library sees the text: mrml and libxml2 recurse in C, where too many levels are a
segmentation fault, and CPython refuses more than 20 blocks inside each other.
"""

from dataclasses import dataclass

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.positions import Place

#: Elements inside each other: components and HTML together.
MAX_LEVELS = 100
#: Jinja blocks inside each other, and the branches of one `{% if %}`.
MAX_BLOCKS = 16
MAX_BRANCHES = 100
#: Brackets inside each other in an expression, operations and filters on one value, and the digits of a number.
MAX_BRACKETS = 20
MAX_OPERATIONS = 100
MAX_DIGITS = 40
#: Jinja tags of one language.
MAX_TAGS = 10_000
#: Attributes of one element.
MAX_ATTRIBUTES = 200
#: Components of one language, of each of which mrml makes some ten elements; and these with the HTML elements.
MAX_COMPONENTS = 3_000
MAX_ELEMENTS = 10_000
#: Selectors of inline CSS times the elements on which each is tried.
MAX_MATCHES = 2_000_000
#: Characters of one selector, and brackets inside each other in CSS.
MAX_SELECTOR = 300
MAX_CSS_BRACKETS = 10
#: Characters of one language, and files that are put into it; a file counts each time that it is included.
MAX_CHARACTERS = 1_000_000
MAX_INCLUSIONS = 500
#: As `PUT /templates/{key}` has them.
MAX_LANGUAGES = 50
MAX_EXAMPLES = 100
#: Variables, with the properties of objects.
MAX_VARIABLES = 1_000
#: Characters of YAML: a front matter, or an example.
MAX_YAML = 500_000


@dataclass
class SizeMeter:
    """What one language of a template may still take in, before its includes are expanded without end."""

    collector: FindingCollector
    characters_left: int = MAX_CHARACTERS
    inclusions_left: int = MAX_INCLUSIONS

    def include(self, place: Place) -> None:
        """Count one more file that is put in at `place`. Raises CompileAborted beyond the limit; reported."""
        self.inclusions_left -= 1
        if self.inclusions_left < 0:
            self._too_large(place, f"more than {MAX_INCLUSIONS} files are included")

    def add(self, characters: int, place: Place) -> None:
        """Count text that is put in at `place`. Raises CompileAborted beyond the limit; reported."""
        self.characters_left -= characters
        if self.characters_left < 0:
            self._too_large(place, f"the template has more than {MAX_CHARACTERS} characters with what it includes")

    def _too_large(self, place: Place, message: str) -> None:
        self.collector.error(place, "too-large", message, "split the template, or include less")
        self.collector.silence("too-large")
        raise CompileAborted
