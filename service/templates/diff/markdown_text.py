"""A stranger's text in Markdown: a code span that nothing of it can leave, on GitHub and on GitLab.

Neither forge looks into a code span for mentions, references, links, emoji, commands or math. What also reads the text
of a comment as it was written (bots, the plain text of a notification) finds no mention and no URL in it.
"""

import re
import unicodedata

#: Controls, formats (those that turn the direction of writing, too), surrogates, private and unassigned characters.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_BREAK = "\u200b"  # takes no place
#: A backtick ends a code span and a bar a cell of a table, also inside code.
_REPLACED = {ord("`"): "\u02cb", ord("|"): "\u2223"}
_OPENINGS = re.compile(r"@(?=\w)|://|\bwww(?=\.)", re.IGNORECASE)


def code(text: str, length: int) -> str:
    """A code span with the text in one line, of at most `length` characters; an unseen character is U+FFFD."""
    line = one_line(text, length).translate(_REPLACED)
    if not line:
        return "*empty*"
    return f"`{_OPENINGS.sub(_broken, line)}`"


def one_line(text: str, length: int) -> str:
    """A text in one line without unseen characters, of at most `length` characters."""
    line = " ".join(text[: 4 * length + 1].split())
    line = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in _UNSEEN else one for one in line)
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def _broken(match: re.Match[str]) -> str:
    found = match[0]
    return f":{_BREAK}//" if found == "://" else f"{found}{_BREAK}"
