"""The values of an installation: declared in `_shared/values.yaml`, given for each environment, checked here.

They are no part of a template's revision: the same commit has the same revisions in each environment.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs

from service.errors import Finding
from service.templates.findings import CompileAborted, FindingCollector, did_you_mean
from service.templates.front_matter.schema_errors import problems_of, shorten
from service.templates.front_matter.variables import PATTERNS, variables_schema
from service.templates.front_matter.yaml_positions import Document, read_yaml
from service.templates.positions import Place
from service.templates.runtime.escapes import Unprintable, escape_url
from service.templates.runtime.site import NO_SITE, PHONE, SITE, Site, is_placeholder
from service.templates.source.files import Files

#: The file in the template directory that declares the values.
DECLARATIONS = "_shared/values.yaml"
DEFAULT_ENVIRONMENT = "production"
_MAX_LENGTH = 1_000
_PHONE_ALONE: Mapping[str, Any] = {PHONE: {"type": "string", "examples": ["+229 01 23 45 67 89"]}}


#: Paths of values beside the template directory.
BESIDE = re.compile(r"\.\./values/[^/]+\.yaml")


def values_path(environment: str) -> str:
    """The path, in the template directory, of the values of an environment."""
    return f"values/{environment}.yaml"


def beside_path(environment: str) -> str:
    """The path of an environment's values beside the template directory, which count where it holds no `values/`."""
    return f"../{values_path(environment)}"


@dataclass(frozen=True)
class Declarations:
    """The values that a repository declares: name -> JSON Schema, with positions. Without its file, `phone` alone."""

    schemas: Mapping[str, Mapping[str, Any]]
    document: Document | None = None

    @property
    def examples(self) -> Site:
        """The examples, with which templates are compiled."""
        return Site({name: str(one["examples"][0]) for name, one in self.schemas.items() if one.get("examples")})

    def place(self, name: str) -> Place:
        """Where a value is declared."""
        return self.document.key_place((name,)) if self.document else Place(DECLARATIONS, 1, 1)


