"""How the bytes of a tensor become numbers.

An entry knows of which element a tensor is, and that is enough for a codec: a signed integer is
the unsigned one of its width, an eight-bit float a byte.  For saying how far two numbers are apart
it is not, so safetensors files, which name the type of every tensor, are asked for it.  Elsewhere
integers are read as libraries have them by default: signed, but for bytes.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.format.elements import Element
from mlflow_vault.format.tensors import safetensors
from mlflow_vault.format.tensors.bounded_json import read_json

if TYPE_CHECKING:
    from collections.abc import Callable


Bits = np.ndarray[Any, np.dtype[np.unsignedinteger[Any]]]
Values = np.ndarray[Any, np.dtype[Any]]  # floats or integers
SAFETENSORS: Final = "safetensors"  # what its parser is called in entries
_LENGTH: Final = 8  # bytes of the length before a safetensors header


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read the numbers of a tensor.

    Attributes:
        name: The type that it is read as: ``F32``, ``I64``; ``bytes`` where it is unknown.
        width: Bytes of one number.
        is_number: Whether its bits are numbers at all.
    """

    name: str
    width: int
    is_number: bool = True

    def bits(self, plain: bytes) -> Bits:
        """The numbers as they are stored."""
        return np.frombuffer(plain, f"<u{self.width}")

    def values(self, bits: Bits) -> Values:
        """What *bits* stand for: floats of double precision, or integers as they are."""
        if self.name in _EIGHT:
            return _EIGHT[self.name][bits]
        return _VALUES[self.name](bits)


def reading_of(element: Element | None, told: str = "") -> Reading:
    """Say how to read a tensor of *element*, whose file says that it is of type *told*.

    >>> reading_of(Element.U64).name, reading_of(Element.U8, "F8_E4M3").name
    ('I64', 'F8_E4M3')
    """
    if element is None:
        return Reading("bytes", 1, is_number=False)
    if told in _ELEMENT_OF and _ELEMENT_OF[told] is element:
        return Reading(told, element.width)
    return Reading(_DEFAULTS.get(element, element.name), element.width)


def is_ambiguous(element: Element | None) -> bool:
    """Whether *element* stands for numbers of several types."""
    return element is not None and not element.exponent_bits


def told_types(read: Callable[[int, int], bytes]) -> dict[str, str]:
    """Return the type that a safetensors file names for each of its tensors.

    Args:
        read: Returns bytes ``[start, stop)`` of the file, fewer at its end.

    Returns:
        Nothing for a file whose header cannot be read.
    """
    head = read(0, _LENGTH + 1)
    if not safetensors.looks_like(head):
        return {}
    length = int.from_bytes(head[:_LENGTH], "little")
    try:
        header = read_json(read(_LENGTH, _LENGTH + length))
    except (ValueError, RecursionError):
        return {}
    return {
        name: str(tensor.get("dtype")) for name, tensor in header.items() if type(tensor) is dict
    }


def _eight_bit(exponent_bits: int, bias: int, *, nan: Callable[[int], bool]) -> Values:
    """Every float of eight bits with a sign, by its bits."""
    mantissa_bits = 7 - exponent_bits
    values = []
    for bits in range(256):
        exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1)
        mantissa = bits & ((1 << mantissa_bits) - 1)
        size = (mantissa + ((1 << mantissa_bits) if exponent else 0)) * 2.0 ** (
            max(exponent, 1) - bias - mantissa_bits
        )
        values.append(float("nan") if nan(bits) else -size if bits >> 7 else size)
    return np.array(values)


def _five_two() -> Values:
    """E5M2 as it is in IEEE 754: the last exponent is for infinity and NaN."""
    values = _eight_bit(5, 15, nan=lambda bits: bits & 0x7F > 0x7C)  # noqa: PLR2004 - infinity
    values[[0x7C, 0xFC]] = np.inf, -np.inf
    return values


# OCP 8-bit Floating Point Specification; FNUZ has one zero, and NaN in place of the other.
_EIGHT: Final[dict[str, Values]] = {
    "F8_E4M3": _eight_bit(4, 7, nan=lambda bits: bits & 0x7F == 0x7F),  # noqa: PLR2004
    "F8_E5M2": _five_two(),
    "F8_E4M3FNUZ": _eight_bit(4, 8, nan=lambda bits: bits == 0x80),  # noqa: PLR2004
    "F8_E5M2FNUZ": _eight_bit(5, 16, nan=lambda bits: bits == 0x80),  # noqa: PLR2004
    "F8_E8M0": np.array([2.0 ** (bits - 127) for bits in range(255)] + [float("nan")]),
}
_VALUES: Final[dict[str, Callable[[Bits], Values]]] = {
    "F16": lambda bits: bits.view("<f2").astype(np.float64),
    "BF16": lambda bits: (bits.astype("<u4") << np.uint32(16)).view("<f4").astype(np.float64),
    "F32": lambda bits: bits.view("<f4").astype(np.float64),
    "F64": lambda bits: bits.view("<f8"),
    "BOOL": lambda bits: bits,
    **{f"U{8 * width}": lambda bits: bits for width in (1, 2, 4, 8)},
    **{f"I{8 * width}": lambda bits: bits.view(f"<i{bits.itemsize}") for width in (1, 2, 4, 8)},
}
_DEFAULTS: Final = {
    Element.U8: "U8",
    Element.U16: "I16",
    Element.U32: "I32",
    Element.U64: "I64",
}
_ELEMENT_OF: Final = {
    **dict.fromkeys(("BOOL", "I8", "U8", *_EIGHT), Element.U8),
    **dict.fromkeys(("I16", "U16"), Element.U16),
    **dict.fromkeys(("I32", "U32"), Element.U32),
    **dict.fromkeys(("I64", "U64"), Element.U64),
}
