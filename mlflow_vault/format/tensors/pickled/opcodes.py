"""The opcodes of a pickle, told apart but never obeyed.

A pickle is a program for a small stack machine: one byte says what to do, and its argument may
follow.  Here the program is only taken to pieces.  `pickletools.genops` would do, but it converts
every argument, which a stranger can make slow, large, or a warning.

Arguments can be gigabytes, so the pickle is read through a window that leaps over them.

Pure: no I/O.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.format.tensors.arrays import (
    MalformedError,
    TooMuchError,
    check,
    read_exactly,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.tensors.arrays import Bytes

# A tensor takes 31 opcodes and each costs us one to two microseconds: names of up to 9,600 tensors.
_MAX_OPCODES: Final = 300_000
_MAX_TEXT: Final = 8 << 20  # bytes of arguments held, at most
_MAX_READ: Final = 256 << 20  # bytes read; each leap over an argument costs a window
_KEPT: Final = 4096  # bytes of an argument that are looked at
# The longest argument of one line: names of classes, numbers as text.
_MAX_LINE: Final = 4096
_AHEAD: Final = 2 * _MAX_LINE + 16  # bytes that an opcode and what we look at of it may take
_FIRST_WINDOW: Final = 2 * _AHEAD
_LAST_WINDOW: Final = 16 * _AHEAD

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
PROTO: Final = 0x80
STOP: Final = ord(".")


class Opcode(NamedTuple):
    """One opcode and its argument, without the count or the end of a line.

    Attributes:
        code: What to do.
        argument: The first bytes of the argument, all of it where it is short.
        start: Where the argument begins in the file.
        stop: Where it ends.
    """

    code: int
    argument: bytes
    start: int
    stop: int


class Opcodes:
    """The opcodes of a file, one after another.

    Attributes:
        source: The file.
        at: Where the next opcode begins; whoever knows that other bytes lie there may move it.
    """

    def __init__(self, source: Bytes) -> None:
        self.source = source
        self.at = 0
        self._opcodes = _MAX_OPCODES
        self._text = _MAX_TEXT
        self._read = _MAX_READ

    def read(self) -> Iterator[Opcode]:
        """Yield the opcodes up to and with the next STOP.

        Raises:
            MalformedError: This is no pickle, or ends early.
            TooMuchError: It has more opcodes or text than is worth reading.
        """
        window, base, size = b"", 0, self.source.size
        while self.at < size:
            if self.at + _AHEAD > base + len(window) and base + len(window) < size:
                window, base = self._refill(window, base), self.at
            code = window[self.at - base]
            start = self.at - base + 1
            width = _ARGUMENTS[code]
            if width >= 0:
                after = stop = start + width
            elif width == _LINE:
                stop = _line_end(window, start)
                if code in _TWO_LINES:
                    stop = _line_end(window, stop + 1)
                after = stop + 1
            else:
                count = window[start : start + _COUNTED[width]]
                start += len(count)
                after = stop = start + int.from_bytes(count, "little")
            self.at = base + after
            if self.at > size:
                raise MalformedError("an argument behind the end")
            argument = window[start : min(stop, start + _KEPT)]
            self._opcodes -= 1
            self._text -= len(argument)
            if self._opcodes < 0 or self._text < 0:
                raise TooMuchError("too many opcodes")
            yield Opcode(code, argument, base + start, base + stop)
            if code == STOP:
                return
        raise MalformedError("a pickle without an end")

    def _refill(self, window: bytes, base: int) -> bytes:
        near = base + len(window) >= self.at
        length = min(max(2 * len(window), _FIRST_WINDOW), _LAST_WINDOW) if near else _FIRST_WINDOW
        self._read -= length
        if self._read < 0:
            raise TooMuchError("too many long arguments")
        return read_exactly(self.source, self.at, min(self.at + length, self.source.size))


def _line_end(window: bytes, start: int) -> int:
    end = window.find(b"\n", start, start + _MAX_LINE)
    check(end >= 0, "a line without an end")
    return end
