"""Fills packs and sends them off while the next one fills.

At most one pack fills and two travel: while the store says that it has one the other keeps the link
busy.  So memory stays at three packs however much is written.  The first few are small: a version
of which all fits into one pack would travel only when all of it was coded.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self

from mlflow_vault.config import MIB, PACK_TARGET
from mlflow_vault.format.pack import PackBuilder, Record

if TYPE_CHECKING:
    from types import TracebackType

    from mlflow_vault.engine.world import World
    from mlflow_vault.engine.write.transaction import Transaction

_SMALL: Final = PACK_TARGET // 4  # bytes of a pack, until one of full size would be there
_TRAVEL: Final = 2  # packs


class Packer:
    """Puts records into packs of one transaction.  A context manager."""

    def __init__(self, transaction: Transaction, world: World) -> None:
        self._transaction = transaction
        self._world = world
        self._senders = ThreadPoolExecutor(_TRAVEL, thread_name_prefix="vault-pack")
        self._sending: deque[Future[None]] = deque()
        self._sent = 0
        self._open()

    def add(self, record: Record) -> tuple[bytes, int]:
        """Append *record*; return the id of its pack and where its payload starts there."""
        pack, start = self._pack, self._builder.add(record)
        if len(self._builder) >= self._target:
            self._send()
        return pack, start

    @property
    def _target(self) -> int:
        return _SMALL if self._sent < PACK_TARGET else PACK_TARGET

    def flush(self) -> None:
        """Return when every pack is durable.

        Raises:
            StorageError: The store failed.
        """
        if not self._builder.is_empty:
            self._send()
        self._wait(0)

    def _open(self) -> None:
        self._pack = self._world.random(16)
        self._builder = PackBuilder(self._target + MIB)

    def _send(self) -> None:
        self._wait(_TRAVEL - 1)
        body, pack = self._builder.finish(), self._pack
        self._sent += len(body)
        self._sending.append(self._senders.submit(self._transaction.put_pack, pack, body))
        self._open()

    def _wait(self, left: int) -> None:
        while len(self._sending) > left:
            self._sending.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._senders.shutdown(wait=True)
