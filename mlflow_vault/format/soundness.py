"""Whether a parsed entry is one that a writer of ours could have made.

An entry comes from a store that others may write to.  What it says is checked here, once, so that
readers may follow it without looking: sizes add up, links go backwards, nothing is huge.

Pure: no I/O.  Written down in docs/format.md, "Entries".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.config import LARGEST_CHUNK, MAX_BASES, MAX_DEPTH
from mlflow_vault.format.coding.codec import Codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.format.rows import Row, Tensor

# Plain bytes behind one chunk.  Three bases of the largest size and the chunk are a quarter of it;
# three bases of three bases, four deep, would be 480 MiB.
_MOST_NEEDED: Final = 16 * LARGEST_CHUNK

# Bytes that a payload may have above its chunk's: a frame's head.  With more, rows whose spans
# overlap would make a reader hold many times what is stored.
_SLACK: Final = 256

_NEEDS_BASE: Final = {int(codec): codec.needs_base for codec in Codec}


def unsound(
    size: int, tensors: Sequence[Tensor], rows: Sequence[Row], sequence: Sequence[int]
) -> str:
    """Why nobody honest made such tables for a file of *size* bytes; empty if they are sound."""
    reason = _unsound_file(size, tensors, rows, sequence)
    if reason:
        return reason
    for index, row in enumerate(rows):
        reason = _unsound_row(row) or _unsound_base(index, rows)
        if reason:
            return f"row {index} {reason}"
    if max(depths(rows), default=0) > MAX_DEPTH:
        return f"its deltas are more than {MAX_DEPTH} deep"
    if max(needs(rows), default=0) > _MOST_NEEDED:
        return "a row of it needs more bases than can be held"
    return ""


def depths(rows: Sequence[Row]) -> list[int]:
    """How deep each row lies: 0 for a chunk stored whole, else one more than its bases.

    A row links only to rows before it.
    """
    deep: list[int] = []
    for row in rows:
        deep.append(1 + max(deep[part.row] for part in row.base) if row.base else 0)
    return deep


def needs(rows: Sequence[Row]) -> list[int]:
    """Plain bytes that must be decoded for each row, its own included."""
    found: list[int] = []
    for row in rows:
        found.append(row.size + sum(found[index] for index in {part.row for part in row.base}))
    return found


def _unsound_file(
    size: int, tensors: Sequence[Tensor], rows: Sequence[Row], sequence: Sequence[int]
) -> str:
    if sequence and not 0 <= min(sequence) <= max(sequence) < len(rows):
        return "its sequence names rows that are not there"
    sizes = [row.size for row in rows]
    if sum(map(sizes.__getitem__, sequence)) != size:
        return "its chunks do not add up to its size"
    if len({row.digest for row in rows}) != len(rows):
        return "its rows name a chunk twice"
    if not all(0 <= one.start < one.stop <= size for one in tensors):
        return "its tensors lie outside it"
    return ""


def _unsound_row(row: Row) -> str:
    needs_base = _NEEDS_BASE.get(row.codec)
    if needs_base is None:
        return f"has the unknown codec {row.codec}"
    if not 0 < row.size <= LARGEST_CHUNK or row.stored > row.size + _SLACK:
        return f"is {row.size} bytes, stored as {row.stored}"
    if needs_base != bool(row.base) or len(row.base) > MAX_BASES:
        return f"has {len(row.base)} bases, which its codec cannot have"
    return ""


def _unsound_base(index: int, rows: Sequence[Row]) -> str:
    for part in rows[index].base:
        if part.row >= index or not part.start < part.stop <= rows[part.row].size:
            return "has a base that is not there"
    return ""
