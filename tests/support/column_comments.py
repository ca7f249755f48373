"""Read from the migrations what anonymising does to each column, as its comment says."""

import re

from service.store.migrations import scripts

WORDS = ("kept", "emptied", "pseudonym", "row deleted")


def said() -> dict[tuple[str, str], str]:
    """The word by table and column; a table that a migration rebuilt has its last name."""
    words: dict[tuple[str, str], str] = {}
    table = ""
    for script in scripts().values():
        column = ""
        for line in script.splitlines():
            if opened := re.match(r"CREATE TABLE (\w+)", line):
                table = opened[1]
            if defined := re.match(r"    ([a-z][a-z0-9_]*) +[A-Z]", line):
                column = defined[1]
            if added := re.match(r"ALTER TABLE (\w+) ADD COLUMN (\w+)", line):
                table, column = added[1], added[2]
            if renamed := re.match(r"ALTER TABLE (\w+) RENAME TO (\w+)", line):
                words = {(renamed[2] if old == renamed[1] else old, name): word for (old, name), word in words.items()}
            if column and (word := re.search(r"--.*\[([a-z ]+)\]$", line)):
                words[table, column] = word[1]
                column = ""
    return words
