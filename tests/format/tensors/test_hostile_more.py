"""What `test_hostile` says of old formats holds for pickles, HDF5, ONNX and GGUF too."""

from __future__ import annotations

import pickle
import random
import struct
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.format.tensors import UNKNOWN, Layout, find_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Look = Callable[..., Layout]

SECONDS = 30  # of CPU; the worst takes one, and what is quadratic minutes
MEMORY = 200 << 20  # bytes beside the file itself
MIB = 1 << 20
TIB = 1 << 40
PROTO = b"\x80\x04"
HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Endless:
    """A file of a head and one unit over and over, which nobody has to hold."""

    head: bytes
    unit: bytes
    size: int = TIB

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)``."""
        if start < len(self.head):
            first = self.head[start:stop]
            return first + self.read(len(self.head), max(stop, len(self.head)))[: stop - start]
        offset = (start - len(self.head)) % len(self.unit)
        length = stop - start
        return (self.unit * ((offset + length) // len(self.unit) + 1))[offset : offset + length]


def pickled(program: bytes) -> Endless:
    """Return a pickle that is nothing but *program*."""
    return Endless(PROTO, program + b".", len(PROTO + program) + 1)


def array_call(name: bytes, extra: bytes = b"") -> bytes:
    """Return opcodes that make an array of four numbers out of a string of bytes."""
    dtype = (
        b"cnumpy\ndtype\n\x8c\x02f4\x85R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    return b"cnumpy._core.numeric\n" + name + b"\n(" + extra + dtype + b"K\x04\x85tR"


def varint(number: int) -> bytes:
    """Write a number as protobuf does."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(found) + bytes((number,))


def message(*fields: tuple[int, bytes]) -> bytes:
    """Write a message of fields that hold bytes."""
    return b"".join(
        varint(number << 3 | 2) + varint(len(inner)) + inner for number, inner in fields
    )


def model(graph: bytes) -> Endless:
    """Return an ONNX model of *graph*."""
    plain = b"\x08\x07" + message((2, b"test"), (7, graph))
    return Endless(plain, b" ", len(plain))


def deep_graph(depth: int) -> bytes:
    """Return a graph in a node in a graph in a node."""
    graph = message((5, message((8, b"k"), (9, bytes(8)))))
    for _ in range(depth):
        graph = message((1, message((5, message((6, graph))))))
    return graph


def gguf(pairs: int, body: bytes, tensors: int = 0, size: int = TIB) -> Endless:
    """Return a GGUF file whose pairs are *body* over and over."""
    return Endless(struct.pack("<4sIQQ", b"GGUF", 3, tensors, pairs), body, size)


def pair(kind: int, value: bytes) -> bytes:
    """Return a key of one letter and its value."""
    return struct.pack("<Q1sI", 1, b"k", kind) + value


def hdf5(body: bytes, root: int = 48) -> Endless:
    """Return an HDF5 file of version 2 whose root's header lies at *root*."""
    head = HDF5 + bytes((2, 8, 8, 0)) + struct.pack("<QQQQI", 0, 2**64 - 1, 0, root, 0)
    return Endless(head + body, b"\0", max(len(head + body), 64 * MIB))


def header(*messages: tuple[int, bytes]) -> bytes:
    """Return an object header of version 1."""
    body = b"".join(struct.pack("<HHI", kind, len(inner), 0) + inner for kind, inner in messages)
    return struct.pack("<BBHII4x", 1, 0, len(messages), 1, len(body)) + body


def link(name: bytes, address: int) -> bytes:
    """Return a link message."""
    return bytes((1, 1)) + struct.pack("<H", len(name)) + name + struct.pack("<Q", address)


def tree(levels: int, children: int, child: int) -> bytes:
    """Return a node of a B-tree all of whose children are the same."""
    head = b"TREE" + struct.pack("<BBHQQ", 0, levels, children, 0, 0)
    return head + struct.pack("<QQ", 0, child) * children


def trees_in_trees() -> Endless:
    """Return an HDF5 file whose tree has 4,000 times 4,000 leaves at one place."""
    places = [4096, 100_000, 200_000, 300_000]
    body = header((0x11, struct.pack("<QQ", places[0], places[3]))).ljust(places[0] - 48, b"\0")
    body += tree(1, 4_000, places[1])
    body = body.ljust(places[1] - 48, b"\0") + tree(0, 4_000, places[2])
    body = body.ljust(places[2] - 48, b"\0") + b"SNOD\x01\0\x01\0" + struct.pack("<QQ24x", 0, 48)
    heap = b"HEAP" + bytes(4) + struct.pack("<QQQ", 4096, 0, places[3] + 32) + b"n" * 4096
    return hdf5(body.ljust(places[3] - 48, b"\0") + heap)


