"""What looks odd in the audit log: rules over its entries.

Nothing here is proof of anything.  A rule says that somebody should look, and at which entries.
The log is read once, in order; what rules remember is what happened within their windows, and who
has been seen.

Pure: decides only.  `govern.audit.log` reads the entries.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.actors import same
from mlflow_vault.decide.transitions import Decided
from mlflow_vault.format.log import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.log import Actor, LogEntry

REFUSALS: Final = frozenset(
    {Action.DENY, Action.REJECT, Action.DELETE_REFUSED, Action.WRITE_REFUSED, Action.LOGIN_FAILED}
)
DELETIONS: Final = frozenset({Action.DELETE, Action.DELETE_REFUSED, Action.ARCHIVE})
# What people decide.  Training commits at any hour.
DECISIONS: Final = frozenset(
    {Action.PROMOTE, Action.APPROVE, Action.REJECT, Action.ROLL_BACK, Action.ALIAS}
) | {Action.ARCHIVE, Action.DELETE, Action.POLICY, Action.ROLE}
_SATURDAY: Final = 5
_SECOND: Final = 1000
_MOVES: Final = 100  # of one alias that are remembered


@dataclass(frozen=True, slots=True)
class Limits:
    """What is odd; the defaults are for a team in one time zone.

    Attributes:
        settled: Entries after which whoever is new is told of.
        hours: When people decide, from and up to; those of `zone`.
        weekends: Whether they do on weekends.
        zone: Hours ahead of UTC.
        window: Seconds in which bursts are counted.
        refusals: That many of one actor within the window.
        deletions: That many of one actor within the window.
        flaps: An alias goes back that often within `flap_window`.
        flap_window: Seconds.
        unsigned: Entries that may be without a checkpoint.
        unsigned_age: Seconds that the first of them may be.
        clock: Seconds that an entry may be older than the one before it.
    """

    settled: int = 20
    hours: tuple[float, float] = (6, 22)
    weekends: bool = False
    zone: float = 0
    window: float = 600
    refusals: int = 5
    deletions: int = 10
    flaps: int = 2
    flap_window: float = 86_400
    unsigned: int = 1000
    unsigned_age: float = 7 * 86_400
    clock: float = 300


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something to look at.

    Attributes:
        rule: Which rule: ``new_actor``, ``off_hours``, ``refusals``, ``deletions``, ``flapping``,
            ``self_approval``, ``evidence``, ``clock``, ``checkpoint`` or ``drift``.
        sequences: The entries that it is about.
        reason: What is odd.
    """

    rule: str
    sequences: tuple[int, ...]
    reason: str

    def __str__(self) -> str:
        where = ", ".join(map(str, self.sequences[:5])) + (", ..." if self.sequences[5:] else "")
        return f"{self.rule}: {self.reason} (entries {where})"

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {"rule": self.rule, "sequences": list(self.sequences), "reason": self.reason}


def anomalies(
    entries: Iterable[LogEntry], now: float, limits: Limits | None = None
) -> Iterator[Anomaly]:
    """Yield what looks odd, in the order in which it came up.

    Args:
        entries: The log from its beginning.
        now: Seconds since 1970; for what should have happened since the last entry.
        limits: What is odd.
    """
    limits = limits or Limits()
    newcomers, clock, unsigned = _Newcomers(limits), _Clock(limits), _Unsigned(limits)
    rules: tuple[Callable[[LogEntry], Iterator[Anomaly]], ...] = (
        clock.look,
        newcomers.look,
        lambda entry: _off_hours(entry, limits),
        _Bursts("refusals", REFUSALS, limits.refusals, limits.window).look,
        _Bursts("deletions", DELETIONS, limits.deletions, limits.window).look,
        _Flapping(limits).look,
        _SelfApproval().look,
        _unproven,
        unsigned.look,
    )
    decided = Decided()
    for entry in entries:
        is_new = decided.is_new(entry)
        for look in rules if is_new else rules[:1]:  # logged again, so nothing was done
            yield from look(entry)
        if not is_new:
            yield from unsigned.look(entry)
    yield from unsigned.end(now)


class _Newcomers:
    """Somebody does what they never did before: anything."""

    def __init__(self, limits: Limits) -> None:
        self._settled = limits.settled
        self._seen: set[Actor] = set()

    def look(self, entry: LogEntry) -> Iterator[Anomaly]:
        if entry.actor in self._seen:
            return
        self._seen.add(entry.actor)
        if entry.sequence >= self._settled:
            reason = f"{entry.actor} was never seen before this {entry.action}"
            yield Anomaly("new_actor", (entry.sequence,), reason)


