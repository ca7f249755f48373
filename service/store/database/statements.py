"""A small SQL scanner: finds placeholders and the ends of statements outside of literals and comments."""

import re

# String literals, quoted names and comments are matched whole, so that their contents stay as they are.
_TOKEN = re.compile(
    r"""
    (?P<opaque> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ )
  | (?P<cast> :: )
  | (?P<name> :[A-Za-z_][A-Za-z0-9_]* )
  | (?P<end> ; )
    """,
    re.VERBOSE | re.DOTALL,
)


def pyformat(sql: str) -> str:
    """`:name` placeholders as psycopg writes them, `%(name)s`; every other percent sign doubled."""
    parts, position = [], 0
    for token in _TOKEN.finditer(sql):
        parts.append(sql[position : token.start()].replace("%", "%%"))
        text = token.group()
        parts.append(f"%({text[1:]})s" if token.lastgroup == "name" else text.replace("%", "%%"))
        position = token.end()
    parts.append(sql[position:].replace("%", "%%"))
    return "".join(parts)


def split(script: str) -> list[str]:
    """The statements of a script, without the empty ones, each without its semicolon."""
    statements, start = [], 0
    for token in _TOKEN.finditer(script):
        if token.lastgroup == "end":
            statements.append(script[start : token.start()])
            start = token.end()
    statements.append(script[start:])
    return [statement.strip() for statement in statements if without_comments(statement).strip()]


def without_comments(sql: str) -> str:
    """The SQL without its comments; their line breaks stay."""
    return _TOKEN.sub(lambda token: "" if token.group().startswith(("--", "/*")) else token.group(), sql)
