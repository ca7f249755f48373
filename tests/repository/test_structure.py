"""The house as it is drawn in docs/architecture.md: floors, homes of libraries, and nothing that lives in a module."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2] / "service"
FILES = sorted(HOUSE.rglob("*.py"))

#: From the ground up; a file may import what lies lower, and its own room.
FLOORS = [
    {
        "models",
        "errors",
        "settings",
        "environment",
        "addresses",
        "authorities",
        "attachments",
        "requests",
        "logs",
        "turns",
        "metrics",
        "interpreter",
        "suppression_file",
        "unsubscribe_link",
        "return_path",
    },
    {
        "templates",
        "store",
        "delivery",
        "feedback",
    },
    {
        "admission",
        "consequence",
        "letter",
        "enqueue",
        "revisions",
        "settle",
        "pace",
        "outside",
    },
    {
        "accept",
        "access",
        "audit",
        "browse",
        "cancel",
        "check",
        "collect",
        "commits",
        "deliver",
        "index",
        "draft",
        "inspection",
        "examine",
        "observe",
        "figures",
        "person",
        "preview",
        "publish",
        "purge",
        "readiness",
        "receive",
        "record",
        "resend",
        "scaffold",
        "signin",
        "standing",
        "suppress",
        "unsubscribe",
    },
    {
        "services",
    },
    {
        "jobs",
        "cli",
        "web",
    },
]
ROOMS, VERBS, DOORS = FLOORS[1], FLOORS[3], FLOORS[5]

#: Where each library lives, as prefixes of the module's name.
HOMES = {
    "litestar": ["web", "cli.run"],
    "uvicorn": ["web.server"],
    "redis": ["delivery.queue"],
    "huey": ["delivery.queue", "jobs"],
    "mjml": ["templates.inline"],
    "premailer": ["templates.inline"],
    "jinja2": ["templates", "web.pages"],
    "jsonschema_rs": ["templates"],
    "psycopg": ["store.database"],
    "psycopg_pool": ["store.database"],
    "sqlite_utils": ["store.database"],
    "sqlite3": ["store.database"],
    "smtplib": ["delivery.smtp"],
    "aiosmtpd": ["delivery.mailbox"],
    "click": ["cli"],
    "cryptography": ["feedback.sns"],
    "zstandard": ["store.codec"],
    "flufl": ["feedback.mailman"],
    "prometheus_client": ["metrics", "observe"],
    "imaplib": ["feedback.inbox"],
}


def name_of(file: Path) -> str:
    parts = file.relative_to(HOUSE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def floor_of(name: str) -> int:
    top = name.partition(".")[0]
    return next(index for index, floor in enumerate(FLOORS) if top in floor)


def imports_of(file: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, and the line."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
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


def test_files_all_belong_to_a_package_of_the_table() -> None:
    known = set().union(*FLOORS) | {""}
    strangers = [name_of(file) for file in FILES if name_of(file).partition(".")[0] not in known]
    assert strangers == []


@pytest.mark.parametrize("file", [file for file in FILES if name_of(file)], ids=name_of)
def test_imports_run_downward(file: Path) -> None:
    name = name_of(file)
    top, floor, wrong = name.partition(".")[0], floor_of(name), []
    for module, line in our_imports(file):
        other = module.partition(".")[0]
        same_place = other == top
        lower = floor_of(module) < floor
        ground_among_itself = floor == 0 and floor_of(module) == 0
        doors_for_one_process = name in {"cli.run", "cli.preview"} and other in {"web", "jobs"}
        door_into_room = floor == 5 and other in ROOMS and not (top == "jobs" and module.startswith("delivery.queue"))
        if door_into_room or not (same_place or lower or ground_among_itself or doors_for_one_process):
            wrong.append(f"{name}:{line} imports {module}")
    assert wrong == []


def test_imports_make_no_circles() -> None:
    graph = {name_of(file): {module for module, _ in our_imports(file)} for file in FILES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path, name])
        if name in done or name not in graph:
            return
        for other in graph[name]:
            # A package that hands out its parts is no circle.
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
            if homes and not any(name_of(file).startswith(home) for home in homes):
                wrong.append(f"{name_of(file)}:{line} imports {module}, which lives in {' and '.join(homes)}")
    assert wrong == []


def test_modules_hold_no_live_objects() -> None:
    """Module-level names are constants, types, functions and loggers; nobody changes one."""
    wrong = []
    for file in FILES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
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
        wrong += [
            f"{name_of(file)}:{node.lineno} global"
            for node in ast.walk(tree)
            if isinstance(node, ast.Global | ast.Nonlocal)
            if isinstance(node, ast.Global)
        ]
    assert wrong == []


def _is_option(file: Path, node: ast.stmt) -> bool:
    """Shared options of commands are decorators, which click wants as values."""
    return (
        name_of(file).startswith("cli.")
        and isinstance(node, ast.Assign)
        and ast.unparse(node.value).startswith("click.option(")
    )


#: What a distribution is called when it is imported, where the names differ; and what is chosen by its presence alone.
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
BY_PRESENCE = {"httptools", "uvloop", "tzdata", "django-js-lib-htmx"}


def test_dependencies_declared_and_imported_are_the_same() -> None:
    project = tomllib.loads((HOUSE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[\[<>=]", line)[0] for line in project["dependencies"]}
    expected = {IMPORTED_AS.get(name, name) for name in declared - BY_PRESENCE}
    imported = {module.partition(".")[0] for file in FILES for module, _ in imports_of(file)}
    third_party = imported - sys.stdlib_module_names - {"service", ""}
    assert third_party - {"psycopg_pool", "pydantic_core"} == expected  # both come with the package whose part they are
