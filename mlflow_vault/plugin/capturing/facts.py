"""What MLflow knows of how a model was made, for the version's record.

    run  -> parameters, metrics, tags, datasets, models taken in, parent and children
    logged model -> its own parameters, metrics and tags; evaluations
    MLmodel, requirements.txt, ... -> signature, flavors, environment (`model_files`)
    tags of `context` -> git, command, machine

A run or model that was deleted, purged, or is not ours to see, leaves what is left and says so.
Where MLflow does not answer, its error is raised: a record is written once, and must not say that
nothing is known because a server was away.

Everything has a limit; what reached it is named in ``shortened``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from mlflow.exceptions import MlflowException

from mlflow_vault.format.version import finite
from mlflow_vault.plugin.capturing import model_files
from mlflow_vault.plugin.capturing.context import PREFIX, code_of, machine_of
from mlflow_vault.plugin.capturing.masking import masked
from mlflow_vault.plugin.capturing.model_files import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric, Run

    from mlflow_vault.govern.host import Held

MOST: Final = 5000  # parameters, metrics, tags
_DATASETS: Final = 200
_PARENTS: Final = 16  # runs above a run that are asked
_CHILDREN: Final = 1000
_MODELS: Final = 200  # that a run took in, or made; each costs a question or two

_PARENT: Final = "mlflow.parentRunId"
_CONTEXT: Final = "mlflow.data.context"
_VERSIONS: Final = "mlflow.modelVersions"
# Notes of MLflow's own on what it keeps elsewhere; they change after the fact, and grow.
_NOTES: Final = ("mlflow.log-model.history", "mlflow.loggedArtifacts", _VERSIONS)
# There is nothing, we may not see it, or this server knows no such question.
_ABSENT: Final = frozenset(
    {
        "RESOURCE_DOES_NOT_EXIST",
        "NOT_FOUND",
        "INVALID_PARAMETER_VALUE",
        "PERMISSION_DENIED",
        "FEATURE_DISABLED",
        "ENDPOINT_NOT_FOUND",
        "NOT_IMPLEMENTED",
    }
)


def facts_of(
    client: MlflowClient, held: Held, artifact: Callable[[str], bytes | None]
) -> dict[str, Any]:
    """Return what MLflow and the files of *held* tell; docs/format.md, "Facts".

    Args:
        client: Asked for the run, the logged model and what hangs together with them.
        held: What the facts are of.
        artifact: Returns a small file of the model by its path, None if there is none.

    Raises:
        MlflowException: MLflow did not answer.
    """
    model = _asked(client.get_logged_model, held.model_id)
    run_id = held.run_id or str(getattr(model, "source_run_id", None) or "")
    run = _asked(client.get_run, run_id)
    files = {
        name: artifact(name)
        for name in (
            model_files.MODEL,
            model_files.REQUIREMENTS,
            model_files.PYTHON,
            model_files.CONDA,
        )
    }
    tags: dict[str, str] = dict(run.data.tags) if run else {}
    facts: dict[str, Any] = model_files.model_facts(files[model_files.MODEL])
    shortened: list[str] = facts.pop("shortened", [])
    facts |= {
        "params": {**(run.data.params if run else {}), **(_params(model) if model else {})},
        "metrics": {**(run.data.metrics if run else {}), **_metrics(model)},
        "tags": _told(tags, dict(model.tags) if model else {}, held.tags),
        "environment": machine_of(tags, model_files.environment(*files.values())),
        "git": code_of(tags),
        "command": tags.get(PREFIX + "command", ""),
        "source": masked(tags.get("mlflow.source.name", "")),
        "aliases": sorted(held.aliases),
        "model": _model(model, held),
        "evaluations": _evaluations(model),
    }
    below = _below(client, run) if run is not None else []
    facts["run"] = _run(client, run, run_id, below)
    if run is not None:
        family = [*_above(client, run), *below]
        facts |= {
            "datasets": [
                *_datasets(run),
                *(
                    {**dataset, "run_id": str(other.info.run_id)}
                    for other in family
                    for dataset in _datasets(other)
                ),
            ][:_DATASETS],
            "inputs": _models(client, run.inputs, "model_inputs"),
            "outputs": _models(client, run.outputs, "model_outputs"),
        }
    for name in ("params", "metrics", "tags"):
        if len(facts[name]) > MOST:
            shortened.append(name)
        facts[name] = {
            str(key)[:LONGEST]: text[:LONGEST] if isinstance(text, str) else text
            for key, text in islice(sorted(facts[name].items()), MOST)
        }
    for name, most in (("datasets", _DATASETS), ("inputs", _MODELS), ("outputs", _MODELS)):
        if len(facts.get(name, ())) >= most:
            shortened.append(name)
    told = {name: value for name, value in facts.items() if value not in ({}, [], "")}
    if shortened:
        told["shortened"] = sorted(shortened)
    known: dict[str, Any] = finite(told)
    return known


def _asked(question: Callable[[str], Any], name: str) -> Any:
    """Ask MLflow for *name*; None if there is nothing, or nothing for us."""
    if not name:
        return None
    try:
        return question(name)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise


def _told(*layers: Mapping[str, str]) -> dict[str, str]:
    """Return tags, later ones first, without those that are told elsewhere."""
    merged: dict[str, str] = {}
    for layer in layers:
        merged |= layer
    return {
        str(key): str(text)
        for key, text in merged.items()
        if key not in _NOTES and not key.startswith(PREFIX)
    }


def _run(
    client: MlflowClient, run: Run | None, run_id: str, below: Iterable[Run]
) -> dict[str, Any]:
    if run is None:
        return {"id": run_id, "status": "gone"} if run_id else {}
    data = run.info
    found: dict[str, Any] = {
        "id": run_id,
        "name": data.run_name or "",
        "experiment": "",
        "experiment_id": str(data.experiment_id),
        "user": data.user_id or run.data.tags.get("mlflow.user", ""),
        "start": int(data.start_time or 0),
        "end": int(data.end_time or 0),
        "status": "deleted" if data.lifecycle_stage == "deleted" else str(data.status),
        "parent": run.data.tags.get(_PARENT, ""),
        "children": sorted(str(child.info.run_id) for child in below),
    }
    experiment = _asked(client.get_experiment, str(data.experiment_id))
    if experiment is not None:
        found["experiment"] = experiment.name
    return found


def _below(client: MlflowClient, run: Run) -> list[Run]:
    """The runs that *run* is the parent of."""

    def search(parent: str) -> list[Run]:
        asked = f"tags.`{_PARENT}` = '{parent}'"
        return list(client.search_runs([experiment], asked, max_results=_CHILDREN))

    experiment = str(run.info.experiment_id)
    found: list[Run] | None = _asked(search, str(run.info.run_id))
    return found or []


def _above(client: MlflowClient, run: Run) -> list[Run]:
    """The parent of *run*, its parent, and so on: what they logged, their runs below used."""
    found: dict[str, Run] = {str(run.info.run_id): run}
    above = run.data.tags.get(_PARENT, "")
    while above and above not in found and len(found) <= _PARENTS:
        parent = _asked(client.get_run, above)
        if parent is None:
            break
        found[above] = parent
        above = parent.data.tags.get(_PARENT, "")
    return list(found.values())[1:]


def _params(model: LoggedModel) -> dict[str, str]:
    return {str(name): str(text) for name, text in (model.params or {}).items()}


def _last(metrics: Iterable[Metric]) -> dict[str, float]:
    ordered = sorted(metrics, key=lambda metric: (metric.step or 0, metric.timestamp or 0))
    return {str(metric.key): float(metric.value) for metric in ordered}


def _metrics(model: LoggedModel | None) -> dict[str, float]:
    """Return what was measured of *model* where it was made, not in a later evaluation."""
    if model is None:
        return {}
    own = (None, "", model.source_run_id)
    return _last(metric for metric in model.metrics or () if metric.run_id in own)


def _evaluations(model: LoggedModel | None) -> list[dict[str, Any]]:
    """Return what was measured of *model* on a dataset, or by another run."""
    groups: dict[tuple[str, str, str], list[Metric]] = {}
    for metric in (model.metrics or ()) if model is not None else ():
        data = (metric.dataset_name or "", metric.dataset_digest or "")
        if data[0] or metric.run_id not in (None, "", model.source_run_id if model else ""):
            groups.setdefault((str(metric.run_id or ""), *data), []).append(metric)
    return [
        {
            "run_id": run_id,
            "model_id": str(model.model_id) if model else "",
            "metrics": _last(metrics),
            "dataset": {"name": name, "digest": digest} if name else {},
        }
        for (run_id, name, digest), metrics in islice(sorted(groups.items()), _DATASETS)
    ]


def _datasets(run: Run) -> list[dict[str, str]]:
    found = []
    for given in islice(getattr(run.inputs, "dataset_inputs", None) or (), _DATASETS):
        tags = {tag.key: tag.value for tag in given.tags or ()}
        found.append(
            {
                "name": str(given.dataset.name),
                "digest": str(given.dataset.digest),
                "b3": str(tags.get(PREFIX + "digest", "")),
                "context": str(tags.get(_CONTEXT, "")),
                "source_type": str(given.dataset.source_type),
                "source": masked(str(given.dataset.source)[:LONGEST]),
            }
        )
    return found


def _models(client: MlflowClient, told: Any, part: str) -> list[dict[str, str]]:
    """Return the models of one *part* of what a run *told*: its inputs or its outputs."""
    found = []
    for one in islice(getattr(told, part, None) or (), _MODELS):
        model = _asked(client.get_logged_model, str(one.model_id))
        entry = {"model_id": str(one.model_id), "name": str(model.name) if model else ""}
        digest = _digest(client, dict(model.tags)) if model else ""
        found.append(entry | ({"digest": digest} if digest else {}))
    return found


def _digest(client: MlflowClient, tags: Mapping[str, str]) -> str:
    """Return the digest of a logged model that was registered and committed; else nothing."""
    registered: Any = ()
    with suppress(ValueError):
        registered = json.loads(tags.get(_VERSIONS, "[]"))
    for one in islice(registered if isinstance(registered, list) else (), 10):
        with suppress(AttributeError, KeyError):
            number = str(one["version"])
            version = _asked(partial(client.get_model_version, version=number), str(one["name"]))
            digest = str(version.tags.get(PREFIX + "digest", ""))
            if digest:
                return digest
    return ""


def _model(model: LoggedModel | None, held: Held) -> dict[str, Any]:
    if model is None:
        return {"id": held.model_id, "status": "gone"} if held.model_id else {}
    return {
        "id": str(model.model_id),
        "name": str(model.name or ""),
        "type": str(model.model_type or ""),
        "status": str(model.status),
        "created": int(model.creation_timestamp or 0),
    }
