"""The case that rules judge: the policy, the versions, and what is known around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.durations import rough

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.decide.policy.evidence import Context, Evidence, Subject
    from mlflow_vault.decide.policy.schema import Policy

SKEW: Final = 60_000  # milliseconds that clocks of several machines may differ


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged.

    Attributes:
        policy: By which policy.
        digest: The policy's.
        candidate: Which version.
        baseline: What it is compared with, None if there is nothing.
        context: What is known beyond.
    """

    policy: Policy
    digest: str
    candidate: Subject
    baseline: Subject | None
    context: Context

    @property
    def excused(self) -> bool:
        """Whether there is nothing to compare with, and the policy says that this is no harm."""
        return self.baseline is None and self.policy.without_baseline == "skip"

    def ahead(self, time: int) -> str:
        """Say how far *time* is in the future; empty if it is not."""
        gap = time - self.context.now
        return f"{rough(gap)} in the future: check the clocks" if gap > SKEW else ""

    def age(self, time: int) -> int:
        """Milliseconds since *time*, which is not in the future."""
        return max(0, self.context.now - time)

    def latest(self, name: str, kind: str | None = None) -> tuple[Evidence | None, list[str]]:
        """Return the evidence that counts, and why other evidence of that name does not.

        The latest about the candidate counts; of two at the same time the worse one.
        """
        ignored, found = [], []
        for piece in self.context.evidence:
            if piece.name != name or kind not in (None, piece.type):
                continue
            if piece.digest != self.candidate.digest:
                ignored.append("one is about another version")
            elif ahead := self.ahead(piece.time):
                ignored.append(f"one is {ahead}")
            else:
                found.append(piece)
        # What is left of a tie is settled by what they say, never by the order they came in.
        found.sort(key=lambda one: (one.time, one.passed is not True, repr(one)))
        return (found[-1] if found else None), sorted(set(ignored))

    def production(self) -> Mapping[str, Any] | None:
        """What production has: as measured, as the policy says, or as the baseline was made."""
        if self.context.environment is not None:
            return self.context.environment
        asked = self.policy.environment
        if asked is not None and asked.production is not None:
            return asked.production
        return environment(self.baseline) if self.baseline is not None else None


def environment(subject: Subject) -> Mapping[str, Any] | None:
    """Return what *subject* was made with, None if that is not known."""
    found = subject.facts.get("environment")
    return found if isinstance(found, dict) and found else None
