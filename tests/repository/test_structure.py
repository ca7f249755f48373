"""The structure of service/: which package may import which, homes of libraries, and no state in modules."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT, SERVICE

FILES = sorted(SERVICE.rglob("*.py"))

_OPEN_TO_ALL = {"models", "errors"}
_FEATURES = {"templates", "monitoring", "sending", "feedback", "recipients", "delivery", "messages", "deployments"}
_ENTRIES = {"bootstrap", "auth", "isolation", "config", "mail"} | _FEATURES | _OPEN_TO_ALL

#: What each package or module at the top of service/ may import besides itself. Ordered: only what stands above.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "models": {"errors"},
    "mail": _OPEN_TO_ALL,
    "config": {"mail"} | _OPEN_TO_ALL,
    "isolation": _OPEN_TO_ALL,
    "store": _OPEN_TO_ALL,
    "auth": {"store", "mail"} | _OPEN_TO_ALL,
    "templates": {"store", "isolation", "config", "mail"} | _OPEN_TO_ALL,
    "monitoring": {"templates", "store"} | _OPEN_TO_ALL,
    "sending": {"monitoring", "templates", "store", "config", "mail"} | _OPEN_TO_ALL,
    "feedback": {"monitoring", "store", "isolation", "config", "mail"} | _OPEN_TO_ALL,
    "recipients": {"feedback", "store", "config", "mail"} | _OPEN_TO_ALL,
    "delivery": {"feedback", "monitoring", "store", "config", "mail"} | _OPEN_TO_ALL,
    "messages": {"sending", "store", "mail"} | _OPEN_TO_ALL,
    "deployments": {"templates", "monitoring", "store", "isolation", "config", "mail"} | _OPEN_TO_ALL,
    "bootstrap": {"auth", "store", "isolation", "config", "mail"} | _FEATURES | _OPEN_TO_ALL,
    "web": _ENTRIES,
    "worker": _ENTRIES,
    "cli": _ENTRIES,
}
#: These commands start the web server and the worker in their own process.
STARTS = {"cli.serve": {"web", "worker"}, "cli.sync": {"worker"}, "cli.preview": {"web"}}

#: Where each library may be imported: a module, or a package with all below it.
HOMES = {
    "litestar": ["web", "cli.serve"],
    "uvicorn": ["web.server", "web.connection_limits"],
    "redis": ["delivery.queue"],
    "huey": ["delivery.queue", "worker"],
    "mjml": ["templates.mjml"],
    "premailer": ["templates.mjml"],
    "cssutils": ["templates.mjml"],
    "lxml": ["templates.mjml"],
    "jinja2": ["templates", "web.pages"],
    "jsonschema_rs": ["templates"],
    "watchfiles": ["templates.source.watch"],
    "psycopg": ["store.database"],
    "psycopg_pool": ["store.database"],
    "sqlite_utils": ["store.database"],
    "sqlite3": ["store.database"],
    "zstandard": ["store.body_codec"],
    "smtplib": ["delivery.smtp_connection", "delivery.smtp_login"],
    "aiosmtpd": ["delivery.dev_mailbox"],
    "imaplib": ["feedback.imap", "feedback.imap_connection"],
    "cryptography": ["config.secret_key", "feedback.sns"],
    "flufl": ["feedback.bounce.flufl"],
    "email_validator": ["mail.addresses"],
    "puremagic": ["mail.attachments"],
    "prometheus_client": ["monitoring"],
    "click": ["cli"],
    "playwright": ["templates.diff.chromium", "templates.diff.pictures"],
    "packaging": ["config.template_project"],
    "pytest": ["templates.snapshots.pytest_plugin"],
    "syrupy": ["templates.snapshots.syrupy_extensions", "templates.snapshots.pytest_plugin"],
}


def name_of(file: Path) -> str:
    parts = file.relative_to(SERVICE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def package_of(name: str) -> str:
    return name.partition(".")[0]


def is_in(name: str, place: str) -> bool:
    """Whether a module is this one, or lies in this package."""
    return name == place or name.startswith(f"{place}.")


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports_of(file: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, and the line."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: write imports from the top"
            if node.module == "service":
                yield from ((f"service.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module or "", node.lineno


def our_imports(file: Path) -> Iterator[tuple[str, int]]:
    for module, line in imports_of(file):
        if module.startswith("service.") and module != "service.__version__":
            yield module.removeprefix("service."), line


def test_import_table_has_every_package_and_makes_no_circles() -> None:
    assert {package_of(name_of(file)) for file in FILES} - {""} == set(MAY_IMPORT)
    above: set[str] = set()
    for package, allowed in MAY_IMPORT.items():
        assert allowed <= above, f"{package} may import what stands below it in the table"
        above.add(package)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_the_table_allows(package: str) -> None:
    wrong = []
    for file in FILES:
        name = name_of(file)
        if is_in(name, package):
            allowed = {package} | MAY_IMPORT[package] | STARTS.get(name, set())
            wrong += [
                f"{name}:{line} imports {module}"
                for module, line in our_imports(file)
                if package_of(module) not in allowed
            ]
    assert wrong == []


def test_architecture_document_has_the_import_table() -> None:
    document = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z]+)/` \| [^|]+ \| ([a-z, ]*)\|$", document, re.MULTILINE)
    told = {package: set(re.findall(r"[a-z]+", names)) for package, names in rows}
    held = {package: may - {"models", "errors"} for package, may in MAY_IMPORT.items()}
    entries = {"errors", "models", "bootstrap", "web", "worker", "cli"}
    assert told == {package: may for package, may in held.items() if package not in entries}


def test_imports_make_no_circles() -> None:
    graph = {name_of(file): {module for module, _ in our_imports(file)} for file in FILES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path, name])
        if name in done or name not in graph:
            return
        for other in graph[name]:
            # A package whose __init__ re-exports its modules is no circle.
            if not name.startswith(f"{other}."):
                visit(other, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_libraries_each_have_one_home() -> None:
    wrong = []
    for file in FILES:
        for module, line in imports_of(file):
            homes = HOMES.get(module.partition(".")[0])
            if homes and not any(is_in(name_of(file), home) for home in homes):
                wrong.append(f"{name_of(file)}:{line} imports {module}, which belongs in {' and '.join(homes)}")
    assert wrong == []


def test_modules_hold_no_live_objects() -> None:
    """Module-level names are constants, types, functions and loggers, and nothing assigns them again."""
    wrong = []
    for file in FILES:
        tree = tree_of(file)
        for node in tree.body:
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            for target in targets:
                names = [item.id for item in ast.walk(target) if isinstance(item, ast.Name)]
                for name in names:
                    constant = re.fullmatch(r"_?[A-Z][A-Z0-9_]*|__all__|__version__", name)
                    type_like = re.fullmatch(r"_?[A-Z][A-Za-z0-9]*", name)
                    if not (constant or type_like or name in ("_log", "log")) and not _is_option(file, node):
                        wrong.append(f"{name_of(file)}:{node.lineno} {name}")
        wrong += [f"{name_of(file)}:{node.lineno} global" for node in ast.walk(tree) if isinstance(node, ast.Global)]
    assert wrong == []


def _is_option(file: Path, node: ast.stmt) -> bool:
    """Whether it names a shared option of commands: a decorator made by click.option()."""
    return (
        name_of(file).startswith("cli.")
        and isinstance(node, ast.Assign)
        and ast.unparse(node.value).startswith("click.option(")
    )


#: The import name of a distribution, where the names differ.
IMPORTED_AS = {
    "mjml-python": "mjml",
    "pyyaml": "yaml",
    "jsonschema-rs": "jsonschema_rs",
    "sqlite-utils": "sqlite_utils",
    "email-validator": "email_validator",
    "uuid-utils": "uuid_utils",
    "flufl.bounce": "flufl",
    "typing-extensions": "typing_extensions",
    "prometheus-client": "prometheus_client",
}
#: The extras that service/ imports from.
EXTRAS = ("server", "pictures", "snapshots")
#: Used by being installed; nothing imports them.
BY_PRESENCE = {"httptools", "uvloop", "tzdata", "django-js-lib-htmx"}


def test_dependencies_declared_and_imported_are_the_same() -> None:
    project = tomllib.loads((SERVICE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for name in EXTRAS for line in extras[name])]
    declared = {re.split(r"[\[<>=]", line)[0] for line in lines}
    expected = {IMPORTED_AS.get(name, name) for name in declared - BY_PRESENCE}
    imported = {module.partition(".")[0] for file in FILES for module, _ in imports_of(file)}
    third_party = imported - sys.stdlib_module_names - {"service", ""}
    assert third_party - {"psycopg_pool", "pydantic_core"} == expected  # both come with the package whose part they are
