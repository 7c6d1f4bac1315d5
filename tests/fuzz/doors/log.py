"""The audit log, as somebody who can write to the store may have left it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import CorruptionError
from mlflow_vault.format import layout
from mlflow_vault.format.checkpoint import SignedCheckpoint
from mlflow_vault.format.entry_tiles import cut, join
from mlflow_vault.format.log import LogEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _logged(fed: bytes) -> None:
    """The input is an entry of the log, the first one."""
    with suppress(CorruptionError):
        entry = LogEntry.from_bytes(fed, layout.log_key(0))
        assert entry.to_bytes() == fed, "two spellings of one entry"
        entry._repr_html_()


def _note(fed: bytes) -> None:
    """The input is a signed checkpoint."""
    with suppress(CorruptionError):
        signed = SignedCheckpoint.from_bytes(fed, "k")
        assert signed.to_bytes() == fed, "two spellings of one checkpoint"


def _tile(fed: bytes) -> None:
    """The input is a tile of entries."""
    with suppress(ValueError):
        assert join(cut(fed)) == fed


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "logged": _logged,
    "note": _note,
    "tile": _tile,
}
