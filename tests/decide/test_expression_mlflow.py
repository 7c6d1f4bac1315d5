"""What MLflow's search accepts means the same here, and what it refuses is refused or is more."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import mlflow
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunTag,
)
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag
from mlflow.utils.search_utils import SearchModelVersionUtils, SearchUtils, _ilike, _like
from packaging.version import Version

from mlflow_vault.decide.expression import Field, Type, evaluate, parse
from mlflow_vault.decide.expression.likeness import is_like
from mlflow_vault.decide.expression.tree import Among, And, Compare, Constant, Expression, Missing
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.testing.filters import (
    PROMPT,
    disturbed,
    joined,
    keyed,
    run_conditions,
    short,
    version_conditions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.decide.expression import Value

# Earlier ones refuse IS NULL, NOT IN for versions, or a number that begins with its point, and let
# a point in a pattern stand for anything.
COMPLETE = Version(mlflow.__version__) >= Version("3.17")
NUMBERS = [0.0, -1.0, 0.5, 1.0, 3.0, 1e5, math.nan, math.inf, -math.inf]


def build_run(
    metrics: dict[str, float],
    params: dict[str, str],
    tags: dict[str, str],
    datasets: list[tuple[str, str, str | None]],
    times: tuple[int, int | None],
) -> Run:
    """Return a run of MLflow's, of which the attributes follow from the rest."""
    info = RunInfo(
        run_id="x",
        experiment_id="0",
        user_id="xy",
        status="FINISHED",
        start_time=times[0],
        end_time=times[1],
        lifecycle_stage="active",
        artifact_uri="mem:/a",
        run_name="a_b",
    )
    inputs = [
        DatasetInput(
            Dataset(name, digest, "local", "{}"),
            [] if context is None else [InputTag("mlflow.data.context", context)],
        )
        for name, digest, context in datasets
    ]
    return Run(
        info,
        RunData(
            [Metric(key, value, 0, 0) for key, value in metrics.items()],
            [Param(key, value) for key, value in params.items()],
            [RunTag(key, value) for key, value in tags.items()],
        ),
        RunInputs(inputs),
    )


runs = st.builds(
    build_run,
    st.dictionaries(keyed, st.sampled_from(NUMBERS), max_size=4),
    st.dictionaries(keyed, short, max_size=4),
    st.dictionaries(keyed, short, max_size=4),
    st.lists(st.tuples(short, short, st.none() | short), max_size=2),
    st.tuples(st.sampled_from([0, 3, 5]), st.none() | st.sampled_from([3, 100_000])),
)
versions = st.builds(
    lambda name, number, run_id, tags: ModelVersion(
        name, number, 0, run_id=run_id, source="s3://x", tags=[ModelVersionTag(*t) for t in tags]
    ),
    short,
    st.sampled_from([1, 2, 3, 12]),
    st.none() | short,
    st.lists(st.tuples(keyed | st.just(PROMPT), short | st.just("true")), max_size=3),
)


def lookup_of(run: Run) -> Callable[[Field], Value]:
    """Return what a filter may ask of *run*."""
    rows = run.inputs.dataset_inputs
    contexts = [tag.value for row in rows for tag in row.tags]
    attributes = {key: getattr(run.info, key) for key in RunInfo.get_searchable_attributes()}
    found: dict[str, dict[str, Any]] = {
        "metric": run.data.metrics,
        "param": run.data.params,
        "tag": run.data.tags,
        "attribute": attributes | {"created": run.info.start_time},
        "dataset": {
            "name": tuple(row.dataset.name for row in rows) or None,
            "digest": tuple(row.dataset.digest for row in rows) or None,
            "context": tuple(contexts) or None,
        },
    }
    return lambda field: found.get(field.kind, {}).get(field.key)


def lookup_of_version(version: ModelVersion) -> Callable[[Field], Value]:
    """Return what a filter may ask of *version*."""
    attributes = {
        "name": version.name,
        "number": version.version,
        "run_id": version.run_id,
        "source_path": version.source,
    }
    found: dict[str, dict[str, Any]] = {"attribute": attributes, "tag": version.tags}
    return lambda field: found.get(field.kind, {}).get(field.key)


