"""Of which single-precision file a half-precision one is a copy.

A copy is predictable from the very version that it was made of, number by number, and only from
that one: against the version before it costs as much as a fine-tune.  So each file is known by
prints of a few of its numbers, rounded as a copy would round them:

    v1, fp32  --bf16--> 51c0...     v2, fp32  --bf16--> 9a3e...   <- the same - v2 in bf16
              --fp16--> 07d2...               --fp16--> e66b...

Prints lie in the hints of the family.  One that is wrong or missing costs bytes, no more.

Pure: decides only.  `engine.write.relatives` asks the hints.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np
from blake3 import blake3

from mlflow_vault.format.coding.floats import cast, castable, numbers
from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlflow_vault.format.coding.floats import Numbers
    from mlflow_vault.format.rows import Tensor

_HALVES: Final = (Element.BF16, Element.F16)
_TENSORS: Final = 256  # of which numbers are looked at; each costs a small read of the file
_NUMBERS: Final = 16  # out of the middle of each
_SIZE: Final = 16  # hexadecimal digits of a print


def prints_of(tensors: Sequence[Tensor], read: Callable[[int, int], bytes]) -> tuple[str, ...]:
    """Name what the half-precision copies of a file would be, or what it is as one.

    Args:
        tensors: Those of the file.  Names decide which are looked at, so order is free.
        read: Returns bytes ``[start, stop)`` of the file.

    Returns:
        A print for each half-precision type that all floats of the file can be cast to: two
        for a file of single precision, one for half.
    """
    floats = [tensor for tensor in tensors if tensor.element and tensor.element.exponent_bits]
    floats.sort(key=lambda tensor: tensor.name)
    floats = floats[:: max(1, -(-len(floats) // _TENSORS))]
    runs = groupby(floats, lambda tensor: tensor.element)  # cast at one stroke, as each cast costs
    sample = [(element, _middles(run, element, read)) for element, run in runs if element]
    return tuple(
        _print(half, [cast(values, element, half).tobytes() for element, values in sample])
        for half in _HALVES
        if sample and all(castable(element, half) for element, _ in sample)
    )


def is_half(prints: Sequence[str]) -> bool:
    """Whether a file of these *prints* may be a half-precision copy.

    If so a file of single precision cannot continue it: rounded bits do not come back.
    """
    return len(prints) == 1


def _middles(
    tensors: Iterable[Tensor], element: Element, read: Callable[[int, int], bytes]
) -> Numbers:
    """A few numbers out of the middle of each of *tensors*, which are of one type."""
    width = element.width
    plain = []
    for tensor in tensors:
        count = (tensor.stop - tensor.start) // width
        few = min(count, _NUMBERS)
        start = tensor.start + (count - few) // 2 * width
        plain.append(read(start, start + few * width))
    return numbers(np.frombuffer(b"".join(plain), np.uint8), element)


def _print(half: Element, pieces: list[bytes]) -> str:
    return blake3(b"".join([bytes((half.tag,)), *pieces])).hexdigest()[:_SIZE]
