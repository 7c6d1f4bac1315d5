"""The opcodes of a pickle, told apart but never obeyed.

A pickle is a program for a small stack machine: one byte says what to do, and its argument may
follow.  Here the program is only taken to pieces.  `pickletools.genops` would do, but it converts
every argument, which a stranger can make slow, large, or a warning.

Pure: no I/O.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import MalformedError, check

if TYPE_CHECKING:
    from collections.abc import Iterator

# The longest argument of one line: names of classes, numbers as text.
_MAX_LINE: Final = 4096

_LINE: Final = pickletools.UP_TO_NEWLINE
# Bytes of the length before an argument, by pickletools' marks for them.
_COUNTED: Final = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
# Bytes of the argument, by opcode; a negative number is one of pickletools' marks.
_ARGUMENTS: Final = {
    ord(opcode.code): opcode.arg.n if opcode.arg else 0 for opcode in pickletools.opcodes
}
_TWO_LINES: Final = b"ci"  # GLOBAL and INST: a module, and what in it
STOP: Final = ord(".")


def read_opcodes(pickle: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each opcode and where its argument begins and ends, up to and with the first STOP.

    Of a counted argument the count is left out, of a line its end.
    """
    at, end = 0, len(pickle)
    while at < end:
        opcode = pickle[at]
        size = _ARGUMENTS[opcode]
        start = at + 1
        if size >= 0:
            at = stop = start + size
        elif size == _LINE:
            stop = _line_end(pickle, start)
            if opcode in _TWO_LINES:
                stop = _line_end(pickle, stop + 1)
            at = stop + 1
        else:
            start += _COUNTED[size]
            at = stop = start + int.from_bytes(pickle[at + 1 : start], "little")
        if stop > end:
            raise MalformedError("an argument behind the end")
        yield opcode, start, stop
        if opcode == STOP:
            return
    raise MalformedError("a pickle without an end")


def _line_end(pickle: bytes, start: int) -> int:
    end = pickle.find(b"\n", start, start + _MAX_LINE)
    check(end >= 0, "a line without an end")
    return end
