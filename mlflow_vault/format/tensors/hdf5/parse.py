"""HDF5: from the superblock down the groups to the datasets.

    superblock -> root group -> groups -> datasets -> their bytes, in one piece each

A reader of our own, small: it knows what libraries write by default and nothing else.

Pure: no I/O.  The format: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import MAX_ARRAYS, MAX_NAME, check
from mlflow_vault.format.tensors.hdf5.datasets import PLACE, SPACE, read_dataset
from mlflow_vault.format.tensors.hdf5.groups import read_children
from mlflow_vault.format.tensors.hdf5.headers import read_messages
from mlflow_vault.format.tensors.hdf5.reading import WORD, Reading, word

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Array, Bytes

MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_SUPERBLOCK: Final = 96  # bytes; all versions fit
# By version: where the sizes of addresses and lengths stand, the base address, the root's header.
_PLACES: Final = {0: (13, 24, 64), 1: (13, 28, 68), 2: (9, 12, 36), 3: (9, 12, 36)}


def parse(source: Bytes) -> list[Array]:
    """Return the contiguous datasets of an HDF5 file, named by their path with dots."""
    reading = Reading(source)
    found: list[Array] = []
    waiting = [("", _find_root(reading))]
    seen = set()
    while waiting:
        path, address = waiting.pop()
        if address in seen:  # a second link, or a circle of them
            continue
        seen.add(address)
        messages = read_messages(reading, address)
        kinds = dict(messages)
        if PLACE in kinds and SPACE in kinds:
            found += read_dataset(source, path, kinds)
        elif len(path) < MAX_NAME:
            # Sorted, so that of several links to one dataset always the same gives it its name.
            children = sorted(islice(read_children(reading, messages), MAX_ARRAYS), reverse=True)
            waiting += ((f"{path}.{name}" if path else name, child) for name, child in children)
            check(len(waiting) <= MAX_ARRAYS, "too many links")
    return found


def _find_root(reading: Reading) -> int:
    start = reading.signed(0, min(_SUPERBLOCK, reading.source.size), MAGIC)
    sizes, base, root = _PLACES[start[len(MAGIC)]]
    check(start[sizes : sizes + 2] == bytes((WORD, WORD)), "addresses of another width")
    check(word(start, base) == 0, "addresses that do not count from the file's start")
    return word(start, root)
