"""Payloads that were stored once are decoded for ever.

Red means that the format changed: undo it, or give what changed a new tag and write
an ADR.  The files hold what encoders really made; another zstd may code otherwise, so they
pin decoding alone.  ``python tests/golden/test_codec_bytes.py`` adds files for new cases
and leaves the old ones as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from mlflow_vault.format.coding import floats
from mlflow_vault.format.coding.codec import Codec, Coded, decode, encode_delta, encode_whole
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.elements import Element

FOLDER = Path(__file__).parent / "codecs"
TEXT = b"What was stored once is read for ever, whoever reads it and whatever wrote it. " * 9


def weights(count: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return numbers like weights, made by integer arithmetic and exact products alone."""
    state = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15 + 2 * seed)
    state ^= state >> np.uint64(30)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    middle = (state >> np.uint64(40)).astype(np.float64) / 2**24 - 0.5
    return (middle * middle * middle).astype(np.float32)


def bits(values: np.ndarray[tuple[int], np.dtype[np.float32]], element: Element) -> bytes:
    """Return *values* as *element*."""
    return floats.cast(values.view("<u4"), Element.F32, element).tobytes()


def steps(count: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return a small step for every weight."""
    return weights(count, 2) * np.float32(2**-9)


class Case(NamedTuple):
    """One stored payload, and what it was made of."""

    codec: Codec
    digest: str  # of the plain bytes
    plain: bytes
    element: Element | None = None
    base: bytes = b""
    base_element: Element | None = None

    def encode(self) -> Coded | None:
        """Code it as this release does."""
        if self.codec.needs_base:
            return encode_delta(self.plain, self.base, self.element, self.base_element)
        return encode_whole(self.plain, self.element)


OLD, NEW = weights(6_000, 1), weights(6_000, 1) + steps(6_000)
ROWS = np.concatenate([OLD[:2_000], NEW[2_000:2_100], OLD[2_100:]])
COUNTS = np.arange(3_000, dtype="<u4") * np.uint32(7)
CASES = {
    "zstd": Case(
        Codec.ZSTD, "b3:61bfb284a60cc04970330eac3397e0fb6651fad8cc67cb72b37a29eecdc7884e", TEXT
    ),
    "planes-f32": Case(
        Codec.PLANES,
        "b3:31dfc286ca60855a8746a5986a73114f3d093c3567f8c41352aa5f1a7124888a",
        OLD[:2_000].tobytes() + b"abc",
        Element.F32,
    ),
    "planes-bf16": Case(
        Codec.PLANES,
        "b3:8cc550e2aa9563bfef5a6f85eec64e47d64ab24960d0841b3c6fd42c22c29c86",
        bits(OLD, Element.BF16) + b"a",
        Element.BF16,
    ),
    "planes-f16": Case(
        Codec.PLANES,
        "b3:227bd5310d8def8f177385bbdfa4e72225834bb10728a50db8cdfc783060efa0",
        bits(OLD[:2_000], Element.F16),
        Element.F16,
    ),
    "planes-f64": Case(
        Codec.PLANES,
        "b3:b6ebfc8c2d5f51968cd3d2da3a5d067e7852782e4439dabda34935970469e91e",
        OLD[:500].astype("<f8").tobytes(),
        Element.F64,
    ),
    "planes-u32": Case(
        Codec.PLANES,
        "b3:15a27688549d869ab72d22d54c5e9d450fc4dbb8b40e3d02aca8f9062855b708",
        COUNTS.tobytes(),
        Element.U32,
    ),
    "delta-f32": Case(
        Codec.DELTA,
        "b3:fcef77522b23256876332d173df302adbd717c7a84eee913de5da37403208163",
        NEW.tobytes() + b"abc",
        Element.F32,
        OLD.tobytes(),
        Element.F32,
    ),
    "delta-f32-rows": Case(
        Codec.DELTA,
        "b3:64ce36b34cf567c5380b4898354c7fcc62107a2e725c03fdde610d1500d05bfb",
        ROWS.tobytes(),
        Element.F32,
        OLD.tobytes(),
        Element.F32,
    ),
    "delta-f64": Case(
        Codec.DELTA,
        "b3:d12754676705f09c956c8b4f479f4beff6f76e9295001c8a668ecf3fe2832d2b",
        NEW.astype("<f8").tobytes(),
        Element.F64,
        OLD.astype("<f8").tobytes(),
        Element.F64,
    ),
    "delta-bf16": Case(
        Codec.DELTA,
        "b3:db42845870a06d10710d1fc472066a0bf3d02c159adf92b6a89038c0b5eb2b32",
        bits(NEW, Element.BF16),
        Element.BF16,
        bits(OLD, Element.BF16),
        Element.BF16,
    ),
    "delta-f16-longer": Case(
        Codec.DELTA,
        "b3:c98e1f6eb00ff35ae1310f23a758c924bb9db3188553b42e582bf5c09e8359a6",
        bits(NEW, Element.F16),
        Element.F16,
        bits(OLD[:5_000], Element.F16),
        Element.F16,
    ),
    "delta-bf16-from-f32": Case(
        Codec.DELTA,
        "b3:db42845870a06d10710d1fc472066a0bf3d02c159adf92b6a89038c0b5eb2b32",
        bits(NEW, Element.BF16),
        Element.BF16,
        OLD.tobytes(),
        Element.F32,
    ),
    "delta-f16-from-f32": Case(
        Codec.DELTA,
        "b3:e706803fcbe4323df02c9b9f3f8f31863d662da80eac4c47ac72471eb27a3df4",
        bits(OLD, Element.F16),
        Element.F16,
        OLD.tobytes(),
        Element.F32,
    ),
    "delta-u32": Case(
        Codec.DELTA,
        "b3:20bea8f890f70fd5e20ea390261de6806b8f8ec4936194c966b27e9699eb656b",
        (COUNTS + COUNTS % 5).tobytes(),
        Element.U32,
        COUNTS.tobytes(),
        Element.U32,
    ),
    "dictionary": Case(
        Codec.DICTIONARY,
        "b3:c9d11790c291b58b6a47f274512ca80acf70cf94f1ac4a7172527741d5b27a60",
        b"Again: " + TEXT[20:],
        base=TEXT,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_stored(name: str) -> None:
    """A payload stored by an earlier release gives the bytes it was made of."""
    case = CASES[name]
    payload = (FOLDER / f"{name}.bin").read_bytes()

    plain = decode(case.codec, payload, size=len(case.plain), base=case.base)

    assert plain == case.plain
    assert str(Digest.of(plain)) == case.digest


@pytest.mark.parametrize("name", CASES)
def test_codec(name: str) -> None:
    """What is coded today takes the same codec and about as much room as then."""
    case = CASES[name]

    coded = case.encode()

    assert coded is not None
    assert coded.codec is case.codec
    assert len(coded.payload) <= 1.02 * (FOLDER / f"{name}.bin").stat().st_size + 8


def test_tags() -> None:
    """The stored tags stay what they are."""
    assert {codec.name: int(codec) for codec in Codec} == {
        "RAW": 0,
        "ZSTD": 1,
        "PLANES": 2,
        "DELTA": 3,
        "DICTIONARY": 4,
    }


def test_constant_planes() -> None:
    """Ones in f32 are the element and, low plane first, one byte for each rotated plane."""
    plain = np.ones(1_000, "<f4").tobytes()  # 3f800000, and 7f000000 with the sign rotated away
    payload = bytes.fromhex("13 0100 0100 0100 017f")

    assert encode_whole(plain, Element.F32) == Coded(Codec.PLANES, payload)
    assert decode(Codec.PLANES, payload, size=4_000) == plain


def test_raw_planes_and_tail() -> None:
    """Raw planes follow each other, and the bytes of no whole element come last."""
    payload = bytes.fromhex("02 00 01 03 05 00 02 04 06 ff")

    assert decode(Codec.PLANES, payload, size=7) == bytes([1, 2, 3, 4, 5, 6, 0xFF])


def test_packed_planes() -> None:
    """Two, four or eight bytes share one, the first lowest; the largest value has exceptions."""
    size = 5
    for payload, plain in [
        # element, mode, packed raw, exceptions raw
        ("01 05  00 21 f3 04  00 02", [1, 2, 3, 17, 4]),
        ("01 04  00 e4 01     00 06", [0, 1, 2, 9, 1]),
        ("01 03  00 12        00 00 08", [0, 1, 0, 0, 9]),
        ("01 03  00 12        01 04", [0, 5, 0, 0, 5]),
    ]:
        assert decode(Codec.PLANES, bytes.fromhex(payload), size=size) == bytes(plain)


def test_delta() -> None:
    """A difference is zigzagged: 2 up is 4, 1 down is 1; a short base continues with zeros."""
    payload = bytes.fromhex("01 01 00  00 04 01 00 02")

    assert decode(Codec.DELTA, payload, size=4, base=bytes([5, 5, 5])) == bytes([7, 4, 5, 1])


def test_grouped_delta() -> None:
    """Differences lie in the order of the base's exponent, clamped; each group has its planes."""
    base = np.array([0x4000, 0x3F80, 0xC000, 0x3F00], "<u2").tobytes()  # 2, 1, -2, 0.5 in bf16
    payload = bytes.fromhex(
        "22 22 01 7f00 8000"  # bf16 from bf16, grouped, exponents 127 and 128
        "00 02 04  01 00"  # of the second and fourth: low plane raw, high plane zero
        "00 06 01  01 00"  # of the first and third
    )

    plain = decode(Codec.DELTA, payload, size=8, base=base)

    assert np.frombuffer(plain, "<u2").tolist() == [0x4003, 0x3F81, 0xC001, 0x3F02]


if __name__ == "__main__":
    for title, made in CASES.items():
        target, stored = FOLDER / f"{title}.bin", made.encode()
        if stored is not None and not target.exists():
            target.write_bytes(stored.payload)
            print(title, stored.codec.name, len(made.plain), Digest.of(made.plain))  # noqa: T201
