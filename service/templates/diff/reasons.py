"""The templates that may differ between two sides, and the reasons why their mails do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.templates.compiler import Compilation
from service.templates.diff.report import MAX_NAMES, Why, cut
from service.templates.diff.sides import DiffSides
from service.templates.links import Links
from service.templates.runtime.site import SITE, Site
from service.templates.site_values import DECLARATIONS, environments_of, resolve_values
from service.templates.source.files import Files

_VALUES = ("values/", "../values/")


@dataclass(frozen=True, slots=True)
class ChangedValues:
    """Values of the installation that differ: name -> the environment where they do, and both sides' values there."""

    environments: Mapping[str, str]
    before: Mapping[str, Site]
    after: Mapping[str, Site]


def is_of_values(path: str) -> bool:
    """Whether a file declares or gives values of the installation."""
    return path == DECLARATIONS or path.startswith(_VALUES)


def candidates(keys: Collection[str], sides: DiffSides, changed: frozenset[str]) -> list[str]:
    """Templates that may differ: they take in a changed file, or their recorded mails changed."""
    base, head = sides.base, sides.head
    known = frozenset((*base.files.by_path, *head.files.by_path))
    links = [Links.of(base.files, known), Links.of(head.files, known)]
    recorded = {path.split("/", 1)[0] for path, _ in base.snapshots.items() ^ head.snapshots.items()}
    has_values = any(map(is_of_values, changed))
    by_side = {key: [one.reached(key) for one in links] for key in keys}
    return [
        key
        for key, reached in by_side.items()
        if key in recorded
        or any(not changed.isdisjoint(paths) for paths in reached)
        or (has_values and any(_may_print_values(sides.head.files, paths) for paths in reached))
    ]


def _may_print_values(files: Files, paths: Collection[str]) -> bool:
    return any(path in files and SITE.encode() in files.by_path[path].data for path in paths)


def changed_values(base: Files, head: Files) -> ChangedValues:
    """The values that differ in any environment."""
    environments: dict[str, str] = {}
    before: dict[str, Site] = {}
    after: dict[str, Site] = {}
    for environment in sorted({*environments_of(base), *environments_of(head)}):
        old, new = resolve_values(base, environment)[0].values, resolve_values(head, environment)[0].values
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name) and name not in environments:
                environments[name] = environment
                before[environment], after[environment] = Site(old), Site(new)
    return ChangedValues(environments, before, after)


def reasons(
    key: str,
    before: Compilation | None,
    after: Compilation | None,
    changed: frozenset[str],
    values: ChangedValues | None,
) -> list[Why]:
    """The reasons why a template's mails differ; [] where they are the same."""
    if before is None or after is None:
        return [Why(kind="own", name=f"{key}/template.mjml")]
    if _form(before) != _form(after) or (after.template is None and _own_changed(key, changed)):
        paths = sorted(
            changed.intersection({*before.dependencies, *after.dependencies}),
            key=lambda path: (not path.startswith(f"{key}/"), path),  # its own files first
        )
        # An example makes no difference, unless it is what broke or mended the template.
        blamed = [one for one in paths if one != DECLARATIONS and not one.startswith(f"{key}/examples/")] or paths
        return [
            Why(kind="own" if path.startswith(f"{key}/") else "shared", name=cut(path, 300))
            for path in blamed[:MAX_NAMES]
        ]
    names = after.template.site_names or () if after.template else ()
    found = values.environments if values else {}
    return [Why(kind="value", name=f"site.{name} ({found[name]})") for name in names if name in found]


def _own_changed(key: str, changed: frozenset[str]) -> bool:
    return any(path.startswith(f"{key}/") and not path.startswith(f"{key}/examples/") for path in changed)


def _form(compilation: Compilation) -> Any:
    """What a template prints and says of its mails, without comments, formatting, examples and positions."""
    template = compilation.template
    if template is None:
        return None
    groups = {
        locale: [
            {name: program.source for name, program in group.items()}
            for group in (variant.programs, variant.html_modules, variant.text_modules)
        ]
        for locale, variant in template.variants.items()
    }
    manifest = template.manifest.as_json()
    return groups, template.locales, {name: value for name, value in manifest.items() if name != "description"}


def sites_shown(why: Sequence[Why], values: ChangedValues | None) -> tuple[Site, Site] | None:
    """The values of the environment that make the difference; None where something else does."""
    if values is None or any(one.kind != "value" for one in why):
        return None
    environment = values.environments[why[0].name.partition(" ")[0].removeprefix("site.")]
    return values.before[environment], values.after[environment]
