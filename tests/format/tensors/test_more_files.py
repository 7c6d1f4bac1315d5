"""Tensors in files of Keras, h5py, ONNX and GGUF are found, with their names."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from mlflow_vault.format.tensors import UNKNOWN, Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    Look = Callable[..., Layout]

FILES = Path(__file__).parents[2] / "golden" / "files"
EXPECTED = json.loads((FILES / "expected_more.json").read_text(encoding="utf-8"))
PARSERS = {".h5": "hdf5", ".keras": "keras", ".onnx": "onnx", ".gguf": "gguf"}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_golden(look: Look, more_golden: dict[str, bytes], name: str) -> None:
    """Names, elements, shapes and bytes are what the library itself says of its tensors."""
    plain = more_golden[name]

    layout = look(plain)

    assert layout.parser == PARSERS[Path(name).suffix]
    found = [
        (
            array.name,
            array.element.name if array.element else None,
            list(array.shape),
            blake3(plain[array.start : array.stop]).hexdigest(),
        )
        for array in layout.arrays
    ]
    assert sorted(found, key=str) == sorted(map(tuple, EXPECTED[name]), key=str)


def replaced(plain: bytes, old: bytes, new: bytes) -> bytes:
    """Replace the only *old* in a file."""
    assert plain.count(old) == 1
    return plain.replace(old, new)


def test_hdf5_circle(look: Look, more_golden: dict[str, bytes]) -> None:
    """Groups that hold themselves, or are held twice, are walked once, by their first name."""
    names = [array.name for array in look(more_golden["old.h5"]).arrays]

    assert len(names) == len(set(names))
    assert not any(name.startswith(("same", "circle")) for name in names)


@pytest.mark.parametrize("version", [4, 9, 255])
def test_hdf5_versions(look: Look, more_golden: dict[str, bytes], version: int) -> None:
    """A superblock of another version makes an unknown file."""
    plain = bytearray(more_golden["new.h5"])
    plain[8] = version

    assert look(bytes(plain)) == UNKNOWN


@pytest.mark.parametrize("signature", [b"FRHP", b"BTHD", b"OHDR", b"BTLF", b"FHDB"])
def test_hdf5_signatures(look: Look, more_golden: dict[str, bytes], signature: bytes) -> None:
    """Only what is read is checked: a block without its signature makes an unknown file."""
    layout = look(more_golden["new.h5"].replace(signature, b"what"))

    assert (layout == UNKNOWN) == (signature != b"FHDB")


@pytest.mark.parametrize("signature", [b"TREE", b"SNOD", b"HEAP"])
def test_old_hdf5_signatures(look: Look, more_golden: dict[str, bytes], signature: bytes) -> None:
    """The same for groups as old libraries write them."""
    assert look(more_golden["old.h5"].replace(signature, b"what")) == UNKNOWN


def test_hdf5_endless_tree(look: Look, more_golden: dict[str, bytes]) -> None:
    """A B-tree whose node is its own child ends."""
    plain = more_golden["old.h5"]
    at = plain.index(b"TREE")
    child = at + 24 + 8
    looped = bytearray(plain)
    looped[at + 5] = 3  # levels
    looped[child : child + 8] = struct.pack("<Q", at)

    assert look(bytes(looped)) == UNKNOWN


def test_gguf_versions(look: Look, more_golden: dict[str, bytes]) -> None:
    """Versions 2 and 3 are read; version 1 and big-endian files are unknown."""
    plain = more_golden["blocks.gguf"]
    known = look(plain)

    for version in (b"\x02\0\0\0", b"\x01\0\0\0", b"\0\0\0\x03"):
        layout = look(plain[:4] + version + plain[8:])
        assert layout == (known if version[0] == 2 else UNKNOWN)


def test_gguf_younger_type(look: Look, more_golden: dict[str, bytes]) -> None:
    """A tensor of a type that we do not know is left out."""
    plain = more_golden["blocks.gguf"]
    at = plain.index(b"blk.0.half") + len("blk.0.half") + 4 + 16

    layout = look(plain[:at] + b"\xfa" + plain[at + 1 :])

    names = {array.name for array in layout.arrays}
    assert names == {fact[0] for fact in EXPECTED["blocks.gguf"]} - {"blk.0.half"}


def test_onnx_external(look: Look, more_golden: dict[str, bytes]) -> None:
    """A tensor that says its bytes are elsewhere has none here."""
    plain = more_golden["graph.onnx"]
    whole = {array.name for array in look(plain).arrays}
    field = b"\x42\x06scalar"  # name (8), then data_location (14) in place of two of its letters

    layout = look(replaced(plain, field, b"\x42\x04scal\x70\x01"))

    assert whole - {array.name for array in layout.arrays} == {"scalar"}


def test_onnx_without_graph(look: Look) -> None:
    """A message of other fields, as TensorFlow's saved_model.pb is one, is an unknown file."""
    assert look(b"\x08\x01\x12\x03abc" + b"\x1a\x02hi") == UNKNOWN
