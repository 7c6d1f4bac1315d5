"""Zips of .npy members: numpy's .npz, and skops, which keeps a model's arrays so.

Skops names its members by the address the array had in memory: such names would only mislead.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors import npy

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Array
    from mlflow_vault.format.tensors.zipped.directory import Zip

_SUFFIX: Final = ".npy"
_SCHEMA: Final = "schema.json"  # skops: the model without its arrays


def has_arrays(archive: Zip) -> bool:
    """Whether there is an .npy in the zip."""
    return any(name.endswith(_SUFFIX) for name in archive.members)


def is_skops(archive: Zip, name: str) -> bool:
    """Whether this is a skops file; its *name* decides for a zip that could be either."""
    return _SCHEMA in archive.members and not name.endswith(".npz")


def parse(archive: Zip, *, named: bool) -> list[Array]:
    """Return the arrays of the plain .npy members, *named* after them or not at all."""
    found: list[Array] = []
    types = npy.Types()
    for path in archive.members:
        if path.endswith(_SUFFIX) and (window := archive.open(path)):
            name = path.removesuffix(_SUFFIX) if named else ""
            found += (window.place(array) for array in npy.parse(window, name, types))
    return found
