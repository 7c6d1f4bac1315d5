"""What a key may look like, asked before any store touches the world.

Keys are made by `format.layout` and are harmless; this is the second lock.  A key that
climbed out of its root (``../``) would let a stored name choose a file on the host, so every
store refuses one before any access, and refuses the same ones: a vault written to memory
can be copied to a disk.

Pure: no I/O.
"""

from __future__ import annotations

import re
from typing import Final

from mlflow_vault.errors import InvalidInputError

# A component is printable ASCII without the backslash, which is a separator on Windows, and is
# neither "." nor "..".  No key starts in "tmp/", whatever the disk thinks of case: there a
# local store keeps what is not yet an object.
_COMPONENT: Final = r"(?!\.{1,2}(?:/|\Z))[ -.0-\[\]-~]+"
_KEY: Final = re.compile(rf"(?!(?i:tmp)(?:/|\Z)){_COMPONENT}(?:/{_COMPONENT})*\Z")


def check_key(key: str) -> None:
    """Refuse a *key* that is not relative, ASCII and free of empty, ``.`` and ``..`` components.

    >>> check_key("tree/0/model.safetensors!")
    >>> check_key("tree/../../etc/passwd")
    Traceback (most recent call last):
    mlflow_vault.errors.InvalidInputError: 'tree/../../etc/passwd' is no key: ...

    Raises:
        InvalidInputError: No store may have such a key.
    """
    if _KEY.match(key) is None:
        raise InvalidInputError(
            f"{key!r} is no key: a key is printable ASCII, relative, split by '/', without empty, "
            "'.' or '..' components or backslashes, and outside 'tmp/'"
        )


def check_prefix(prefix: str) -> None:
    """Refuse a *prefix* that is neither empty nor a key followed by ``/``.

    Raises:
        InvalidInputError: No listing may start there.
    """
    if not prefix:
        return
    if not prefix.endswith("/"):
        raise InvalidInputError(f"{prefix!r} is no prefix: it is empty or ends in '/'")
    check_key(prefix[:-1])


def check_span(start: int, stop: int | None) -> None:
    """Refuse bytes ``[start, stop)`` that begin before the object or end before they begin.

    Raises:
        InvalidInputError: No object has such bytes.
    """
    if start < 0 or (stop is not None and stop < start):
        raise InvalidInputError(f"there are no bytes [{start}, {stop})")
