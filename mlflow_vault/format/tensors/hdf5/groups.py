"""Groups: what lies in them, and what it is called.

    old groups    symbol table -> B-tree -> "SNOD" leaves of 40-byte entries, names in a heap
    new groups    link messages in the group's own header; when many, in a fractal heap

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import check
from mlflow_vault.format.tensors.hdf5.fractal import read_heap
from mlflow_vault.format.tensors.hdf5.reading import UNDEFINED, WORD, number, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.tensors.hdf5.headers import Message
    from mlflow_vault.format.tensors.hdf5.reading import Reading

LINK_INFO: Final = 0x02
LINK: Final = 0x06
SYMBOL_TABLE: Final = 0x11

_NODE_HEAD: Final = 8 + 2 * WORD
_MAX_CHILDREN: Final = 4096  # of one node; libraries write 32
_MAX_LEVELS: Final = 8
_MAX_LINK: Final = 256  # characters kept of one name
_ENTRY: Final = 40
_HARD: Final = 0


def read_children(reading: Reading, messages: list[Message]) -> Iterator[tuple[str, int]]:
    """Yield the name and the header's address of everything in a group."""
    for kind, content in messages:
        if kind == SYMBOL_TABLE:
            heap = _read_local_heap(reading, word(content, WORD))
            yield from _read_tree(reading, word(content, 0), heap, None)
        elif kind == LINK:
            yield from _read_link(content)
        elif kind == LINK_INFO:
            at = 10 if content[1] & 1 else 2
            heap_address, tree_address = word(content, at), word(content, at + WORD)
            if heap_address != UNDEFINED:
                for link in read_heap(reading, heap_address, tree_address):
                    yield from _read_link(link)


def _read_link(content: bytes) -> Iterator[tuple[str, int]]:
    flags = content[1]
    at = 2
    kind = _HARD
    if flags & 8:
        kind = content[at]
        at += 1
    at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = number(content, at, width)
    at += width
    if kind == _HARD:
        yield (
            content[at : at + min(length, _MAX_LINK)].decode(errors="replace"),
            word(content, at + length),
        )


def _read_local_heap(reading: Reading, address: int) -> bytes:
    head = reading.signed(address, 8 + 3 * WORD, b"HEAP")
    return reading.piece(word(head, 8 + 2 * WORD), word(head, 8))


def _read_tree(
    reading: Reading, address: int, heap: bytes, level: int | None
) -> Iterator[tuple[str, int]]:
    """Yield the entries below a node, which lies on *level*; only the root's is not known."""
    head = reading.signed(address, _NODE_HEAD, b"TREE")
    kind, depth, children = head[4], head[5], number(head, 6, 2)
    check(kind == 0 and depth < _MAX_LEVELS and children <= _MAX_CHILDREN, "no tree of a group")
    check(level is None or depth == level, "a tree that does not end")
    body = reading.piece(address + _NODE_HEAD, 2 * WORD * children)
    for index in range(children):
        child = word(body, WORD * (2 * index + 1))
        if depth:
            yield from _read_tree(reading, child, heap, depth - 1)
        else:
            yield from _read_leaf(reading, child, heap)


def _read_leaf(reading: Reading, address: int, heap: bytes) -> Iterator[tuple[str, int]]:
    entries = number(reading.signed(address, 8, b"SNOD"), 6, 2)
    check(entries <= _MAX_CHILDREN, "too many entries")
    body = reading.piece(address + 8, _ENTRY * entries)
    for at in range(0, len(body), _ENTRY):
        name, header = word(body, at), word(body, at + WORD)
        if header != UNDEFINED:
            found = heap[name : name + _MAX_LINK].partition(b"\0")[0]
            yield found.decode(errors="replace"), header
