"""Packs say everything about their chunks, and damage to them is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import CorruptionError, UnsupportedError
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.pack import (
    EMPTY,
    Link,
    PackBuilder,
    Record,
    cost,
    read_record,
    read_records,
)

digests = st.binary(min_size=32, max_size=32).map(Digest)
links = st.builds(Link, digests, st.integers(0, 9), st.integers(10, 99))
records = st.builds(
    Record,
    digest=digests,
    size=st.integers(1, 4 << 20),
    codec=st.sampled_from([int(codec) for codec in Codec]),
    depth=st.integers(0, 4),
    links=st.lists(links, max_size=3).map(tuple),
    payload=st.binary(max_size=200),
)


def _packed(held: list[Record]) -> tuple[bytes, list[int]]:
    builder = PackBuilder()
    starts = [builder.add(record) for record in held]
    return bytes(builder.finish()), starts


@given(held=st.lists(records, max_size=5))
def test_round_trip(held: list[Record]) -> None:
    """Every record comes back, and each payload lies where `add` said."""
    stored, starts = _packed(held)

    assert list(read_records(stored, "k")) == held
    for record, start in zip(held, starts, strict=True):
        assert stored[start : start + len(record.payload)] == record.payload


@given(held=st.lists(records, max_size=5))
def test_cost(held: list[Record]) -> None:
    """What a record adds to its pack can be told without reading it."""
    stored, _ = _packed(held)

    assert len(stored) == EMPTY + sum(cost(len(one.payload), len(one.links)) for one in held)


@given(held=st.lists(records, min_size=1, max_size=3), at=st.integers(0), value=st.integers(1, 255))
def test_changed(held: list[Record], at: int, value: int) -> None:
    """A changed byte is an error or shows in the record, whose digest would tell."""
    stored = bytearray(_packed(held)[0])
    stored[at % len(stored)] ^= value

    try:
        found = list(read_records(bytes(stored), "k"))
    except (CorruptionError, UnsupportedError):
        return
    assert found != held


@given(held=st.lists(records, min_size=1, max_size=3), data=st.data())
def test_cut(held: list[Record], data: st.DataObject) -> None:
    """A pack that was cut is damage."""
    stored, _ = _packed(held)
    stop = data.draw(st.integers(0, len(stored) - 1))

    with pytest.raises(CorruptionError):
        list(read_records(stored[:stop], "k"))


def test_without_footer() -> None:
    """Records can be read one after another where the footer is lost."""
    record = Record(Digest.of(b"x"), 1, Codec.RAW, 0, (), b"x")
    stored, _ = _packed([record, record])

    first, stop = read_record(stored, 16, "k")
    second, _ = read_record(stored, stop, "k")

    assert (first, second) == (record, record)


def test_footer_outside() -> None:
    """A trailer that says that its footer starts behind the end makes no empty pack."""
    stored = bytearray(_packed([])[0])
    stored[20:28] = (1 << 40).to_bytes(8, "little")

    with pytest.raises(CorruptionError):
        list(read_records(bytes(stored), "k"))
