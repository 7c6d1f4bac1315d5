"""How the components of a path are spelled in keys.

A key is lower-case ASCII that every disk and object store takes, told apart without regard to
case.  ``!`` and a letter is that letter in upper case; ``!`` and three digits is one byte; ``!-``
ends a piece of a component that is too long for a disk.

Pure: no I/O.  Written down in docs/format.md, "Keys".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from mlflow_vault.errors import InvalidInputError

MARK: Final = "!"  # the end of an entry's key
CONTINUED: Final = "!-"  # the end of a piece that goes on in the next one
_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_PIECE: Final = 180  # bytes: under the 255 of every disk, with room for what a store adds
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")  # names Windows keeps
_TOKEN: Final = re.compile(r"!([a-z])|!([0-9]{3})|([a-z0-9._-])")


def escape_path(path: str) -> str:
    """Spell a path in the characters of a key."""
    return "/".join(map(escape, path.split("/")))


@lru_cache(4096)
def escape(component: str) -> str:
    """Spell one component of a path in the characters of a key."""
    spelled = []
    for byte in component.encode("utf-8", "surrogateescape"):
        if byte in _PLAIN:
            spelled.append(chr(byte))
        elif 0x41 <= byte <= 0x5A:  # noqa: PLR2004 - A to Z
            spelled.append(MARK + chr(byte + 32))
        else:
            spelled.append(f"!{byte:03d}")
    if component.endswith("."):  # Windows drops a last dot
        spelled[-1] = "!046"
    if _DEVICE.match(component):
        spelled[0] = f"!{ord(component[0]):03d}"
    pieces, piece = [], ""
    for token in spelled:
        if len(piece) + len(token) > _PIECE:
            pieces.append(piece + CONTINUED)
            piece = ""
        piece += token
    return "/".join([*pieces, piece])


def unescape(component: str, key: str) -> str:
    """Undo `escape` for a component without its cuts.

    Raises:
        InvalidInputError: *component*, of *key*, spells nothing.
    """
    spelled = bytearray()
    at = 0
    while at < len(component):
        token = _TOKEN.match(component, at)
        if token is None or (token[2] and int(token[2]) > 0xFF):  # noqa: PLR2004 - one byte
            raise InvalidInputError(f"{key} is not the key of an artifact path")
        if token[1]:
            spelled += token[1].upper().encode()
        elif token[2]:
            spelled.append(int(token[2]))
        else:
            spelled += token[3].encode()
        at = token.end()
    return spelled.decode("utf-8", "surrogateescape")
