"""Pickles and joblib files: the arrays that their opcodes lead to.

Only those that gain from it are told; small ones lie between their neighbours' bytes.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import TooMuchError, Window
from mlflow_vault.format.tensors.dtypes import fit
from mlflow_vault.format.tensors.pickled.deeds import run
from mlflow_vault.format.tensors.pickled.machine import Machine
from mlflow_vault.format.tensors.pickled.opcodes import PROTO, Opcodes
from mlflow_vault.format.tensors.pickled.paths import walk
from mlflow_vault.format.tensors.pickled.rebuild import NumpyArray, NumpyLibrary, dtype_of
from mlflow_vault.format.tensors.sampled import gains

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Array, Bytes

_PROTOCOLS: Final = range(2, 6)
_SMALLEST: Final = 16 << 10  # bytes; what is smaller has no chunk of its own when cut by content


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with *head* may be a pickle that holds byte strings."""
    return len(head) > 1 and head[0] == PROTO and head[1] in _PROTOCOLS


def parse(source: Bytes) -> tuple[str, list[Array]]:
    """Return whether this is a ``pickle`` or ``joblib``, and its arrays.

    Of one that is too long to be read, the arrays that were seen, without names.
    """
    opcodes = Opcodes(source)
    library = NumpyLibrary(opcodes)
    try:
        root = run(Machine(library), opcodes)
    except TooMuchError:
        root = None
    names: dict[int, str] = {}
    for name, array in walk(root, NumpyArray):
        names.setdefault(id(array), name)
    windows = ((found, Window(source, found.start, found.stop)) for found in library.found)
    arrays = [
        fit(window, names.get(id(found), ""), dtype_of(found.kind), found.shape)
        for found, window in windows
        if window.size >= _SMALLEST
    ]
    kind = "joblib" if library.wrapped else "pickle"
    return kind, [array for array in arrays if gains(array, source)]
