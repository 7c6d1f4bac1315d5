"""The index answers sorted, in pages, with what MLflow says now."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Metric, Param, Run, RunData, RunInfo
from mlflow.utils.search_utils import SearchUtils

from mlflow_vault.errors import CorruptionError, InvalidInputError, NotFoundError, StorageError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.layout import record_key
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.index import Index, Synced, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Make = Callable[..., Version]


@pytest.fixture
def index() -> Index:
    """An empty index."""
    return Index.open(None, "v")


def pages(index: Index, text: str, order_by: Sequence[str], size: int) -> list[str]:
    """Return the ids on all pages."""
    ids: list[str] = []
    token: str | None = None
    while token != "":
        page = index.search(text, order_by=order_by, max_results=size, page_token=token)
        assert 0 < len(page) <= size
        ids += page
        token = page.token
    return ids


def test_newest_first(index: Index, make: Make) -> None:
    """Without an order the newest come first, and of one time the smallest id."""
    index.add([make(1), make(3, created=7000), make(2, created=7000), make(4)])

    assert index.search().ids == ("m02", "m03", "m04", "m01")


values = st.none() | st.sampled_from([0.0, 1.0, 2.5, math.nan, math.inf, -math.inf])
words = st.none() | st.sampled_from(["", "a", "B", "b", "é"])


@given(
    rows=st.lists(st.tuples(values, words), min_size=1, max_size=8),
    down=st.tuples(st.booleans(), st.booleans()),
    size=st.integers(1, 4),
)
def test_order(
    rows: list[tuple[float | None, str | None]], down: tuple[bool, bool], size: int
) -> None:
    """Results come in MLflow's order: what is missing last, NaN before it; on pages of any size."""
    order_by = ["metrics.a DESC" if down[0] else "metrics.a ASC"]
    order_by.append(f"params.`b c` {'desc' if down[1] else 'asc'}")
    runs, versions = [], []
    for at, (number, text) in enumerate(rows):
        info = RunInfo(f"{at}", "0", "", "FINISHED", 1, 2, "active")
        metrics = [] if number is None else [Metric("a", number, 0, 0)]
        params = [] if text is None else [Param("b c", text)]
        runs.append(Run(info, RunData(metrics, params, [])))
        files = (File("a", at, Digest.of(b""), bytes(32)),)
        facts: dict[str, Any] = {"metrics": {} if number is None else {"a": number}}
        facts["params"] = {} if text is None else {"b c": text}
        origin = Origin("", "")
        versions.append(
            Version(digest_of(files), f"{at}", "", 0, 1, "", origin, files, facts=facts)
        )
    index = Index.open(None, "v")
    index.add(versions)

    sorted_ids = [run.info.run_id for run in SearchUtils.sort(runs, order_by)]
    assert pages(index, "", order_by, size) == sorted_ids


def test_pages_stay(index: Index, make: Make) -> None:
    """Versions that come or go between two pages make none come twice or be left out."""
    index.add([make(number, metrics={"a": number}) for number in range(1, 7)])
    first = index.search(order_by=["metrics.a ASC"], max_results=3)

    index.add([make(99, metrics={"a": 0.5})])
    index.forget([record_key(make(2).digest, "m02"), record_key(make(3).digest, "m03")])
    second = index.search(order_by=["metrics.a ASC"], max_results=3, page_token=first.token)

    assert first.ids == ("m01", "m02", "m03")
    assert second.ids == ("m04", "m05", "m06")
    assert second.token == ""


def test_pages_of_one_now(make: Make) -> None:
    """All pages of an answer have the same now."""
    times = iter([10.0, 99.0])
    index = Index.open(None, "v", clock=lambda: next(times))
    index.add([make(number, created=9_000) for number in (1, 2)])

    first = index.search("created > now - 2s", max_results=1)
    second = index.search("created > now - 2s", max_results=1, page_token=first.token)

    assert (*first, *second) == ("m01", "m02")


def test_foreign_tokens(index: Index, make: Make) -> None:
    """A token of another question, or one that is none, is refused."""
    index.add([make(number) for number in range(1, 4)])
    token = index.search("number > 0", max_results=1).token
    whole = base64.urlsafe_b64decode(token)
    body = json.loads(whole[16:])
    unchecked = base64.urlsafe_b64encode(whole[:16] + json.dumps([*body[:3], [1]]).encode())

    with pytest.raises(InvalidInputError, match="another search"):
        index.search("number > 1", page_token=token)
    with pytest.raises(InvalidInputError, match="another search"):
        index.search("number > 0", order_by=["name"], page_token=token)
    for odd in ("x", "é", token[:-4], token[4:], unchecked.decode(), "AAAA" * 9, "="):
        with pytest.raises(InvalidInputError, match="page token"):
            index.search("number > 0", page_token=odd)


@pytest.mark.parametrize("order", ["metrcs.a", "metrics.a UP", "alias", "1", "", "name, number"])
def test_odd_orders(index: Index, order: str) -> None:
    """An order that cannot be is refused, with a caret."""
    with pytest.raises(InvalidInputError, match=r"\^"):
        index.search(order_by=[order])


def test_odd_arguments(index: Index) -> None:
    """So is a page of nothing, or of too much."""
    for size in (0, -1, 50_001):
        with pytest.raises(InvalidInputError, match="max_results"):
            index.search(max_results=size)
    with pytest.raises(InvalidInputError, match="order_by"):
        index.search(order_by="name")


