"""What a filter may ask of a version: one value for each field that has one.

The index keeps it as rows; whoever judges a single version asks it directly (`lookup`), so both
answer alike.  Facts are what runs and records told, and may be anything: what has not the shape of
its field is left out.

What MLflow lets people change - tags, aliases, stages - is taken from MLflow where it says
something, else as it was when the version was committed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.expression.tree import NOW, Field, Type
from mlflow_vault.decide.expression.vocabulary import SEARCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mlflow_vault.decide.expression.evaluate import Value
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.host import Held

STAGES: Final = frozenset({"staging", "production"})  # as aliases; the tag says others
STAGE_TAG: Final = "mlflow_vault.stage"
_FIELDS: Final = {key: SEARCH.field(key) for key in SEARCH.closed["attribute"]}
ALIAS: Final = _FIELDS["alias"]
STAGE: Final = _FIELDS["stage"]
NONE_IS_KNOWN: Final = frozenset({ALIAS, STAGE, _FIELDS["parent"]})
_DATASET: Final = {key: SEARCH.field(f"dataset.{key}") for key in SEARCH.closed["dataset"]}
_LARGEST: Final = 2**63 - 1  # what SQLite takes as a whole number


def lookup(version: Version | None, held: Held | None, now: int = 0) -> Callable[[Field], Value]:
    """Return how `evaluate` asks a version, held by the vault, by MLflow or by both."""
    values: dict[Field, Value] = dict.fromkeys(NONE_IS_KNOWN, ())
    values[NOW] = now
    if version is not None:
        values |= recorded(version)
    elif held is not None:
        values |= told(held)
    if held is not None:
        values |= mutable(held)
    return values.get


def recorded(version: Version) -> dict[Field, Value]:
    """What the record of a version says, which never changes."""
    facts, origin = _mapping(version.facts), version.origin
    run, git = _mapping(facts.get("run")), _mapping(facts.get("git"))
    model, environment = _mapping(facts.get("model")), _mapping(facts.get("environment"))
    values: dict[Field, Value] = _attributes(
        {
            "artifact_uri": origin.path,
            "author": version.author,
            "created": version.created,
            "digest": str(version.digest),
            "end_time": run.get("end"),
            "experiment": run.get("experiment"),
            "experiment_id": origin.experiment_id,
            "git_branch": git.get("branch"),
            "git_commit": git.get("commit"),
            "git_dirty": git.get("dirty"),
            "held": True,
            "id": version.id,
            "mlflow_version": facts.get("mlflow_version"),
            "model_id": origin.model_id,
            "model_type": model.get("type"),
            "name": version.name,
            "number": version.number,
            "python": environment.get("python"),
            "run_id": origin.run_id,
            "run_name": run.get("name"),
            "size": version.size,
            "source_path": origin.uri,
            "start_time": run.get("start"),
            "status": run.get("status"),
            "user_id": run.get("user"),
        }
    )
    for key, value in _mapping(facts.get("metrics")).items():
        number = _metric(value)
        if number is not None:
            values[Field("metric", clean(key))] = number
    for kind, found in (("param", facts.get("params")), ("tag", facts.get("tags"))):
        for key, value in _mapping(found).items():
            if value is not None:
                values[Field(kind, clean(key))] = clean(value)
    for key, value in version.metadata.items():
        if isinstance(value, bool):
            values[Field("metadata", clean(key))] = str(value).lower()
        elif isinstance(value, str | int | float):
            values[Field("metadata", clean(key))] = clean(value)
    values |= _several(_FIELDS["parent"], map(str, version.parents))
    values |= _several(_FIELDS["flavor"], _mapping(facts.get("flavors")))
    return values | _datasets(facts.get("datasets"))


def told(held: Held) -> dict[Field, Value]:
    """What MLflow alone says of a version that the vault does not hold."""
    return _attributes(
        {
            "author": held.author,
            "created": held.created,
            "digest": held.digest,
            "experiment_id": held.experiment_id,
            "held": False,
            "id": held.uri or f"models:/{held.name}/{held.number}",
            "model_id": held.model_id,
            "name": held.name,
            "number": held.number,
            "run_id": held.run_id,
            "source_path": held.location,
        }
    )


def mutable(held: Held) -> dict[Field, Value]:
    """What people may change in MLflow."""
    stages = STAGES.intersection(held.aliases) | {held.tags.get(STAGE_TAG, "")} - {""}
    values: dict[Field, Value] = {
        Field("tag", clean(key)): clean(value) for key, value in held.tags.items()
    }
    values[ALIAS] = tuple(sorted(set(map(clean, held.aliases))))
    values[STAGE] = tuple(sorted(map(clean, stages)))
    return values


def clean(value: object) -> str:
    """*value* as text that can be stored: half a character becomes the sign for a lost one."""
    return str(value).encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _attributes(values: Mapping[str, Any]) -> dict[Field, Value]:
    """Those of *values* that say something: no empty text, no zero for a number or a time."""
    found: dict[Field, Value] = {}
    for key, value in values.items():
        field = _FIELDS[key]
        if _says(field, value):
            found[field] = clean(value) if isinstance(value, str) else value
    return found


def _says(field: Field, value: object) -> bool:
    if isinstance(value, bool):
        return field.type is Type.FLAG
    if isinstance(value, str):
        return field.type is Type.TEXT and value != ""
    if not isinstance(value, int) or field.type not in {Type.NUMBER, Type.TIME}:
        return False
    return abs(value) <= _LARGEST and (value != 0 or field.key == "size")


def _metric(value: Any) -> float | None:
    if isinstance(value, str):
        return float(value) if value in {"NaN", "Infinity", "-Infinity"} else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _several(field: Field, values: Iterable[object]) -> dict[Field, Value]:
    found = tuple(sorted(set(map(clean, values))))
    return {field: found} if found else {}


def _datasets(found: Any) -> dict[Field, Value]:
    rows = [_mapping(row) for row in found] if isinstance(found, list) else []
    values: dict[Field, Value] = {}
    for key, field in _DATASET.items():
        texts = (row[key] for row in rows if isinstance(row.get(key), str) and row[key])
        values |= _several(field, texts)
    return values
