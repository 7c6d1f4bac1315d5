"""Which inner loops run: the compiled ones where numba is installed (extra ``fast``)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlflow_vault.format.coding.kernels import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.coding.kernels.protocol import Kernels

_chosen: list[Kernels] = []  # none yet, or the one; importing numba waits until it is wanted


def kernels() -> Kernels:
    """Return the fastest inner loops there are."""
    if not _chosen:
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