def told_of_run(run: Run, text: str) -> bool | None:
    """Return whether MLflow finds *run*, None where it refuses *text*."""
    try:
        clauses = SearchUtils.parse_search_filter(text)
        answers = [SearchUtils._does_run_match_clause(run, clause) for clause in clauses]
        return all(answers)
    except Exception:  # noqa: BLE001 - MLflow refuses in many ways
        return None


def told_of_version(version: ModelVersion, text: str) -> bool | None:
    """Return whether MLflow finds *version*, None where it refuses *text*."""
    search = SearchModelVersionUtils
    try:
        clauses = search.parse_search_filter(text)
        answers = [search._does_model_version_match_clauses(version, one) for one in clauses]
        return all(answers)
    except Exception:  # noqa: BLE001 - MLflow refuses in many ways
        return None


@given(run=runs, text=joined(run_conditions()))
def test_runs(run: Run, text: str) -> None:
    """A filter of runs finds what MLflow finds."""
    told = told_of_run(run, text)

    assert told is not None or not COMPLETE
    assert told is None or evaluate(parse(text), lookup_of(run)) is told


@given(version=versions, text=joined(version_conditions()))
def test_versions(version: ModelVersion, text: str) -> None:
    """A filter of model versions finds what MLflow finds, what has no prompt's tag included."""
    told = told_of_version(version, text)

    assert told is not None or not COMPLETE
    assert told is None or evaluate(parse(text), lookup_of_version(version)) is told


@given(run=runs, text=disturbed())
def test_accidents(run: Run, text: str) -> None:
    """What MLflow accepts by accident means the same; what else is accepted is more than MLflow."""
    told = told_of_run(run, text)
    try:
        expression = parse(text)
    except InvalidInputError:
        assert told is None or is_senseless(text)
        return

    if told is not None:
        assert is_senseless(text) or evaluate(expression, lookup_of(run)) is told
    elif is_mlflows(expression) and COMPLETE:
        spelled = str(expression)
        assert told_of_run(run, spelled) is evaluate(expression, lookup_of(run))


def is_senseless(text: str) -> bool:
    """Whether MLflow reads a key that nobody can mean, or compares one value with a list.

    It takes ``params. = 'x'``, and ``params.a b IS NULL`` for a parameter called ``a b``.
    """
    return any(
        (isinstance(clause["value"], tuple) and not clause["comparator"].upper().endswith("IN"))
        or not (
            re.fullmatch(r"\w+(\.\w+)*", clause["key"])
            or any(
                f"{quote}{clause['key']}{quote}" in text and quote not in clause["key"]
                for quote in "'`\""
            )
        )
        for clause in SearchUtils.parse_search_filter(text)
    )


def is_mlflows(expression: Expression) -> bool:
    """Whether *expression* says nothing that MLflow's language cannot say."""
    parts = expression.parts if isinstance(expression, And) else (expression,)
    return bool(parts) and all(map(_is_mlflows, parts))


def _is_mlflows(node: Expression) -> bool:
    match node:
        case Missing():
            return node.field.kind in {"tag", "param"}
        case Among():
            listed = node.field.kind == "dataset" or node.field == Field("attribute", "run_id")
            return listed and not node.numeric
        case Compare(left=Field() as left, right=Constant() as right):
            if isinstance(right.value, str) and {"'", '"'} <= set(right.value):
                return False  # no quotes are left to spell it with
            if left.kind == "attribute":
                known = left.key in {*RunInfo.get_searchable_attributes(), "created"}
                return known and (left.type is not Type.TIME or right.type is Type.NUMBER)
            return left.kind != "metadata" and node.numeric is (left.kind == "metric")
        case _:
            return False


patterned = st.text("ab\n%_A." if COMPLETE else "ab\n%_A", max_size=8)


@given(text=st.text("ab\nA.", max_size=8), pattern=patterned)
def test_like(text: str, pattern: str) -> None:
    """LIKE and ILIKE are MLflow's, line breaks included."""
    assert is_like(text, pattern, fold=False) is _like(text, pattern)
    assert is_like(text, pattern, fold=True) is _ilike(text, pattern)
