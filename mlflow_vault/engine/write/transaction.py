"""One write of many chunks, in the order that keeps lock-free collection safe.

    1  put      intents/<id>                I am writing
    2  list     notices/                    what is condemned, which features are required
    3           read entries, upload packs  a pack may be reused that is there and not condemned
    4  create   outcomes/<id>               committed: these are all the packs I will name
    5  put      entries
    6  delete   intents/<id>                and put hints, which name no pack

A crash before 4 leaves garbage; between 4 and 6 a standing intent, which keeps the packs: a
leak, never a name without its bytes.  A collector that gave up on us wins 4 with an aborted
outcome; then nothing was named, and the writer starts again with a new id.

Every line and its place were checked against all interleavings; docs/format.md,
"Transactions", says why each stands where it does.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import ConflictError, CorruptionError, NotFoundError, StorageError
from mlflow_vault.format import layout
from mlflow_vault.format.digest import from_hex
from mlflow_vault.format.record import (
    Kind,
    Outcome,
    frame_json,
    refuse_features,
    unframe_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from mlflow_vault.engine.world import World
    from mlflow_vault.store.protocol import Store

_log = logging.getLogger(__name__)
_REFRESH: Final = 60.0  # seconds after which a working writer puts its intent again


def look_at_notices(store: Store) -> frozenset[bytes]:
    """List what every writer must know; return the condemned packs.

    Raises:
        UnsupportedError: The vault requires a feature that this release lacks.
    """
    features, condemned = [], []
    for found in store.list(layout.NOTICES):
        if found.key.startswith(layout.CONDEMNED):
            condemned.append(found.key)
        else:
            features.append(found.key.removeprefix(layout.FEATURES))
    refuse_features(features, store.uri)
    packs: set[bytes] = set()
    for key in condemned:
        try:
            body = unframe_json(Kind.CONDEMNED, store.get(key), key)
        except NotFoundError:
            continue  # retracted since it was listed
        try:
            packs.update(from_hex(pack) for pack in body["packs"])
        except (KeyError, TypeError, ValueError) as cause:
            raise CorruptionError(key, f"it is no list of packs ({cause})") from cause
    return frozenset(packs)


class Transaction:
    """A writer's way from intent to outcome.

    It may begin while something else is done: `ready` says when it has.

    Attributes:
        id: Unique for ever.
    """

    def __init__(
        self,
        store: Store,
        world: World,
        beside: Executor | None = None,
        permit: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin.

        Args:
            store: Where to.
            world: Clocks and randomness.
            beside: Where to begin meanwhile; None to return when it has begun.
            permit: Called before anything is put; raises if nothing may be.

        Raises:
            StorageError: The store failed.
            UnsupportedError: The vault requires a feature that this release lacks.
        """
        self._store = store
        self._world = world
        self.id = world.transaction_id()
        self._nonce = world.random(16).hex()
        self._asked: dict[bytes, Future[bool]] = {}
        self._intended = 0.0
        self._progress = 0
        self._uploaded: list[str] = []
        self._decided = False  # whether an outcome may be there
        self._committed = False
        self._aborted = False
        self._begun = Future[frozenset[bytes]]()  # done with the condemned packs
        if beside:
            self._begun = beside.submit(self._begin, permit)
            return
        try:
            self._begun.set_result(self._begin(permit))
        except BaseException as error:
            self._begun.set_exception(error)
            self.abandon()
            raise

    def _begin(self, permit: Callable[[], None]) -> frozenset[bytes]:
        permit()
        self._put_intent()
        return look_at_notices(self._store)

    def ready(self) -> None:
        """Return when it has begun; what is read from now on may be named.

        Raises:
            VaultError: It could not begin.
        """
        self._begun.result()

    def may_reuse(self, pack: bytes) -> bool:
        """Whether new entries may name *pack*, which other writes made.

        It is asked for, once, by whichever thread comes first - which `setdefault` decides at one
        stroke: a pack that was lost is not named again, so logging a file anew mends what lost it.
        """
        mine = Future[bool]()
        try:
            asked = self._asked.setdefault(pack, mine)
            if asked is mine:
                condemned = pack in self._begun.result()
                there = not condemned and self._store.stat(layout.pack_key(pack)) is not None
                mine.set_result(there)
        except BaseException as error:
            if self._asked.get(pack) is mine and not mine.done():
                del self._asked[pack]  # so that another may ask again
                mine.set_exception(error)
            raise
        return asked.result()

    def put_pack(self, pack: bytes, body: bytes | memoryview) -> None:
        """Upload a pack under its new random id."""
        self._uploaded.append(layout.pack_key(pack))
        self._store.put(layout.pack_key(pack), body)
        there = Future[bool]()
        there.set_result(True)
        self._asked[pack] = there
        self.refresh()

    def refresh(self) -> None:
        """Put the intent again if that was long ago: a collector takes the silent for dead.

        Raises:
            VaultError: The transaction could not begin, or the store failed.
        """
        if not self._begun.done():
            return
        self.ready()
        if self._world.monotonic() - self._intended > _REFRESH:
            self._put_intent()

    def commit(self, packs: Iterable[bytes], objects: Iterable[tuple[str, bytes]]) -> list[str]:
        """Put *objects*, which name *packs*; return their etags, in order.

        Args:
            packs: Every pack that the objects name.
            objects: Keys and bytes: entries, or what pins entries.

        Raises:
            ConflictError: A collector aborted this transaction; start again.
            StorageError: The store failed.  Trying again, as a new transaction, is safe.
        """
        outcome = Outcome(self.id, self._nonce, committed=True, packs=tuple(sorted(packs)))
        self._create_outcome(outcome)
        self._committed = True
        etags = self._store.put_many(objects)
        _log.debug("transaction %s put %d objects", self.id, len(etags))
        return etags

    def finish(self) -> None:
        """Remove the intent: everything that this transaction names is named.

        Failing to is no failure of the write: an intent that stands only keeps its packs.
        """
        try:
            self._store.delete(layout.INTENTS + self.id)
        except StorageError as error:
            _log.warning("intent %s stays and keeps its packs: %s", self.id, error)

    def abandon(self) -> None:
        """Give up.

        Before the outcome nothing can name what was uploaded, so it is taken away again.  After it
        nothing is undone: the intent stays and keeps every pack that an entry may already name.
        """
        if self._committed:
            return
        wait([self._begun])
        if not self._progress:  # nothing was put
            return
        try:
            for pack in () if self._decided else self._uploaded:
                self._store.delete(pack)
            self._store.delete(layout.INTENTS + self.id)
            if self._aborted:
                self._store.delete(layout.OUTCOMES + self.id)  # the tombstone is ours to remove
        except StorageError:
            _log.debug("intent %s stays: a collector will abort it", self.id, exc_info=True)

    def _put_intent(self) -> None:
        self._progress += 1
        body = frame_json(Kind.INTENT, {"transaction": self.id, "progress": self._progress})
        self._store.put(layout.INTENTS + self.id, body)
        self._intended = self._world.monotonic()

    def _create_outcome(self, outcome: Outcome) -> None:
        key = layout.OUTCOMES + self.id
        self._decided = True
        try:
            self._store.create(key, outcome.to_bytes())
        except (ConflictError, StorageError) as cause:
            # A lost response leaves our own outcome behind: read back and compare.
            try:
                found = Outcome.from_bytes(self._store.get(key), key)
            except NotFoundError:
                raise cause from None
            if found == outcome:
                return
            self._aborted = not found.committed
            raise ConflictError(
                f"a collector took transaction {self.id} for dead and aborted it; "
                "nothing was named. Write again."
            ) from cause
