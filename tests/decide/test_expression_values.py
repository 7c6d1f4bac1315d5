"""What is missing is unknown, NaN is nothing's equal, and of several values one is enough."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.decide.expression import SEARCH, Field, Type, evaluate, judge, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.decide.expression import Value

KNOWN: dict[Field, Value] = {
    Field("metric", "f1"): 0.9,
    Field("metric", "nan"): math.nan,
    Field("metric", "huge"): math.inf,
    Field("param", "lr"): "1e-3",
    Field("param", "word"): "many",
    Field("tag", "n"): "2",
    Field("attribute", "created"): 1_000_000,
    Field("attribute", "git_dirty"): False,
    Field("attribute", "alias"): (),
    Field("attribute", "flavor"): ("python_function", "sklearn"),
    Field("dataset", "name"): ("train", "test"),
    Field("metric", "f1", "baseline"): 0.89,
    Field("now", ""): 1_000_000 + 3_600_000,
}
POLICY = SEARCH.extended({"evidence": {"age": Type.DURATION}}, scopes={"baseline"})


def judged(text: str) -> bool | None:
    """Judge *text* by what is known here."""
    return judge(parse(text, POLICY), KNOWN.get)


TRUE = [
    "metrics.f1 >= 0.9",
    "metrics.f1 > baseline.metrics.f1 - 0.01",
    "metrics.f1 * 2 - 1 > 0.7",
    "params.lr < 0.01",
    "params.lr + 1 > metrics.f1",
    "tags.n = 2",
    "tags.n IN (1, 2)",
    "tags.n NOT IN ('1')",
    "metrics.none IS NULL",
    "metrics.nan IS NOT NULL",
    "NOT git_dirty",
    "git_dirty = false",
    "NOT alias = 'champion'",
    "alias IS NULL",
    "flavor = 'sklearn'",
    "flavor != 'sklearn'",
    "NOT flavor = 'xgboost'",
    "dataset.name LIKE 'tr%'",
    "created > now - 2h",
    "now - created <= 1h",
    "metrics.none > 1 OR metrics.f1 > 0",
]
FALSE = [
    "metrics.f1 > 0.95",
    "NOT metrics.f1 > 0.5",
    "git_dirty",
    "alias = 'champion'",
    "alias != 'champion'",
    "NOT dataset.name = 'test'",
    "created > now - 30m",
    "metrics.none > 1 AND metrics.f1 < 0",
    "metrics.none IS NOT NULL",
]
UNKNOWN = [
    "metrics.none > 1",
    "NOT metrics.none > 1",
    "metrics.none != 1",
    "metrics.nan > 0",
    "NOT metrics.nan > 0",
    "metrics.nan != 0",
    "metrics.nan IN (1)",
    "metrics.huge > 1e308",
    "metrics.huge NOT IN (1)",
    "metrics.huge - metrics.huge = 0",
    "metrics.f1 < 1e999",
    "metrics.f1 > baseline.metrics.none",
    "baseline.params.lr = '1e-3'",
    "params.word > 1",
    "NOT params.word IN (1)",
    "dataset.digest != 'x'",
    "NOT dataset.digest = 'x'",
    "held",
    "NOT held",
    "evidence.age < 30d",
    "NOT evidence.age > 30d",
    "metrics.none > 1 AND metrics.f1 > 0",
    "metrics.none > 1 OR metrics.f1 < 0",
]


@pytest.mark.parametrize("text", TRUE)
def test_true(text: str) -> None:
    """This holds."""
    assert judged(text) is True


@pytest.mark.parametrize("text", FALSE)
def test_false(text: str) -> None:
    """This does not hold."""
    assert judged(text) is False


@pytest.mark.parametrize("text", UNKNOWN)
def test_unknown(text: str) -> None:
    """This is not known, so neither it nor its contrary lets a policy pass."""
    assert judged(text) is None
    assert judged(f"NOT ({text})") is None


def test_search_finds_more() -> None:
    """Only a search finds what is infinite, and a NaN with !=, as MLflow's does."""
    for text in ("metrics.nan != 0", "metrics.nan != metrics.f1", "metrics.huge > 1e308"):
        expression = parse(text)
        assert evaluate(expression, KNOWN.get)
        assert judge(expression, KNOWN.get) is None


def test_three_values() -> None:
    """AND, OR and NOT are SQL's, with false below unknown below true."""
    rank = {False: 0, None: 1, True: 2}
    texts = {True: "metrics.f1 > 0", False: "metrics.f1 < 0", None: "metrics.none > 0"}

    for left, right in product(texts, texts):
        both = judged(f"{texts[left]} AND {texts[right]}")
        either = judged(f"{texts[left]} OR {texts[right]}")
        assert both is min(left, right, key=rank.__getitem__)
        assert either is max(left, right, key=rank.__getitem__)


@pytest.mark.parametrize("value", [None, True, "1", (), ("1",), "x"])
def test_foreign_values(value: Value) -> None:
    """A value of another type than the field's is like something missing."""
    ask: Callable[[Field], Value] = lambda _: value  # noqa: E731 - it is one value

    assert judge(parse("metrics.a > 0"), ask) is None
    assert judge(parse("created != 5"), ask) is None
    assert judge(parse("metrics.a IN (1)"), ask) is None
