"""What the page lets a vault hold beyond what the library writes, and what it has refused.

Honest compositions are read by both readers, lies are refused by both.
"""

from __future__ import annotations

import json
import random
import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import pytest
import zstandard
from blake3 import blake3
from composing import IDENTITY, Chunk, Composition, framed, named, squeezed
from decoding import DamagedError, decode
from reader import rebuild, restore

from mlflow_vault.errors import VaultError
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

NOISE: Final = random.Random(1).randbytes(5_000)  # noqa: S311 - noise
TEXT: Final = b"words " * 1_000
AGAIN: Final = squeezed(TEXT, NOISE)  # TEXT against NOISE
WHOLE: Final = (0, 0, 5_000)
SKIPPED: Final = b"\x50\x2a\x4d\x18\x01\0\0\0x"  # a skippable zstd frame
BIG: Final = bytes(4 << 20)


def of(*chunks: Chunk, **told: object) -> Composition:
    """Return a file of all *chunks* in their order, about which we tell what is not so."""
    return Composition("a/file", list(chunks), list(range(len(chunks))), about=dict(told))


def chain(depth: int) -> Composition:
    """Return a file whose last chunk is *depth* bases away from one stored whole."""
    chunks = [Chunk(NOISE)]
    for step in range(depth):
        last = chunks[-1].plain
        plain = last[100:] + b"step %d" % step
        parts = (step, 0, 3_000), (step, 50, len(last))
        coded = squeezed(plain, last[:3_000] + last[50:])
        chunks.append(Chunk(plain, 4, coded, parts))
    return of(*chunks)


def block(plain: bytes, window_log: int, marks: int = 0x80) -> bytes:
    """Return a zstd frame that stores *plain* as it is and asks for a window."""
    head = struct.pack("<IBBI", 0xFD2FB528, marks, (window_log - 10) << 3, len(plain))
    return head + (1 | len(plain) << 3).to_bytes(3, "little") + plain


def numbers(*values: int) -> bytes:
    """Return *values* as 16-bit numbers."""
    return struct.pack(f"<{len(values)}H", *values)


def padded(plain: bytes) -> bytes:
    """Return a zstd frame of *plain*, made long by empty blocks before the last."""
    head = struct.pack("<IBBI", 0xFD2FB528, 0x80, 0, len(plain))
    return head + bytes(300) + (1 | len(plain) << 3).to_bytes(3, "little") + plain


def fan(levels: int) -> Composition:
    """Return chunks of 4 MiB, three to a level, each made of all three of the level before."""
    chunks = [Chunk(BIG, 1, squeezed(BIG))]
    for level in range(levels):
        parts = tuple((row, 0, len(BIG)) for row in range(len(chunks)))[-3:]
        base = BIG * len(parts)
        plains = [BIG[:-1] + bytes([3 * level + number]) for number in (1, 2, 3)]
        chunks += [Chunk(plain, 4, squeezed(plain, base), parts) for plain in plains]
    return of(*chunks)


