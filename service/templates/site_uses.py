"""The uses of the installation's values in one template."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from service.templates.jinja.loader import SourceLoader
from service.templates.positions import Place
from service.templates.site_values import DECLARATIONS, Declarations, read_declarations


@dataclass(frozen=True, slots=True)
class SiteUse:
    """The first place where a template uses a value; `is_needed`: without the value it can't be rendered."""

    file: str
    line: int
    column: int
    is_needed: bool = False


@dataclass
class SiteUses:
    """Collects the uses while a template is compiled: value -> its first place. `is_used`: any of them, by any name."""

    loader: SourceLoader
    is_used: bool = False
    first: dict[str, Place] = field(default_factory=dict)

    @property
    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """The values that may be used. Raises CompileAborted where they can't be read; reported."""
        return self.declared.schemas

    @cached_property
    def declared(self) -> Declarations:
        """The declared values. Raises CompileAborted where they can't be read; reported."""
        self.loader.dependencies.add(DECLARATIONS)
        return read_declarations(self.loader.files, self.loader.collector)
