"""Generates parts of docs/ from the code, and the help of findings' codes from the author's guide.

Between the lines `<!-- generated: KIND PATTERN... -->` and `<!-- end of KIND -->` of a document this script writes all
items of that kind whose names match one of the patterns; the rest of the document is prose and stays. An item in no
document, or in two places, is an error, so that a new route, setting or command can't be forgotten.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import click
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))  # so that this checkout is documented, wherever another one is installed

from service.bootstrap import build  # noqa: E402
from service.cli.main import main as rgz_email  # noqa: E402
from service.config.http_settings import RequestRate  # noqa: E402
from service.config.settings import Rate, Settings  # noqa: E402
from service.models import Scope  # noqa: E402
from service.models.deployment_requests import (  # noqa: E402
    ActivateRequest,
    DeployRequest,
    HoldRequest,
    RollbackRequest,
    SuspendRequest,
)
from service.models.requests import (  # noqa: E402
    BatchRequest,
    PublishRequest,
    SendRequest,
    SuppressionRequest,
    TestRequest,
)
from service.models.status import TRANSITIONS  # noqa: E402
from service.templates.diff.report import Report  # noqa: E402
from service.web.api.openapi import description_of  # noqa: E402
from service.web.app import create_app  # noqa: E402

#: How a route without a guard is protected, by pattern of its path.
UNGUARDED = {
    "/api/v1/email/unsubscribe/*": "signed link",
    "/previews/*": "signed link",
    "/api/v1/email/webhook": "signature of Amazon SNS",
    "/api/v1/email/source/webhook": "signature of the forge",
}
#: What is generated from the author's guide, for the rules of SARIF.
FINDING_HELP = Path("service", "templates", "authoring", "finding_help.json")
#: Line width of the commands' help.
HELP_WIDTH_CHARS = 110

_PART = re.compile(r"(<!-- generated: (\w+)([^\n]*) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


@dataclass
class Listing:
    """All items of one kind by name; `shown` records the name of each item that a document shows."""

    items: Mapping[str, str]
    head: str = ""
    separator: str = "\n"
    shown: list[str] = field(default_factory=list)

    def part(self, patterns: Sequence[str]) -> str:
        """Markdown of the items whose names match a pattern; of all items without a pattern."""
        names = [name for name in self.items if any(fnmatchcase(name, one) for one in patterns or ("*",))]
        self.shown += names
        return self.head + self.separator.join(self.items[name] for name in names)


def main(arguments: list[str], *, home: Path = HOME) -> int:
    """Write the documents. Exit status: 0; 1 where an item is not shown once, or, with `--check`, one is stale."""
    parser = argparse.ArgumentParser(
        prog="scripts/docs",
        description="Write the parts of docs/ that are generated from the code.",
        epilog="Example: scripts/docs --check",
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where something would change")
    checks = parser.parse_args(arguments).check
    with tempfile.TemporaryDirectory() as data:
        kinds = listings(Path(data))
    problems: list[str] = []
    files = {document: generated(document.read_text("utf-8"), kinds) for document in (home / "docs").rglob("*.md")}
    guide = home / "email_templates" / "README.md"
    if guide.is_file():
        files[home / FINDING_HELP] = finding_help(guide.read_text("utf-8"))
    for document, after in sorted(files.items()):
        before = document.read_text("utf-8") if document.is_file() else ""
        if before != after and checks:
            problems.append(f"{document.relative_to(home)} is not up to date: run scripts/docs")
        elif before != after:
            document.write_text(after, "utf-8")
            print(f"wrote {document.relative_to(home)}")
    problems += [
        f"{kind} {name!r} is shown in {count} places of docs/ instead of one"
        for kind, listing in kinds.items()
        for name in listing.items
        if (count := listing.shown.count(name)) != 1
    ]
    print("\n".join(problems), end="\n" if problems else "", file=sys.stderr)
    return 1 if problems else 0


def finding_help(guide: str) -> str:
    """The codes of findings, with what is wrong and how to mend it, from the tables of the author's guide."""
    chapter = guide.partition("\n## Every finding")[2].partition("\n## ")[0]

    def plain(cell: str) -> str:
        cell = re.sub(r"\[([^\]]+)\]\(#[^)]*\)", r"\1 in the author's guide", cell)
        return cell.replace("*warning*: ", "").replace("\\|", "|").replace("`", "")

    rows = re.findall(r"^\| `([^`]+)` \| (.+) \| (.+) \|$", chapter, re.MULTILINE)
    told = {code: {"wrong": plain(wrong), "mend": plain(mend)} for code, wrong, mend in sorted(rows)}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def generated(text: str, kinds: Mapping[str, Listing]) -> str:
    """The document with its generated parts renewed. Raises KeyError for an unknown kind."""

    def part(found: re.Match[str]) -> str:
        return f"{found[1]}\n{kinds[found[2]].part(found[3].split())}\n\n{found[4]}"

    return _PART.sub(part, text)