CAPITALS: Final = {"b3": blake3(NOISE).hexdigest().upper(), "sha256": sha256(NOISE).hexdigest()}
HONEST: Final = {
    "inline": Composition("a/file", inline=b"inline"),
    "nothing": of(),
    "a chunk many times": Composition("a/file", [Chunk(NOISE)], [0, 0, 0]),
    "a row in no sequence": Composition("a/file", [Chunk(NOISE), Chunk(TEXT)], [1]),
    "4 MiB": of(Chunk(BIG, 1, squeezed(BIG))),
    "a window of 8 MiB": of(Chunk(TEXT, 1, block(TEXT, 23))),
    "a checksum": of(Chunk(TEXT, 1, squeezed(TEXT, write_checksum=True))),
    "three parts": of(Chunk(NOISE), Chunk(TEXT, 4, AGAIN, ((0, 0, 9), (0, 9, 99), (0, 99, 5_000)))),
    "less than a number": of(Chunk(NOISE), Chunk(b"abc", 3, b"\x13\x13\1\1\0\2\0abc", (WHOLE,))),
    "three bases of three": fan(2),
    "depth 2": chain(2),
    "depth 4": chain(4),
    "news": of(Chunk(NOISE), news="what a later release adds"),
}
LIES: Final = {
    "algorithm": Composition("a/file", [Chunk(NOISE)], [0], algorithm=0x12),
    "size": of(Chunk(NOISE), size=4_999),
    "path": of(Chunk(NOISE), path="another"),
    "digest": of(Chunk(NOISE), digests={"b3": "0" * 64, "sha256": "0" * 64}),
    "digests in capitals": of(Chunk(NOISE), digests=CAPITALS),
    "a payload too long": of(Chunk(b"x" * 9, 1, padded(b"x" * 9))),
    "needs too much": fan(3),
    "a window over 8 MiB": of(Chunk(TEXT, 1, block(TEXT, 24))),
    "inline and rows": Composition("a/file", [Chunk(NOISE)], [], inline=b"inline"),
    "a row too far": Composition("a/file", [Chunk(NOISE)], [0], pack=1),
    "its own base": of(Chunk(NOISE), Chunk(TEXT, 4, AGAIN, ((1, 0, 5_000),))),
    "a later base": of(Chunk(TEXT, 4, AGAIN, ((1, 0, 5_000),)), Chunk(NOISE)),
    "an empty part": of(Chunk(NOISE), Chunk(TEXT, 4, AGAIN, (WHOLE, (0, 7, 7)))),
    "a part outside": of(Chunk(NOISE), Chunk(TEXT, 4, AGAIN, ((0, 0, 5_001),))),
    "a part that misses": of(Chunk(NOISE), Chunk(NOISE[1:], 4, AGAIN, ((0, 0, 4_000),))),
    "a base for RAW": of(Chunk(NOISE), Chunk(TEXT, 0, None, (WHOLE,))),
    "a base for ZSTD": of(Chunk(NOISE), Chunk(TEXT, 1, squeezed(TEXT), (WHOLE,))),
    "no base": of(Chunk(TEXT, 4, squeezed(TEXT))),
    "four parts": of(
        Chunk(NOISE), Chunk(TEXT, 4, AGAIN, (*((0, at, at + 9) for at in (0, 9, 18)), WHOLE))
    ),
    "over 4 MiB": of(Chunk(BIG + b"x", 1, squeezed(BIG + b"x"))),
    "an empty chunk": of(Chunk(NOISE), Chunk(b"")),
    "depth 5": chain(5),
    "codec 5": of(Chunk(NOISE, 5)),
    "goes on": of(Chunk(NOISE, 0, NOISE + b"x")),
    "ends early": of(Chunk(NOISE, 0, NOISE[:-1])),
    "two frames": of(Chunk(TEXT, 1, squeezed(TEXT[:9]) + squeezed(TEXT[9:]))),
    "skipped before": of(Chunk(TEXT, 1, SKIPPED + squeezed(TEXT))),
    "skipped behind": of(Chunk(TEXT, 1, squeezed(TEXT) + SKIPPED)),
    "frame of no size": of(Chunk(TEXT, 1, squeezed(TEXT, write_content_size=False))),
    "frame of another size": of(Chunk(TEXT, 1, squeezed(TEXT + b"x"))),
    "a dictionary id": of(Chunk(TEXT, 1, block(TEXT, 20, 0x81)[:6] + b"\5" + block(TEXT, 20)[6:])),
}
BODY: Final = of(Chunk(NOISE)).body()
FRAMES: Final = {
    "kind": framed(BODY, kind=b"i"),
    "magic": framed(BODY, magic=b"mlvx"),
    "version": framed(BODY, version=2),
    "feature": framed(BODY, features=1 << 63),
    "digest": framed(BODY)[:-1] + b"\0",
    "body of no size": framed(BODY, coded=squeezed(BODY, write_content_size=False)),
    "longer": framed(BODY + b"x"),
    "a byte behind": framed(BODY, coded=squeezed(BODY) + b"x"),
    "skipped behind": framed(BODY, coded=squeezed(BODY) + SKIPPED),
    "an empty body": framed(b""),
    "a bomb": framed(bytes(40 << 20)),
    "shorter": framed(BODY[:-1]),
    "a row that is not there": framed(BODY[:-4] + struct.pack("<I", 1)),
    "no frame": b"mlvt",
}
IDENTITIES: Final = [
    {"magic": "another"},
    {"format": 2},
    {"format": -1},
    {"cut_seed": -1},
    {"cut_seed": 1 << 63},
    {"naming": "keyed"},
    {"aead": "aes-256-gcm"},
    {"features": ["later@9.0"]},
]


def library_refuses(vault: Path) -> bool:
    """Tell whether the library refuses the one file of *vault*."""
    try:
        list(Vault.open(f"vault-file://{vault}").iter_file("a/file"))
    except VaultError:
        return True
    return False


@pytest.mark.parametrize("name", HONEST)
def test_honest(tmp_path: Path, name: str) -> None:
    """What the page allows is read, by the library too."""
    HONEST[name].put(tmp_path / "vault")

    assert restore(tmp_path / "vault", tmp_path / "restored") == []
    assert (tmp_path / "restored/a/file").read_bytes() == HONEST[name].plain
    library = Vault.open(f"vault-file://{tmp_path}/vault")
    assert b"".join(library.iter_file("a/file")) == HONEST[name].plain


@pytest.mark.parametrize("name", [*LIES, *FRAMES])
def test_lie(tmp_path: Path, name: str) -> None:
    """What the page forbids is refused and named, by the library too."""
    lie = LIES.get(name, of(Chunk(NOISE)))
    lie.put(tmp_path / "vault", FRAMES.get(name))

    damage = restore(tmp_path / "vault", tmp_path / "restored")

    assert [line.partition(":")[0] for line in damage] == ["'a/file'"]
    assert not (tmp_path / "restored/a/file").exists()
    assert library_refuses(tmp_path / "vault")


