"""Entries of the audit log side by side: 256 in one object, as C2SP's tlog-tiles bundles them.

    length (2 bytes, big-endian)  entry  length  entry  ...

Derived from the entries, and a copy of them: reading a long log takes one request where it would
take 256.

Pure: no I/O.  Written down in docs/format.md, "Audit log".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from mlflow_vault.format.merkle import WIDTH, grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

_LENGTH: Final = struct.Struct(">H")


def entries_path(index: int) -> str:
    """Where the full tile with this index lies.

    >>> entries_path(1234)
    'tile/entries/x001/234'
    """
    return f"tile/entries/{grouped(index)}"


def join(entries: Sequence[bytes]) -> bytes:
    """Put entries side by side."""
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def cut(stored: bytes) -> list[bytes]:
    """Undo `join` for a full tile.

    Raises:
        ValueError: It is none.
    """
    entries = []
    at = 0
    while at < len(stored):
        if at + _LENGTH.size > len(stored):
            raise ValueError("it ends within a length")
        (length,) = _LENGTH.unpack_from(stored, at)
        at += _LENGTH.size + length
        entries.append(stored[at - length : at])
    if at != len(stored) or len(entries) != WIDTH:
        raise ValueError(f"it is no tile of {WIDTH} entries")
    return entries
