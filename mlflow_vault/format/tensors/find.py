"""From any file to its arrays: which parser, and what happens when it is wrong about a file.

A file is known by its first bytes; its name decides only where those leave it open.
Whatever a parser trips over, the file is then simply an unknown one, cut by content - unless it
looks like numbers all the same.

Pure: the bytes come through `Bytes`.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import VaultError
from mlflow_vault.format.tensors import gguf, hdf5, npy, onnx, pickled, safetensors, sampled, zipped
from mlflow_vault.format.tensors.arrays import Layout, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.format.tensors.arrays import Array, Bytes

UNKNOWN: Final = Layout("", ())
_HEAD: Final = 16  # bytes that tell the formats apart


def find_arrays(source: Bytes, *, name: str = "") -> Layout:
    """Return where arrays lie in *source*; `UNKNOWN` where that cannot be said.

    Args:
        source: What `OSError` and `VaultError` its ``read`` raises come through.
        name: The file's name; decides only where the bytes leave it open.
    """
    found = _or_unknown(lambda: _parse(source, name))
    return found if found.arrays else _or_unknown(lambda: _guess(source, found))


def _or_unknown(look: Callable[[], Layout]) -> Layout:
    try:
        return look()
    except (OSError, VaultError):
        raise
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError, struct.error):
        return UNKNOWN


def _guess(source: Bytes, found: Layout) -> Layout:
    """Look for numbers in a file of which no parser knew more than was *found*."""
    arrays = sampled.parse(source)
    return replace(settle("binary", arrays, source.size), joined=True) if arrays else found


def _parse(source: Bytes, name: str) -> Layout:
    head = source.read(0, min(_HEAD, source.size))
    if head.startswith(zipped.MAGIC):
        return settle(*zipped.parse(source, name), source.size)
    if pickled.looks_like(head):
        return settle(*pickled.parse(source), source.size)
    for kind, looks_like, parse in _PARSERS:
        if looks_like(head):
            return settle(kind, parse(source), source.size)
    return UNKNOWN


def _begins_with(magic: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magic)


# What it is called, whether a file that begins so may be it, and its arrays.
_PARSERS: Final[tuple[tuple[str, Callable[[bytes], bool], Callable[[Bytes], list[Array]]], ...]] = (
    ("npy", _begins_with(npy.MAGIC), npy.parse),
    ("gguf", _begins_with(gguf.MAGIC), gguf.parse),
    ("hdf5", _begins_with(hdf5.MAGIC), hdf5.parse),
    ("safetensors", safetensors.looks_like, safetensors.parse),
    ("onnx", onnx.looks_like, onnx.parse),
)
