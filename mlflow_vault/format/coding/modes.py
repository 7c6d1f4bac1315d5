"""Which way each byte plane is stored, decided from a sampled histogram and not by trying.

Pure: no I/O.  Written down in docs/format.md, "Codecs".
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlflow_vault.format.coding.kernels.protocol import Tally

SAMPLE: Final = 1024  # bytes of a plane that its histogram is made from
WORTH: Final = 0.98  # a slower or more complicated way must save this much
_HALF: Final = 0.5
_COUNTS: Final = np.arange(2 * SAMPLE)  # how often a byte can occur in a sample
_LOGS: Final = _COUNTS * np.log2(np.maximum(_COUNTS, 1))


class Mode(IntEnum):
    """How one plane is stored; the byte before it."""

    RAW = 0
    CONSTANT = 1
    ZSTD = 2
    PACK1 = 3  # one bit per byte of the plane
    PACK2 = 4
    PACK4 = 5


BITS: Final[dict[int, int]] = {int(Mode.PACK1): 1, int(Mode.PACK2): 2, int(Mode.PACK4): 4}
_MODES: Final = tuple(Mode)
_MOST: Final = np.array([1, 3, 15])  # the caps of the modes that pack
_FOLD: Final = np.array([8, 4, 2])  # and how many bytes share one


def choose(tally: Tally) -> list[Mode]:
    """Choose each plane's mode from an even sample of its bytes."""
    modes = np.full(len(tally.constant), Mode.CONSTANT)
    varied = ~tally.constant
    if varied.any():
        estimate = _costs(tally.counted[varied])
        estimate[:, Mode.RAW : Mode.PACK1] *= WORTH  # the simple ways, where they nearly tie
        estimate[:, Mode.RAW] *= WORTH
        modes[varied] = estimate.argmin(axis=1)
    return [_MODES[mode] for mode in modes.tolist()]


def _costs(histograms: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Estimate the bits that one byte of each plane takes (a row) in each mode (a column)."""
    total = histograms.sum(axis=1, keepdims=True)
    logs = _LOGS.take(histograms)  # the entropy is log n - sum(c log c) / n
    size = np.log2(total)
    every = size - logs.sum(axis=1, keepdims=True) / total
    # Miller and Madow: a small sample looks more orderly than it is.
    unseen = (np.count_nonzero(histograms, axis=1, keepdims=True) - 1) / (2 * np.log(2) * total)
    squares = np.einsum("ij,ij->i", histograms, histograms)[:, None]
    # In columns for the modes that pack: of the bytes that fit, and of those that do not.
    small = histograms[:, : _MOST[-1]]
    fitting = small.cumsum(axis=1)[:, _MOST - 1] / total
    large = 1 - fitting
    known = fitting * size - logs[:, : _MOST[-1]].cumsum(axis=1)[:, _MOST - 1] / total
    known += _surprise(large)
    often = np.maximum(np.maximum.accumulate(small, axis=1)[:, _MOST - 1] / total, large)
    chance = (small * small).cumsum(axis=1)[:, _MOST - 1] / total**2 + large**2
    often = np.hstack([histograms.max(axis=1, keepdims=True) / total, often**_FOLD])
    waste = _waste(often, np.hstack([squares / total**2, chance**_FOLD]))
    estimate = np.full((len(histograms), len(Mode)), 8.0)
    estimate[:, Mode.CONSTANT] = np.inf
    estimate[:, Mode.ZSTD] = (every + unseen)[:, 0] + waste[:, 0]
    packed = np.minimum(8, known * _FOLD + waste[:, 1:]) / _FOLD
    estimate[:, Mode.PACK1 :] = packed + every - known + unseen + 0.1 * large
    return estimate


def _surprise(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ``-p log2 p``, and 0 for 0."""
    return -share * np.log2(np.maximum(share, 1e-12))


def _waste(
    often: npt.NDArray[np.float64], chance: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the bits above the entropy that a byte takes.

    No code is shorter than a bit.  And where few symbols are common, zstd takes chance for
    matches, which cost more than they save: fitted on Laplace and normal steps, to 0.05 bits.

    Args:
        often: The share of the commonest byte.
        chance: The chance that two bytes are the same.
    """
    whole = np.where(often > _HALF, 1 - _surprise(often) - _surprise(1 - often), 0)
    return np.maximum(whole, 0.03) + np.minimum(0.4, 1.7 * chance**2)
