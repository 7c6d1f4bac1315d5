"""Which kind of zip a file is, told by what it holds.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.format.tensors.arrays import MalformedError
from mlflow_vault.format.tensors.zipped import exported, keras, npz, torch
from mlflow_vault.format.tensors.zipped.directory import read_zip

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Array, Bytes


def parse(source: Bytes, name: str) -> tuple[str, list[Array]]:
    """Return the kind of zip and its arrays; the file's *name* decides where both could be."""
    archive = read_zip(source)
    if (top := torch.find_top(archive)) is not None:
        return "torch", torch.parse(archive, top)
    if (top := exported.find_top(archive)) is not None:
        return "pt2", exported.parse(archive, top)
    if keras.has_weights(archive):
        return "keras", keras.parse(archive)
    if not npz.has_arrays(archive):
        raise MalformedError("a zip of something else")
    if npz.is_skops(archive, name):
        return "skops", npz.parse_skops(archive)
    return "npz", npz.parse(archive)
