"""Torch's zips: raw storages, and a pickle that says what they are.

    <top>/data.pkl      which tensor lies on which storage, and what it is called
    <top>/data/<key>    the bytes of one storage
    <top>/byteorder     "little" or "big"

TorchScript keeps its constants the same way, in ``constants.pkl`` and ``constants/<key>``.  Tensors
that share a storage make one array, called by the first of them.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.dtypes import fit
from mlflow_vault.format.tensors.zipped.names import MAX_PICKLE, Label, read_labels

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Array
    from mlflow_vault.format.tensors.zipped.directory import Zip

_PICKLE: Final = "data.pkl"
_UNNAMED: Final = Label("", None, None)


def find_top(archive: Zip) -> str | None:
    """Return the folder, with its slash, that holds a torch checkpoint; None if there is none."""
    for name in archive.members:
        top, _, file = name.partition("/")
        if file == _PICKLE:
            return f"{top}/"
    return None


def parse(archive: Zip, top: str) -> list[Array]:
    """Return the storages of the checkpoint in folder *top*."""
    found: list[Array] = []
    big = is_big_endian(archive, top)
    for stem in ("data", "constants"):
        pickle = archive.open(f"{top}{stem}.pkl")
        labels = read_labels(pickle) if pickle and pickle.size <= MAX_PICKLE else {}
        folder = f"{top}{stem}/"
        for path in archive.members:
            if path.startswith(folder) and (window := archive.open(path)):
                label = labels.get(path.removeprefix(folder), _UNNAMED)
                dtype = None if big else label.dtype
                name = label.name or path.removeprefix(top)
                found.append(fit(window, name, dtype, label.shape))
    return found


def is_big_endian(archive: Zip, top: str) -> bool:
    """Whether the numbers below *top* are stored the other way round."""
    return archive.read(f"{top}byteorder", 16) == b"big"
