"""The protocol of lock-free collection, as programs for the model checker (`interleavings`).

It is docs/format.md, "Transactions", written down once more.  Any clause can be left out, to see
what it stands for.  The writer does what `engine.write.transaction` does, request by request,
which a test compares; the collector is what one will have to do.

What a collector condemns first is only a guess, so here it condemns everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.testing.clauses import Clause
from mlflow_vault.testing.interleavings import (
    All,
    Choose,
    Create,
    Delete,
    Get,
    Put,
    Request,
    listing,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Iterable, Mapping

    from mlflow_vault.testing.interleavings import Program

    Packs = frozenset[str]
    Steps = Generator[Request, Any, None]

ABORTED: Final = "aborted"
CANCELLED: Final = "cancelled"
NONE: Final[Packs] = frozenset()
HERE: Final = "here"


class Protocol:
    """The programs, following some clauses."""

    def __init__(self, left_out: Clause | None = None, *, lucky: bool = False) -> None:
        self._left_out = left_out
        self._lucky = lucky

    def follows(self, clause: Clause) -> bool:
        """Whether *clause* is kept."""
        return clause is not self._left_out

    def writer(
        self, name: str, target: str, *sources: str, remembered: Packs = NONE, adds: bool = False
    ) -> Program:
        """Write *target*: packs that *sources* name, where they may be reused, else a new one.

        It may also have *remembered* packs without an entry; and if it *adds* it names a new one
        anyway, as for deltas against what it reuses.
        """

        def program() -> Steps:
            reusable: Packs | None = None
            for attempt in range(1 if self._lucky else 2):
                transaction = f"{name}{attempt}"
                if reusable is None or self.follows(Clause.STEP_ONE):
                    reusable = yield from self._begin(transaction, sources, remembered)
                else:
                    yield Put(f"intents/{transaction}", HERE)
                new = NONE
                if adds or not reusable:
                    new = frozenset([transaction if self.follows(Clause.RANDOM_NAMES) else "p"])
                if (yield from self._write(transaction, target, reusable, new)):
                    return

        return program

    def _begin(
        self, transaction: str, sources: Iterable[str], remembered: Packs
    ) -> Generator[Request, Any, Packs]:
        """Begin *transaction*; return the packs that it may reuse."""
        found = condemned = NONE
        if not self.follows(Clause.READ_AFTER):
            found = yield from named(sources)
        if not self.follows(Clause.INTENT_FIRST):
            condemned = yield from self._notices()
        if self.follows(Clause.INTENT):
            yield Put(f"intents/{transaction}", HERE)
        if self.follows(Clause.INTENT_FIRST):
            condemned = yield from self._notices()
        if self.follows(Clause.READ_AFTER):
            found = yield from named(sources)
        if not self.follows(Clause.NOT_CONDEMNED):
            condemned = NONE
        for pack in sorted(remembered - condemned):
            if not self.follows(Clause.LOOK) or (yield Get(f"packs/{pack}")):
                found |= {pack}
        return found - condemned

    def _write(
        self, transaction: str, target: str, reused: Packs, new: Packs
    ) -> Generator[Request, Any, bool]:
        """Upload, commit and name; return whether nobody aborted *transaction*."""
        intent = f"intents/{transaction}"
        packs = reused | new
        if self.follows(Clause.DURABLE):
            yield from upload(new)
        if not self.follows(Clause.OUTCOME_FIRST):
            yield Put(target, (transaction, packs))
        listed = packs if self.follows(Clause.OUTCOME_LISTS_ALL) else new
        if not (yield from self._commit(transaction, listed)):
            yield Delete(intent)
            yield Delete(f"outcomes/{transaction}")
            return False
        if not self.follows(Clause.INTENT_STAYS):
            yield Delete(intent)
        yield Put(target, (transaction, packs))
        if not self.follows(Clause.DURABLE):
            yield from upload(new)
        yield Delete(intent)
        return True

    def _commit(self, transaction: str, packs: Packs) -> Generator[Request, Any, bool]:
        outcome = f"outcomes/{transaction}"
        if not self.follows(Clause.OUTCOME_CREATED):
            yield Put(outcome, packs)
            return True
        created = yield Create(outcome, packs)
        if created and (self._lucky or (yield Choose("answered", "lost")) == "answered"):
            return True
        found = yield Get(outcome)
        return found == packs or not self.follows(Clause.ABORTED_IS_ABORTED)

    def collector(self, name: str) -> Program:
        """Delete the packs that nothing names."""

        def program() -> Steps:
            keys = yield All("packs/")
            condemned = frozenset(key.removeprefix("packs/") for key in keys)
            if not self.follows(Clause.MARK_AGAIN):
                condemned -= (yield from self._mark()) or NONE
            if self.follows(Clause.PUBLISH) and self.follows(Clause.PUBLISH_FIRST):
                yield Put(f"notices/{name}", condemned)
            if not self.follows(Clause.MARK_LAST):
                condemned -= (yield from self._mark()) or NONE
            intents = yield from self._listing("intents/")
            if not self.follows(Clause.PUBLISH_FIRST):
                yield Put(f"notices/{name}", condemned)
            doomed = condemned
            for intent in intents:
                doomed -= yield from self._settle(intent.removeprefix("intents/"))
            if self.follows(Clause.MARK_AGAIN) and self.follows(Clause.MARK_LAST):
                marked = yield from self._mark()
                if marked is None:
                    return
                doomed -= marked
            yield from self._sweep(name, doomed)

        return program

    def _sweep(self, name: str, doomed: Packs) -> Steps:
        if not self.follows(Clause.RETRACT_LAST):
            yield Delete(f"notices/{name}")
        won = yield Create(f"sweeps/{name}", doomed)
        if won or not self.follows(Clause.SWEEP_CREATED):
            for pack in sorted(doomed):
                yield Delete(f"packs/{pack}")
        yield Delete(f"notices/{name}")

    def _settle(self, transaction: str) -> Generator[Request, Any, Packs]:
        """Wait for *transaction*, then abort it; return what it may still be naming."""
        key = f"outcomes/{transaction}"
        outcome = None if self.follows(Clause.LOSER_LOOKS) else (yield Get(key))
        aborted = self.follows(Clause.ABORT) and (yield Create(key, ABORTED))
        if not aborted and self.follows(Clause.LOSER_LOOKS):
            outcome = yield Get(key)
        if isinstance(outcome, frozenset) and self.follows(Clause.KEEP):
            return outcome
        return NONE

    def _mark(self) -> Generator[Request, Any, Packs | None]:
        """Everything that entries and versions name; None after an error."""
        keys = yield from self._listing("tree/")
        if self.follows(Clause.MARK_VERSIONS):
            keys += yield from self._listing("versions/")
        if not self._lucky and (yield Choose("read", "error")) == "error":
            if self.follows(Clause.ERRORS_STOP):
                return None
            keys = keys[1:]
        marked = yield from named(keys)
        if self.follows(Clause.PACK_BY_PACK):
            return marked
        first: dict[str, str] = {}
        for pack in (yield from self._listing("packs/")):
            first.setdefault((yield Get(pack)), pack.removeprefix("packs/"))
        return frozenset(first.values())

    def _notices(self) -> Generator[Request, Any, Packs]:
        """All that is condemned."""
        condemned = NONE
        for key in (yield from self._listing("notices/")):
            condemned |= (yield Get(key)) or NONE  # retracted since it was listed
        return condemned

    def _listing(self, prefix: str) -> Generator[Request, Any, tuple[str, ...]]:
        if self._lucky:
            keys: tuple[str, ...] = yield All(prefix)
            return keys
        return (yield from listing(prefix))

    def helper(self) -> Program:
        """Tidy up behind collectors that seem to be dead, and behind writers."""

        def program() -> Steps:
            for notice in (yield from self._listing("notices/")):
                sweep = f"sweeps/{notice.removeprefix('notices/')}"
                if self.follows(Clause.CANCEL_FIRST):
                    yield Create(sweep, CANCELLED)
                doomed = yield Get(sweep)
                if isinstance(doomed, frozenset) and self.follows(Clause.FINISH):
                    for pack in sorted(doomed):
                        yield Delete(f"packs/{pack}")
                yield Delete(notice)
            for key in (yield from self._listing("outcomes/")):
                outcome = yield Get(key)
                if outcome == ABORTED:
                    if not self.follows(Clause.TOMBSTONE):
                        yield Delete(key)
                    continue
                stands = yield Get(f"intents/{key.removeprefix('outcomes/')}")
                if not stands or not self.follows(Clause.OUTCOME_STAYS):
                    yield Delete(key)

        return program

    def version(self, source: str, target: str) -> Program:
        """Make a version of what *source* holds."""
        if self.follows(Clause.VERSIONS_ARE_WRITTEN):
            return self.writer("v", target, source)

        def program() -> Steps:
            entry = yield Get(source)
            if entry:
                yield Put(target, entry)

        return program

    def reader(self, path: str) -> Program:
        """Read *path*; put an alarm where it seems damaged."""

        def program() -> Steps:
            entry = yield Get(path)
            for _ in range(3):
                if entry is None:
                    return
                missing = False
                for pack in sorted(entry[1]):
                    missing = missing or not (yield Get(f"packs/{pack}"))
                if not missing:
                    return
                again = (yield Get(path)) if self.follows(Clause.READ_AGAIN) else entry
                if again == entry:
                    yield Put("alarm", entry)
                entry = again

        return program


def delete(path: str) -> Program:
    """Delete an artifact or a version: its entry, nothing else."""

    def program() -> Steps:
        yield Delete(path)

    return program


def named(keys: Iterable[str]) -> Generator[Request, Any, Packs]:
    """What the entries at *keys* name."""
    packs = NONE
    for key in keys:
        entry = yield Get(key)
        packs |= entry[1] if entry else NONE
    return packs


def upload(packs: Packs) -> Steps:
    """Put *packs*, which all hold the same as the first of all."""
    for pack in packs:
        yield Put(f"packs/{pack}", "content")


def is_broken(store: Mapping[str, Hashable]) -> bool:
    """Whether an entry or a version names a pack that is not there, or a reader was alarmed."""
    return "alarm" in store or any(
        f"packs/{pack}" not in store
        for key, entry in store.items()
        if key.startswith(("tree/", "versions/"))
        for pack in entry[1]  # type: ignore[index]
    )
