"""What came of a promotion, and what is said where nothing came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.verdict import State, joined
from mlflow_vault.errors import DeniedError, WaitingError
from mlflow_vault.format.showing import html_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.decide.policy.verdict import Verdict
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.format.digest import Digest

_SHOWN: Final = 10  # reasons in a message; the verdicts have them all


@dataclass(frozen=True, slots=True)
class Promotion:
    """A version that moved, or what policies say of moving it.

    Attributes:
        model: The registered model.
        number: The model version's.
        digest: Of the version.
        to: The stage.
        verdicts: What each policy said.
        decision: What was decided; None if nothing was.
    """

    model: str
    number: int
    digest: Digest
    to: str
    verdicts: tuple[Verdict, ...] = ()
    decision: Decision | None = None

    @property
    def label(self) -> str:
        """What people call the version."""
        return f"{self.model}/{self.number}"

    @property
    def state(self) -> State:
        """What the policies that are enforced say together."""
        return joined(one.state for one in self.verdicts if one.mode == "enforce")

    @property
    def passed(self) -> bool:
        """Whether no policy that is enforced stands against it."""
        return self.state is State.PASSED

    @property
    def reasons(self) -> tuple[str, ...]:
        """What stands against it, each with the policy and the rule."""
        return tuple(reason for one in self.verdicts if one.blocks for reason in one.reasons)

    def to_dict(self) -> dict[str, Any]:
        """This as plain values that JSON has."""
        return {
            "model": self.model,
            "number": self.number,
            "digest": str(self.digest),
            "to": self.to,
            "state": self.state.value,
            "verdicts": [one.to_dict() for one in self.verdicts],
            "decision": self.decision.to_dict() if self.decision is not None else None,
        }

    def __repr__(self) -> str:
        how = "moved" if self.decision is not None else self.state.value
        return f"Promotion({self.label!r}, {self.to!r}, {how})"

    def __str__(self) -> str:
        told = [str(self.decision)] if self.decision is not None else []
        return "\n\n".join([*told, *map(str, self.verdicts)] or [repr(self)])

    def _repr_html_(self) -> str:
        rows = [(one.state.value, one.policy, "; ".join(one.reasons)) for one in self.verdicts]
        how = "moved" if self.decision is not None else self.state.value
        return html_table(f"{self.label} to {self.to}: {how}", rows, ("", "policy", "because"))


def refusal(label: str, what: str, verdicts: Sequence[Verdict]) -> DeniedError:
    """Return the error that says why a version does not move.

    Args:
        label: What people call the version.
        what: What was wanted of it.
        verdicts: What each policy said; at least one blocks.
    """
    blocking = [one for one in verdicts if one.blocks]
    waits = joined(one.state for one in blocking) is State.WAITING
    reasons = [reason for one in blocking for reason in one.reasons]
    told = "; ".join(reasons[:_SHOWN])
    if len(reasons) > _SHOWN:
        told += f"; and {len(reasons) - _SHOWN} more"
    if waits:
        return WaitingError(f"{label} waits to be {what}: {told}", tuple(verdicts))
    return DeniedError(f"{label} is not {what}: {told}", tuple(verdicts))
