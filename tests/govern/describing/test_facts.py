"""Facts are read as what they should be, whatever they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import Origin, Version
from mlflow_vault.govern.describing import facts


def declaring(**metadata: Any) -> Version:
    """A version whose committer declared this."""
    return Version(Digest.of(b""), "0c", "", 0, 0, "", Origin("", ""), (), metadata=metadata)


@given(told=st.text() | st.text("ab \n\x1b\u202e\u2028\ud800"))
def test_text(told: str) -> None:
    """Text is one line that any encoding of Unicode holds and no terminal obeys."""
    seen = facts.text(told)

    assert seen.encode().decode() == seen
    assert "\n" not in seen
    assert seen == seen.strip()
    assert facts.text(seen) == seen
    assert not set("\x1b\u202e\u2028\ud800") & set(seen)


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ("a\r\nb\u2028c\u202ed", "a b c d"),
        ("\ud800", ""),
        (3, "3"),
        (0.5, "0.5"),
        (True, ""),
        (None, ""),
        ([1], ""),
        ({}, ""),
        ("x" * 9000, "x" * 2000),
    ],
)
def test_texts(told: Any, seen: str) -> None:
    """Numbers are text, too; what is neither is nothing."""
    assert facts.text(told) == seen


@pytest.mark.parametrize("told", [None, 7, "text", [], [1, "a", None], {"a": 1}, True])
def test_other_kinds(told: Any) -> None:
    """What is of another kind is nothing."""
    assert facts.rows(told) == []
    assert facts.mapping(told) == ({"a": 1} if isinstance(told, dict) else {})
    assert facts.number(told) == (7 if told == 7 else None)


def test_metrics() -> None:
    """Metrics that are no finite numbers are told, and are no numbers."""
    told = {"f1": 0.5, "loss": "NaN", "": 1, "odd": [1], "big": float("inf")}

    assert facts.metrics(told) == {"f1": "0.5", "loss": "NaN", "big": "inf"}
    assert [facts.number(each) for each in told.values()] == [0.5, None, 1, None, None]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"license": "apache-2.0"}, ("Apache-2.0", True)),
        ({"licence": "MIT"}, ("MIT", True)),
        ({"license": "ours alone"}, ("ours alone", False)),
        ({"license": ["MIT"]}, ("", False)),
        ({}, ("", False)),
    ],
)
def test_licences(metadata: dict[str, Any], found: tuple[str, bool]) -> None:
    """A licence is as it was declared, spelled as SPDX does where that knows it."""
    assert facts.licence(declaring(**metadata)) == found


def test_moments() -> None:
    """Times beyond the calendar are no times."""
    assert facts.moment(1_700_000_000_999) == "2023-11-14T22:13:20Z"
    assert facts.moment(-1) == "1969-12-31T23:59:59Z"
    assert facts.moment(10**18) == facts.moment(-(10**18)) == facts.moment(10**400) == ""