class _Clock:
    """The clock of whoever wrote an entry was far behind that of the one before."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.clock * _SECOND
        self._before: LogEntry | None = None

    def look(self, entry: LogEntry) -> Iterator[Anomaly]:
        before, self._before = self._before, entry
        if before is not None and before.time - entry.time > self._most:
            late = (before.time - entry.time) // _SECOND
            reason = f"by its clock it is {late} s older than the entry before it"
            yield Anomaly("clock", (before.sequence, entry.sequence), reason)


def _off_hours(entry: LogEntry, limits: Limits) -> Iterator[Anomaly]:
    if entry.action not in DECISIONS:
        return
    moment = datetime.fromtimestamp(entry.time / _SECOND, UTC) + timedelta(hours=limits.zone)
    hour = moment.hour + moment.minute / 60
    weekend = moment.weekday() >= _SATURDAY and not limits.weekends
    if weekend or not limits.hours[0] <= hour < limits.hours[1]:
        when = f"{moment:%A %H:%M}"
        yield Anomaly("off_hours", (entry.sequence,), f"{entry.action} by {entry.actor} on {when}")


class _Bursts:
    """One actor does much of a kind in a short time; told once for each burst."""

    def __init__(self, rule: str, actions: frozenset[Action], most: int, window: float) -> None:
        self._rule, self._actions, self._most = rule, actions, most
        self._window = window * _SECOND
        self._recent: dict[Actor, deque[tuple[int, int]]] = {}

    def look(self, entry: LogEntry) -> Iterator[Anomaly]:
        if entry.action not in self._actions:
            return
        recent = self._recent.setdefault(entry.actor, deque())
        recent.append((entry.time, entry.sequence))
        while recent and entry.time - recent[0][0] > self._window:
            recent.popleft()
        if len(recent) >= self._most:
            reason = f"{len(recent)} by {entry.actor} in {self._window // _SECOND:.0f} s"
            yield Anomaly(self._rule, tuple(sequence for _, sequence in recent), reason)
            recent.clear()


class _Flapping:
    """An alias goes back to what it was, again and again."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.flaps
        self._window = limits.flap_window * _SECOND
        self._moves: dict[tuple[str, str], deque[tuple[int, int, str]]] = {}

    def look(self, entry: LogEntry) -> Iterator[Anomaly]:
        aliases = entry.after.get("aliases") if isinstance(entry.after, dict) else None
        if not isinstance(aliases, dict):
            return
        for alias, number in aliases.items():
            key = (entry.subject.name, alias)
            moves = self._moves.setdefault(key, deque(maxlen=_MOVES))
            moves.append((entry.time, entry.sequence, repr(number)))
            while moves and entry.time - moves[0][0] > self._window:
                moves.popleft()
            went = [number for _, _, number in moves]
            back = sum(
                one != went[index - 1] and one in went[: index - 1]
                for index, one in enumerate(went)
                if index
            )
            if back >= self._most:
                reason = f"{alias!r} of {entry.subject.name!r} went back {back} times"
                yield Anomaly("flapping", tuple(sequence for _, sequence, _ in moves), reason)
                moves.clear()


class _SelfApproval:
    """Somebody approves what they made, or moves what nobody but they approved."""

    def __init__(self) -> None:
        self._authors: dict[Digest, set[str]] = {}
        self._approvers: dict[Digest, dict[str, int]] = {}

    def look(self, entry: LogEntry) -> Iterator[Anomaly]:
        digest, name = entry.subject.digest, same(entry.actor.name)
        if digest is None:
            return
        if entry.action in {Action.COMMIT, Action.SYNC}:
            self._authors.setdefault(digest, set()).add(name)
        elif entry.action == Action.APPROVE:
            self._approvers.setdefault(digest, {})[name] = entry.sequence
            if name and name in self._authors.get(digest, ()):
                reason = f"{entry.actor} approved {entry.subject.name!r}, which they committed"
                yield Anomaly("self_approval", (entry.sequence,), reason)
        elif entry.action == Action.PROMOTE:
            approved = self._approvers.pop(digest, {})
            if name and list(approved) == [name]:
                where = (approved[name], entry.sequence)
                reason = f"nobody approved {entry.subject.name!r} but {entry.actor}, who moved it"
                yield Anomaly("self_approval", where, reason)


def _unproven(entry: LogEntry) -> Iterator[Anomaly]:
    """A version was promoted and no policy passed: nothing shows that it should be there."""
    if entry.action != Action.PROMOTE or not isinstance(entry.after, dict):
        return
    policies = entry.after.get("policies")
    if not isinstance(policies, list):
        return
    states = [one.get("state") for one in policies if isinstance(one, dict)]
    if "passed" not in states:
        why = (
            f"its policies said {', '.join(map(str, states))}" if states else "no policy judged it"
        )
        reason = f"{entry.subject.name!r} was promoted by {entry.actor} without evidence: {why}"
        yield Anomaly("evidence", (entry.sequence,), reason)


class _Unsigned:
    """What was done since the last checkpoint is long, or long ago: nobody vouches for it."""

    def __init__(self, limits: Limits) -> None:
        self._most, self._age = limits.unsigned, limits.unsigned_age
        self._first: LogEntry | None = None
        self._last = -1

    def look(self, entry: LogEntry) -> Iterator[Anomaly]:
        if entry.action == Action.CHECKPOINT:
            self._first = None
        elif self._first is None:
            self._first = entry
        self._last = entry.sequence
        yield from ()

    def end(self, now: float) -> Iterator[Anomaly]:
        if self._first is None:
            return
        first, count = self._first, self._last - self._first.sequence + 1
        age = now - first.time / _SECOND
        if count > self._most or age > self._age:
            reason = f"no checkpoint since entry {first.sequence}: {count} entries, {age:.0f} s"
            yield Anomaly("checkpoint", (first.sequence, self._last), reason)
