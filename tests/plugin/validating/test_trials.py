"""What a program's end means for the version: good, bad, or nothing at all."""

from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.canonical import spell
from mlflow_vault.plugin.validating.contents import digest_of, open_file
from mlflow_vault.plugin.validating.environments import look, wanted_python
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


ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150)
@given(
    answer=st.fixed_dictionaries(
        {"passed": st.integers(0, 3), "failed": st.just(0), "skipped": st.just(0)},
        optional={
            "code": st.sampled_from([0, 1]) | ANYTHING,
            "failures": ANYTHING,
            "metrics": st.dictionaries(st.text(), ANYTHING, max_size=3),
            "problem": ANYTHING,
        },
    ),
    trial=st.sampled_from([SUITE, TABLE]),
)
def test_any_answer(answer: dict[str, Any], trial: Suite | Evaluation) -> None:
    """Whatever a process of the model's answers is evidence, or says that nothing was learnt."""
    try:
        found = trial.learn(FINE, answer)
    except InvalidInputError:
        return
    assert spell({"reason": found.reason, **found.values})
    assert len(found.values.get("failures") or ()) <= 20


def test_far_answer() -> None:
    """A metric that no number of Python's is as large as is none, and names have a bound."""
    found = TABLE.learn(FINE, {"metrics": {"f1": 10**400, "x" * 5000: None}})

    assert not found.passed
    assert len(found.reason) < 2000


def test_pipes(tmp_path: Path) -> None:
    """What the model's code put in the place of a table does not keep us waiting for its end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "file").write_text("{}")

    for name in ("pipe", "endless"):
        with pytest.raises(InvalidInputError, match="is no file"):
            digest_of(tmp_path / name)
        with pytest.raises(OSError, match="is no file"):
            open_file(tmp_path / name)
    assert digest_of(tmp_path / "file")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("python: 3.12.4", "3.12"),
        ("python: 3.12", "3.12"),
        ("python: [3, 12]", ""),
        ("python: ../../evil.sh", ""),
        ("- 1", ""),
        ("", ""),
        (f"python: {'[' * 500}", ""),
        ("a: &a [1]\n" + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghijkl")
        ) + "python: *l", ""),
    ],
)  # fmt: skip
def test_python(tmp_path: Path, said: str, wanted: str) -> None:
    """The Python of a version is a figure, however large what its file stands for."""
    (tmp_path / "python_env.yaml").write_text(said)

    assert wanted_python(tmp_path) == wanted


@pytest.mark.parametrize("said", ["{}", "[]", "5", '{"packages": 3}', "x", "[" * 5000])
def test_odd_environment(tmp_path: Path, said: str) -> None:
    """An environment in which something else speaks is none."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{said}'\n")
    python.chmod(0o700)

    with pytest.raises(InvalidInputError, match="does not say what it has"):
        look(str(python), {"PATH": os.defpath}, tmp_path)
