"""Entries come back as they were, and a forged one is refused."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import CorruptionError, UnsupportedError
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.elements import Element
from mlflow_vault.format.entry import Entry, size_of
from mlflow_vault.format.record import Kind, frame, header, unframe
from mlflow_vault.format.rows import Part, Row, Tensor

PACK = bytes(16)


def _row(name: bytes, codec: Codec = Codec.RAW, base: tuple[Part, ...] = ()) -> Row:
    return Row(Digest.of(name), 100, codec, PACK, 16, 90, base)


def _entry(rows: tuple[Row, ...], sequence: tuple[int, ...]) -> Entry:
    return Entry(
        path="1/a",
        size=100 * len(sequence),
        digest=Digest.of(b"file"),
        sha256=bytes(32),
        transaction="00",
        mean=65536,
        parser="npy",
        tensors=(Tensor("w", Element.F32, (5, 5), 0, 100, Element.F32, 1, 90),),
        rows=rows,
        sequence=sequence,
    )


GOOD = _entry((_row(b"a"), _row(b"b", Codec.DELTA, (Part(0, 0, 100),)), _row(b"c")), (1, 2, 2))


def test_round_trip() -> None:
    """What an entry says comes back."""
    assert Entry.from_bytes(GOOD.to_bytes(), "k") == GOOD


@given(
    plain=st.binary(max_size=300),
    path=st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: text + "\udcff"),
)
def test_inline(plain: bytes, path: str) -> None:
    """A small file lies in its entry, whatever its bytes and its name."""
    entry = Entry(path, len(plain), Digest.of(plain), bytes(32), inline=plain)

    assert Entry.from_bytes(entry.to_bytes(), "k") == entry


def _fanned() -> tuple[Row, ...]:
    """Chunks of 4 MiB against three of them each, and those too: 52 MiB behind one."""
    rows: list[Row] = []
    for index in range(9):
        level = index // 3
        parts = tuple(Part(3 * level - back, 0, 4 << 20) for back in (1, 2, 3)) if level else ()
        codec = Codec.DELTA if level else Codec.RAW
        rows.append(replace(_row(b"%d" % index, codec, parts), size=4 << 20))
    return tuple(rows)


FANNED = _fanned()
LAST = tuple(Part(index, 0, 9) for index in (6, 7, 8))


@pytest.mark.parametrize(
    "forged",
    [
        _entry((_row(b"a", Codec.DELTA, (Part(0, 0, 100),)),), (0,)),  # its own base
        _entry((_row(b"a", Codec.DELTA, (Part(1, 0, 100),)), _row(b"b")), (0,)),  # forwards
        _entry((_row(b"a"), _row(b"b", Codec.DELTA)), (1,)),  # a delta without a base
        _entry((_row(b"a"), _row(b"b", Codec.RAW, (Part(0, 0, 1),))), (1,)),
        _entry((_row(b"a"), _row(b"b", Codec.DELTA, (Part(0, 0, 101),))), (1,)),
        _entry((_row(b"a"), _row(b"b", Codec.DELTA, (Part(0, 9, 9),))), (1,)),
        _entry((_row(b"a"), _row(b"b", Codec.DELTA, (Part(0, 0, 9),) * 4)), (1,)),
        _entry((_row(b"a"), replace(_row(b"a"), start=500)), (0, 1)),  # one chunk in two places
        replace(GOOD, tensors=(replace(GOOD.tensors[0], start=-1),)),
        replace(GOOD, tensors=(replace(GOOD.tensors[0], stop=301),)),
        replace(GOOD, tensors=(replace(GOOD.tensors[0], start=100),)),
        replace(GOOD, sha256=b""),
        replace(GOOD, rows=(replace(GOOD.rows[0], stored=357), *GOOD.rows[1:])),
        _entry(
            (*FANNED, _row(b"last", Codec.DELTA, tuple(Part(n, 0, 9) for n in (6, 7, 8)))), (9,)
        ),
        replace(GOOD, size=301),
        replace(GOOD, size=299, inline=b"x" * 299),
        replace(GOOD, rows=(*GOOD.rows[:2], replace(GOOD.rows[2], size=0))),
        replace(GOOD, rows=(*GOOD.rows[:2], replace(GOOD.rows[2], codec=77))),
        _entry(
            (
                _row(b"0"),
                *(_row(b"%d" % n, Codec.DELTA, (Part(n - 1, 0, 100),)) for n in range(1, 6)),
            ),
            (5,),
        ),
    ],
)
def test_forged(forged: Entry) -> None:
    """An entry that no honest writer makes is damage: cycles, lengths that lie, deep chains."""
    with pytest.raises(CorruptionError):
        Entry.from_bytes(forged.to_bytes(), "k")


@given(at=st.integers(0), bit=st.integers(0, 7))
def test_flipped(at: int, bit: int) -> None:
    """Any flipped bit is noticed."""
    stored = bytearray(GOOD.to_bytes())
    stored[at % len(stored)] ^= 1 << bit

    with pytest.raises((CorruptionError, UnsupportedError)):
        Entry.from_bytes(bytes(stored), "k")


@given(stop=st.integers(0, len(GOOD.to_bytes()) - 1))
def test_cut(stop: int) -> None:
    """Any cut is noticed."""
    with pytest.raises(CorruptionError):
        Entry.from_bytes(GOOD.to_bytes()[:stop], "k")


@given(at=st.integers(0), value=st.integers(0, 255))
def test_forged_bytes(at: int, value: int) -> None:
    """Bytes that were changed and sealed again make another entry or are damage; never a crash."""
    body = bytearray(unframe(Kind.ENTRY, GOOD.to_bytes(), "k"))
    body[at % len(body)] = value

    with suppress(CorruptionError):
        assert isinstance(Entry.from_bytes(frame(Kind.ENTRY, bytes(body)), "k"), Entry)


def test_newer() -> None:
    """An entry of a newer format, or with a feature unknown here, is refused as that."""
    stored = bytearray(GOOD.to_bytes())
    newer = bytes(stored[:5]) + b"\x63" + bytes(stored[6:])
    featured = bytes(stored[:8]) + b"\x01" + bytes(stored[9:])

    for other in (newer, featured):
        with pytest.raises(UnsupportedError):
            Entry.from_bytes(other, "k")


def test_other_kind() -> None:
    """A pack is no entry."""
    with pytest.raises(CorruptionError):
        Entry.from_bytes(header(Kind.PACK) + bytes(64), "k")


@pytest.mark.parametrize("nested", [b"[" * 90_000 + b"]" * 90_000, b'{"a":' * 90_000])
def test_nested(nested: bytes) -> None:
    """Metadata that exhausts Python's stack is damage as any other."""
    body = unframe(Kind.ENTRY, GOOD.to_bytes(), "k")
    size = int.from_bytes(body[4:8], "little")
    forged = body[:4] + len(nested).to_bytes(4, "little") + body[8:24] + nested + body[24 + size :]

    with pytest.raises(CorruptionError, match="nested too deeply"):
        Entry.from_bytes(frame(Kind.ENTRY, forged), "k")


def test_repeated() -> None:
    """A chunk that repeats is one number for each time, not one object."""
    rows = tuple(_row(b"%d" % index) for index in range(300))
    entry = Entry.from_bytes(_entry(rows, (299,) * 1_000).to_bytes(), "k")

    assert len({id(index) for index in entry.sequence}) == 1


def test_size() -> None:
    """A size is known without the chunks, and damage is damage all the same."""
    stored = GOOD.to_bytes()

    assert size_of(stored, "k") == GOOD.size
    for at in range(0, len(stored), 7):
        with pytest.raises((CorruptionError, UnsupportedError)):
            size_of(stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :], "k")


@pytest.mark.parametrize("size", [-1, "x", None, [], 1e400])
def test_no_size(size: object) -> None:
    """An entry that says no size is none."""
    meta = json.dumps({"size": size}).encode()
    body = struct.pack("<BxxxIIIII", 0x1E, len(meta), 0, 0, 0, 0) + meta

    with pytest.raises(CorruptionError):
        size_of(frame(Kind.ENTRY, body), "k")