def listings(data_dir: Path) -> dict[str, Listing]:
    """The listing of each kind. Builds a service in `data_dir`, from which routes and metrics are read."""
    settings = Settings(email_data_dir=data_dir, email_admin_token="documents")  # noqa: S106
    services = build(settings)
    try:
        app = create_app(services)
        with TestClient(app) as client:
            exposition = client.get("/metrics", headers={"Authorization": "Bearer documents"}).text
    finally:
        services.close()
    return {
        "routes": Listing(dict(sorted(_routes(app))), "| Route | Access | What it does |\n|---|---|---|\n"),
        "fields": Listing(dict(_fields()), "| Field | Without it | Meaning |\n|---|---|---|\n"),
        "settings": Listing(dict(_settings()), "| Setting | Type | Default | Meaning |\n|---|---|---|---|\n"),
        "commands": Listing(dict(_commands(rgz_email, "rgz-email")), separator="\n\n"),
        "states": Listing(dict(_states()), "| State | May become |\n|---|---|\n"),
        "report": Listing(dict(_report()), separator="\n\n"),
        "metrics": Listing(dict(_metrics(exposition)), "| Metric | Type | Meaning |\n|---|---|---|\n"),
    }


def _routes(app: Litestar) -> Iterator[tuple[str, str]]:
    """Routes, named `/path METHOD` so that those of one path sort together."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            path = re.sub(r":\w+\}", "}", route.path_format)
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                    description = _cell(" ".join(description_of(handler).split()))
                    yield f"{path} {method}", f"| `{method} {path}` | {_access(path, handler)} | {description} |"


def _access(path: str, handler: HTTPRouteHandler) -> str:
    """The scope, session or signature that a route requires."""
    scopes = [guard.scope for guard in handler.resolve_guards() if hasattr(guard, "scope")]
    if not scopes:
        return next((protection for pattern, protection in UNGUARDED.items() if fnmatchcase(path, pattern)), "open")
    if scopes[0] is None:
        return "this machine, or `admin`"
    if path.startswith("/admin"):
        return "signed in" if scopes[0] is Scope.ADMIN else f"signed in, or `{scopes[0].value}`"
    return f"`{scopes[0].value}`"


def _fields() -> Iterator[tuple[str, str]]:
    """Fields of request bodies, named `body.field`; a batch's fields without those that a send has too."""
    [message] = get_args(BatchRequest.model_fields["messages"].annotation)
    [attachment] = get_args(SendRequest.model_fields["attachments"].annotation)
    bodies: dict[str, type[BaseModel]] = {"send": SendRequest, "attachment": attachment, "batch": BatchRequest}
    bodies |= {"publish": PublishRequest, "test": TestRequest, "suppression": SuppressionRequest}
    bodies |= {"deploy": DeployRequest, "activate": ActivateRequest, "rollback": RollbackRequest, "hold": HoldRequest}
    bodies["suspend"] = SuspendRequest
    for body, model in bodies.items():
        for name, one in sorted(model.model_fields.items(), key=lambda item: not item[1].is_required()):
            if body != "batch" or name not in SendRequest.model_fields:
                default = "required" if one.is_required() else _default(one.get_default(call_default_factory=True))
                cell = default if default in ("required", "") else f"`{default}`"
                yield f"{body}.{name}", f"| `{name}` | {cell} | {_cell(one.description or '')} |"
    if set(message.model_fields) - set(SendRequest.model_fields):
        raise ValueError("a message of a batch has fields that a send lacks: add them to `bodies`")


