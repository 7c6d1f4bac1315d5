"""What each opcode of a pickle does to the machine.

Whatever makes a value that can name nothing - truth, floats, old text formats - makes None.

Pure: no I/O.  The opcodes: Lib/pickletools.py in CPython.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.pickled.machine import Bag, Extent, Global, Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mlflow_vault.format.tensors.pickled.opcodes import Opcodes

    Deed = Callable[[Machine, bytes], None]

_MAX_INTEGER: Final = 8  # bytes
_MAX_PART: Final = 64  # characters kept of a module's and a class's name; those we know have 43


def run(machine: Machine, opcodes: Opcodes) -> object:
    """Return what the next pickle would build; leave if that is nothing.

    What the machine's library learned until then stays in it.

    Raises:
        MalformedError, LookupError, ValueError: This is no pickle.
        TooMuchError: It is too long to be read.
    """
    deeds, byte_strings = _DEEDS, _BYTE_STRINGS
    for code, argument, start, stop in opcodes.read():
        if code in byte_strings:
            machine.stack.append(Extent(start, stop))
        else:
            deeds[code](machine, argument)
    return machine.stack.pop()


def _pairs(flat: list[object]) -> Iterable[tuple[object, object]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _dictionary(flat: list[object]) -> Bag:
    return Bag(list(_pairs(flat)))


def _numbered(values: list[object]) -> Bag:
    return Bag(list(enumerate(values)))


def _integer(argument: bytes) -> int | None:
    if len(argument) > _MAX_INTEGER:
        return None
    return int.from_bytes(argument, "little", signed=True)


def _natural(argument: bytes) -> int:
    return int.from_bytes(argument, "little")


def _text(argument: bytes) -> str:
    return argument.decode(errors="replace")


def _constant(value: object) -> Deed:
    return lambda machine, _: machine.stack.append(value)


def _push(read: Callable[[bytes], object]) -> Deed:
    return lambda machine, argument: machine.stack.append(read(argument))


def _gather(make: Callable[[list[object]], object]) -> Deed:
    """Make one thing of all values above the mark."""

    def deed(machine: Machine, _: bytes) -> None:
        values = machine.pop_mark()
        machine.stack.append(make(values))

    return deed


def _combine(number: int, make: Callable[[tuple[object, ...]], object]) -> Deed:
    """Make one thing of the last *number* values."""

    def deed(machine: Machine, _: bytes) -> None:
        values = machine.pop(number)
        machine.stack.append(make(values))

    return deed


def _put(read: Callable[[bytes], int]) -> Deed:
    def deed(machine: Machine, argument: bytes) -> None:
        machine.memo[read(argument)] = machine.stack[-1]

    return deed


def _get(read: Callable[[bytes], int]) -> Deed:
    return lambda machine, argument: machine.stack.append(machine.memo[read(argument)])


def _memoize(machine: Machine, _: bytes) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _mark(machine: Machine, _: bytes) -> None:
    machine.mark()


def _pop(machine: Machine, _: bytes) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


def _pop_mark(machine: Machine, _: bytes) -> None:
    machine.pop_mark()


def _duplicate(machine: Machine, _: bytes) -> None:
    machine.stack.append(machine.stack[-1])


def _set_item(machine: Machine, _: bytes) -> None:
    key, value = machine.pop(2)
    machine.add([(key, value)])


def _set_items(machine: Machine, _: bytes) -> None:
    values = machine.pop_mark()
    machine.add(_pairs(values))


def _append(machine: Machine, _: bytes) -> None:
    machine.append(list(machine.pop(1)))


def _append_all(machine: Machine, _: bytes) -> None:
    values = machine.pop_mark()
    machine.append(values)


def _build(machine: Machine, _: bytes) -> None:
    machine.build()


def _global(machine: Machine, argument: bytes) -> None:
    machine.stack.append(Global(_text(argument).replace("\n", ".")))


def _global_of(parts: tuple[object, ...]) -> Global:
    # Cut: two long strings in the memo could be joined any number of times.
    return Global(".".join(part[:_MAX_PART] for part in parts if isinstance(part, str)))


def _persistent(machine: Machine, _: bytes) -> None:
    machine.resolve()


def _call(machine: Machine, _: bytes) -> None:
    machine.stack.append(machine.call(machine.pop(2)))


def _nothing(machine: Machine, argument: bytes) -> None:
    """Leave everything as it is."""


def _by_letter(deeds: Mapping[str, Deed]) -> Mapping[int, Deed]:
    return {ord(letter): deed for letters, deed in deeds.items() for letter in letters}


# BINBYTES, SHORT_BINBYTES, BINBYTES8 and BYTEARRAY8.
_BYTE_STRINGS: Final = b"BC\x8e\x96"
_DEEDS: Final = _by_letter(
    {
        "(": _mark,
        "qr": _put(_natural),
        "p": _put(int),
        "hj": _get(_natural),
        "g": _get(int),
        "\x94": _memoize,
        "X\x8c\x8d": _push(_text),
        "KM": _push(_natural),
        "J\x8a": _push(_integer),
        "\x88\x89NFGILPSTUV\x82\x83\x84\x8b\x97": _constant(None),
        ")": _constant(()),
        "\x85": _combine(1, tuple),
        "\x86": _combine(2, tuple),
        "\x87": _combine(3, tuple),
        "t": _gather(tuple),
        "}]\x8f": lambda machine, _: machine.stack.append(Bag()),
        "d": _gather(_dictionary),
        "lio\x91": _gather(_numbered),
        "s": _set_item,
        "u": _set_items,
        "a": _append,
        "e\x90": _append_all,
        "0": _pop,
        "1": _pop_mark,
        "2": _duplicate,
        "c": _global,
        "\x93": _combine(2, _global_of),
        "Q": _persistent,
        "R\x81": _call,
        "\x92": _combine(3, lambda values: Bag([("", values[1:])])),
        "b": _build,
        "\x80\x95\x98.": _nothing,
    }
)
