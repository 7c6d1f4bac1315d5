"""Small model files, made by hand: weights, what training does to them, and the files they fill.

Tests of what a vault stores need files whose next version is known.  These are small, made of
seeds, and written without the libraries that own the formats.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Array = npt.NDArray[Any]

_NAMES: Final = {"<f4": "F32", "<f2": "F16", "<f8": "F64", "<u2": "BF16", "|u1": "U8"}


def weights(seed: int, *shape: int) -> Array:
    """Return normal float32 weights."""
    return np.random.default_rng(seed).normal(size=shape).astype("<f4")


def trained(array: Array, seed: int, step: float = 1e-4) -> Array:
    """Return *array* after a little training: every weight moved by about *step* of its size."""
    moves = np.random.default_rng(seed).normal(scale=step, size=array.shape)
    moved: Array = (array * (1 + moves)).astype(array.dtype)
    return moved


def bfloat16(array: Array) -> Array:
    """Return the bits of float32 *array* rounded to bfloat16, nearest and ties to even."""
    bits = np.ascontiguousarray(array, "<f4").view("<u4")
    rounded: Array = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    return rounded


def safetensors(tensors: Mapping[str, Array]) -> bytes:
    """Return a file of *tensors* in their order; 16-bit integers are taken for bfloat16."""
    header, at = {}, 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": _NAMES[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    bodies = [array.tobytes() for array in tensors.values()]
    return b"".join([len(text).to_bytes(8, "little"), text, *bodies])


def npy(array: Array) -> bytes:
    """Return *array* as an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def noise(seed: int, size: int) -> bytes:
    """Return *size* bytes that no codec makes smaller."""
    return np.random.default_rng(seed).bytes(size)
