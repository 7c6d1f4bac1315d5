"""One round of automatic promotion: every candidate is judged, and what passes is moved.

    for each model that an automatic policy is for:
        plan candidates -> judge -> move what passes -> plan again, until nothing moves

Judging keeps nothing, so a candidate that does not pass may be looked at every minute for a year
and leaves no trace; what moves leaves the decision that any promotion leaves.  Rounds may run at
the same time: of two that move the same, the ledger lets one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

from mlflow_vault.decide.policy.verdict import State, joined
from mlflow_vault.errors import ConflictError, DeniedError, VaultError, WaitingError
from mlflow_vault.format.showing import html_table
from mlflow_vault.govern.triggers.choosing import Past, automatic, plan_candidates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlflow_vault.decide.policy.schema import Policy
    from mlflow_vault.decide.policy.verdict import Verdict
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.govern.host import Held
    from mlflow_vault.govern.triggers.choosing import Candidate

_PASSES: Final = 5  # to staging, to production, what was replaced to the archive, and one to spare

_log = logging.getLogger(__name__)


class Fate(Enum):
    """What became of a candidate."""

    MOVED = "moved"
    READY = "ready"  # it passes, and the policies that would move it only rehearse
    WAITING = "waiting"
    DENIED = "denied"
    OVERTAKEN = "overtaken"  # somebody else decided first; the next look tells
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Considered:
    """A candidate, and what became of it.

    Attributes:
        name: The registered model.
        number: Of the version; 0 where the model itself could not be looked at.
        to: The stage; empty where the model could not be looked at.
        why: What makes it a candidate.
        fate: What became of it.
        reasons: What stands against it, or what went wrong.
        verdicts: What each policy says.
    """

    name: str
    number: int
    to: str
    why: str
    fate: Fate
    reasons: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = field(default=(), repr=False)

    @property
    def label(self) -> str:
        """What people call the version, or the model."""
        return f"{self.name}/{self.number}" if self.number else self.name

    def __str__(self) -> str:
        what = f"{self.label} to {self.to}" if self.to else self.label
        head = f"{what}: {self.fate.value}" + (f" ({self.why})" if self.why else "")
        return "\n".join([head, *(f"    {_line(reason)}" for reason in self.reasons)])

    def to_dict(self) -> dict[str, Any]:
        """This as plain values."""
        return {
            "name": self.name,
            "number": self.number,
            "to": self.to,
            "why": self.why,
            "fate": self.fate.value,
            "reasons": list(self.reasons),
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
        }


@dataclass(frozen=True, slots=True)
class Round:
    """All candidates that there were, and what became of each."""

    candidates: tuple[Considered, ...]

    @property
    def moved(self) -> tuple[Considered, ...]:
        """What was moved."""
        return self._of(Fate.MOVED)

    @property
    def failed(self) -> tuple[Considered, ...]:
        """What could not be looked at, or moved, for reasons that no policy has."""
        return self._of(Fate.FAILED)

    def __str__(self) -> str:
        told = [str(one) for one in self.candidates]
        return "\n".join([*told, self._counts()])

    def _repr_html_(self) -> str:
        rows = [
            (one.label, one.to, one.fate.value, one.why, "; ".join(one.reasons))
            for one in self.candidates
        ]
        return html_table(self._counts(), rows, ("version", "to", "", "why", "because"))

    def to_dict(self) -> dict[str, Any]:
        """This as plain values."""
        return {
            "candidates": [one.to_dict() for one in self.candidates],
            **{fate.value: len(self._of(fate)) for fate in Fate},
        }

    def _of(self, fate: Fate) -> tuple[Considered, ...]:
        return tuple(one for one in self.candidates if one.fate is fate)

    def _counts(self) -> str:
        counts = [f"{len(found)} {fate.value}" for fate in Fate if (found := self._of(fate))]
        return ", ".join(counts) or "no candidates"


class Desk(Protocol):
    """What a round asks of a vault."""

    def policies(self) -> Sequence[Policy]:
        """All policies in force."""

    def registered(self, name: str) -> Iterable[Held]:
        """What the registry has: of one model, or of all if *name* is empty."""

    def history(self, name: str) -> Iterable[Decision]:
        """What was decided about a model, newest first."""

    def judge(self, candidate: Candidate, *, thorough: bool) -> tuple[Verdict, ...]:
        """What every policy in force says of the move; keeps nothing.

        Args:
            candidate: What would move.
            thorough: Whether its bytes are read and custom checks asked, if policies want that.
        """

    def move(self, candidate: Candidate, reason: str) -> int:
        """Move it, if the policies still say so; return the number of that decision.

        Raises:
            DeniedError: They do not.
            ConflictError: Somebody else decided something that the candidate's plan knew not of.
        """


def promote_candidates(desk: Desk, name: str = "") -> Round:
    """Move every candidate that passes, and say what became of each.

    Args:
        desk: Whose.
        name: Only of this registered model.
    """
    policies = desk.policies()
    if not any(policy.transition.automatic for policy in policies):
        return Round(())
    models: dict[str, list[Held]] = {}
    for held in desk.registered(name):
        models.setdefault(held.name, []).append(held)
    considered: list[Considered] = []
    for model, held_ in sorted(models.items()):
        if asking := automatic(policies, model):
            considered += _look(desk, model, held_, asking)
    for one in considered:
        level = logging.WARNING if one.fate is Fate.FAILED else logging.DEBUG
        _log.log(logging.INFO if one.fate is Fate.MOVED else level, "%s", one)
    return Round(tuple(considered))


def _look(
    desk: Desk, name: str, held: list[Held], asking: Mapping[str, tuple[Policy, ...]]
) -> list[Considered]:
    """Look at one model until nothing moves; whatever goes wrong stays with it."""
    told: dict[tuple[int, str], Considered] = {}
    try:
        for _ in range(_PASSES):
            seen = _pass(
                desk, plan_candidates(name, held, Past.of(desk.history(name)), asking), asking
            )
            told |= {(one.number, one.to): one for one in seen}
            if not any(one.fate in {Fate.MOVED, Fate.OVERTAKEN} for one in seen):
                break
            held = list(desk.registered(name))
    except Exception as error:  # noqa: BLE001 - other models have a right to be looked at
        told[0, ""] = Considered(name, 0, "", "", Fate.FAILED, (_said(error),))
    return list(told.values())


def _pass(
    desk: Desk, candidates: list[Candidate], asking: Mapping[str, tuple[Policy, ...]]
) -> list[Considered]:
    """Consider *candidates* in order; of those to one stage the first that passes ends it.

    Moves of our own do not spoil the plan, as no version is in it twice; those of others do.
    """
    seen: list[Considered] = []
    settled: set[str] = set()
    newest = None
    for planned in candidates:
        if planned.to in settled:
            continue
        candidate = planned if newest is None else replace(planned, seen=newest)
        one, newest = _consider(desk, candidate, asking[candidate.to])
        seen.append(one)
        if one.fate is Fate.OVERTAKEN:
            break
        if candidate.to != "archived" and one.fate in {Fate.MOVED, Fate.READY}:
            settled.add(candidate.to)
    return seen


def _consider(
    desk: Desk, candidate: Candidate, asking: tuple[Policy, ...]
) -> tuple[Considered, int]:
    """Judge, and move what passes; also return the number of the newest decision after that."""
    verdicts: tuple[Verdict, ...] = ()
    newest = candidate.seen
    try:
        # Most do not pass, and again and again: of those no byte is read.
        for thorough in (False, True):
            verdicts = desk.judge(candidate, thorough=thorough)
            fate = _fate(verdicts, asking)
            if fate not in {Fate.MOVED, Fate.READY}:
                break
        reasons = tuple(reason for one in verdicts for reason in one.reasons)
        if fate is Fate.MOVED:
            newest = desk.move(candidate, f"automatic, {candidate.why}: {_names(asking)}")
    except WaitingError as error:
        fate, reasons = Fate.WAITING, (_said(error),)
    except DeniedError as error:
        fate, reasons = Fate.DENIED, (_said(error),)
    except ConflictError as error:
        fate, reasons = Fate.OVERTAKEN, (_said(error),)
    except Exception as error:  # noqa: BLE001 - other candidates have a right to be looked at
        fate, reasons = Fate.FAILED, (_said(error),)
    at = (candidate.name, candidate.number, candidate.to, candidate.why)
    return Considered(*at, fate, reasons, verdicts), newest


def _fate(verdicts: tuple[Verdict, ...], asking: tuple[Policy, ...]) -> Fate:
    """What the policies say: all that block pass, and so do those that move by themselves.

    One that only warns blocks nobody, but nothing moves by it that it warns of; one that only
    rehearses moves nothing.
    """
    names = {policy.name for policy in asking}
    by_itself = [one for one in verdicts if one.policy in names]
    moving = [one for one in by_itself if one.mode != "dry_run"]
    state = joined(one.state for one in verdicts if one.blocks or one in moving)
    if state is State.PASSED and not moving:
        state = joined(one.state for one in by_itself) if by_itself else State.DENIED
        return Fate.READY if state is State.PASSED else Fate(state.value)
    return Fate.MOVED if state is State.PASSED else Fate(state.value)


def _names(policies: tuple[Policy, ...]) -> str:
    return ", ".join(policy.name for policy in policies)


def _said(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, VaultError) else f"{type(error).__name__}: {said}"


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
