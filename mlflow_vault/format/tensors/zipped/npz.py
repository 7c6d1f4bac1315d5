"""Zips of .npy members: numpy's .npz, and skops, which keeps a model's arrays so.

Skops names its members by the address the array had in memory: such names would only mislead.  And
it keeps models of scikit-learn, not all of whose arrays gain from being numbers.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors import npy
from mlflow_vault.format.tensors.sampled import gains

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def parse(archive: Zip) -> list[Array]:
    """Return the arrays of the plain .npy members, named after them."""
    return list(_read(archive))


def parse_skops(archive: Zip) -> list[Array]:
    """Return the arrays of the plain .npy members that gain from being numbers, without names."""
    arrays = (replace(array, name="") for array in _read(archive))
    return [array for array in arrays if gains(array, archive.source)]


def _read(archive: Zip) -> Iterator[Array]:
    types = npy.Types()
    for path in archive.members:
        if path.endswith(_SUFFIX) and (window := archive.open(path)):
            for array in npy.parse_named(window, path.removesuffix(_SUFFIX), types):
                yield window.place(array)
