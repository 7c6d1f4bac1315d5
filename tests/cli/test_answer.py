"""Figures and names are spelled for people."""

from __future__ import annotations

import pytest

from mlflow_vault.cli.answer import share_text, shown, size_text, table


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (-1_500_000, "-1.5 MB"),
        (2_340_000_000, "2.3 GB"),
        (5e18, "5000.0 PB"),
    ],
)
def test_size(size: float, text: str) -> None:
    """Sizes are decimal, one digit, in the largest unit that fits."""
    assert size_text(size) == text


def test_share() -> None:
    """A share of nothing is no number."""
    assert share_text(1, 4) == "25.0 %"
    assert share_text(0, 0) == "-"


def test_shown() -> None:
    """What cannot be printed is escaped; what can, in any script, is not."""
    assert shown("größe模型.pkl") == "größe模型.pkl"
    assert shown("a\tb\udcff") == "a\\tb\\udcff"


def test_empty_table() -> None:
    """A table without rows is its head."""
    assert table(("coding", "stored"), []) == ["coding  stored"]
