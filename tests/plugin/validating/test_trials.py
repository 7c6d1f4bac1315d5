"""What a program's end means for the version: good, bad, or nothing at all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.plugin.validating.contents import digest_of
from mlflow_vault.plugin.validating.running import Ended
from mlflow_vault.plugin.validating.trials import Evaluation, Suite

FINE = Ended(0, "")
SUITE = Suite(Path("tests/holdout"))
TABLE = Evaluation(Path("data/holdout.csv"), "label", "classifier")


def counts(code: int, passed: int, failed: int = 0, skipped: int = 0) -> dict[str, Any]:
    """What the program of tests answers."""
    failures = [f"test_{number}" for number in range(failed)]
    told = {"code": code, "passed": passed, "failed": failed, "skipped": skipped}
    return {**told, "failures": failures}


@pytest.mark.parametrize(
    ("ended", "answer", "passed"),
    [
        (FINE, counts(0, 3), True),
        (FINE, counts(0, 3, skipped=2), True),
        (FINE, counts(1, 3, 1), False),
        (FINE, counts(2, 0, 1), False),
        (FINE, counts(0, 0, skipped=3), False),
        (FINE, counts(0, 3, 1), False),
        (FINE, None, False),
        (FINE, {}, False),
        (FINE, {**counts(0, 3), "passed": True}, False),
        (FINE, {**counts(0, 3), "passed": -1}, False),
        (Ended(-11, ""), counts(0, 3), False),
        (Ended(-11, "Segmentation fault"), None, False),
        (Ended(None, ""), None, False),
    ],
)
def test_suite(ended: Ended, answer: dict[str, Any] | None, *, passed: bool) -> None:
    """Only tests that ran, all of them well, speak for a version; a crash or a hang against it."""
    assert SUITE.learn(ended, answer).passed is passed


@pytest.mark.parametrize("code", [3, 4, 5, 77])
def test_nothing_learnt(code: int) -> None:
    """That pytest found no tests, or could not run, says nothing of the version."""
    with pytest.raises(InvalidInputError, match="nothing was kept"):
        SUITE.learn(FINE, counts(code, 0))


def test_metrics() -> None:
    """Metrics are the values; one that is no number speaks against the version."""
    good = TABLE.learn(FINE, {"metrics": {"f1": 0.9, "count": 3}})
    bad = TABLE.learn(FINE, {"metrics": {"f1": math.nan, "count": 3}})

    assert (good.passed, good.values) == (True, {"f1": 0.9, "count": 3})
    assert (bad.passed, bad.values) == (False, {"f1": "NaN", "count": 3})
    assert not TABLE.learn(Ended(1, "boom"), None).passed
    assert not TABLE.learn(FINE, {"metrics": {}}).passed
    with pytest.raises(InvalidInputError, match="no column"):
        TABLE.learn(FINE, {"problem": "it has no column 'label'"})


def test_names() -> None:
    """Evidence is called as its source is, unless somebody says otherwise."""
    assert (SUITE.called, TABLE.called) == ("holdout", "holdout")
    assert Suite(Path("tests"), "smoke").called == "smoke"


def test_questions(tmp_path: Path) -> None:
    """What makes no sense is refused before anything is made."""
    table = tmp_path / "t.csv"
    table.touch()

    for trial in (
        Suite(tmp_path / "nothing"),
        Evaluation(tmp_path, "y", "classifier"),
        Evaluation(table, "", "classifier"),
        Evaluation(table, "y", "oracle"),
    ):
        with pytest.raises(InvalidInputError):
            trial.question()


def test_digest(tmp_path: Path) -> None:
    """A digest is of paths and contents, not of what running tests leaves behind."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "test_a.py").write_text("a")
    before = digest_of(tmp_path)
    (tmp_path / "inner" / "__pycache__").mkdir()
    (tmp_path / "inner" / "__pycache__" / "test_a.pyc").write_text("x")

    assert digest_of(tmp_path) == before
    (tmp_path / "inner" / "test_a.py").rename(tmp_path / "test_a.py")
    assert digest_of(tmp_path) != before
    with pytest.raises(InvalidInputError):
        digest_of(tmp_path / "nothing")
