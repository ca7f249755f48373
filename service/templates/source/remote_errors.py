"""Explanations of git's errors at a fetch or push, as sentences for people that say how to mend them."""

_MAX_WORDS = 300
#: Beginnings of lines that only introduce what is wrong, or advise at length.
_NOISE = (
    "hint", "warning", "From ", "To ", "Cloning", "error: failed to push some refs",
    "fatal: Could not read from remote repository", "Please make sure you have", "and the repository exists",
)  # fmt: skip

#: What git, ssh, curl and servers say, in lower case -> what it means. The first that is found counts; {where} is the
#: URL without credentials, {words} are git's own.
_MEANINGS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("remote host identification has changed",),
        "The host key of {where} has changed: either the server has a new one, or somebody else answers for it. Nothing"
        " was fetched. Ask its operator, and put the new key into EMAIL_TEMPLATES_GIT_KNOWN_HOSTS_FILE.",
    ),
    (
        ("host key verification failed", "host key is known for", "authenticity of host"),
        "The host key of {where} is not known. Put it into EMAIL_TEMPLATES_GIT_KNOWN_HOSTS_FILE (ssh-keyscan prints it;"
        " compare it with what its operator publishes).",
    ),
    (
        ("unprotected private key file", "bad permissions"),
        "ssh does not use the key of EMAIL_TEMPLATES_GIT_SSH_KEY_FILE, because others may read the file: chmod 600.",
    ),
    (
        ("invalid format", "error in libcrypto", "incorrect passphrase"),
        "EMAIL_TEMPLATES_GIT_SSH_KEY_FILE is no private key that ssh can read without a passphrase.",
    ),
    (
        ("cannot run ssh", "ssh: not found", "ssh: command not found"),
        "There is no ssh on this machine; install openssh-client, or fetch over https.",
    ),
    (
        ("no space left on device", "disk quota exceeded"),
        "The disk is full: the repository {where} can't be kept in EMAIL_DATA_DIR.",
    ),
    (
        ("file too large",),
        "The repository {where} is too large: a fetch writes more than {limit}. Keep the templates in a repository of"
        " their own.",
    ),
    (
        ("' not allowed", "unable to find remote helper"),
        "The protocol of {where} is not allowed; name it in EMAIL_TEMPLATES_GIT_PROTOCOLS if it is wanted.",
    ),
    (
        ("certificate", "ssl connect error", "gnutls_handshake", "ssl routines"),
        "The certificate of {where} can't be verified ({words}). Name the file of its authority in GIT_SSL_CAINFO.",
    ),
    (
        (
            "authentication failed", "could not read username", "could not read password", "terminal prompts disabled",
            "permission denied (", "invalid username", "invalid credentials", "returned error: 401",
            "returned error: 403", "http 401", "http 403", "access denied", "not authorized",
            "too many authentication failures",
        ),
        "{where} refused the login. Check EMAIL_TEMPLATES_GIT_TOKEN_FILE or EMAIL_TEMPLATES_GIT_SSH_KEY_FILE: it may"
        " have expired, or lack the right.",
    ),
    (
        ("dubious ownership",),
        "The repository {where} belongs to another user of this machine than the service's; give it to that user.",
    ),
    (
        (
            "repository not found", "does not appear to be a git repository", "returned error: 404", "/' not found",
            "could not be found", "is this a git repository", "repository does not exist",
        ),
        "There is no repository {where}, or this login may not see it. Check EMAIL_TEMPLATES_GIT_URL.",
    ),
    (
        ("couldn't find remote ref", "not our ref", "unadvertised object", "no such remote ref"),
        "{where} does not give the commit {ref}; it is not there (any more), or the server gives branches and tags"
        " alone.",
    ),
    (
        ("fsck error", "fsckobject"),
        "The repository {where} has an object that git refuses as malformed ({words}).",
    ),
    (
        ("could not resolve", "name or service not known", "temporary failure in name resolution"),
        "The host of {where} has no address; check EMAIL_TEMPLATES_GIT_URL and the name server.",
    ),
    (
        (
            "connection refused", "connection timed out", "connection reset", "connection closed", "failed to connect",
            "couldn't connect", "unable to connect", "network is unreachable", "no route to host", "remote end hung up",
            "early eof", "rpc failed", "empty reply", "operation too slow", "timed out", "unexpected disconnect",
            "invalid index-pack output", "could not read from remote", "returned error: 429", "returned error: 5",
            "recv failure", "send failure", "unexpected eof",
        ),
        "{where} can't be reached, or the connection broke ({words}). It is tried again.",
    ),
)  # fmt: skip


def explained(reply: str, *, where: str, ref: str, limit: str) -> str | None:
    """The sentence for a reply of git that is known; None for another, which may be about the mirror."""
    said = reply.lower()
    for words, sentence in _MEANINGS:
        if any(word in said for word in words):
            return sentence.format(where=where, ref=ref, limit=limit, words=words_of(reply))
    return None


def words_of(reply: str) -> str:
    """The server's or git's own words: the lines that say most, printable and short."""
    lines = [line for line in reply.splitlines() if line.strip() and not line.startswith(_NOISE)]
    texts = (line.removeprefix("remote:").strip() for line in lines)
    text = " ".join([one for one in texts if one][:5])
    text = "".join(one if one.isprintable() else " " for one in text)
    return (text[: _MAX_WORDS - 1] + "…" if len(text) > _MAX_WORDS else text) or "git said nothing"