def links_of(number: int, name: bytes) -> Endless:
    """Return an HDF5 file whose root has many links to itself and to nowhere."""
    inner = b"".join(
        struct.pack("<HHI", 6, len(found), 0) + found
        for found in (link(name, 48 if index % 2 else 49) for index in range(number))
    )
    return hdf5(struct.pack("<BBHII4x", 1, 0, 9, 1, len(inner)) + inner)


BOMBS: dict[str, Callable[[], Endless]] = {
    "opcodes without end": lambda: Endless(PROTO, b"N0"),
    "long strings of bytes": lambda: Endless(PROTO, b"B\x00\x28\x00\x00" + bytes(0x2800) + b"0"),
    "long texts": lambda: Endless(PROTO, b"X\x00\x28\x00\x00" + b"t" * 0x2800 + b"0"),
    "middling texts": lambda: Endless(PROTO, b"X\x00\x0f\x00\x00" + b"t" * 0xF00 + b"0"),
    "texts in the memo": lambda: Endless(PROTO, b"X\x00\x0f\x00\x00" + b"t" * 0xF00 + b"\x94"),
    "lines": lambda: Endless(PROTO, b"V" + b"t" * 4000 + b"\n0"),
    "a lying string": lambda: pickled(b"\x8e" + b"\xff" * 8),
    "a lying text": lambda: pickled(b"\x8d" + b"\xff" * 7 + b"\x7f"),
    "marks": lambda: Endless(PROTO, b"("),
    "long names of classes": lambda: pickled(
        (b"X\x00\x0f\x00\x00" + b"t" * 0xF00 + b"\x94") * 2 + b"h\x00h\x01\x93" * 90_000
    ),
    "one string in many arrays": lambda: pickled(
        b"C\x10" + bytes(16) + b"\x94" + array_call(b"_frombuffer", b"h\x00") * 4_000
    ),
    "wrappers in wrappers": lambda: Endless(
        b"",
        PROTO
        + b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}\x8c\x05dtypecnumpy\ndtype\n"
        + b"\x8c\x02O8\x85R(K\x03\x8c\x01|NNNNNK\x3ftbsb",
    ),
    "a wrapper that lies": lambda: pickled(
        b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}(\x8c\x05shape\x8a\x08"
        + b"\xff" * 7
        + b"\x7f\x85\x8c\x05dtypecnumpy\ndtype\n\x8c\x02f8\x85Rub"
    ),
    "a type that lies": lambda: pickled(
        b"cnumpy\ndtype\n\x8c\x0af999999999\x85R0cnumpy\ndtype\n\x8c\x03???\x85R"
    ),
    "strings without end": lambda: gguf(1, pair(9, struct.pack("<IQ", 8, 1 << 62))),
    "two million strings": lambda: gguf(
        1, pair(9, struct.pack("<IQ", 8, 2_000_000)) + struct.pack("<Q1s", 1, b"w") * 2_000_000
    ),
    "strings as far as they go": lambda: gguf(
        1, pair(9, struct.pack("<IQ", 8, 2_000_000)) + struct.pack("<Q", 0)
    ),
    "pairs without end": lambda: gguf(1 << 62, pair(0, b"1")),
    "many pairs": lambda: gguf(65_536, pair(0, b"1")),
    "long keys": lambda: gguf(65_536, struct.pack("<Q", 60_000) + bytes(60_000) + bytes(5)),
    "long values": lambda: gguf(65_536, pair(8, struct.pack("<Q", 900) + bytes(900))),
    "tensors without end": lambda: gguf(0, bytes(32), tensors=1 << 62),
    "many tensors": lambda: gguf(0, bytes(32), tensors=50_000),
    "tensors of long names": lambda: gguf(
        0, struct.pack("<Q", 2_000) + b"n" * 2_000 + bytes(16), tensors=50_000
    ),
    "a number without end": lambda: Endless(b"\x08\x07\x12", b"\xff"),
    "fields without end": lambda: Endless(b"\x08\x07", b"\x12\x00"),
    "long fields without end": lambda: Endless(b"\x08\x07", b"\x12\x80\x40" + bytes(0x2000)),
    "a graph in a graph": lambda: model(deep_graph(7)),
    "graphs in graphs": lambda: model(deep_graph(3_000)),
    "many graphs": lambda: model(message(*[(1, message((5, message((6, b"")))))] * 60_000)),
    "many weights": lambda: model(message(*[(5, message((8, b"k"), (9, b"1234")))] * 60_000)),
    "weights of long names": lambda: model(
        message(*[(5, message((8, b"k" * 1500), (9, b"1234")))] * 40_000)
    ),
    "many dimensions": lambda: model(message((5, b"\x08\x01" * 300_000))),
    "a shape of huge numbers": lambda: model(
        message((5, message((1, (b"\xff" * 9 + b"\x01") * 60), (9, bytes(8)))))
    ),
    "a header that goes on at itself": lambda: hdf5(header((0x10, struct.pack("<QQ", 64, 24)))),
    "a tree in itself": lambda: hdf5(
        header((0x11, struct.pack("<QQ", 80, 80))).ljust(32, b"\0") + tree(7, 9, 80)
    ),
    "trees in trees": trees_in_trees,
    "links to itself": lambda: links_of(40_000, b"n"),
    "links of long names": lambda: links_of(3_000, b"n" * 300),
    "a heap that lies": lambda: hdf5(
        header((2, bytes(2) + struct.pack("<QQ", 90, 90))).ljust(42, b"\0")
        + b"FRHP"
        + b"\xff" * 200
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(bomb: str) -> None:
    """What is cheap to write is cheap to read."""
    source = BOMBS[bomb]()

    began = time.process_time()
    layout = find_arrays(source)
    took = time.process_time() - began

    assert layout.parser in {"", "pickle", "joblib", "gguf", "onnx", "hdf5"}
    assert took < SECONDS


@pytest.mark.parametrize(
    "bomb",
    [
        "texts in the memo",
        "marks",
        "long names of classes",
        "tensors of long names",
        "weights of long names",
        "trees in trees",
        "links to itself",
    ],
)
def test_memory(bomb: str) -> None:
    """What is small to write is small to hold, at the limits of what is read at all."""
    source = BOMBS[bomb]()

    tracemalloc.start()
    find_arrays(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < MEMORY


@pytest.fixture(scope="module")
def small(
    more_golden: Mapping[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> list[bytes]:
    """Return small files of every kind."""
    dumped: Path = tmp_path_factory.mktemp("files") / "a.joblib"
    things = {"a": np.arange(2_100.0), "b": np.array([1, "two"], object), "c": np.float32(2)}
    joblib.dump(things, dumped)
    pickles = [pickle.dumps(things, protocol=protocol) for protocol in (3, 4, 5)]
    return [*more_golden.values(), dumped.read_bytes(), *pickles]


def test_truncated(look: Look, small: list[bytes]) -> None:
    """A file that ends too early, wherever, is at most a smaller one."""
    for plain in small:
        whole = look(plain)
        for length in range(0, len(plain), 1 + len(plain) // 700):
            layout = look(plain[:length])
            assert layout == UNKNOWN or len(layout.arrays) <= len(whole.arrays)


@given(chance=st.randoms(use_true_random=False))
def test_mutated(look: Look, small: list[bytes], chance: random.Random) -> None:
    """A file with some bytes changed is read to some valid layout."""
    plain = bytearray(chance.choice(small))
    for _ in range(chance.randint(1, 9)):
        at = chance.randrange(len(plain))
        plain[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])

    look(bytes(plain))


@given(
    plain=st.binary(max_size=200),
    head=st.sampled_from([PROTO, b"GGUF\x03\0\0\0", HDF5 + b"\x02\x08\x08\0", b"\x08\x07\x12"]),
)
def test_noise(look: Look, plain: bytes, head: bytes) -> None:
    """Noise has no arrays, whatever it begins with."""
    assert look(head + plain).arrays == ()


def test_pickle_noise(look: Look) -> None:
    """Any opcodes in any order end in some layout."""
    chance = random.Random(6)  # noqa: S311 - no secret
    pieces = [bytes((code,)) for code in b"(0123.NK)]}tdleausbQRh\x81\x85\x86\x87\x93\x94"]
    pieces += [b"K\x01", b"h\x00", b"C\x04abcd", b"\x8c\x02f4", b"\x8c\x05dtype", b"\x8c\x01<"]
    pieces += [b"cnumpy\ndtype\n", b"cnumpy._core.numeric\n_frombuffer\n"]
    pieces += [
        b"cnumpy.core.multiarray\n_reconstruct\n",
        b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n",
    ]
    for _ in range(3_000):
        look(PROTO + b"".join(chance.choices(pieces, k=chance.randint(1, 40))) + b".")
