"""Which inner loops run: the compiled ones where numba is installed and there is enough to do.

Loading numba and its loops takes a process about a second, in which numpy codes a hundred
megabytes.  So each process begins with numpy, and whoever goes on beyond `WORTH` pays that once:

    a script that logs one small model      numpy, all of it
    a large model, a server, a sweep        numpy - numba is loaded - compiled, from there on

Both make the same bytes, so nothing else notices.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mlflow_vault.config import MIB
from mlflow_vault.format.coding.kernels import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.coding.kernels.protocol import Kernels

WORTH: Final = 512 * MIB  # plain bytes coded or decoded, which saves what loading costs

_chosen: list[Kernels] = []  # none yet, or the one
_done = [0]  # plain bytes that this process coded with numpy; about, as threads share it
_loading: list[bool] = []  # whether a thread is at it


def kernels(coming: int = 0) -> Kernels:
    """Return the inner loops to use; *coming* plain bytes are about to be coded or decoded."""
    if _chosen:
        return _chosen[0]
    _done[0] += coming
    if _done[0] < WORTH or _loading:
        return plain  # others go on while one of them loads
    _loading.append(True)
    _chosen.append(_fastest())
    return _chosen[0]


def _fastest() -> Kernels:
    try:
        from mlflow_vault.format.coding.kernels import compiled  # noqa: PLC0415 - slow to import
    except ImportError:
        return plain
    return compiled


@contextmanager
def using(loops: Kernels) -> Iterator[None]:
    """Code with *loops*, in all threads: to compare one with the other."""
    before, _chosen[:] = list(_chosen), [loops]
    try:
        yield
    finally:
        _chosen[:] = before
