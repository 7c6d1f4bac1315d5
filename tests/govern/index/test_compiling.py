"""The index finds exactly what `evaluate` finds, whatever is asked and however odd the versions."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.decide.expression import SEARCH, Type, evaluate, parse
from mlflow_vault.decide.expression.parser import MAX_CONDITIONS, MAX_DEPTH, MAX_TERMS
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.index import Index, lookup
from mlflow_vault.testing.filters import KEYS, joined, run_conditions, version_conditions

NOW = 1_000_000
TEXTS = ["", "x", "X", "3", "1e2", " .5", "nan", "a\nb", "it's", "é", "\ud800"]

keys = st.sampled_from([*KEYS[:3], "a"])
texts = st.sampled_from(TEXTS)
facts = st.fixed_dictionaries(
    {},
    optional={
        "metrics": st.dictionaries(
            keys,
            st.sampled_from(
                [0, 1, 0.5, -1.5, 1e300, 2**70, 10**400, "NaN", "Infinity", "-Infinity"]
            )
            | st.sampled_from([None, "x", True]),
            max_size=3,
        ),
        "params": st.dictionaries(keys, texts, max_size=3),
        "tags": st.dictionaries(keys, texts, max_size=3),
        "datasets": st.lists(
            st.fixed_dictionaries({}, optional={"name": texts, "digest": texts, "b3": st.just(1)}),
            max_size=2,
        ),
        "git": st.fixed_dictionaries({}, optional={"dirty": st.booleans(), "branch": texts}),
        "run": st.fixed_dictionaries({}, optional={"start": st.sampled_from([3, "3", 2**70])}),
        "flavors": st.sampled_from([{}, {"sklearn": {}}, []]),
    },
)
helds = st.builds(
    lambda number, aliases, tags: Held(
        f"models:/m/{number}", "s3://x", "m", number, aliases=tuple(aliases), tags=tags
    ),
    st.integers(1, 4),
    st.lists(st.sampled_from(["champion", "production"]), max_size=2, unique=True),
    st.dictionaries(keys, texts, max_size=2),
)


def version(number: int, facts: dict[str, Any], created: int = 5) -> Version:
    """Return a version of the model m, with a file of that size."""
    files = (File("a", number, Digest.of(b""), bytes(32)),)
    origin = Origin("models:/m-1", "1/models", run_id="x" if number % 2 else "")
    metadata = {"a": number, "ok": True}
    return Version(
        digest_of(files),
        f"{number:04x}",
        "m",
        number,
        created * number,
        "ann",
        origin,
        files,
        metadata=metadata,
        facts=facts,
    )


operands = st.sampled_from(
    ["metrics.a", "metrics.`b.c`", "params.a", "tags.a", "number", "1", "-0.5", "2", "metadata.a"]
)
sums = st.recursive(
    operands,
    lambda inner: st.tuples(inner, st.sampled_from([" + ", " - ", " * "]), inner).map("".join),
    max_leaves=3,
)
orders = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
MORE = [
    *("held", "git_dirty", "NOT git_dirty", "git_dirty != false", "alias = 'champion'"),
    *("alias IS NULL", "stage != 'production'", "stage IN ('production', 'archived')"),
    *("dataset.name != 'x'", "dataset.name IS NULL", "dataset.digest NOT IN ('x', '')"),
    *("created > now - 991s", "now - created < 1000000ms", "start_time = 3", "created < 1e400"),
    *("params.a < 2", "tags.a >= .5", "params.a IN (3, 100)", "tags.a NOT IN (3)", "now > 5"),
    *("metrics.a IN (0.5, 1)", "metrics.a NOT IN (1)", "metrics.a IS NULL", "flavor = 'sklearn'"),
    *("params.a = tags.a", "params.a != tags.a", "name = user_id", "tags.a IS NOT NULL"),
    *("metadata.a > 2", "metadata.ok = 'true'", "parent IS NULL", "run_id != 'y'"),
    *("size > 1", "digest LIKE 'b3:%'", "created > '1970-01-01'", "params.a NOT LIKE '%'"),
]
conditions = st.one_of(
    run_conditions(),
    version_conditions(),
    st.sampled_from(MORE),
    st.tuples(sums, orders, sums).map(" ".join).filter(lambda text: "." in text or "num" in text),
)
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        inner.map(lambda text: f"NOT ({text})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda all_: f"({' AND '.join(all_)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda all_: f"({' OR '.join(all_)})"),
    ),
    max_leaves=5,
)


def filled(versions: list[Version], held: list[Held]) -> Index:
    """Return an index of those."""
    index = Index.open(None, "v", clock=lambda: NOW / 1000)
    index.add(versions)
    index.refresh(held)
    return index


def found(text: str, versions: list[Version], held: list[Held]) -> set[str]:
    """Return the ids of what *text* finds, without an index."""
    expression = parse(text)
    told = {one.number: one for one in held}
    ids = {
        one.id for one in versions if evaluate(expression, lookup(one, told.get(one.number), NOW))
    }
    alone = [one for number, one in told.items() if number > len(versions)]
    return ids | {one.uri for one in alone if evaluate(expression, lookup(None, one, NOW))}


@given(
    described=st.lists(facts, min_size=1, max_size=3),
    held=st.lists(helds, max_size=3, unique_by=lambda one: one.number),
    text=filters,
)
def test_agreement(described: list[dict[str, Any]], held: list[Held], text: str) -> None:
    """Compiled SQL and `evaluate` find the same, with NOT, NaN, missing values and live tags."""
    versions = [version(at + 1, facts) for at, facts in enumerate(described)]
    try:
        parse(text)
    except InvalidInputError:
        return  # such as text multiplied

    ids = filled(versions, held).search(text).ids

    assert len(ids) == len(set(ids))
    assert set(ids) == found(text, versions, held)


@pytest.mark.parametrize("name", sorted(SEARCH.closed["attribute"]))
def test_every_attribute(name: str) -> None:
    """Every name that a filter may use can be searched for."""
    field = SEARCH.field(name)
    test = {Type.TEXT: "= 'x'", Type.FLAG: "= true"}.get(field.type, "> 0")
    texts = [f"{name} {test}", f"NOT {name} {test}", f"{name} IS NULL"]
    versions = [version(1, {"git": {"dirty": True}, "run": {"start": 3, "end": 4}})]
    index = filled(versions, [])

    for text in texts:
        assert set(index.search(text).ids) == found(text, versions, [])


def test_limits() -> None:
    """The deepest, the longest and the widest filter that is read can be searched for."""
    deepest = "metrics.a = 1"
    for level in range(MAX_DEPTH):
        join = "AND" if level % 2 else "OR"
        deepest = f"(tags.a LIKE '%' {join} metrics.a != params.a * 2 - tags.a {join} {deepest})"
    longest = " AND ".join(f"tags.a != 'y{at}'" for at in range(MAX_CONDITIONS))
    either = " OR ".join(f"tags.a = 'y{at}'" for at in range(MAX_CONDITIONS))
    widest = "metrics.a > 0" + " + tags.a * 1" * (MAX_TERMS - 1)
    listed = f"number IN ({', '.join(map(str, range(10_000)))})"
    versions = [version(1, {"metrics": {"a": 1}, "tags": {"a": "x"}})]
    index = filled(versions, [])

    for text in (deepest, f"NOT {longest}", longest, either, widest, listed):
        assert set(index.search(text).ids) == found(text, versions, [])


def test_injection() -> None:
    """Names and values are bound: what looks like SQL is a name and a value."""
    odd = "a') OR 1=1 --"
    versions = [version(1, {"tags": {odd: "x"}, "params": {"b": "'; DROP TABLE versions"}})]
    index = filled(versions, [])

    assert len(index.search(f"tags.`{odd}` = 'x'")) == 1
    assert len(index.search('params.b = "\'; DROP TABLE versions"')) == 1
    assert len(index.search(f"tags.\"{odd}\" = 'y'")) == 0
    assert len(index.search("name = 'x\" OR 1=1'")) == 0
    assert len(index) == 1


def test_not_a_number() -> None:
    """A NaN is less, more and equal to nothing, unlike everything, and not missing."""
    index = filled([version(1, {"metrics": {"a": math.nan}})], [])
    index.add([version(2, {"metrics": {"a": "NaN"}})])

    for text in ("metrics.a > 0", "metrics.a <= 0", "metrics.a = 0", "NOT metrics.a > 0"):
        assert not index.search(text).ids
    for text in ("metrics.a != 0", "metrics.a IS NOT NULL"):
        assert len(index.search(text)) == 2


def test_policies_only() -> None:
    """What only a policy can know is refused in a search."""
    index = filled([], [])

    with pytest.raises(InvalidInputError, match="no baseline"):
        index.search("metrics.a > baseline.metrics.a")


@given(text=joined(run_conditions() | version_conditions()))
def test_mlflows(text: str) -> None:
    """Every filter of MLflow's can be searched for."""
    assert filled([], []).search(text).ids == ()
