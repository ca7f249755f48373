"""Write a file that an option names."""

from pathlib import Path

import click


def write_output(file: Path, text: str, option: str) -> None:
    """Write a text; the folder is made. A link in its place, which a pull request may hold, is replaced, not followed.

    Raises a usage error where it can't be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_symlink():
            file.unlink()
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{file} can't be written: {error.strerror}; name another with {option}.") from None
