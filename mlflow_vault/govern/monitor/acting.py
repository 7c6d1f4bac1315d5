"""What is done after a look: the counts are kept, a failing version goes, people are told.

In this order, each whether or not the one before it worked: nothing keeps a bad version in
production because a statement, or an alert, could not be written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlflow_vault.decide.policy.health.judge import Condition
from mlflow_vault.decide.policy.health.tally import reached
from mlflow_vault.errors import VaultError
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.format.statement import Kind, Statement
from mlflow_vault.govern.committing import user
from mlflow_vault.govern.monitor.alerts.alert import Alert
from mlflow_vault.govern.monitor.restoring import OURS, Deed, do
from mlflow_vault.govern.monitor.tallies import Memory, body_of, recall

if TYPE_CHECKING:
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.govern.monitor.alerts.delivery import Alerts
    from mlflow_vault.govern.monitor.report import Looked
    from mlflow_vault.govern.monitor.taken import Look
    from mlflow_vault.govern.release.releases import Releases


class Acting:
    """Does what policies say.

    Args:
        releases: Rolls back; and knows the vault, and the clock.
        alerts: Reaches people.
    """

    def __init__(self, releases: Releases, alerts: Alerts) -> None:
        self._around = releases.around
        self._releases = releases
        self._alerts = alerts

    def act(self, look: Look) -> Looked:
        """Do what the policy says after *look*; what goes wrong is in what is returned."""
        found, problems = look.found(), list[str]()
        held = look.seen.held
        said = self._around.statements.of(held.name, look.seen.stand.digest)
        before = recall(said, look.policy, look.seen)
        memory = before.after(look.observations, look.health)
        limit = reached(memory.tallies.values(), look.health)
        if limit is None:
            memory = replace(memory, alerts={}, refused=0)
        if look.policy.mode == "dry_run":
            return replace(found, outcome="dry_run: nothing is counted, and nothing is done")
        memory = self._keep(look, before, memory, problems)
        deed = do(self._releases, look, limit, memory.refused)
        if deed.event not in {"", "lost"}:
            told = self._tell(look, deed, memory, problems)
            self._keep(look, memory, told, problems)
        if limit is Condition.FAILING:
            found = replace(found, condition=limit)
        found = replace(found, event=deed.event, outcome=deed.outcome)
        return replace(found, problems=tuple(problems))

    def catch_up(self, look: Look, restored: Decision) -> Looked | None:
        """Alert whom a rollback of ours did not reach: whoever made it died, or they were away.

        Args:
            look: At the version that was rolled back from; nothing is observed any more.
            restored: The rollback.

        Returns:
            Who still is not reached; None if all are.
        """
        if not restored.request.startswith(OURS) or look.policy.mode != "enforce":
            return None
        held = look.seen.held
        said = self._around.statements.of(held.name, look.seen.stand.digest)
        memory = recall(said, look.policy, look.seen)
        if reached(memory.tallies.values(), look.health) is not Condition.FAILING:
            return None
        problems = list[str]()
        outcome = f"rolled back to {restored.model}/{restored.number}: {restored.reason}"
        told = self._tell(look, Deed("rolled_back", outcome), memory, problems)
        self._keep(look, memory, told, problems)
        found = replace(look.found(), condition=Condition.FAILING, outcome=outcome)
        return replace(found, problems=tuple(problems)) if problems else None

    def _keep(self, look: Look, before: Memory, memory: Memory, problems: list[str]) -> Memory:
        """Keep *memory* if it says something new."""
        if memory.says_as(before):
            return before
        memory = replace(memory, look=before.look + 1)
        held = look.seen.held
        statement = Statement(
            vault=self._around.vault.identity.id,
            model=held.name,
            number=held.number,
            digest=look.seen.stand.digest,
            kind=Kind.HEALTH,
            id=self._around.world.random(16).hex(),
            time=look.now,
            actor=_monitor(),
            body=body_of(memory, look.policy, look.seen, look.observations),
        )
        try:
            self._around.statements.add(statement)
        except VaultError as error:
            problems.append(f"what was seen is not kept: {error}")
        return memory

    def _tell(self, look: Look, deed: Deed, memory: Memory, problems: list[str]) -> Memory:
        """Alert whom the policy says, those that were not reached yet; return what is new."""
        event = deed.event
        if deed.refused:
            memory = replace(memory, refused=look.now)
        before = memory.alerts.get(event, {})
        asked = look.policy.on_failure
        ways = tuple(
            way for way in dict.fromkeys(asked.alert if asked else ()) if not before.get(way)
        )
        if not ways:
            return memory
        failed = {
            way: why
            for way, why in self._alerts.deliver(self._alert(look, deed), ways).items()
            if why
        }
        problems += [f"{way} was not alerted: {why}" for way, why in failed.items()]
        new = {way: why for way, why in failed.items() if way not in before}
        if new:
            self._note(look, event, new, problems)
        done = dict(before) | {way: way not in failed for way in ways}
        return replace(memory, alerts={**memory.alerts, event: done})

    def _alert(self, look: Look, deed: Deed) -> Alert:
        held = look.seen.held
        more = {
            "vault": self._around.vault.identity.id,
            "digest": str(look.seen.stand.digest),
            "decision": look.seen.stand.decision,
            "rules": [one.to_dict() for one in look.observations],
        }
        return Alert(
            id=self._around.world.random(16).hex(),
            event=deed.event,
            model=held.name,
            number=held.number,
            stage=look.seen.stage,
            policy=look.policy.name,
            time=look.now,
            reasons=look.reasons,
            outcome=deed.outcome,
            more=more,
        )

    def _note(self, look: Look, event: str, failed: dict[str, str], problems: list[str]) -> None:
        """Note in the audit log who was not alerted."""
        subject = Subject("version", look.seen.held.name, look.seen.stand.digest)
        after = {"policy": look.policy.name, "event": event, "undelivered": failed}
        try:
            self._around.vault.audit.note(Action.ALERT, subject, _monitor(), after=after)
        except VaultError as error:
            problems.append(f"nor is that in the audit log: {error}")


def _monitor() -> Actor:
    """Who runs this process, as they say."""
    return Actor(user(), verified=False)
