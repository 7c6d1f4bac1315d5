"""Text that may be kept: what was run and where it is, without the secrets in it.

A command line or a URL is worth keeping for years, and what is kept is read by many.  So values
are masked by the names they go by, by the shape of well-known tokens, and in URLs by their place:

    --api-key sk-12   db.password=x   postgresql://me:pw@host/db?sslpassword=y
    --api-key ***     db.password=*** postgresql://***@host/db?sslpassword=***

Masking too much costs little: ``--pad-token`` is masked, too.  What has no name and no known
shape cannot be told from a secret, and stays; docs/threat-model.md says so.

Pure: reads text only.  Patterns are compiled at their first use, as MLflow's import loads this.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK: Final = "***"

# A name is secret if one of its words is one of these, or if its letters hold one of those.
_TELLING_WORDS: Final = frozenset(
    ("auth", "bearer", "cookie", "key", "pass", "pw", "pwd", "sas", "sig", "token")
)
_TELLING: Final = (
    "password|passwd|passphrase|secret|credential|signature|authorization|connectionstring"
    "|(?:api|access|private)keys?|(?:api|access|auth|bearer|refresh)tokens?|token$"
)
_WORDS: Final = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+"
# `name=value`, `"name": "value"` and the like inside a longer text.
_NAME: Final = r"""([A-Za-z][\w.-]{0,80})["']?\s{0,3}[:=]\s{0,3}"""
_VALUE: Final = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&"'{}\[\]()]+"""
_OPTION: Final = r"(?s)-{0,2}\+{0,2}(?P<name>[A-Za-z][\w./-]{0,80})=(?P<value>.*)"
_URL: Final = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,40}://)(?P<rest>[^\s\"'<>]+)"
_SHAPES: Final = r"""(?x)
    \b(?: gh[opsur]_[A-Za-z0-9]{16,} | github_pat_\w{20,} | glpat-[\w-]{16,} | hf_[A-Za-z0-9]{16,}
        | sk-[\w-]{16,} | xox[abeoprs]-[\w-]{10,} | (?:AKIA|ASIA)[A-Z0-9]{16} | dapi[0-9a-f]{32}
        | AIza[\w-]{35} | pypi-[\w-]{16,}
        | eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]* )
    | \b(?:Bearer|Basic)\s+[\w.~+/=-]{8,}
    """


def is_secret(name: str) -> bool:
    """Return whether a value that goes by *name* is better not shown.

    >>> [is_secret(name) for name in ("api-key", "dbPassword", "tokenizer", "max_tokens")]
    [True, True, False, False]
    """
    words = [word.lower() for word in re.findall(_WORDS, name)]
    letters = re.search(_TELLING, "".join(words))
    return letters is not None or not _TELLING_WORDS.isdisjoint(words)


def masked(text: str) -> str:
    """Return *text* without what looks like a secret in it.

    >>> masked("see https://me:pw@host/x?token=abc&n=1 and password='a b'")
    'see https://***@host/x?token=***&n=1 and password=***'
    """
    text = re.sub(_URL, _masked_url, text)
    return _masked_values(re.sub(_SHAPES, MASK, text))


def masked_command(arguments: Iterable[str]) -> str:
    """Return a command line as a shell would read it, secrets masked.

    >>> masked_command(["train.py", "--password", "x", "--token=y", "--lr", "0.1"])
    'train.py --password *** --token=*** --lr 0.1'
    """
    return " ".join(map(_quoted, _arguments(arguments)))


def without_credentials(url: str) -> str:
    """Return the address of a repository without user names, passwords and tokens.

    ``git@host:path`` stays: the name is the same for everybody.

    >>> without_credentials("https://me:token@host/team/repo.git?private_token=x")
    'https://host/team/repo.git'
    >>> without_credentials("git@host:team/repo.git")
    'git@host:team/repo.git'
    """
    found = re.fullmatch(_URL, url)
    if found is None:
        return masked(url)
    scheme, rest = found["scheme"], re.split(r"[?#]", found["rest"], maxsplit=1)[0]
    credentials, rest = _split(rest)
    if scheme.lower() == "ssh://" and credentials:
        user = credentials.partition(":")[0]
        return f"{scheme}{user}@{rest}"
    return masked(scheme + rest)


def _arguments(arguments: Iterable[str]) -> Iterator[str]:
    next_is_secret = False
    for argument in arguments:
        if next_is_secret and not argument.startswith("--"):
            next_is_secret = False
            yield MASK
            continue
        next_is_secret = False
        option = re.fullmatch(_OPTION, argument)
        if option is not None and is_secret(option["name"]):
            yield argument[: option.start("value")] + MASK
            continue
        if argument.startswith("-") and "=" not in argument and is_secret(argument):
            next_is_secret = True
        yield masked(argument)


def _quoted(argument: str) -> str:
    plain = argument.replace(MASK, "")  # its stars mean nothing to who reads this
    return argument if shlex.quote(plain) in {plain, "''"} and argument else shlex.quote(argument)


def _split(rest: str) -> tuple[str, str]:
    """Split what follows ``://`` into credentials and the rest.

    A password may hold a ``/`` that nobody escaped; then what looks like a port is no number.
    """
    authority = rest.partition("/")[0]
    if "@" in authority:
        credentials = authority.rpartition("@")[0]
        return credentials, rest[len(credentials) + 1 :]
    port = authority.rpartition(":")[2] if ":" in authority else ""
    if port and not port.isdigit() and not authority.startswith("[") and "@" in rest:
        credentials, _, rest = rest.rpartition("@")
        return credentials, rest
    return "", rest


def _masked_url(found: re.Match[str]) -> str:
    credentials, rest = _split(found["rest"])
    return found["scheme"] + (f"{MASK}@" if credentials else "") + rest


def _masked_values(text: str) -> str:
    """Mask what goes by a secret name; what does not may hold other names, as a URL does."""
    kept, end = "", 0
    name = re.search(_NAME, text)
    while name is not None:
        start = name.end()
        value = re.compile(_VALUE, re.DOTALL).match(text, start) if is_secret(name[1]) else None
        if value is not None:
            kept, end = kept + text[end:start] + MASK, value.end()
        name = re.compile(_NAME).search(text, value.end() if value else start)
    return kept + text[end:]