def test_live(index: Index, make: Make) -> None:
    """What people change in MLflow counts as it is now, and what they took back does not."""
    index.add([make(1, tags={"team": "risk", "old": "x"}), make(2)])
    held = Held("models:/m/1", "", "m", 1, aliases=("champion",), tags={"team": "growth"})

    index.refresh([held, Held("models:/m/2", "", "m", 2, aliases=("production",))])

    assert index.search("alias = 'champion'").ids == ("m01",)
    assert index.search("stage = 'production'").ids == ("m02",)
    assert index.search("tags.team = 'growth' AND tags.old = 'x'").ids == ("m01",)
    assert index.search("tags.team = 'risk'").ids == ()
    assert index.search(order_by=["tags.team"], max_results=1).ids == ("m01",)

    index.refresh([Held("models:/m/1", "", "m", 1, tags={"mlflow_vault.stage": "archived"})], "m")

    assert index.search("alias IS NOT NULL").ids == ()
    assert index.search("tags.team = 'risk' AND stage = 'archived'").ids == ("m01",)


def test_nothing_new(tmp_path: Path, make: Make) -> None:
    """Where MLflow says what it said before, nothing is written; where versions are new, it is."""
    index = Index.open(tmp_path / "v.sqlite", "v")
    held = [Held("models:/m/1", "", "m", 1, aliases=("champion",)), Held("x", "", "m", 2)]
    index.add([make(2)])
    index.refresh(held)
    before = (tmp_path / "v.sqlite").stat().st_mtime_ns

    index.refresh(reversed(held))
    assert (tmp_path / "v.sqlite").stat().st_mtime_ns == before

    index.add([make(1), make(3)])
    index.refresh(held[1:])
    assert index.search("alias = 'champion'").ids == ()
    index.refresh(held)
    assert index.search("alias = 'champion'").ids == ("m01",)


def test_one_model(index: Index, make: Make) -> None:
    """Refreshing one registered model leaves the others as they were."""
    index.add([make(1), make(1, "n")])
    index.refresh([Held("", "", name, 1, aliases=("champion",)) for name in ("m", "n", "o")])

    index.refresh([Held("models:/m/1", "", "m", 1)], "m")

    assert index.search("alias = 'champion'", order_by=["name"]).ids == ("n01", "models:/o/1")


def test_not_held(index: Index, make: Make) -> None:
    """What MLflow has and the vault has not is found, until the vault holds it."""
    location = "s3://elsewhere"
    alone = Held("models:/o/1", location, "o", 1, tags={"a": "x"}, aliases=("champion",))
    index.refresh([alone])
    assert index.search("NOT held AND tags.a = 'x'").ids == ("models:/o/1",)
    assert index.search(f"source_path = '{location}'").ids == ("models:/o/1",)

    index.add([make(1, "o")])

    assert index.search().ids == ("o01",)
    assert index.search("held AND tags.a = 'x' AND alias = 'champion'").ids == ("o01",)


def test_number_again(index: Index, make: Make) -> None:
    """Numbers start again after a model is deleted: the digest says which version is meant."""
    older, newer = make(1, "m"), make(1, "m", created=9_000)
    other = make(2, "m")
    index.add([older, replace(newer, id="again", digest=other.digest)])

    index.refresh([Held("", "", "m", 1, digest=str(older.digest), aliases=("champion",))])
    assert index.search("alias = 'champion'").ids == ("m01",)

    index.refresh([Held("", "", "m", 1, aliases=("champion",))])
    assert index.search("alias = 'champion'").ids == ("again",)

    index.refresh([Held("models:/m/1", "", "m", 1, digest=f"b3:{'0' * 64}")])
    assert index.search("NOT held").ids == ("models:/m/1",)


def test_sync(index: Index, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Syncing adds what is new, forgets what is gone, and leaves out what is damaged."""
    records = {record_key(one.digest, one.id): one for one in map(make, range(1, 6))}
    keys = sorted(records)
    damaged, vanished = keys[0], keys[1]
    reads: list[str] = []

    def read(key: str) -> Version:
        reads.append(key)
        if key == damaged:
            raise CorruptionError(key, "flipped")
        if key == vanished:
            raise NotFoundError(key)
        return records[key]

    assert sync(index, lambda: keys, read) == Synced(3, 0, (damaged,))
    assert damaged in caplog.text
    assert index.keys() == set(keys[2:])

    reads.clear()
    assert sync(index, lambda: keys[3:], read) == Synced(0, 1, ())
    assert reads == []
    assert len(index) == 2


def test_failed_listing(index: Index, make: Make) -> None:
    """A listing that fails makes nothing be forgotten."""
    index.add([make(1)])

    def fail() -> list[str]:
        raise StorageError("no answer")

    with pytest.raises(StorageError):
        sync(index, fail, lambda _: make(1))

    assert len(index) == 1


def test_added_twice(index: Index, make: Make) -> None:
    """A version that is added again is there once."""
    index.add([make(1, metrics={"a": 1})])
    index.add([make(1, metrics={"a": 1}), make(2)])

    assert index.search("metrics.a = 1").ids == ("m01",)
    assert len(index) == 2


def test_failed_change(index: Index, make: Make) -> None:
    """A change that fails half-way leaves nothing of itself."""

    def some() -> list[Version]:
        raise StorageError("no answer")

    def versions() -> object:
        yield make(1)
        yield from some()

    with pytest.raises(StorageError):
        index.add(versions())  # type: ignore[arg-type]

    assert len(index) == 0
    index.add([make(1)])
    assert len(index) == 1
