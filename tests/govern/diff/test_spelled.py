"""A diff reads well, and no name in it can do anything but be read."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bench import Bench
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

if TYPE_CHECKING:
    from mlflow_vault.govern.diff import Diff

HOSTILE = "<script>alert(1)</script>\x1b[2J\n\u202e&\"'"
names = st.text(min_size=1, max_size=20) | st.just(HOSTILE)


def diff_of(old: dict[str, Any], new: dict[str, Any], **facts: Any) -> Diff:
    """Compare two models of these tensors."""
    bench = Bench.empty()
    first = bench.commit(1, {"m.safetensors": save(old)})
    return bench.compare(first, bench.commit(2, {"m.safetensors": save(new)}, **facts))


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note *tag*, which has no attributes that could do anything."""
        assert {name for name, _ in attrs} <= {"open", "colspan"}
        self.found.add(tag)


@settings(max_examples=50)
@given(name=names, value=names)
def test_hostile_names(name: str, value: str) -> None:
    """Names and values stay on their line, steer no terminal and no browser."""
    weights = {f"w{name}".replace("\0", "0"): np.arange(3)}
    diff = diff_of({}, weights, params={name: value}, tags={value: {name: value}})

    for line in diff.lines():
        assert line.isprintable()
    page = diff._repr_html_()
    assert Tags(page).found <= {"div", "p", "b", "details", "summary", "table", "tr", "td"}


def test_limit() -> None:
    """Long lists are cut, and say by how much."""
    old = {f"w{index:02}": np.arange(3.0) for index in range(30)}

    diff = diff_of(old, {name: one + 1 for name, one in old.items()})

    assert diff.lines(5)[-1] == "  ... and 25 more"
    assert sum(line.startswith("  ~ w") for line in diff.lines(5)) == 5
    assert str(diff).count("\n  ~ w") == 20


def test_long_values() -> None:
    """A value as long as a file does not fill the screen."""
    diff = diff_of({}, {}, params={"prompt": "x" * 10_000})

    assert max(map(len, diff.lines())) < 250


def test_nothing() -> None:
    """No difference is said in so many words."""
    bench = Bench.empty()
    side = bench.commit(1, {"m.safetensors": save({"w": np.arange(3)})})

    diff = bench.compare(side, side)

    assert diff.lines() == ["m/1 -> m/1: nothing differs"]
    assert repr(diff) == "Diff('nothing differs')"


@pytest.mark.parametrize(
    ("old", "new", "summary"),
    [
        ({"a": np.ones(2)}, {"a": np.zeros(2)}, "1 of 1 tensor changed, max |delta| 1, "),
        ({"a": np.ones(2)}, {"b": np.ones(2)}, "1 of 2 tensors added, 1 removed, "),
        ({"a": np.ones(2)}, {"a": np.ones((2, 1))}, "1 of 1 tensor reshaped, "),
    ],
)
def test_summary(old: dict[str, Any], new: dict[str, Any], summary: str) -> None:
    """The summary says first what became of tensors."""
    assert diff_of(old, new).summary.startswith(summary)


def test_tensor_line() -> None:
    """A tensor's line has all that was measured."""
    diff = diff_of({"w": np.array([3.0, 4.0, 1.0])}, {"w": np.array([3.0, 5.0, np.nan])})

    assert diff.lines()[-1] == (
        "  ~ w  F64 [3], 2 of 3 changed (66.7 %), max |delta| 1, relative L2 0.25, cosine 1, "
        "NaN or infinite 0 -> 1  (m.safetensors)"
    )
