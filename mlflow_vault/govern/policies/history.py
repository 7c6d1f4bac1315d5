"""What a policy would have said of past promotions: backtesting, before anybody depends on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.policy import judge
from mlflow_vault.format.showing import html_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.decide.policy import Context, Policy, Subject, Verdict


@dataclass(frozen=True, slots=True)
class Past:
    """A decision of the past, as it was asked for.

    Attributes:
        candidate: What was to be moved.
        baseline: What it was compared with.
        context: What was known then.
        policy: The digest of the policy that decided.
        allowed: What was decided.
    """

    candidate: Subject
    baseline: Subject | None
    context: Context
    policy: str = ""
    allowed: bool = True


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a policy says of each past decision."""

    rows: tuple[tuple[Past, Verdict], ...]

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """What was allowed and would not have passed."""
        return tuple(said for past, said in self.rows if past.allowed and not said.passed)

    @property
    def allowed(self) -> tuple[Verdict, ...]:
        """What was refused and would have passed."""
        return tuple(said for past, said in self.rows if not past.allowed and said.passed)

    def __repr__(self) -> str:
        return (
            f"Backtest({len(self.rows)} decisions, {len(self.refused)} would have been refused, "
            f"{len(self.allowed)} allowed)"
        )

    def __str__(self) -> str:
        changed = [*self.refused, *self.allowed]
        return "\n\n".join([repr(self), *map(str, changed)])

    def _repr_html_(self) -> str:
        rows = [
            (said.candidate, "allowed" if past.allowed else "refused", said.state.value)
            for past, said in self.rows
        ]
        return html_table(repr(self), rows, ("version", "was", "would be"))

    def to_dict(self) -> dict[str, Any]:
        """This as plain values."""
        return {
            "decisions": [
                {"allowed": past.allowed, "verdict": said.to_dict()} for past, said in self.rows
            ],
            "refused": len(self.refused),
            "allowed": len(self.allowed),
        }


def backtest(policy: Policy, history: Iterable[Past]) -> Backtest:
    """Judge past decisions by *policy*.

    What people approved under the policy of then counts as approved under this one, and answers of
    custom checks are those of then: a check that was not asked then denies.
    """
    digest = str(policy.digest)
    rows = []
    for past in history:
        approvals = tuple(
            replace(one, policy=digest) if one.policy == past.policy and past.policy else one
            for one in past.context.approvals
        )
        context = replace(past.context, approvals=approvals)
        rows.append((past, judge(policy, past.candidate, past.baseline, context)))
    return Backtest(tuple(rows))
