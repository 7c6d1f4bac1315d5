"""Files that are likely relatives meet in a bucket; others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.decide.families import family_buckets, series_buckets, series_of
from mlflow_vault.format.elements import Element
from mlflow_vault.format.layout import family_key
from mlflow_vault.format.rows import Tensor

shapes = st.lists(st.integers(1, 4096), max_size=3).map(tuple)
names = st.text(st.characters(codec="utf-8"), max_size=8)
elements = st.sampled_from([*Element, None])


def _tensor(name: str, shape: tuple[int, ...], element: Element | None = Element.F32) -> Tensor:
    return Tensor(name, element, shape, 0, 1, element, 1, 1)


tensors = st.lists(st.builds(_tensor, names, shapes, elements), min_size=1, max_size=12)


def _model(layers: int, width: int) -> list[Tensor]:
    found = [
        _tensor("embeddings.weight", (30_000, width)),
        _tensor("classifier.weight", (2, width)),
    ]
    for layer in range(layers):
        for part in ("query", "key", "value", "output"):
            found.append(_tensor(f"layer.{layer}.{part}.weight", (width, width)))
            found.append(_tensor(f"layer.{layer}.{part}.bias", (width,)))
        found.append(_tensor(f"layer.{layer}.norm.gain", (width,)))
        found.append(_tensor(f"layer.{layer}.up.kernel", (width, 4 * width)))
    return found


@given(found=tensors, data=st.data())
def test_order_and_wrapping(found: list[Tensor], data: st.DataObject) -> None:
    """Neither the order of tensors nor the name of what wraps them changes a bucket."""
    wrapped = [replace(tensor, name=f"model.{tensor.name}") for tensor in found]
    mixed = data.draw(st.permutations(wrapped))

    assert family_buckets(mixed) == family_buckets(found)


@given(found=tensors)
def test_keys(found: list[Tensor]) -> None:
    """There are a few buckets, whatever the file, and each has a key."""
    buckets = family_buckets(found)

    assert len(set(buckets)) == len(buckets) == 3
    assert len({family_key(bucket) for bucket in buckets}) == 3


def test_half_precision() -> None:
    """A copy in half precision is a relative; one in whole numbers is not."""
    model = _model(2, 64)
    half = [replace(tensor, element=Element.BF16) for tensor in model]
    whole = [replace(tensor, element=Element.U8) for tensor in model]

    assert family_buckets(half) == family_buckets(model)
    assert not {*family_buckets(whole)} & {*family_buckets(model)}


def test_new_head_and_vocabulary() -> None:
    """A model with a new head, or a resized vocabulary too, meets the one it came from."""
    widths = range(32, 3_232, 32)
    new_head = resized = 0
    for width in widths:
        model = _model(6, width)
        tuned = [model[0], _tensor("score.weight", (5, width)), *model[2:]]
        new_head += bool({*family_buckets(tuned)} & {*family_buckets(model)})
        tuned[0] = _tensor("embeddings.weight", (30_007, width))
        resized += bool({*family_buckets(tuned)} & {*family_buckets(model)})

    assert new_head == len(widths)
    assert resized == len(widths)


def test_strangers() -> None:
    """Models of other widths do not meet."""
    seen: set[str] = set()
    for width in range(32, 1056, 32):
        buckets = {*family_buckets(_model(6, width))}

        assert not buckets & seen
        seen |= buckets


def test_without_tensors() -> None:
    """A file without tensors has no family, only a series."""
    assert family_buckets([]) == []
    assert series_buckets("7/a") != series_buckets("7/b")


@given(path=st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1))
def test_series(path: str) -> None:
    """The same file of any run has the same buckets, whatever its name; another has others."""
    runs = ["0" * 32, "models/m-" + "1" * 32]
    first, second = (series_buckets(f"7/{run}/artifacts/{path}") for run in runs)

    assert first == second
    assert first != series_buckets(f"8/{runs[0]}/artifacts/{path}")
    assert len(first) == len(set(first)) <= 2


def test_numbered_series() -> None:
    """Checkpoints whose names count up meet in the second bucket."""
    one, two = (series_buckets(f"7/x/epoch-{epoch}/w.npy") for epoch in (9, 10))

    assert one[0] != two[0]
    assert one[1] == two[1]


@pytest.mark.parametrize(
    ("path", "series"),
    [
        ("7/" + "0" * 32 + "/artifacts/model/MLmodel", "7|model/MLmodel"),
        ("7/models/m-" + "a" * 32 + "/artifacts/model.pkl", "7|model.pkl"),
        (
            "workspaces/x/7/traces/tr-" + "b" * 32 + "/artifacts/traces.json",
            "workspaces/x/7|traces.json",
        ),
        ("0" * 32 + "/artifacts/w.npy", "|w.npy"),
        ("plain/folder/w.npy", "plain|folder/w.npy"),
    ],
)
def test_series_of(path: str, series: str) -> None:
    """Versions of one file share a series: the run is taken out of the path."""
    assert series_of(path) == series
