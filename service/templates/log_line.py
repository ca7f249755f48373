"""Lines of a log with text of a stranger's: nothing in them acts on a terminal or on the runner of a CI."""

import unicodedata


def log_line(line: str) -> str:
    """The line without control characters (U+FFFD), and without a command of a GitHub workflow.

    GitHub's runner takes a line for a command that begins with ::, blanks aside, or has ##[ anywhere.
    """
    line = "".join(one if _is_seen(one) else "\N{REPLACEMENT CHARACTER}" for one in line)
    line = line.replace("##[", "## [")
    begin = len(line) - len(line.lstrip())
    return f"{line[:begin]}\N{REPLACEMENT CHARACTER}{line[begin:]}" if line.startswith("::", begin) else line


def _is_seen(one: str) -> bool:
    return one.isprintable() or unicodedata.category(one) == "Zs"  # a no-break space is no printable one to Python
