"""Whatever a stranger's file says, looking into it ends soon, holds little and raises nothing."""

from __future__ import annotations

import io
import json
import random
import struct
import time
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from mlflow_vault.errors import StorageError
from mlflow_vault.format.tensors import UNKNOWN, Layout, find_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Look = Callable[..., Layout]

SECONDS = 30  # of CPU; the worst takes one, and what is quadratic minutes
MEMORY = 160 << 20  # bytes beside the file itself
MIB = 1 << 20


def with_header(header: bytes) -> bytes:
    """Return a safetensors file of *header*."""
    return len(header).to_bytes(8, "little") + header


def zip_of(members: Mapping[str, bytes]) -> bytes:
    """Return a zip of *members*, uncompressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def with_pickle(pickle: bytes) -> bytes:
    """Return a torch file of one storage whose pickle is *pickle*."""
    return zip_of({"a/data.pkl": pickle, "a/data/0": bytes(16)})


def directory_of(entries: int) -> bytes:
    """Return a zip that is only a directory of empty members at one place."""
    name = b"%08d"
    fields = (b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0)
    entry = struct.pack("<4sHHHHHHIIIHHHHHII", *fields)
    directory = b"".join(entry + name % index for index in range(entries))
    at = 4 + len(directory)
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, *(entries,) * 2, at - 4, 4)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, at - 4, 4, 0)
    return b"PK\x03\x04" + directory + end64 + locator + end


def many_names(number: int) -> bytes:
    """Return a safetensors header of *number* empty tensors."""
    tensor = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return json.dumps({str(index): tensor for index in range(number)}).encode()


def many_arrays(number: int, kind: bytes) -> bytes:
    """Return an npz of *number* empty arrays, each of a type of its own."""
    members = {}
    for index in range(number):
        header = b"{'descr': %s, 'fortran_order': False, 'shape': (0,), }" % (kind % index)
        members[f"{index}.npy"] = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    return zip_of(members)


def many_zips(number: int, inner: bytes) -> bytes:
    """Return an exported program that holds *inner* many times."""
    weights = {f"m/data/weights/weight_{index}": inner for index in range(number)}
    return zip_of({"m/archive_format": b"pt2", **weights})


# One thing each: what costs little to write and would cost much to read.
BOMBS: dict[str, Callable[[], bytes]] = {
    "a header longer than the file": lambda: b"\xff\xff\x00\x00\x00\x00\x00\x00{",
    "a header of 60 MB": lambda: with_header(b"{" + b" " * (60 * MIB)),
    "nested lists": lambda: with_header(b'{"a":' + b"[" * (6 * MIB)),
    "nested objects": lambda: with_header(b'{"a":' * MIB),
    "many lists": lambda: with_header(b'{"a":[' + b"[]," * (2 * MIB) + b"[]]}"),
    "many small lists": lambda: with_header(b'{"a":[' + b"[]," * 499_000 + b"[]]}"),
    "many numbers": lambda: with_header(b'{"a":[' + b"1.5," * (2 * MIB) + b"1]}"),
    "many long strings": lambda: with_header(b'{"a":[' + b'"\\u1234",' * 900_000 + b'""]}'),
    "many tensors": lambda: with_header(many_names(50_000)),
    "a number without end": lambda: with_header(b'{"a":' + b"9" * (7 * MIB) + b"}"),
    "a million members": lambda: directory_of(1_000_000),
    "members at one place": lambda: directory_of(50_000),
    "a comment full of end records": lambda: b"PK\x03\x04" + b"PK\x05\x06" * 20_000,
    "numbers in the memo": lambda: with_pickle(
        b"K\x01" + b"q\x00r\xff\xff\xff\xff" * 149_000 + b"."
    ),
    "a memo of bags": lambda: with_pickle(b"}\x94" * 149_999 + b"."),
    "marks": lambda: with_pickle(b"(" * (4 * MIB)),
    "tuples in tuples": lambda: with_pickle(b")" + b"\x85" * 299_000 + b"."),
    "tuples twice in tuples": lambda: with_pickle(b")" + b"2\x86" * 149_000 + b"."),
    "one state built in many times": lambda: with_pickle(
        b"}(" + b"K\x01K\x02" * 70_000 + b"u\x94" + b"}h\x00b" * 50_000 + b"."
    ),
    "a long key in many places": lambda: with_pickle(
        b"X\x00\x00\x10\x00" + b"k" * MIB + b"\x94}\x94(" + b"h\x00}" * 145_000 + b"u."
    ),
    "a path of long keys": lambda: with_pickle(
        b"X\x00\x04\x00\x00" + b"k" * 1024 + b"\x94}" + b"h\x00}" * 99_000 + b"s" * 99_000 + b"."
    ),
    "a huge number": lambda: with_pickle(b"\x8b\x00\x00\x30\x00" + b"\x7f" * (3 * MIB) + b"."),
    "a lying number": lambda: with_pickle(b"\x8b\xff\xff\xff\x7f."),
    "a lying string": lambda: with_pickle(b"\x8d" + b"\xff" * 8 + b"."),
    "a number as text": lambda: with_pickle(b"L" + b"9" * MIB + b"L\n."),
    "a place in the memo as text": lambda: with_pickle(b"Np" + b"9" * 4000 + b"\n."),
    "a text that would warn": lambda: with_pickle(b"S'\\d'\n."),
    "many arrays": lambda: many_arrays(20_000, b"'S%d'"),
    "many types": lambda: many_arrays(9_000, b"[('%d', 'f4')" + b", ('', 'f4')" * 9 + b"]"),
    "many zips in a zip": lambda: many_zips(3_000, zip_of({"a/data.pkl": b"N."})),
    "many pickles in a zip": lambda: many_zips(500, with_pickle(b"}" * 100_000 + b".")),
    "many configurations": lambda: zip_of(
        {"m/archive_format": b"pt2"}
        | {f"m/{index}_config.json": b'{"a":[' + b"[]," * 99_000 + b"0]}" for index in range(60)}
    ),
    "no opcode": lambda: with_pickle(b"\xff" * 99),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(look: Look, bomb: str) -> None:
    """What is cheap to write is cheap to read."""
    plain = BOMBS[bomb]()

    began = time.process_time()
    layout = look(plain)
    took = time.process_time() - began

    assert layout.parser in {"", "torch", "safetensors", "npz"}
    assert took < SECONDS


@pytest.mark.parametrize("bomb", ["many long strings", "a memo of bags"])
def test_memory(look: Look, bomb: str) -> None:
    """What is small to write is small to hold, at the limits of what is read at all."""
    plain = BOMBS[bomb]()

    tracemalloc.start()
    look(plain)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < MEMORY


def small_files(golden: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return a small file of every format."""
    zipped, single = io.BytesIO(), io.BytesIO()
    np.savez(zipped, a=np.arange(5.0), b=np.zeros((2, 2), [("x", "<i2"), ("y", "<f4")]))
    np.save(single, np.arange(6).reshape(2, 3))
    tensors = {"a": np.arange(5.0), "b": np.zeros((2, 2), np.float16)}
    return {
        **golden,
        "a.npz": zipped.getvalue(),
        "a.npy": single.getvalue(),
        "a.safetensors": save(tensors),
    }


