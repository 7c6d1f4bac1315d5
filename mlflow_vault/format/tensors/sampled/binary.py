"""Files that no parser knows but that are mostly floats: TensorFlow's checkpoints, indexes, dumps.

Sign and exponent of a float fill one byte, and that one varies least.  So where in blocks of a file
bytes at one residue of their offsets, modulo 2, 4 or 8, are far more orderly than the others, and
what stands there makes sense as exponents, the file is taken for floats:

    offset mod 4     0    1    2    3         0    1
    bits a byte     8.0  8.0  7.9  3.2       7.9  3.3      of 8
                    f32                      bf16

Zeros say nothing: they are what was never trained, such as the moments of an optimizer for words
that did not occur, and may be most of a file.

Nobody knows where one tensor ends and the next begins, and what helps one - weights that moved a
little since the last version - is of no use to another - moments that are new.  So the file is told
in pieces of one size, each an array of its own: each finds for itself what it continues and when to
start over.

Pure: no I/O.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from mlflow_vault.format.elements import Element
from mlflow_vault.format.tensors.arrays import MAX_ARRAYS, Array, check, read_exactly

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlflow_vault.format.tensors.arrays import Bytes

_SMALLEST: Final = 256 << 10  # bytes; below that there is little to gain
_BLOCKS: Final = 24
_BLOCK: Final = 16 << 10  # bytes of each
_SPEAK: Final = 3  # blocks that must not be zeros...
_AGREE: Final = 0.75  # ...and the share of these that must say the same
_WIDEST: Final = 8
_TELLING: Final = 512  # words of eight bytes not zero in a block; of fewer any look orderly
_GAIN: Final = 0.1  # bits a byte that a wider element must save; chance saves 0.02
_MANTISSA: Final = 6.5  # bits a byte at some residue; text has five, lowest bytes of floats eight
# Bytes of an array; as much as is coded at once.  Larger ones mix what helps with what does not: of
# a checkpoint whose moments come first no weight was coded against its last version.  Smaller ones
# cut more chunks short.
_PIECE: Final = 16 << 20
_NAME: Final = "*"  # and the number of the piece: matches the same file of another size

# Half-precision numbers are tried as bfloat16 first: as such, binary16 seems spread eight times as
# wide, for three bits of its mantissa are taken for the exponent's.
_KINDS: Final = {2: (Element.BF16, Element.F16), 4: (Element.F32,), 8: (Element.F64,)}
_LEAST: Final = -40  # the powers of two between which nearly all numbers of a model lie
_MOST: Final = 16
_SENSE: Final = 0.95  # of the numbers that are not zero
_SPREAD: Final = 12  # powers of two that hold four fifths of them; 4 in a layer, as binary16 30


class _Guess(NamedTuple):
    element: Element
    phase: int  # where numbers begin, modulo their width


def parse(source: Bytes) -> list[Array]:
    """Return arrays that are together nearly all of *source*, none if it is not made of floats."""
    if source.size < _SMALLEST:
        return []
    check(source.size <= MAX_ARRAYS * _PIECE, "too many pieces")
    step = (source.size - _BLOCK) // (_BLOCKS - 1) // _WIDEST * _WIDEST
    blocks = (read_exactly(source, step * i, step * i + _BLOCK) for i in range(_BLOCKS))
    said = [_guess(block) for block in blocks if _speaks(block)]
    if len(said) < _SPEAK:
        return []
    (guess, votes), *_ = Counter(said).most_common(1)
    if guess is None or votes < _AGREE * len(said):
        return []
    element, phase = guess
    stop = source.size - (source.size - phase) % element.width
    starts = range(phase, stop, _PIECE)
    return [
        _array(start, min(start + _PIECE, stop), element, number)
        for number, start in enumerate(starts)
    ]


def _array(start: int, stop: int, element: Element, number: int) -> Array:
    return Array(start, stop, element, f"{_NAME}{number}", ((stop - start) // element.width,))


def _speaks(block: bytes) -> bool:
    """Whether enough of *block* is not zero."""
    return int(np.count_nonzero(np.frombuffer(block, "<u8"))) >= _TELLING


def _guess(block: bytes) -> _Guess | None:
    """Say of what floats *block* is made, if it is."""
    octets = np.frombuffer(block, np.uint8).reshape(-1, _WIDEST)
    octets = octets[octets.any(axis=1)]
    histograms = np.stack([np.bincount(column, minlength=256) for column in octets.T])
    bits = _bits(histograms.sum(axis=0, keepdims=True))
    width = 1
    for wider in (2, 4, 8):
        finer = _bits(histograms.reshape(-1, wider, 256).sum(axis=0))
        if finer.mean() < bits.mean() - _GAIN:
            width, bits = wider, finer
    if bits.max() < _MANTISSA:
        return None
    phase = (int(bits.argmin()) + 1) % width
    for element in _KINDS.get(width, ()):
        if _makes_sense(block[phase:], element):
            return _Guess(element, phase)
    return None


def _bits(histograms: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the entropy of each histogram, in bits."""
    totals = histograms.sum(axis=1)
    share = histograms / totals[:, None]
    logs = np.log2(share, out=np.zeros_like(share), where=share > 0)
    # Miller and Madow: a small sample looks more orderly than it is.
    bias = (np.count_nonzero(histograms, axis=1) - 1) / (2 * np.log(2) * totals)
    found: npt.NDArray[np.float64] = bias - (share * logs).sum(axis=1)
    return found


def _makes_sense(plain: bytes, element: Element) -> bool:
    """Whether *plain* holds numbers that a model may hold, read as floats."""
    numbers = np.frombuffer(
        plain[: len(plain) // element.width * element.width], f"<u{element.width}"
    )
    numbers = numbers[numbers << 1 != 0]  # neither zero
    if not len(numbers):
        return False
    top = (1 << element.exponent_bits) - 1
    powers = (numbers >> element.mantissa_bits & top).astype(np.int64) - top // 2
    low, high = np.quantile(powers, (0.1, 0.9))
    likely = np.count_nonzero((powers > _LEAST) & (powers < _MOST)) >= _SENSE * len(powers)
    return bool(likely and (element is not Element.BF16 or high - low <= _SPREAD))
