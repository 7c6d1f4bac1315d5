"""One look at everything that stands in a stage, and what is done about it.

    for each version in a stage, for each policy in force with health rules for it:
        observe  ->  count  ->  keep the counts  ->  a limit is reached?
                                    failing       roll back, if the policy says so; then alert
                                    inconclusive  alert

Of two monitors one rolls back.  The other is told that the version stands there no longer, and
does nothing: a rollback names the decision that it is to undo.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from mlflow_vault.decide.policy.durations import rough, spell
from mlflow_vault.decide.policy.health.judge import Condition
from mlflow_vault.decide.policy.matching import is_for
from mlflow_vault.errors import NotFoundError, VaultError
from mlflow_vault.format.log import Action
from mlflow_vault.govern.monitor.acting import Acting
from mlflow_vault.govern.monitor.observing import Observer, watched
from mlflow_vault.govern.monitor.report import Looked, Report
from mlflow_vault.govern.monitor.restoring import PRODUCTION
from mlflow_vault.govern.monitor.taken import Look
from mlflow_vault.govern.release.releases import Releases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.decide.policy.health.schema import Health
    from mlflow_vault.decide.policy.schema import Policy
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.govern.monitor.alerts.delivery import Alerts
    from mlflow_vault.govern.monitor.observing import Watched
    from mlflow_vault.govern.release.surroundings import Surroundings

_log = logging.getLogger(__name__)


class Monitor:
    """Looks after what stands in a stage.

    Args:
        around: The vault, what is in force, MLflow, the clock, and where Prometheus is.
        alerts: Reaches people.
    """

    def __init__(self, around: Surroundings, alerts: Alerts) -> None:
        self._around = around
        self._alerts = alerts
        self._releases = Releases(around)
        self._acting = Acting(self._releases, alerts)
        self._observer = Observer(around.host, around.environment)

    def look(self, name: str = "") -> Report:
        """Look once at everything, or at one registered model, and act.

        Raises:
            NotFoundError: No policy in force has health rules for the model *name*.
            StorageError: What is in force cannot be read.
        """
        policies = [one for one in self._around.policies.policies() if one.health is not None]
        if name and not any(is_for(one, name) for one in policies):
            raise NotFoundError(f"no policy in force has health rules for {name!r}")
        looks: list[Looked] = []
        problems = [self._alerts.fault] if self._alerts.fault else []
        for model in [name] if name else self._releases.models() if policies else ():
            meant = [one for one in policies if is_for(one, model)]
            try:
                for looked in self._of_model(model, meant) if meant else ():
                    looks.append(looked)  # noqa: PERF402 - what came before an error counts
            except Exception as error:  # noqa: BLE001 - the others have a right to be looked at
                _log.debug("%s cannot be looked at", model, exc_info=error)
                kind = "" if isinstance(error, VaultError) else f"{type(error).__name__}: "
                problems.append(f"{model} cannot be looked at: {kind}{error}")
        report = Report(tuple(looks), tuple(problems))
        _log.info("looked at %s: %r", name or "everything", report)
        return report

    def _of_model(self, model: str, policies: list[Policy]) -> Iterator[Looked]:
        head = self._head(model)
        if head is None:
            return
        yield from self._left_over(head, policies)
        for stage, stand in sorted(head.after.items()):
            meant = [one for one in policies if one.transition.to == stage]
            seen = watched(self._around.vault, model, stage, stand) if meant else None
            for policy in meant:
                if seen is not None and policy.health is not None:
                    found = self._of_policy(policy, policy.health, seen)
                    yield found
                    if found.event in {"rolled_back", "lost"}:
                        return  # who stands there now is for the next look

    def _left_over(self, head: Decision, policies: list[Policy]) -> Iterator[Looked]:
        """Finish the alerts of the last decision, if it is a rollback of a monitor's."""
        gone = head.before.get(PRODUCTION)
        if gone is None or head.action != Action.ROLL_BACK:
            return
        seen = watched(self._around.vault, head.model, PRODUCTION, gone)
        for policy in policies:
            if policy.transition.to == PRODUCTION and policy.health is not None:
                look = Look(policy, policy.health, seen, (), self._around.now())
                found = self._acting.catch_up(look, head)
                if found is not None:
                    yield found

    def _head(self, model: str) -> Decision | None:
        """Return what was decided last; finish it first, if whoever decided it could not."""
        ledger = self._around.ledger(model)
        try:
            return self._around.carry_out(ledger)
        except VaultError as error:
            _log.warning("MLflow may not show what was decided about %s: %s", model, error)
            return ledger.head()

    def _of_policy(self, policy: Policy, health: Health, seen: Watched) -> Looked:
        now = self._around.now()
        stood = now - seen.stand.since
        if stood < health.delay:
            since = rough(stood) if stood >= 0 else "a time that is still to come: check the clocks"
            outcome = f"it stands there for {since}; it is judged after {spell(health.delay)}"
            early = Look(policy, health, seen, (), now).found()
            return replace(early, condition=Condition.INCONCLUSIVE, outcome=outcome)
        observations = self._observer.observe(health, seen, now)
        return self._acting.act(Look(policy, health, seen, observations, now))
