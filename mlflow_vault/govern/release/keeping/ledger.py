"""The ledger of a registered model: what was decided about it, and carrying it out.

    judge               against the newest decision, which was carried out
    create decision N   one wins, the others look again
    note it             in the audit log
    apply it            in the registry, as the newest decision says
    hint                that N was carried out

Whoever dies in between is finished by whoever comes next: `Ledger.carry_out` begins where the hint
says and may be repeated.  So a decision is never lost, the registry never shows what the log does
not have, and a process that slept ends by showing what is decided now.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.transitions import (
    Showing,
    Transition,
    check_room,
    logged,
    moved,
    showing,
)
from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    NotFoundError,
    StorageError,
    UnsupportedError,
    VaultError,
)
from mlflow_vault.format.canonical import plain
from mlflow_vault.format.decision import LARGEST, Decision
from mlflow_vault.format.governed_layout import decision_key, decision_prefix, ledger_hint_key
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.format.record import Kind, frame_json, unframe_json
from mlflow_vault.govern.audit.finding import newest
from mlflow_vault.govern.release.keeping.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow_vault.engine.world import World
    from mlflow_vault.format.record import Identity
    from mlflow_vault.govern.audit.audit import Audit
    from mlflow_vault.store.protocol import Store

_FARTHEST: Final = 10**15  # a hint beyond is none
_MOST_PENDING: Final = 64  # decisions that were not carried out; all but one were noted
_AHEAD: Final = 32  # decisions that are read at once

_log = logging.getLogger(__name__)


class Ledger:
    """What was decided about one registered model.

    Args:
        store: Where the vault lies.
        world: Its clock and randomness.
        identity: What the vault is.
        model: The registered model.

    Raises:
        InvalidInputError: *model* is too long, or no text.
    """

    def __init__(self, store: Store, world: World, identity: Identity, model: str) -> None:
        decision_prefix(model)  # refuses what is no name
        self.model = model
        self._store = store
        self._world = world
        self._identity = identity
        self._kept = Kept(store, world.readers)
        self._made: Decision | None = None  # by us, just now

    def head(self) -> Decision | None:
        """Return the newest decision; None if nothing was decided yet.

        Three requests, or two where this process saw it before; more where the hint is old.

        Raises:
            CorruptionError: It is damaged, or from another vault.
        """
        return self._newest(self._hinted()[0])

    def get(self, sequence: int) -> Decision:
        """Return the decision with this number.

        Raises:
            NotFoundError: There is none.
            CorruptionError: It is damaged, or from another vault.
        """
        found = self._get(sequence)
        if found is None:
            raise NotFoundError(f"there is no decision {sequence} about {self.model!r}")
        return found

    def history(self) -> Iterator[Decision]:
        """Yield all decisions, the newest first.

        Raises:
            CorruptionError: One is damaged, missing, or was not made behind the one before it.
        """
        later = self.head()
        if later is None:
            return
        yield later
        for start in range(later.sequence - 1, -1, -_AHEAD):
            for one in self._read(range(start, max(start - _AHEAD, -1), -1)):
                if later.predecessor != one.record:
                    raise CorruptionError(later.key, "it was not decided behind the one before it")
                yield one
                later = one

    def asked(self, request: str) -> Decision | None:
        """Return the newest decision that was made for *request*; None if there is none."""
        return next((one for one in self.history() if one.request == request), None)

    def decide(self, head: Decision | None, transition: Transition) -> Decision:
        """Decide *transition*, which was judged as *head* left things.

        Args:
            head: What `carry_out` returned; None if nothing was decided yet.
            transition: What is to be decided.

        Returns:
            The decision, which is durable and not carried out yet.

        Raises:
            ConflictError: Somebody else decided something first: look, judge again.
            InvalidInputError: It is too large to be kept.
            UnsupportedError: The store lets a second create win.
            StorageError: The store failed; it may have been decided, which `carry_out` will find.
        """
        sequence, before = (head.sequence + 1, dict(head.after)) if head else (0, {})
        # A clock that goes backwards must not make a version stand somewhere before it came there.
        time = max(int(self._world.now() * 1000), head.time if head else 0)
        return self.create(
            Decision(
                vault=self._identity.id,
                model=self.model,
                sequence=sequence,
                time=time,
                id=self._world.random(16).hex(),
                action=str(transition.action),
                actor=transition.actor,
                number=transition.number,
                digest=transition.digest,
                to=transition.to,
                reason=transition.reason,
                before=before,
                after=moved(before, transition, time, sequence),
                verdicts=transition.verdicts,
                predecessor=head.record if head else None,
                request=transition.request,
            )
        )

    def create(self, decision: Decision) -> Decision:
        """Keep a decision under its number, durably; returns it as it is stored.

        Raises:
            ConflictError: Somebody else has that number.
        """
        if not self._identity.conditional_create:
            raise UnsupportedError(
                f"{self._store.uri} lets a second create win, so two could decide at once there. "
                "Keep the vault in a store with conditional writes."
            )
        decision = replace(
            decision,
            actor=Actor(plain(decision.actor.name), decision.actor.verified),
            reason=plain(decision.reason),
            verdicts=tuple(plain(dict(one)) for one in decision.verdicts),
            request=plain(decision.request),
        )
        stored = decision.to_bytes()
        check_room(decision)
        try:
            self._store.create(decision.key, stored)
        except (ConflictError, StorageError) as error:
            found = self._again(decision.key, error)
            if found != stored:
                other = self._parsed(decision.sequence, found)
                raise ConflictError(
                    f"{other.actor} decided first: {other.action} {self.model}/{other.number} to "
                    f"{other.to}. Look at how {self.model!r} stands now, and ask again."
                ) from error
        self._kept.keep(decision.key, stored)
        self._made = decision
        return decision

    def carried_out(self) -> int:
        """Return the number of the newest decision known to be carried out, -1 if none is."""
        sequence, record = self._hinted()
        found = self._get(sequence) if sequence >= 0 else None
        return sequence if found is not None and str(found.record) == record else -1

    def carry_out(self, audit: Audit, apply: Callable[[Showing], None]) -> Decision | None:
        """Finish what was decided: note it in the audit log, then let the registry show it.

        Nothing is done where that was done.  May be repeated, by anybody at any time.

        Args:
            audit: The vault's audit log.
            apply: Makes the registry show it; has to take that it shows some or all of it already.

        Returns:
            The newest decision, now carried out; None if nothing was decided yet.

        Raises:
            CorruptionError: A decision, or the log's last entry, is damaged.
            StorageError: The store failed; trying again goes on from there.
        """
        done = self.carried_out()
        head = self._newest(done)
        while head is not None and head.sequence != done:
            pending = self._pending(done, head)
            self._note(audit, pending)
            apply(showing(pending))
            # Whoever slept before or in `apply` may have put an older state over a newer one.
            done, head = head.sequence, self._newest(head.sequence)
            if head is not None and head.sequence == done:
                self._hint(head)
        return head

    def _pending(self, done: int, head: Decision) -> list[Decision]:
        """What was not carried out, oldest first.

        Where no hint tells, that is *head*: whoever decided it had carried out all before it.
        """
        start = head.sequence if done < 0 else max(done + 1, head.sequence - _MOST_PENDING + 1)
        return [*self._read(range(start, head.sequence)), head]

    def _note(self, audit: Audit, pending: list[Decision]) -> None:
        noted: frozenset[str] = frozenset()
        if pending != [self._made]:  # somebody else may have noted it before they died
            noted = audit.noted({str(one.record) for one in pending})
        for one in pending:
            if str(one.record) not in noted:
                before, after = logged(one)
                subject = Subject("version", one.model, one.digest)
                audit.note(Action(one.action), subject, one.actor, before=before, after=after)

    def _newest(self, guess: int) -> Decision | None:
        if guess >= 0:
            self._get(guess)
        last = newest(lambda number: self._kept.has(decision_key(self.model, number)), guess)
        return None if last < 0 else self.get(last)

    def _read(self, sequences: range) -> Iterator[Decision]:
        keys = [decision_key(self.model, sequence) for sequence in sequences]
        found = self._kept.get_all(keys, LARGEST + 1)
        for sequence, stored in zip(sequences, found, strict=True):
            if stored is None:
                key = decision_key(self.model, sequence)
                raise CorruptionError(key, "this decision is missing")
            yield self._parsed(sequence, stored)

    def _get(self, sequence: int) -> Decision | None:
        stored = self._kept.get(decision_key(self.model, sequence), LARGEST + 1)
        return None if stored is None else self._parsed(sequence, stored)

    def _parsed(self, sequence: int, stored: bytes) -> Decision:
        key = decision_key(self.model, sequence)
        decision = Decision.from_bytes(stored, key)
        if decision.vault != self._identity.id:
            raise CorruptionError(key, f"it is from another vault, {decision.vault[:80]!r}")
        return decision

    def _again(self, key: str, error: VaultError) -> bytes:
        """What is at *key* after a create that failed; whether it was done is unknown."""
        try:
            return self._store.get(key, 0, LARGEST + 1)
        except NotFoundError:
            raise error from None

    def _hinted(self) -> tuple[int, str]:
        key = ledger_hint_key(self.model)
        try:
            body = unframe_json(Kind.HINT, self._store.get(key), key)
        except (CorruptionError, NotFoundError, UnsupportedError):
            return -1, ""  # a hint may be missing, wrong or forged
        sequence, record = body.get("sequence"), body.get("record")
        if type(sequence) is not int or not 0 <= sequence < _FARTHEST:
            return -1, ""
        return sequence, str(record)

    def _hint(self, head: Decision) -> None:
        body = {"sequence": head.sequence, "record": str(head.record)}
        try:
            self._store.put(ledger_hint_key(self.model), frame_json(Kind.HINT, body))
        except StorageError as error:
            _log.debug("no hint that decision %s was carried out: %s", head.sequence, error)