@dataclass(frozen=True)
class OwnValues:
    """The values that the installation's settings give, with positions where they come from a file.

    `hint` names the settings that give them.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    hint: str = "the file EMAIL_TEMPLATE_VALUES"


NO_OWN_VALUES = OwnValues()


@dataclass(frozen=True)
class ValueProblem:
    """A value that must not go to recipients. `place` is None where it is in no file.

    `is_explained`: a finding about the whole file says why.
    """

    place: Place | None
    is_error: bool
    code: str
    message: str
    hint: str
    is_missing: bool = False
    is_explained: bool = False


@dataclass(frozen=True)
class ResolvedValues:
    """The values of an installation; what is wrong with each of them, by name; and all findings."""

    site: Site = NO_SITE
    problems: Mapping[str, ValueProblem] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def resolve_values(files: Files, environment: str, own: OwnValues = NO_OWN_VALUES) -> tuple[Site, tuple[Finding, ...]]:
    """The values of an installation that serves these files, and findings; `own` values win over the files'.

    A value that is missing or breaks its schema is an error, a placeholder a warning.
    """
    resolved = resolved_values(files, environment, own)
    return resolved.site, resolved.findings


def read_declarations(files: Files, collector: FindingCollector) -> Declarations:
    """The values that the files declare; a wrong declaration is reported."""
    document = _document(files, DECLARATIONS, collector)
    if document is None:
        return Declarations(_PHONE_ALONE)
    nested = Document(
        {"variables": document.data},
        {("variables", *path): place for path, place in document.places.items()} | {(): document.place(())},
        {("variables", *path): place for path, place in document.keys.items()},
    )
    schemas = variables_schema(nested, collector)
    found: dict[str, Mapping[str, Any]] = {}
    for name, schema in schemas["properties"].items():
        found[name] = {**schema, "required": name in schemas["required"]}
        if message := _declaration_problem(schema):
            hint = "see the author's guide, values of the installation"
            collector.error(document.key_place((name,)), "bad-site-value", f"{SITE}.{name}: {message}", hint)
    return Declarations({PHONE: {**_PHONE_ALONE[PHONE], "required": False}} | found, document)


def declared_examples(files: Files) -> Site:
    """The examples of the declared values, with which mails are recorded and compared: the same on each machine."""
    try:
        return read_declarations(files, FindingCollector()).examples
    except CompileAborted:
        return NO_SITE


def _declaration_problem(schema: Mapping[str, Any]) -> str | None:
    if not schema:
        return None  # reported already
    if schema.get("type") != "string":
        return "a value is a text: its type is string"
    if not schema.get("examples"):
        return "it has no example, with which templates are checked"
    return _value_problem(schema["examples"][0], schema)


def resolved_values(files: Files, environment: str, own: OwnValues = NO_OWN_VALUES) -> ResolvedValues:
    """As `resolve_values`, with the problem of each value by name."""
    collector = FindingCollector()
    try:
        declared = read_declarations(files, collector)
    except CompileAborted:
        declared = Declarations({})
    given_path = _path_of(files, environment)
    is_readable = True
    try:
        document = _document(files, given_path, collector)
    except CompileAborted:
        document, is_readable = None, False
    given = document.data if document and isinstance(document.data, dict) else {}
    if document and not isinstance(document.data, dict | None):
        collector.error(Place(given_path, 1, 1), "bad-site-value", "the file must be a mapping", "write phone: +229 …")
        is_readable = False
    places = {name: document.place((name,)) for name in given} if document else {}
    is_readable &= not any(finding.is_error for finding in own.findings)
    merged, sources = {**given, **own.values}, {**places, **dict.fromkeys(own.values), **own.places}
    values: dict[str, str] = {}
    problems: dict[str, ValueProblem] = {}
    for name, schema in declared.schemas.items():
        hint = f"set {name} in {given_path.removeprefix('../')} or {_setting_of(name, own)}"
        value = merged.get(name, schema.get("default"))
        if value is None:
            if not is_readable:
                problems[name] = ValueProblem(
                    None, True, "bad-site-value", f"{SITE}.{name} can't be read", hint, is_explained=True
                )
            elif schema.get("required", True):
                message = f"{SITE}.{name} is not set: mails go without it"
                problems[name] = ValueProblem(None, False, "placeholder-value", message, hint, is_missing=True)
        elif wrong := _value_problem(value, schema):
            said = f"{SITE}.{name}: {wrong}"
            problems[name] = ValueProblem(sources.get(name), True, "bad-site-value", said, "")
        else:
            values[name] = value
            if value and is_placeholder(name, value):
                said = f'{SITE}.{name} is "{value}", a placeholder'
                problems[name] = ValueProblem(sources.get(name), False, "placeholder-value", said, hint)
    _report_unknown(merged, sources, declared, collector)
    _report(problems, declared, collector)
    return ResolvedValues(Site(values), problems, (*collector.findings, *own.findings))


def _setting_of(name: str, own: OwnValues) -> str:
    return f"{own.hint}, or as EMAIL_SITE_PHONE" if name == PHONE else own.hint


def _report_unknown(
    merged: Mapping[str, Any], places: Mapping[str, Place | None], declared: Declarations, collector: FindingCollector
) -> None:
    for name in merged.keys() - declared.schemas.keys():
        if declared.schemas and (place := places.get(name)) is not None:
            hint = did_you_mean(name, declared.schemas) or f"declare it in {DECLARATIONS}"
            collector.warning(place, "unknown-value", f"{SITE}.{name} is not declared in {DECLARATIONS}", hint)


def _report(problems: Mapping[str, ValueProblem], declared: Declarations, collector: FindingCollector) -> None:
    """Report the problems of values: a missing one where it is declared. Without declarations none is wanted."""
    for name, problem in problems.items():
        place = problem.place or declared.place(name)
        if problem.is_explained:
            continue
        if problem.is_error or (problem.is_missing and declared.document is not None):
            collector.error(place, problem.code, problem.message, problem.hint)
        elif not problem.is_missing:
            collector.warning(place, problem.code, problem.message, problem.hint)


def _value_problem(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Why a value must not be printed, by its schema; None where it may."""
    if not isinstance(value, str):
        return f"{shorten(value)} is not a text; put it into quotes"
    if not value.isprintable() or len(value) > _MAX_LENGTH:
        return f"it must be one line of at most {_MAX_LENGTH} characters that can be printed"
    asked = {key: one for key, one in schema.items() if key != "required"}
    validator = jsonschema_rs.Draft202012Validator(asked, validate_formats=True, pattern_options=PATTERNS)
    for _, problem in problems_of(validator.iter_errors(value), asked):
        return problem.message.removeprefix("this: ")
    if asked.get("format") in ("uri", "iri"):
        try:
            escape_url(value)
        except Unprintable as error:
            return str(error)
    return None


def _path_of(files: Files, environment: str) -> str:
    """The path of the environment's values: in the template directory, or beside it where that has none."""
    inside, beside = values_path(environment), beside_path(environment)
    return beside if not files.folder("values") and beside in files else inside


