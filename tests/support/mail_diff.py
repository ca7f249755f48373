"""A readable diff of two mails.

Compiled HTML has lines of thousands of characters. They are broken between tags and after CSS declarations, for
reading only; changes within a line are marked word by word: `[-old-]{+new+}`.
"""

import difflib
import re
from collections.abc import Iterator


def differences(old: str, new: str) -> Iterator[str]:
    """Lines that tell how `new` differs from `old`, in order, each with the line before it. Empty when equal."""
    before, after = _prettified(old), _prettified(new)
    for kind, i, i_end, j, j_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if i > 0:
            yield f"  {before[i - 1]}"
        pairs = min(i_end - i, j_end - j)
        for line_old, line_new in zip(before[i : i + pairs], after[j : j + pairs], strict=True):
            yield f"! {_marked(line_old, line_new)}"
        for line in before[i + pairs : i_end]:
            yield f"- {line}"
        for line in after[j + pairs : j_end]:
            yield f"+ {line}"
    if old != new and before == after:
        yield f"  only spaces or line breaks differ, first at character {_first_difference(old, new)}"


def _prettified(text: str) -> list[str]:
    # The compiler wraps long lines within tags, where a line break means nothing.
    text = re.sub(r"<[^<>]+>", lambda tag: tag[0].replace("\n", " "), text)
    lines = re.split(r"(?<=>)|(?=<)|(?<=;)(?=[\w-]+:)|\n", text)
    return [line.strip() for line in lines if line.strip()]


def _marked(old: str, new: str) -> str:
    before, after = re.findall(r"\s+|\w+|[^\w\s]", old), re.findall(r"\s+|\w+|[^\w\s]", new)
    out = []
    for kind, i, i_end, j, j_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            out.append("".join(before[i:i_end]))
            continue
        if i_end > i:
            out.append(f"[-{''.join(before[i:i_end])}-]")
        if j_end > j:
            out.append(f"{{+{''.join(after[j:j_end])}+}}")
    return "".join(out)


def _first_difference(old: str, new: str) -> int:
    return next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
