"""Runs the steps of a workflow of GitHub, or of a job of GitLab, in a folder, as their runners would.

An action of somebody else is a function of the test; the step that installs rgz-email is left out, for the test's own
environment has it. Expressions are those that our workflows have: names, texts, ==, !, && and ||.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

#: A stand-in for an action: called with its inputs.
Action = Callable[[dict[str, str]], None]
_TOKEN = re.compile(r"\s*(&&|\|\||==|!|\(|\)|,|'(?:[^']|'')*'|[A-Za-z_][\w.-]*|[0-9]+)")


@dataclass
class Ran:
    """What became of a step."""

    name: str
    code: int
    output: str


@dataclass
class Runner:
    """Runs steps in `workspace`. `environment` is what the runner gives each; `context` answers names of expressions.

    `actions` are stand-ins by the name before the @.
    """

    workspace: Path
    temp: Path
    environment: Mapping[str, str]
    context: Mapping[str, Any]
    actions: Mapping[str, Action]
    steps: list[Ran] = field(default_factory=list)

    @property
    def failed(self) -> list[str]:
        """The names of steps that failed."""
        return [one.name for one in self.steps if one.code]

    def output(self, name: str) -> str:
        """What a step printed."""
        return next(one.output for one in self.steps if one.name == name)

    def run(
        self, steps: list[dict[str, Any]], inputs: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        """Run steps; `folder` is that of the composite action whose steps they are."""
        outputs: dict[str, Any] = {}
        context = {**self.context, "inputs": inputs if inputs is not None else self.context.get("inputs", {}),
                   "steps": outputs}  # fmt: skip
        for step in steps:
            is_failed = any(one.code for one in self.steps)
            condition = str(step.get("if", "success()")).removeprefix("${{").removesuffix("}}")
            # A condition that asks for no state means: and nothing failed before.
            asks = any(word in condition for word in ("success()", "failure()", "always()", "cancelled()"))
            if (is_failed and not asks) or not evaluate(condition, {**context, "failed": is_failed}):
                continue
            environment = {name: filled(value, context) for name, value in step.get("env", {}).items()}
            if "uses" in step:
                self._use(step, {name: filled(value, context) for name, value in step.get("with", {}).items()})
            else:
                self._script(step, environment, folder, outputs)

    def _use(self, step: dict[str, Any], given: dict[str, str]) -> None:
        name = step["uses"]
        if not name.startswith("./"):
            self.actions[name.partition("@")[0]](given)
            return
        folder = self.workspace / name
        action = yaml.safe_load((folder / "action.yml").read_text("utf-8"))
        assert action["runs"]["using"] == "composite"
        assert set(given) <= set(action["inputs"]), f"inputs that {name} does not have"
        inputs = {one: str(told.get("default", "")) for one, told in action["inputs"].items()} | given
        self.run(action["runs"]["steps"], inputs, folder)

    def _script(
        self, step: dict[str, Any], environment: dict[str, str], folder: Path | None, outputs: dict[str, Any]
    ) -> None:
        script, name = step["run"], step.get("name", step["run"])
        assert "${{" not in script, f"{name}: an expression in a script is a way in for whoever sets it"
        if name == "Install":
            assert "pip install" in script
            return
        told = self.temp / "output"
        told.write_text("")
        files = {"GITHUB_OUTPUT": str(told), "GITHUB_STEP_SUMMARY": str(self.temp / "summary.md")}
        more = {"GITHUB_ACTION_PATH": str(folder)} if folder else {}
        self.shell(name, script, {**environment, **files, **more, "RUNNER_TEMP": str(self.temp)})
        if "id" in step:
            lines = [line.partition("=") for line in told.read_text().splitlines()]
            outputs[step["id"]] = {"outputs": {one: value for one, _, value in lines}}

    def shell(self, name: str, script: str, environment: Mapping[str, str]) -> None:
        """Run a script as GitHub's runner does: bash, which ends at the first command that fails."""
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        usual = {"PATH": path, "HOME": str(self.temp), "LANG": "C.UTF-8", "CI": "true"}
        kept = {one: os.environ[one] for one in ("COVERAGE_PROCESS_START",) if one in os.environ}
        done = subprocess.run(
            command, cwd=self.workspace, env={**usual, **kept, **self.environment, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        self.steps.append(Ran(name, done.returncode, done.stdout))


def filled(value: object, context: Mapping[str, Any]) -> str:
    """A value with its expressions evaluated."""

    def text(found: re.Match[str]) -> str:
        answer = evaluate(found[1], context)
        return "" if answer is None else str(answer).lower() if isinstance(answer, bool) else str(answer)

    return re.sub(r"\$\{\{(.*?)\}\}", text, "true" if value is True else "false" if value is False else str(value))


def evaluate(expression: str, context: Mapping[str, Any]) -> Any:
    """The value of an expression."""
    tokens = [found[1] for found in _TOKEN.finditer(expression)]
    assert "".join(tokens) == re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", expression), expression
    value = _either(tokens, context)
    assert not tokens, expression
    return value


def _either(tokens: list[str], context: Mapping[str, Any]) -> Any:
    value = _both(tokens, context)
    while tokens[:1] == ["||"]:
        del tokens[0]
        other = _both(tokens, context)
        value = value or other
    return value


def _both(tokens: list[str], context: Mapping[str, Any]) -> Any:
    value = _equal(tokens, context)
    while tokens[:1] == ["&&"]:
        del tokens[0]
        other = _equal(tokens, context)
        value = other if value else value
    return value


def _equal(tokens: list[str], context: Mapping[str, Any]) -> Any:
    value = _one(tokens, context)
    if tokens[:1] == ["=="]:
        del tokens[0]
        return value == _one(tokens, context)
    return value


def _one(tokens: list[str], context: Mapping[str, Any]) -> Any:
    token = tokens.pop(0)
    if token == "!":
        return not _one(tokens, context)
    if token.startswith("'"):
        return token[1:-1]
    if tokens[:1] != ["("]:
        return _looked_up(token, context)
    arguments = []
    while tokens.pop(0) != ")":
        if tokens[0] != ")":
            arguments.append(_either(tokens, context))
    return _called(token, arguments, context)


def _called(name: str, arguments: list[Any], context: Mapping[str, Any]) -> Any:
    failed = bool(context.get("failed"))
    match name:
        case "format":
            return str(arguments[0]).replace("{0}", str(arguments[1]))
        case "cancelled":
            return False
        case "success":
            return not failed
    raise AssertionError(f"{name}()")


def _looked_up(name: str, context: Mapping[str, Any]) -> Any:
    value: Any = context
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