def _document(files: Files, path: str, collector: FindingCollector) -> Document | None:
    """A YAML file; None where there is none. Raises CompileAborted for one that can't be read; reported."""
    if path not in files:
        return None
    try:
        text = files.text(path)
    except UnicodeDecodeError:
        collector.error(Place(path, 1, 1), "not-utf-8", "the file is not UTF-8", "save it as UTF-8")
        raise CompileAborted from None
    return read_yaml(text, path, collector)


def environments_of(files: Files) -> Iterator[str]:
    """The environments whose values the files hold: inside the template directory, or else beside it."""
    for folder, prefix in (("values", "values/"), ("..", "../values/")):
        for path in files.folder(folder):
            name = path.removeprefix(prefix).removesuffix(".yaml")
            if path == f"{prefix}{name}.yaml" and "/" not in name:
                yield name


class SiteValues:
    """The values of this installation. They are read again when one of their files has changed.

    `own_file` is EMAIL_TEMPLATE_VALUES, `phone` EMAIL_SITE_PHONE. `beside` is the directory `values` beside the
    template directory. With `fills_gaps` the declared examples stand for values that are not set.
    """

    def __init__(
        self,
        environment: str = DEFAULT_ENVIRONMENT,
        *,
        own_file: Path | None = None,
        values: Mapping[str, str] | None = None,
        beside: Path | None = None,
        fills_gaps: bool = False,
    ) -> None:
        self._environment = environment
        self._own_file = own_file
        self._values = dict(values or {})
        self._beside = beside / f"{environment}.yaml" if beside else None
        self._fills_gaps = fills_gaps
        self._last: tuple[tuple[object, ...], ResolvedValues] | None = None

    def resolve(self, files: Files) -> ResolvedValues:
        """The values for these files; the same object as long as nothing has changed."""
        beside = _bytes(self._beside)
        own = _bytes(self._own_file)
        paths = (DECLARATIONS, values_path(self._environment), beside_path(self._environment))
        key = (*(files.digest(path) for path in paths), bool(files.folder("values")), beside, own)
        last = self._last
        if last is not None and last[0] == key:
            return last[1]
        asked = {path: files.by_path[path] for path in (*paths, *files.folder("values")[:1]) if path in files}
        small = Files(asked)
        if beside is not None and paths[2] not in files:
            small = small.with_changes({paths[2]: beside})
        resolved = resolved_values(small, self._environment, self.own())
        if self._fills_gaps:
            resolved = _filled(resolved, small)
        self._last = (key, resolved)
        return resolved

    def own(self) -> OwnValues:
        """The values of the settings, without those of the files that are served."""
        return own_values(self._own_file, self._values)

    @property
    def stamp(self) -> tuple[object, ...]:
        """A value that changes with the files outside of the template directory."""
        return tuple(_status(path) for path in (self._own_file, self._beside))


def own_values(file: Path | None, values: Mapping[str, str]) -> OwnValues:
    """The values of EMAIL_TEMPLATE_VALUES and, winning over them, `values`; a file that can't be read is a finding."""
    if file is None:
        return OwnValues(dict(values))
    hint = f"the file {file.name} of EMAIL_TEMPLATE_VALUES"
    collector = FindingCollector()
    document: Document | None = None
    try:
        document = read_yaml(file.read_bytes().decode("utf-8"), file.name, collector)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        collector.error(Place(file.name, 1, 1), "bad-site-value", f"EMAIL_TEMPLATE_VALUES can't be read: {why}")
    except CompileAborted:
        pass  # reported
    data = document.data if document else None
    if data is not None and not isinstance(data, dict):
        collector.error(
            Place(file.name, 1, 1), "bad-site-value", "EMAIL_TEMPLATE_VALUES must be a mapping", "phone: +229 …"
        )
        data = None
    places = {name: document.place((name,)) for name in data if name not in values} if document and data else {}
    return OwnValues({**(data or {}), **values}, places, collector.findings, hint)


def _filled(resolved: ResolvedValues, files: Files) -> ResolvedValues:
    """With the declared examples in place of values that are not set, which are then no problem."""
    examples = declared_examples(files)
    missing = {name for name, problem in resolved.problems.items() if problem.is_missing}
    problems = {name: problem for name, problem in resolved.problems.items() if name not in missing}
    messages = {resolved.problems[name].message for name in missing}
    findings = tuple(one for one in resolved.findings if one.message not in messages)
    return ResolvedValues(resolved.site.over(examples), problems, findings)


def _bytes(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path is not None else None
    except OSError:
        return None


def _status(path: Path | None) -> tuple[int, ...] | None:
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino) if status else None
