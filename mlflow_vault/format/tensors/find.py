"""From any file to its arrays: which parser, and what happens when it is wrong about a file.

A file is known by its first bytes; its name decides only where those leave it open.
Whatever a parser trips over, the file is then simply an unknown one, cut by content.

Pure: the bytes come through `Bytes`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import VaultError
from mlflow_vault.format.tensors import npy, safetensors, zipped
from mlflow_vault.format.tensors.arrays import Layout, settle

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Bytes

UNKNOWN: Final = Layout("", ())
_HEAD: Final = 16  # bytes that tell the formats apart


def find_arrays(source: Bytes, *, name: str = "") -> Layout:
    """Return where arrays lie in *source*; `UNKNOWN` where that cannot be said.

    Args:
        source: What `OSError` and `VaultError` its ``read`` raises come through.
        name: The file's name; decides only where the bytes leave it open.
    """
    try:
        return _parse(source, name)
    except (OSError, VaultError):
        raise
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError, struct.error):
        return UNKNOWN


def _parse(source: Bytes, name: str) -> Layout:
    head = source.read(0, min(_HEAD, source.size))
    if head.startswith(npy.MAGIC):
        return settle("npy", npy.parse(source, "", npy.Types()), source.size)
    if safetensors.looks_like(head):
        return settle("safetensors", safetensors.parse(source), source.size)
    if head.startswith(zipped.MAGIC):
        return settle(*zipped.parse(source, name), source.size)
    return UNKNOWN
