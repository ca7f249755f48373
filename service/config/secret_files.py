"""Secrets from files: NAME_FILE names a file that holds the setting NAME, as Docker and Kubernetes mount secrets."""

from collections.abc import Mapping
from pathlib import Path

from service.config.settings import SECRETS

#: Longer than any secret, and short of what a wrong path may lead to.
_MAX_BYTES = 64 * 1024


def variable_of(name: str) -> str:
    """The variable that names the file of a secret setting."""
    return f"{name.upper()}_FILE"


def read(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The secret settings that come from files, and a sentence for each mistake. A blank variable counts as absent."""
    found, problems = {}, []
    for name in SECRETS:
        variable = variable_of(name)
        path = environment.get(variable, "").strip()
        if not path:
            continue
        if environment.get(name.upper(), "").strip():
            problems.append(f"{name.upper()} and {variable} are both set; leave one of them out")
            continue
        try:
            found[name] = _text(Path(path))
        except ValueError as error:
            problems.append(f"{variable}: {path} {error}")
    return found, problems


def _text(path: Path) -> str:
    """The text of a file without its last line break. Raises ValueError with the rest of a sentence."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"can't be read ({error.strerror})") from error
    except ValueError as error:  # a NUL in the path
        raise ValueError("is no path") from error
    if len(data) > _MAX_BYTES:
        raise ValueError(f"is larger than {_MAX_BYTES} bytes; name the file of the secret alone")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise ValueError("is empty")
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text
