"""Fetches what health rules ask for: MLflow's metrics, Prometheus, functions.

Whatever goes wrong is in the sample, which then says nothing: what cannot be fetched is no failure
of the model.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.policy.durations import Milliseconds
from mlflow_vault.decide.policy.evidence import Subject
from mlflow_vault.decide.policy.health.judge import Sample, Setting, judge_rule
from mlflow_vault.decide.policy.schema import Check
from mlflow_vault.errors import InvalidInputError, VaultError
from mlflow_vault.format.canonical import plain
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.monitor.prometheus import URL, endpoint_of, filled, query
from mlflow_vault.govern.policies.checking import ask
from mlflow_vault.govern.policies.subjects import subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlflow_vault.decide.policy.health.judge import Observation
    from mlflow_vault.decide.policy.health.schema import Health, HealthRule
    from mlflow_vault.format.decision import Stand
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.host import Host
    from mlflow_vault.govern.knowledge import Knowledge

_AT_ONCE: Final = 8  # rules of one policy


@dataclass(frozen=True, slots=True)
class Watched:
    """A version that stands in a stage.

    Attributes:
        held: It, as far as MLflow is asked for it.
        subject: It, as policies see it.
        stage: Where it stands.
        stand: Since when, by which decision.
    """

    held: Held
    subject: Subject
    stage: str
    stand: Stand

    @property
    def label(self) -> str:
        """What people call the version."""
        return f"{self.held.name}/{self.held.number}"


def watched(vault: Knowledge, model: str, stage: str, stand: Stand) -> Watched:
    """Return who stands in a stage, with what is known of the version, if anything is."""
    uri, digest = f"models:/{model}/{stand.number}", str(stand.digest)
    version = _version(vault, uri, stand)
    if version is None:
        held = Held(uri, "", model, stand.number, digest=digest)
        return Watched(held, Subject(f"{model}/{stand.number}", digest, model), stage, stand)
    origin = version.origin
    held = Held(
        uri, "", model, stand.number, origin.model_id, origin.run_id, origin.experiment_id, digest
    )
    return Watched(held, subject(version), stage, stand)


class Observer:
    """Asks what rules ask.

    Args:
        host: MLflow.
        environment: Says where Prometheus is.
    """

    def __init__(self, host: Callable[[], Host], environment: Mapping[str, str]) -> None:
        self._host = host
        self._environment = environment

    def observe(self, health: Health, seen: Watched, now: int) -> tuple[Observation, ...]:
        """Say what each rule says of a version."""
        setting = Setting(now, seen.stand.since + health.delay, seen.subject.values)
        with ThreadPoolExecutor(min(_AT_ONCE, len(health.rules))) as pool:
            # MLflow keeps the workspace that is meant in the context of whoever asks.
            contexts = [copy_context() for _ in health.rules]
            samples = pool.map(
                lambda context, rule: context.run(self.fetch, rule, seen), contexts, health.rules
            )
            return tuple(map(judge_rule, health.rules, samples, [setting] * len(health.rules)))

    def fetch(self, rule: HealthRule, seen: Watched) -> Sample:
        """Return what *rule* looks at; why there is nothing, if there is not."""
        try:
            if rule.metric is not None:
                where = (rule.experiment or "", rule.runs or "")
                return self._host().metric(rule.metric, seen.held, *where)
            if rule.prometheus is not None:
                return self._prometheus(rule.prometheus, seen)
            return _ask(rule, seen)
        except VaultError as error:
            return Sample(reason=f"{error!s:.500}")

    def _prometheus(self, text: str, seen: Watched) -> Sample:
        endpoint = endpoint_of(self._environment)
        if endpoint is None:
            raise InvalidInputError(f"nobody said where Prometheus is: set {URL}")
        names = {
            "model": seen.held.name,
            "number": str(seen.held.number),
            "stage": seen.stage,
            "digest": seen.held.digest,
        }
        return query(endpoint, filled(text, names))


def _ask(rule: HealthRule, seen: Watched) -> Sample:
    timeout = Milliseconds(rule.timeout)
    check = Check(python=rule.python or "", args=rule.args, timeout=timeout)
    told = plain({"candidate": {**seen.subject.to_dict(), "stages": [seen.stage]}})
    answer = ask(check, {**told, "baseline": None})
    return Sample(passed=answer.passed, reason=answer.reason, source=check.key)


def _version(vault: Knowledge, uri: str, stand: Stand) -> Version | None:
    for reference in (uri, str(stand.digest)):
        try:
            version = vault.version(reference)
        except VaultError:
            continue  # the rules say what they miss
        if version.digest == stand.digest:
            return version
    return None
