"""Transitions: what one makes of who stands where, and what the registry and the log then say.

A version stands in one stage at a time, and a stage has one version: whoever moves leaves the stage
that it stood in, and whoever stood where it goes to is displaced.

Pure: decides only.  `govern.release.keeping.ledger` keeps what was decided.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format import log
from mlflow_vault.format.canonical import spell
from mlflow_vault.format.decision import ACTIONS, Stand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlflow_vault.format.decision import Decision
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.log import Action, Actor, LogEntry

STAGES: Final = ("staging", "production")  # aliases of MLflow's; archived is no alias
ARCHIVED: Final = "archived"
_ROOM: Final = 4096  # bytes of an entry of the log besides what a decision fills
_MOST: Final = 50  # policies that the audit log names; the decision has them all


@dataclass(frozen=True, slots=True)
class Transition:
    """What is to be decided.

    Attributes:
        action: ``promote``, ``archive`` or ``roll_back``.
        actor: Who asks for it.
        number: Of the version that moves.
        digest: Of the version that moves.
        to: The stage that it moves to.
        reason: Why, in words.
        verdicts: What each policy said (`decide.policy.Verdict.to_dict`).
        request: The random text by which whoever asked a server for it finds it again.
    """

    action: Action
    actor: Actor
    number: int
    digest: Digest
    to: str
    reason: str = ""
    verdicts: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    request: str = ""


@dataclass(frozen=True, slots=True)
class Showing:
    """What the registry is to show of a model.

    Attributes:
        aliases: The number of each stage's version; None where there is to be no such alias.
        stages: The stage that each version's tag names, by number; None for no such tag.
        digests: Of the versions that stand somewhere, by number.
    """

    aliases: dict[str, int | None]
    stages: dict[int, str | None]
    digests: dict[int, Digest] = field(default_factory=dict, compare=False)


class Decided:
    """Which decisions a reader of the audit log has met.

    Whoever finishes what another left may log a decision again; then nothing was done.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def is_new(self, entry: LogEntry) -> bool:
        """Whether *entry* is of a newer decision about its model than all before, or of none."""
        number = decision_of(entry)
        if number is None:
            return True
        name = entry.subject.name
        if number <= self._last.get(name, -1):
            return False
        self._last[name] = number
        return True


def decision_of(entry: LogEntry) -> int | None:
    """The number of the decision that an entry of the audit log is of; None if it is of none."""
    if entry.action not in ACTIONS or not isinstance(entry.after, dict):
        return None
    number = entry.after.get("decision")
    return number if type(number) is int and number >= 0 else None


def moved(
    before: Mapping[str, Stand], transition: Transition, time: int, sequence: int
) -> dict[str, Stand]:
    """Who stands where after *transition*.

    Args:
        before: Who stood there.
        transition: What was decided.
        time: When, in milliseconds since 1970.
        sequence: The number of the decision.
    """
    after = {stage: one for stage, one in before.items() if one.number != transition.number}
    if transition.to != ARCHIVED:
        after[transition.to] = Stand(transition.number, transition.digest, time, sequence)
    return after


def showing(decisions: Sequence[Decision]) -> Showing:
    """What the registry is to show once all *decisions* were carried out.

    Args:
        decisions: About one model, oldest first and without gaps.

    Returns:
        Every stage, and every version that one of *decisions* names.
    """
    stages: dict[int, str | None] = {}
    for decision in decisions:
        for stand in (*decision.before.values(), *decision.after.values()):
            stages.setdefault(stand.number, None)
        stages[decision.number] = ARCHIVED if decision.to == ARCHIVED else None
    last = decisions[-1].after
    stages |= {stand.number: stage for stage, stand in last.items()}
    numbers = {stage: stand.number for stage, stand in last.items()}
    digests = {stand.number: stand.digest for stand in last.values()}
    return Showing({stage: numbers.get(stage) for stage in (*STAGES, *numbers)}, stages, digests)


def logged(decision: Decision) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the audit log says of *decision*: the stages that changed, before and after.

    *after* also tells the ``version``'s number, ``to``, ``reason`` and ``policies``.
    """
    changed = {
        stage
        for stage in {*decision.before, *decision.after}
        if decision.before.get(stage) != decision.after.get(stage)
    }
    named = {"decision": decision.sequence, "record": str(decision.record)}
    before = {"aliases": _numbers(decision.before, changed), **named}
    after = {
        "aliases": _numbers(decision.after, changed),
        **named,
        "version": decision.number,
        "to": decision.to,
        "reason": decision.reason,
        "policies": [
            {key: one.get(key) for key in ("policy", "policy_digest", "mode", "state")}
            for one in decision.verdicts[:_MOST]
        ],
    }
    return before, after


def check_room(decision: Decision) -> None:
    """Refuse what would be decided and could never be logged.

    Raises:
        InvalidInputError: *decision* is too large for an entry of the audit log.
    """
    size = len(spell([decision.model, decision.actor.to_dict(), *logged(decision)]))
    if size + _ROOM > log.LARGEST:
        raise InvalidInputError(
            f"{decision!r} takes {size} bytes in the audit log, which is too much: say less"
        )


def _numbers(stands: Mapping[str, Stand], stages: set[str]) -> dict[str, int | None]:
    return {stage: stands[stage].number if stage in stands else None for stage in sorted(stages)}
