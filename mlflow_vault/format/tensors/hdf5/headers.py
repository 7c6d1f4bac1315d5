"""Object headers: the messages that say what a group or dataset is.

    version 1    01 | messages | references | size        | messages of 8 bytes and their content
    version 2    "OHDR" 02 | flags | times | limits | size | messages of 4 bytes and their content

A header goes on wherever a continuation message points.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.format.tensors.arrays import check
from mlflow_vault.format.tensors.hdf5.reading import number, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.tensors.hdf5.reading import Reading

_SIGNATURE: Final = b"OHDR"
_CONTINUED: Final = b"OCHK"
_CHECKSUM: Final = 4
_PREFIX: Final = 16  # bytes of a version 1 prefix; no version 2 prefix is needed beyond 30
_PREFIX_2: Final = 34
_CONTINUATION: Final = 0x10
_MAX_CONTINUATIONS: Final = 256
_MAX_MESSAGES: Final = 65_536  # of one object

_SHARED: Final = 1 << 1  # a message's flag: its content is elsewhere
_TIMES: Final = 1 << 5
_LIMITS: Final = 1 << 4
_ORDERED: Final = 1 << 2


class Message(NamedTuple):
    """One message of an object header: its type and content."""

    kind: int
    content: bytes


def read_messages(reading: Reading, address: int) -> list[Message]:
    """Return the messages of the object whose header lies at *address*.

    Messages whose content is shared, and so elsewhere, are left out.
    """
    start = reading.piece(address, min(_PREFIX_2, reading.source.size - address))
    if start.startswith(_SIGNATURE):
        at, size, fixed = _read_prefix(start)
    else:
        check(start[0] == 1, "no object header")
        at, size, fixed = _PREFIX, number(start, 8, 4), _PREFIX // 2
    blocks = [(address + at, size)]
    found: list[Message] = []
    for block in blocks:
        for message in _split(reading.piece(*block), fixed):
            found.append(message)
            if message.kind == _CONTINUATION:
                there, length = word(message.content, 0), word(message.content, 8)
                if fixed < _PREFIX // 2:
                    reading.signed(there, len(_CONTINUED), _CONTINUED)
                    there, length = there + len(_CONTINUED), length - len(_CONTINUED) - _CHECKSUM
                check(length > 0, "an empty continuation")
                blocks.append((there, length))
        check(len(blocks) <= _MAX_CONTINUATIONS, "a header without end")
        check(len(found) <= _MAX_MESSAGES, "too many messages")
    return found


def _read_prefix(start: bytes) -> tuple[int, int, int]:
    """Return where version 2 messages begin, their bytes in all, and those before each content."""
    flags = start[5]
    at = 6 + (16 if flags & _TIMES else 0) + (4 if flags & _LIMITS else 0)
    width = 1 << (flags & 3)
    return at + width, number(start, at, width), 6 if flags & _ORDERED else 4


def _split(block: bytes, fixed: int) -> Iterator[Message]:
    """Take the messages out of *block*; *fixed* bytes stand before each content."""
    at = 0
    while at + fixed <= len(block):
        if fixed == _PREFIX // 2:
            kind, size, flags = number(block, at, 2), number(block, at + 2, 2), block[at + 4]
        else:
            kind, size, flags = block[at], number(block, at + 1, 2), block[at + 3]
        at += fixed
        check(at + size <= len(block), "a message behind its block")
        if not flags & _SHARED:
            yield Message(kind, block[at : at + size])
        at += size
