"""How a registered model stands: who is where, what waits for whom, and where MLflow differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.policy.durations import moment
from mlflow_vault.decide.policy.verdict import State
from mlflow_vault.decide.transitions import STAGES
from mlflow_vault.errors import NotFoundError
from mlflow_vault.format.showing import html_table
from mlflow_vault.govern.policies.judging import assume
from mlflow_vault.govern.release.context import Wish, is_of, numbered, questions
from mlflow_vault.govern.release.telling.promotion import Promotion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.decision import Decision, Stand
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.release.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Standing:
    """Who stands in a stage.

    Attributes:
        stage: The stage.
        stand: The version, and since when.
        decision: What put it there.
    """

    stage: str
    stand: Stand
    decision: Decision


@dataclass(frozen=True, slots=True)
class Status:
    """How a registered model stands.

    Attributes:
        model: Its name.
        standing: Who stands where.
        candidates: What may move next, and what the policies in force say of it.  Nobody read its
            bytes or asked custom checks for this: those are taken to be fine.
        drift: Where MLflow shows something else than was decided.
        policies: The names of the policies in force for it.
    """

    model: str
    standing: tuple[Standing, ...]
    candidates: tuple[Promotion, ...]
    drift: tuple[str, ...]
    policies: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """This as plain values that JSON has."""
        return {
            "model": self.model,
            "standing": {
                one.stage: {**one.stand.to_dict(), "decided": one.decision.to_dict()}
                for one in self.standing
            },
            "candidates": [one.to_dict() for one in self.candidates],
            "drift": list(self.drift),
            "policies": list(self.policies),
        }

    def _lines(self) -> Iterator[str]:
        yield f"{self.model}, by {', '.join(self.policies) or 'no policy in force'}"
        for one in self.standing:
            by = f"decision {one.decision.sequence} ({one.decision.action}) by {one.decision.actor}"
            since = moment(one.stand.since)
            yield f"  {one.stage:<12}{self.model}/{one.stand.number} since {since}, {by}"
        empty = [stage for stage in STAGES if stage not in {one.stage for one in self.standing}]
        for stage in empty:
            yield f"  {stage:<12}nobody"
        for found in self.candidates:
            yield f"  {found.label} to {found.to}: {found.state.value}"
            for reason in found.reasons:
                yield f"    {reason}"
            for lacking in _lacking(found):
                yield f"    waits for {lacking}"
        for said in self.drift:
            yield f"  drift: {said}"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        told = ", ".join(f"{one.stage}={one.stand.number}" for one in self.standing)
        return f"Status({self.model!r}, {told or 'nobody stands anywhere'})"

    def _repr_html_(self) -> str:
        rows = [
            (one.stage, f"{self.model}/{one.stand.number}", f"since {moment(one.stand.since)}")
            for one in self.standing
        ]
        rows += [
            (f"to {one.to}", one.label, "; ".join([one.state.value, *one.reasons]))
            for one in self.candidates
        ]
        rows += [("drift", "", said) for said in self.drift]
        return html_table(self.model, rows, ("stage", "version", ""))


def _lacking(found: Promotion) -> list[str]:
    """What people or time can still add."""
    return [
        f"{what} ({verdict.policy})"
        for verdict in found.verdicts
        if verdict.waiting
        for result in verdict.results
        if result.state is State.WAITING
        for what in result.missing
    ]


def status(around: Surroundings, name: str, requester: str) -> Status:
    """Say how the registered model *name* stands; what was decided is carried out first.

    Raises:
        NotFoundError: Neither MLflow nor the vault knows it.
    """
    ledger = around.ledger(name)
    head = around.carry_out(ledger)
    stands = dict(head.after) if head is not None else {}
    newest = _newest(around, name)
    if head is None and newest is None:
        raise NotFoundError(f"the vault has no version of {name!r}, and nothing was decided of it")
    policies = around.policies.policies_for(name)
    return Status(
        model=name,
        standing=tuple(
            Standing(stage, stands[stage], ledger.get(stands[stage].decision))
            for stage in sorted(stands)
        ),
        candidates=tuple(_candidates(around, name, newest, head, requester)),
        drift=tuple(_drift(around, name, stands)) if head is not None else (),
        policies=tuple(policy.name for policy in policies),
    )


def _newest(around: Surroundings, name: str) -> Version | None:
    numbers = around.vault.numbers(name)
    if not numbers:
        return None
    return around.vault.version(f"models:/{name}/{numbers[-1]}")


def _candidates(
    around: Surroundings, name: str, newest: Version | None, head: Decision | None, requester: str
) -> Iterator[Promotion]:
    """Yield what stands in staging, and what came last if it stands nowhere."""
    stands = dict(head.after) if head is not None else {}
    wanted: list[tuple[Version, str]] = []
    if "staging" in stands:
        wanted.append((numbered(around, name, stands["staging"]), "production"))
    if newest is not None and not any(is_of(one, newest) for one in stands.values()):
        wanted += [(newest, stage) for stage in STAGES]
    for version, stage in wanted:
        policies = around.policies.policies_for(name, stage, "promotion")
        asked = questions(around, Wish(version, stage, "promotion", requester), policies, head)
        said = tuple(map(assume, asked))
        if said and not _is_elsewhere(said):
            yield Promotion(name, version.number, version.digest, stage, said)


def _is_elsewhere(said: tuple[Any, ...]) -> bool:
    """Whether it does not even stand where a policy wants a candidate to come from."""
    return any(
        result.rule == "transition" and result.state is State.DENIED
        for verdict in said
        for result in verdict.results
    )


def _drift(around: Surroundings, name: str, stands: dict[str, Stand]) -> Iterator[str]:
    """Yield where MLflow's aliases are not what was decided."""
    shown = around.host().aliases(name)
    for stage in STAGES:
        decided = stands[stage].number if stage in stands else None
        if shown.get(stage) != decided:
            yield (
                f"MLflow shows {_who(name, shown.get(stage))} in {stage}, decided is "
                f"{_who(name, decided)}: somebody went around the vault, or the version is gone"
            )


def _who(name: str, number: int | None) -> str:
    return "nobody" if number is None else f"{name}/{number}"
