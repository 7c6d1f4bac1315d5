"""The latest value of a metric in MLflow: of a version, or of an experiment's runs, with its time.

Of one run MLflow itself says which value is its latest: that of the greatest step, then of the
latest time.  Of several runs, and of a logged model, the latest time counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.health.judge import Sample
from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow.tracking import MlflowClient

    from mlflow_vault.govern.host import Held

_RUNS: Final = 1000  # the ones that began last
# MLflow's filters cannot ask whether a run has a metric, only what it is not.
_UNLIKELY: Final = "-1.2345678e-300"


def of_version(client: MlflowClient, key: str, held: Held) -> Sample:
    """Return the latest value of *key* that was logged for a version, or in its run."""
    found: list[Any] = []
    if held.model_id:
        found += client.get_logged_model(held.model_id).metrics or ()
    if held.run_id:
        found += _metrics(client.get_run(held.run_id))
    return _latest(found, key, f"the version {held.name}/{held.number}")


def of_experiment(client: MlflowClient, key: str, experiment: str, runs: str) -> Sample:
    """Return the latest value of *key* in the runs of an experiment that the filter *runs* finds.

    Raises:
        InvalidInputError: MLflow's filters cannot spell *key*.
    """
    known = client.get_experiment_by_name(experiment)
    if known is None:
        return Sample(reason=f"there is no experiment {experiment!r}")
    quotes = [quote for quote in ("`", '"') if quote not in key]
    if not quotes:
        raise InvalidInputError(f"MLflow's filters cannot spell the metric {key!r}")
    wanted = f"metrics.{quotes[0]}{key}{quotes[0]} != {_UNLIKELY}"
    if runs:
        wanted = f"{wanted} and {runs}"
    found = client.search_runs(
        [known.experiment_id],
        wanted,
        max_results=_RUNS,
        order_by=["attributes.start_time DESC"],
    )
    metrics = (metric for run in found for metric in _metrics(run))
    return _latest(metrics, key, f"the experiment {experiment!r}")


def _metrics(run: Any) -> Iterable[Any]:
    """Return the metrics of a run with their times, which `run.data.metrics` leaves out."""
    found: Iterable[Any] = run.data._metric_objs  # noqa: SLF001
    return found


def _latest(metrics: Iterable[Any], key: str, where: str) -> Sample:
    named = [metric for metric in metrics if metric.key == key]
    if not named:
        return Sample(reason=f"{where} has no metric {key!r}")
    last = max(named, key=lambda metric: (metric.timestamp or 0, metric.step or 0))
    source = f"runs:/{last.run_id}" if getattr(last, "run_id", None) else where
    return Sample(float(last.value), int(last.timestamp or 0), source=source)
