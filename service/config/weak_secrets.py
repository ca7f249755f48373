"""Which secrets a stranger could guess."""

from itertools import pairwise

#: About 128 random bits in base64, and a little more.
MIN_LENGTH = 24
_MIN_VARIETY = 8
#: Words of examples and of lists of common passwords, without what joins them.
_KNOWN = (
    "changeme", "changethis", "replaceme", "replacethis", "password", "passwort", "motdepasse", "secret", "letmein",
    "qwertyuiop", "azertyuiop", "qwerty", "azerty", "example", "insecure", "placeholder", "dontusethis", "yourtoken",
    "yoursecret", "yourkey", "admintoken", "secretkey", "admin", "default",
)  # fmt: skip
#: Characters that must be left beside such words.
_MIN_REST = 8
#: What is looked at of a long one.
_LOOKED_AT = 200


def weakness(secret: str) -> str | None:
    """Why this secret could be guessed, to end a sentence; None where it could not."""
    if len(secret) < MIN_LENGTH:
        return f"is shorter than {MIN_LENGTH} characters"
    secret = secret[:_LOOKED_AT]
    if len(set(secret)) < _MIN_VARIETY:
        return f"has fewer than {_MIN_VARIETY} different characters"
    if _is_repeated(secret) or _is_sequence(secret):
        return "repeats itself"
    rest = "".join(character for character in secret.lower() if character.isalnum())
    is_known = False
    for word in _KNOWN:
        is_known = is_known or word in rest
        rest = rest.replace(word, "")
    if is_known and len(rest.strip("0123456789")) < _MIN_REST:
        return "is a well-known example"
    return None


def _is_repeated(secret: str) -> bool:
    """Whether it is a shorter text again and again."""
    return any(
        all(secret[at] == secret[at - length] for at in range(length, len(secret)))
        for length in range(1, len(secret) // 2 + 1)
    )


def _is_sequence(secret: str) -> bool:
    """Whether most characters follow the one before them, as in abcdef or 987654."""
    steps = [ord(after) - ord(before) for before, after in pairwise(secret)]
    return max(steps.count(step) for step in (-1, 0, 1)) > len(steps) * 3 // 4
