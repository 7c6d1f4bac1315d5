"""What a round asks of a vault: policies in force, the registry, the ledger, and the verbs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow_vault.decide.policy.roles import Right
from mlflow_vault.decide.transitions import ARCHIVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.decide.policy.verdict import Verdict
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.govern.host import Held, Host
    from mlflow_vault.govern.policies.force import Force
    from mlflow_vault.govern.release.caller import Caller
    from mlflow_vault.govern.release.releases import Releases
    from mlflow_vault.govern.triggers.choosing import Candidate


@dataclass(frozen=True, slots=True)
class VaultDesk:
    """A vault, as a round sees it.

    Attributes:
        releases: Who stands where, and how that changes.
        force: What is in force.
        host: MLflow.
        caller: Who moves candidates, as this process knows them.
        given: The same where a server authenticated them; None for who runs this process.
    """

    releases: Releases
    force: Force
    host: Callable[[], Host]
    caller: Caller
    given: Caller | None = None

    def policies(self) -> Sequence[Policy]:
        """All policies in force."""
        return self.force.policies()

    def registered(self, name: str) -> Iterable[Held]:
        """What the registry has: of one model, or of all if *name* is empty."""
        return self.host().registered(name)

    def history(self, name: str) -> Iterable[Decision]:
        """What was decided about a model, newest first."""
        return self.releases.decisions(name)

    def judge(self, candidate: Candidate, *, thorough: bool) -> tuple[Verdict, ...]:
        """What every policy in force says of the move; keeps nothing."""
        found = self.releases.judge(
            f"models:/{candidate.label}", to=candidate.to, caller=self.given, thorough=thorough
        )
        return found.verdicts

    def move(self, candidate: Candidate, reason: str) -> int:
        """Move it, if the policies still say so; return the number of that decision.

        Raises:
            DeniedError: They do not; or the caller may not, which is not logged at each round.
            ConflictError: Somebody else decided something first.
        """
        if self.given is not None or not self.host().governs(candidate.name):
            self.caller.need(Right.RELEASE, f"moving {candidate.label} to {candidate.to}")
        reference, seen = f"models:/{candidate.label}", candidate.seen
        if candidate.to == ARCHIVED:
            made = self.releases.archive(reference, reason=reason, caller=self.given, seen=seen)
        else:
            made = self.releases.promote(
                reference, to=candidate.to, reason=reason, caller=self.given, seen=seen
            )
        return made.decision.sequence if made.decision is not None else seen