@pytest.mark.parametrize("change", IDENTITIES)
def test_identity(tmp_path: Path, change: dict[str, object]) -> None:
    """A vault that says it is another, or of a later time, is refused whole."""
    of(Chunk(NOISE)).put(tmp_path / "vault")
    (tmp_path / "vault/vault.json").write_text(json.dumps(IDENTITY | change))

    [line] = restore(tmp_path / "vault", tmp_path / "restored")

    assert line.startswith("vault.json: ")
    assert library_refuses(tmp_path / "vault")


@pytest.mark.parametrize(
    "key",
    ["tree/!097!", "tree/stray", "tree/a!/b!", "tree/x!256!", "tree/.!046!", "tree/A!", "tree/.x"],
)
def test_no_key(tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no path's key is passed over with a warning, and the rest read."""
    of(Chunk(NOISE)).put(tmp_path / "vault")
    of(Chunk(TEXT)).put(tmp_path / "vault", key=key)
    of(Chunk(NOISE)).put(tmp_path / "vault")

    assert restore(tmp_path / "vault", tmp_path / "restored") == []
    assert [path.name for path in (tmp_path / "restored").rglob("*")] == ["a", "file"]
    assert key in capsys.readouterr().err


@pytest.mark.parametrize("hurt", ["footer", "trailer", "end", "payload", "reserved"])
def test_pack(tmp_path: Path, hurt: str) -> None:
    """A pack gives its chunks without its footer, and says what of it is damaged."""
    file = chain(4)
    raw = bytearray(file.packed())
    places = {"footer": -70, "trailer": -44, "end": -1, "payload": 16 + 93, "reserved": 16 + 20}
    raw[places[hurt]] ^= 1
    pack = tmp_path / "pack"
    pack.write_bytes(raw)

    verified, damage = rebuild([pack])

    whole = {"payload": 0, "reserved": 0}.get(hurt, 5)
    assert [bytes.fromhex(digest[3:]) for digest in verified] == [
        named(chunk.plain)[1:] for chunk in file.chunks[:whole]
    ]
    assert len(damage) == (5 if hurt == "payload" else 1)


def test_same_chunk(tmp_path: Path) -> None:
    """A chunk that lies in two packs is rebuilt from the one that is whole."""
    hurt, whole = tmp_path / "hurt", tmp_path / "whole"
    whole.write_bytes(of(Chunk(NOISE)).packed())
    hurt.write_bytes(of(Chunk(NOISE, 0, NOISE[::-1])).packed())

    for packs in ([hurt, whole], [whole, hurt]):
        assert rebuild(packs) == ([f"b3:{named(NOISE)[1:].hex()}"], [])


def test_example() -> None:
    """The example of the page decodes to what the page says."""
    payload = bytes.fromhex("222201 7f008000 000204 0100 000601 0100")
    base = numbers(0x4000, 0x3F80, 0xC000, 0x3F00)

    plain = decode(3, 8, payload, base)

    assert plain == numbers(0x4003, 0x3F81, 0xC001, 0x3F02)


@pytest.mark.parametrize(
    ("single", "brain", "half"),
    [
        (0x3F808000, 0x3F80, 0x3C04),  # a tie to even below
        (0x3F818000, 0x3F82, 0x3C0C),  # and above
        (0x3F808001, 0x3F81, 0x3C04),
        (0x7F7FFFFF, 0x7F80, 0x7C00),  # overflow
        (0xC7800000, 0xC780, 0xFC00),
        (0x00000001, 0x0000, 0x0000),
        (0x33C00000, 0x33C0, 0x0002),  # subnormal as binary16
        (0x7F800001, 0x7FC0, 0x7E00),  # NaNs
        (0xFFFFFFFF, 0xFFC0, 0xFE00),
    ],
)
def test_cast(single: int, brain: int, half: int) -> None:
    """The base is rounded as the page says."""
    base = struct.pack("<I", single)

    assert decode(3, 2, b"\x22\x13\0\1\0\1\0", base) == numbers(brain)
    assert decode(3, 2, b"\x12\x13\0\1\0\1\0", base) == numbers(half)


NUMBERS: Final = {  # eight bytes of PLANES
    "cut": "01",
    "unknown element": "0500",
    "unknown mode": "0106",
    "packed in packed": "0103 030000 00",
    "second plane missing": "0103 0100",
    "too few exceptions": "0103 01ff 0001",
    "goes on": "0103 0100 0000",
    "a frame of nothing": "0103 0100 0209000000 28b52ffd2000 010000",
    "a frame of nothing and more": "0103 0100 020a000000 28b52ffd2000 010000 78",
    "a window over 8 MiB": "0102 16000000 28b52ffd80 70 08000000 410000 0102030405060708",
}


@pytest.mark.parametrize("name", NUMBERS)
def test_planes(name: str) -> None:
    """A payload that breaks the rules is refused."""
    with pytest.raises((DamagedError, zstandard.ZstdError)):
        decode(2, 8, bytes.fromhex(NUMBERS[name]), None)


def test_empty_plane() -> None:
    """The plane of exceptions is there even where it holds none, in any mode."""
    for second in ("00", "0107"):
        assert decode(2, 8, bytes.fromhex("0103 0100" + second), None) == bytes(8)