def test_truncated(look: Look, golden: dict[str, bytes]) -> None:
    """A file that ends too early, wherever, is at most a smaller one; a zip is unknown."""
    for plain in small_files(golden).values():
        whole = look(plain)
        for length in range(len(plain)):
            layout = look(plain[:length])
            assert layout == UNKNOWN or len(layout.arrays) <= len(whole.arrays)


@given(chance=st.randoms(use_true_random=False))
def test_mutated(look: Look, golden: dict[str, bytes], chance: random.Random) -> None:
    """A file with some bytes changed is read to some valid layout."""
    plain = bytearray(chance.choice(sorted(small_files(golden).values())))
    for _ in range(chance.randint(1, 9)):
        at = chance.randrange(len(plain))
        plain[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])

    look(bytes(plain))


@given(plain=st.binary(max_size=200), head=st.sampled_from([b"PK\x03\x04", b"\x93NUMPY\x01\x00"]))
def test_noise(look: Look, plain: bytes, head: bytes) -> None:
    """Noise is noise, whatever magic it begins with."""
    assert look(head + plain) == UNKNOWN
    assert look(plain).arrays == ()


def test_pickle_noise(look: Look) -> None:
    """Any opcodes in any order leave the storages where they are."""
    chance = random.Random(5)  # noqa: S311 - no secret
    letters = b"(0123.NKMJX)]}tdleausbcQRqhrjopgi\x80\x81\x85\x86\x87\x88\x8c\x8f\x90\x91\x93\x94"
    for _ in range(2_000):
        pickle = bytes(chance.choices(letters, k=chance.randint(1, 60)))
        (array,) = look(with_pickle(pickle)).arrays
        assert array.stop - array.start == 16


class _Failing:
    """A file whose disk fails."""

    size = 100

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, start: int, stop: int) -> bytes:
        """Fail."""
        if start <= stop:
            raise self.error
        return b""


class _Shrinking:
    """A file that is shorter than it was when its size was taken."""

    size = 100

    def read(self, start: int, stop: int) -> bytes:
        """Return what is left: a head."""
        return (b"\x93NUMPY\x01\x00\x40\x00" + bytes(10))[start:stop]


@pytest.mark.parametrize("error", [OSError("disk"), StorageError("store")])
def test_source_fails(error: Exception) -> None:
    """That the file cannot be read is not hidden behind an unknown layout."""
    with pytest.raises(type(error)):
        find_arrays(_Failing(error))


def test_source_shrinks() -> None:
    """A file that gives fewer bytes than it promised is an unknown one."""
    assert find_arrays(_Shrinking()) == UNKNOWN


@pytest.mark.parametrize("size", [0, 1, 4, 8, 9])
def test_tiny(look: Look, size: int) -> None:
    """A file too small for any header is an unknown one."""
    assert look(bytes(size)) == UNKNOWN
