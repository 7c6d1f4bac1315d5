"""Whatever is coded comes back, and what no encoder made is refused."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from mlflow_vault.config import LARGEST_CHUNK
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.coding.codec import (
    Codec,
    Coded,
    comes_back,
    decode,
    encode_delta,
    encode_whole,
    estimate_whole,
)
from mlflow_vault.format.coding.floats import cast, castable, numbers
from mlflow_vault.format.elements import Element

elements = st.none() | st.sampled_from(list(Element))
PAIRS = [(a, b) for a in Element for b in Element if castable(a, b)]
pairs = st.sampled_from([*PAIRS, (None, None)])
# Mere noise is stored raw, so most bytes are made of a repeated and slightly changed piece.
octets = st.binary(max_size=300) | st.builds(
    lambda piece, times, tail: piece * times + tail,
    st.binary(min_size=1, max_size=40),
    st.integers(1, 400),
    st.binary(max_size=9),
)


def noise(count: int, seed: int = 1) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return *count* numbers that look random and are the same everywhere."""
    mixed = (np.arange(count, dtype=np.uint64) + np.uint64(seed << 40)) * np.uint64(
        0x9E3779B97F4A7C15
    )
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    return mixed


def weights(count: int, seed: int = 1) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return *count* numbers distributed roughly as weights are: many small, few large."""
    uniform = (noise(count, seed) >> np.uint64(11)).astype(np.float64) / 2**53
    middle = uniform - 0.5
    return (middle * middle * middle).astype(np.float32)


def tuned(parent: np.ndarray[tuple[int], np.dtype[np.float32]]) -> bytes:
    """Return *parent* after a small step of every weight."""
    return (parent + 1e-4 * weights(len(parent), seed=2)).astype(np.float32).tobytes()


def as_bf16(plain: bytes) -> bytes:
    """Cast f32 to bf16."""
    source = numbers(np.frombuffer(plain, np.uint8), Element.F32)
    return cast(source, Element.F32, Element.BF16).tobytes()


PARENT = weights(50_000)
CHILD = tuned(PARENT)


@given(plain=octets, element=elements)
def test_whole(plain: bytes, element: Element | None) -> None:
    """A chunk that stands alone comes back, whatever it is said to be made of."""
    coded = encode_whole(plain, element)

    assert not coded.codec.needs_base
    assert len(coded.payload) <= len(plain)
    assert decode(coded.codec, coded.payload, size=len(plain)) == plain


@given(plain=octets, base=octets, pair=pairs)
def test_delta(plain: bytes, base: bytes, pair: tuple[Element | None, Element | None]) -> None:
    """A chunk coded against any base comes back with it, whatever their lengths."""
    coded = encode_delta(plain, base, pair[1], pair[0])

    assume(coded is not None)
    assert coded is not None
    assert coded.codec.needs_base
    assert len(coded.payload) < len(plain)
    assert decode(coded.codec, coded.payload, size=len(plain), base=base) == plain


@given(
    plain=octets,
    pair=pairs,
    alone=st.booleans(),
    flip=st.tuples(st.integers(0, 10_000), st.integers(0, 255)),
    damaged=st.sampled_from(["payload", "plain", "length"]),
)
def test_comes_back(
    plain: bytes,
    pair: tuple[Element | None, Element | None],
    flip: tuple[int, int],
    damaged: str,
    *,
    alone: bool,
) -> None:
    """What was coded comes back, and it is noticed where a byte of it, or of the plain, is not."""
    base = None if alone else PARENT.tobytes()[: len(plain)]
    coded = (base and encode_delta(plain, base, pair[1], pair[0])) or encode_whole(plain, pair[1])
    base = base if coded.codec.needs_base else None
    assert comes_back(coded, plain, base)
    harmed = bytearray(coded.payload if damaged == "payload" else plain)
    if damaged == "length":
        harmed.append(flip[1])
    elif harmed:
        harmed[flip[0] % len(harmed)] ^= flip[1]
    if damaged == "payload":
        coded = Coded(coded.codec, bytes(harmed))
    else:
        plain = bytes(harmed)
    try:
        found = decode(coded.codec, coded.payload, size=len(plain), base=base)
    except CorruptionError:
        found = None

    assert comes_back(coded, plain, base) == (found == plain)


@given(
    changes=st.lists(st.tuples(st.integers(0, 20_000), st.binary(max_size=9)), max_size=9),
    pair=pairs,
    cut=st.integers(0, 20_000),
)
def test_near_delta(
    changes: list[tuple[int, bytes]], pair: tuple[Element | None, Element | None], cut: int
) -> None:
    """A chunk that nearly equals its base comes back, its odd tail too."""
    base = PARENT.tobytes()[: 20_000 + cut]
    plain = bytearray(CHILD[:20_003])
    for place, change in changes:
        plain[place : place + len(change)] = change

    coded = encode_delta(plain, base, pair[1], pair[0])

    if coded is not None:
        assert decode(coded.codec, coded.payload, size=len(plain), base=base) == plain


def test_unsupported_cast() -> None:
    """Numbers that no known cast relates are not coded against each other."""
    for origin in (Element.F16, Element.U32, None):
        assert encode_delta(CHILD, CHILD, Element.F32, origin) is None


def test_buffers() -> None:
    """Every kind of buffer is taken, and none is changed."""
    views: list[bytearray | memoryview] = [bytearray(CHILD), memoryview(CHILD)]

    for view in views:
        delta = encode_delta(view, memoryview(PARENT.tobytes()), Element.F32, Element.F32)
        whole = encode_whole(view, Element.F32)
        assert delta == encode_delta(CHILD, PARENT.tobytes(), Element.F32, Element.F32)
        assert whole == encode_whole(CHILD, Element.F32)
        assert bytes(view) == CHILD


def share(coded: Coded | None, plain: bytes) -> float:
    """Return the encoded share of *plain*."""
    assert coded is not None
    return len(coded.payload) / len(plain)


def test_small_steps() -> None:
    """Weights that moved a little take far less against their parent than alone."""
    whole = share(encode_whole(CHILD, Element.F32), CHILD)
    delta = share(encode_delta(CHILD, PARENT.tobytes(), Element.F32, Element.F32), CHILD)

    assert encode_whole(CHILD, Element.F32).codec is Codec.PLANES
    assert delta < 0.5 < whole < 0.9


def test_smaller_than_planes_of_the_difference() -> None:
    """Grouping by exponent beats XOR and byte planes by what the design asks for."""
    child, parent = as_bf16(CHILD), as_bf16(PARENT.tobytes())
    mixed = np.frombuffer(child, np.uint8) ^ np.frombuffer(parent, np.uint8)
    press = zstandard.ZstdCompressor(level=1)
    peer = sum(len(press.compress(mixed[place::2].tobytes())) for place in range(2))

    coded = encode_delta(child, parent, Element.BF16, Element.BF16)

    assert coded is not None
    assert len(coded.payload) < 0.79 * peer


def test_same_numbers_in_half_the_bits() -> None:
    """A bf16 copy of f32 numbers is predicted from them: next to nothing is stored."""
    coded = encode_delta(as_bf16(CHILD), CHILD, Element.BF16, Element.F32)

    assert share(coded, CHILD) < 0.001


def test_changed_rows() -> None:
    """Where few rows of a table changed the rest costs next to nothing."""
    changed = PARENT.copy()
    changed[10_000:11_000] *= 1.5

    coded = encode_delta(changed.tobytes(), PARENT.tobytes(), Element.F32, Element.F32)

    assert share(coded, CHILD) < 0.025


def test_shifted_bytes() -> None:
    """Bytes that are no numbers are found in the base wherever they lie there."""
    base = noise(5_000).tobytes()
    plain = b"something new" + base[100:30_000]

    coded = encode_delta(plain, base, None, None)

    assert coded is not None
    assert coded.codec is Codec.DICTIONARY
    assert share(coded, plain) < 0.01


def test_noise() -> None:
    """What cannot be made smaller is stored as it is."""
    plain = noise(1_000).tobytes()

    assert encode_whole(plain, None) == Coded(Codec.RAW, plain)
    assert encode_delta(plain, b"", None, None) is None
    assert encode_delta(plain, b"", Element.U8, Element.U8) is None


def test_estimates() -> None:
    """An estimate is near what encoding then gives."""
    plain = weights(400_000).tobytes()

    whole = share(encode_whole(plain, Element.F32), plain)

    assert estimate_whole(plain, Element.F32) == pytest.approx(whole, rel=0.1)
    assert estimate_whole(b"", None) == 1.0


def decodes_or_refuses(codec: int, payload: bytes, size: int, base: bytes | None) -> None:
    """Check that nothing but *size* bytes or the one error comes out."""
    try:
        plain = decode(codec, payload, size=size, base=base)
    except CorruptionError:
        return
    assert len(plain) == size


SMALL = CHILD[:2_001], PARENT.tobytes()[:2_000]
STORED = [
    encode_whole(SMALL[0], None),
    encode_whole(SMALL[0], Element.F32),
    encode_delta(*SMALL, Element.F32, Element.F32),
    encode_delta(*SMALL, Element.BF16, Element.F32),
    encode_delta(*SMALL, Element.U16, Element.U16),
    encode_delta(as_bf16(CHILD[:9_000]), PARENT[:2_250].tobytes(), Element.BF16, Element.F32),
    encode_delta(SMALL[0], SMALL[0][:1_900], None, None),
]


@given(
    coded=st.sampled_from([one for one in STORED if one]),
    place=st.integers(0, 3_000),
    change=st.binary(max_size=4),
    size=st.sampled_from([2_001, 4_500, 0, 1, 300_000]),
)
def test_damage(coded: Coded, place: int, change: bytes, size: int) -> None:
    """A damaged payload gives bytes of the right size or `CorruptionError`, nothing else."""
    payload = coded.payload
    place %= len(payload) + 1
    damaged = payload[:place] + change + payload[place + len(change) :]

    decodes_or_refuses(coded.codec, damaged, size, SMALL[1])


@given(coded=st.sampled_from([one for one in STORED if one]), length=st.integers(0, 5_000))
def test_truncation(coded: Coded, length: int) -> None:
    """A payload that lost its end is refused."""
    length %= len(coded.payload)

    with pytest.raises(CorruptionError):
        decode(coded.codec, coded.payload[:length], size=2_001, base=SMALL[1])


@given(coded=st.sampled_from([one for one in STORED if one]), more=st.binary(min_size=1))
def test_garbage(coded: Coded, more: bytes) -> None:
    """Bytes behind a payload are refused."""
    with pytest.raises(CorruptionError):
        decode(coded.codec, coded.payload + more, size=2_001, base=SMALL[1])


@given(
    codec=st.integers(-1, 300),
    payload=st.binary(max_size=60),
    size=st.integers(-1, 300),
    base=st.none() | st.binary(max_size=40),
)
def test_anything(codec: int, payload: bytes, size: int, base: bytes | None) -> None:
    """No bytes whatever make decoding do anything else."""
    decodes_or_refuses(codec, payload, size, base)


@pytest.mark.parametrize("element", list(Element))
def test_grouping(element: Element) -> None:
    """Only floats have an exponent to be grouped by, and only as many as its bits can say."""
    constant = bytes([1, 0]) * element.width
    for highest, sound in ((0, True), (1 << element.exponent_bits, False)):
        grouped = bytes([element.tag, element.tag, 1, 0, 0]) + highest.to_bytes(2, "little")
        payload, base = grouped + constant, bytes(4 * element.width)
        if sound and element.exponent_bits:
            assert decode(Codec.DELTA, payload, size=len(base), base=base) == base
        else:
            with pytest.raises(CorruptionError, match="grouping"):
                decode(Codec.DELTA, payload, size=len(base), base=base)


def test_bomb() -> None:
    """A small frame that grows beyond the chunk is refused before it takes the memory."""
    bomb = zstandard.ZstdCompressor(level=3).compress(bytes(256 * LARGEST_CHUNK))
    liar = zstandard.ZstdCompressor(level=3, write_content_size=False).compress(bytes(10**7))

    tracemalloc.start()
    for payload in (bomb, liar):
        for codec in (Codec.ZSTD, Codec.DICTIONARY):
            with pytest.raises(CorruptionError):
                decode(codec, payload, size=LARGEST_CHUNK, base=b"base")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2 * LARGEST_CHUNK


def test_refused() -> None:
    """No chunk is larger than the largest, and no delta is decoded without its base."""
    with pytest.raises(CorruptionError):
        decode(Codec.RAW, bytes(LARGEST_CHUNK + 1), size=LARGEST_CHUNK + 1)
    with pytest.raises(CorruptionError):
        decode(Codec.DELTA, b"", size=0)


def framed(content: bytes, window_log: int) -> bytes:
    """Return a zstd frame that stores *content* as it is and asks for a window."""
    head = b"\x28\xb5\x2f\xfd" + bytes([0x80, (window_log - 10) << 3])
    block = (len(content) << 3 | 1).to_bytes(3, "little")
    return head + len(content).to_bytes(4, "little") + block + content


@pytest.mark.parametrize("window_log", [10, 23, 24, 31])
def test_windows(window_log: int) -> None:
    """A frame may point back 8 MiB and no farther, whatever the library would obey."""
    stored = framed(b"text", window_log)
    if window_log <= 23:
        assert decode(Codec.ZSTD, stored, size=4) == b"text"
    else:
        with pytest.raises(CorruptionError, match="window"):
            decode(Codec.ZSTD, stored, size=4)


def test_empty_frames() -> None:
    """Behind an empty frame anything could hide, so there is none."""
    with pytest.raises(CorruptionError, match="no content"):
        decode(Codec.ZSTD, framed(b"", 10) + b"junk", size=0)