def _settings() -> Iterator[tuple[str, str]]:
    defaults, schema = Settings(), Settings.model_json_schema()
    for name, one in Settings.model_fields.items():
        default = _default(getattr(defaults, name))
        cells = (_type(schema["properties"][name]), f"`{default}`" if default else "", _cell(one.description or ""))
        yield name.upper(), f"| `{name.upper()}` | {' | '.join(cells)} |"


def _default(value: object) -> str:
    """A default as an environment variable spells it; a directory inside the checkout relative to it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Path):
        return f"{value.relative_to(HOME)}/" if value.is_relative_to(HOME) else str(value)
    return "" if value in (None, [], {}) else str(value)


def _type(schema: Mapping[str, Any]) -> str:
    """The type and range of a setting in words, from its JSON Schema."""
    inner = next(one for one in schema.get("anyOf", [schema]) if one.get("type") != "null")
    if "enum" in inner:
        return ", ".join(f"`{one}`" for one in inner["enum"])
    if inner.get("$ref", "").endswith(f"/{Rate.__name__}"):
        return "`unlimited`, or n/`hour`, `day`, `week`"
    if inner.get("$ref", "").endswith(f"/{RequestRate.__name__}"):
        return "`unlimited`, or n/`second`, `minute`, `hour`"
    if inner.get("type") == "boolean":
        return "`true`, `false`"
    kinds = {"path": "path", "password": "secret"}
    json_type: str = inner["type"]
    kind = kinds.get(inner.get("format", ""), {"string": "text", "array": "list"}.get(json_type, json_type))
    least, most = inner.get("minimum"), inner.get("maximum")
    if "exclusiveMinimum" in inner:
        kind += f" above {inner['exclusiveMinimum']:g}"
        return f"{kind}, at most {most:g}" if most is not None else kind
    if least is not None:
        return f"{kind}, {least:,} to {most:,}" if most is not None else f"{kind}, at least {least:,}"
    return kind


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    """Each command with its `--help`, a group before its commands."""
    context = click.Context(
        command,
        info_name=path,
        terminal_width=HELP_WIDTH_CHARS,
        max_content_width=HELP_WIDTH_CHARS,
        help_option_names=["-h", "--help"],
    )
    yield path, f"## {path}\n\n```\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if (inner := command.get_command(context, name)) is not None:
                yield from _commands(inner, f"{path} {name}")


def _report() -> Iterator[tuple[str, str]]:
    """The objects of report.json, the whole first: what each is, and its fields with their types."""
    schema = Report.model_json_schema()
    for name, one in {Report.__name__: schema, **schema["$defs"]}.items():
        rows = [f"| `{field}` | {_report_type(of)} |" for field, of in one["properties"].items()]
        about = " ".join(one["description"].split())
        yield name, "\n".join([f"### {name}", "", about, "", "| Field | Type |", "|---|---|", *rows])


def _report_type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(map(_report_type, schema["anyOf"]))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema["type"] == "array":
        return f"list of at most {schema['maxItems']:,}: {_report_type(schema['items'])}"
    longest = f", at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""
    kind: str = schema["type"]
    return {"string": "text", "boolean": "`true`, `false`"}.get(kind, kind) + longest


def _states() -> Iterator[tuple[str, str]]:
    for status, following in TRANSITIONS.items():
        names = ", ".join(one.value for one in TRANSITIONS if one in following)
        yield status.value, f"| `{status.value}` | {names or 'final'} |"


def _metrics(exposition: str) -> Iterator[tuple[str, str]]:
    for family in sorted(text_string_to_metric_families(exposition), key=lambda one: one.name):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield name, f"| `{name}` | {family.type} | {_cell(family.documentation)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
