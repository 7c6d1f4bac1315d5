"""Whether a parsed entry is one that a writer of ours could have made.

An entry comes from a store that others may write to.  What it says is checked here, once, so that
readers may follow it without looking: sizes add up, links go backwards, nothing is huge.

Pure: no I/O.  Written down in docs/format.md, "Entries".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.config import LARGEST_CHUNK, MAX_BASES, MAX_DEPTH
from mlflow_vault.format.codec import Codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.format.entry import Entry, Row


def unsound(entry: Entry) -> str:
    """Why nobody honest made *entry*; empty if it is sound."""
    if entry.inline is not None:
        whole = len(entry.inline) == entry.size and not entry.rows and not entry.sequence
        return "" if whole else "its inline bytes are not its size"
    reason = _unsound_file(entry)
    if reason:
        return reason
    for index, row in enumerate(entry.rows):
        reason = _unsound_row(row) or _unsound_base(index, entry.rows)
        if reason:
            return f"row {index} {reason}"
    if max(depths(entry.rows), default=0) > MAX_DEPTH:
        return f"its deltas are more than {MAX_DEPTH} deep"
    return ""


def depths(rows: Sequence[Row]) -> list[int]:
    """How deep each row lies: 0 for a chunk stored whole, else one more than its bases.

    A row links only to rows before it.
    """
    deep: list[int] = []
    for row in rows:
        deep.append(1 + max(deep[part.row] for part in row.base) if row.base else 0)
    return deep


def _unsound_file(entry: Entry) -> str:
    if any(not 0 <= index < len(entry.rows) for index in entry.sequence):
        return "its sequence names rows that are not there"
    if sum(entry.rows[index].size for index in entry.sequence) != entry.size:
        return "its chunks do not add up to its size"
    if len({row.digest for row in entry.rows}) != len(entry.rows):
        return "its rows name a chunk twice"
    if not all(0 <= one.start < one.stop <= entry.size for one in entry.tensors):
        return "its tensors lie outside it"
    return ""


def _unsound_row(row: Row) -> str:
    if row.codec not in Codec.__members__.values():
        return f"has the unknown codec {row.codec}"
    if not 0 < row.size <= LARGEST_CHUNK or row.stored > 2 * LARGEST_CHUNK:
        return f"is {row.size} bytes, stored as {row.stored}"
    if Codec(row.codec).needs_base != bool(row.base) or len(row.base) > MAX_BASES:
        return f"has {len(row.base)} bases, which its codec cannot have"
    return ""


def _unsound_base(index: int, rows: Sequence[Row]) -> str:
    for part in rows[index].base:
        if part.row >= index or not part.start < part.stop <= rows[part.row].size:
            return "has a base that is not there"
    return ""
