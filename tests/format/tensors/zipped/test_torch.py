"""Tensors in files that torch wrote are found, with their names."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from mlflow_vault.format.tensors import Array, Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Look = Callable[..., Layout]

FILES = Path(__file__).parents[3] / "golden" / "files"
EXPECTED = json.loads((FILES / "expected.json").read_text(encoding="utf-8"))
PARSERS = {".pt": "torch", ".pth": "torch", ".ckpt": "torch", ".pt2": "pt2", ".skops": "skops"}


def zip_of(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip of *members*."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def unzip(plain: bytes) -> dict[str, bytes]:
    """Return the members of a zip."""
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def describe(array: Array) -> tuple[str, str | None, tuple[int, ...]]:
    """Say what is known of *array*, in plain words."""
    return array.name, array.element.name if array.element else None, array.shape


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_golden(look: Look, golden: dict[str, bytes], name: str) -> None:
    """Names, elements, shapes and bytes are what the library itself says of its tensors."""
    plain = golden[name]

    layout = look(plain)

    assert layout.parser == PARSERS[Path(name).suffix]
    found = [
        (*describe(array), blake3(plain[array.start : array.stop]).hexdigest())
        for array in layout.arrays
    ]
    wanted = [(label, kind, tuple(shape), digest) for label, kind, shape, digest in EXPECTED[name]]
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_renumbered(look: Look, golden: dict[str, bytes]) -> None:
    """Another top folder and other members around it change no name."""
    members = unzip(golden["checkpoint.ckpt"])
    moved = {f"epoch=3/{name.partition('/')[2]}": plain for name, plain in members.items()}

    before = look(golden["checkpoint.ckpt"])
    after = look(zip_of({"epoch=3/.extra": b"x" * 99, **moved}))

    assert list(map(describe, after.arrays)) == list(map(describe, before.arrays))


def test_big_endian(look: Look, golden: dict[str, bytes]) -> None:
    """Numbers stored the other way round are arrays of no element that we have."""
    members = unzip(golden["state.pt"])

    layout = look(zip_of({**members, "state/byteorder": b"big"}))

    assert {array.element for array in layout.arrays} == {None}
    assert "layer.weight" in {array.name for array in layout.arrays}


def test_compressed(look: Look, golden: dict[str, bytes]) -> None:
    """A checkpoint that someone compressed holds no arrays to cut at."""
    packed = zip_of(unzip(golden["state.pt"]), zipfile.ZIP_DEFLATED)

    assert look(packed) == Layout("torch", ())


def test_unreadable_pickle(look: Look, golden: dict[str, bytes]) -> None:
    """Storages are arrays also where the pickle breaks off; what it said until then is kept."""
    members = unzip(golden["state.pt"])
    pickle = members["state/data.pkl"]
    cut = pickle.index(b"embedding")

    layout = look(zip_of({**members, "state/data.pkl": pickle[:cut]}))

    assert [describe(array) for array in layout.arrays] == [
        ("data/0", "F32", (20,)),
        ("data/1", "BF16", (9,)),
        ("data/2", None, (96,)),
        ("data/3", None, (24,)),
        ("data/4", None, (2,)),
        ("data/6", None, (24,)),
    ]


def test_lying_pickle(look: Look, golden: dict[str, bytes]) -> None:
    """A shape that does not fill its storage is not believed."""
    members = unzip(golden["state.pt"])

    layout = look(zip_of({**members, "state/data/0": bytes(24), "state/data/2": bytes(7)}))

    assert describe(layout.arrays[0]) == ("layer.weight", "F32", (6,))
    assert describe(layout.arrays[2]) == ("embedding", None, (7,))


def test_old_exported(look: Look, golden: dict[str, bytes]) -> None:
    """Before torch 2.8 an exported program kept its weights in a zip in the zip."""
    members = {
        "version": b"8.8",
        "serialized_exported_program.json": b"{}",
        "serialized_state_dict.pt": golden["state.pt"],
        "serialized_constants.pt": zip_of({"not": b"torch"}),
    }

    layout = look(zip_of(members))

    assert layout.parser == "pt2"
    inner = [describe(array) for array in look(golden["state.pt"]).arrays]
    assert [describe(array) for array in layout.arrays] == [
        (f"serialized_state_dict.pt.{name}", element, shape) for name, element, shape in inner
    ]


def test_exported_payloads(look: Look, golden: dict[str, bytes]) -> None:
    """Shared, pickled, symbolic and unknown payloads are each told apart."""
    size = {"dtype": 7, "sizes": [{"as_int": 2}]}
    odd = {"dtype": 99, "sizes": [{"as_expr": "n"}]}
    config = {
        "first": {"path_name": "weight_0", "use_pickle": False, "tensor_meta": size},
        "second": {"path_name": "weight_0", "use_pickle": False, "tensor_meta": size},
        "inner": {"path_name": "weight_1", "use_pickle": True, "tensor_meta": None},
        "odd": {"path_name": "weight_2", "use_pickle": False, "tensor_meta": odd},
        "opaque": {"path_name": "weight_3", "use_pickle": True, "tensor_meta": None},
        "nonsense": 7,
    }
    members = {
        "m/archive_format": b"pt2",
        "m/data/weights/weight_0": bytes(8),
        "m/data/weights/weight_1": golden["module.pth"],
        "m/data/weights/weight_2": bytes(8),
        "m/data/weights/weight_3": b"N.",
        "m/data/weights/a_weights_config.json": json.dumps({"config": config}).encode(),
    }

    layout = look(zip_of(members))

    assert [describe(array) for array in layout.arrays] == [
        ("first", "F32", (2,)),
        ("inner.0.weight", "F32", (6, 8)),
        ("inner.0.bias", "F32", (6,)),
        ("inner.2.weight", "F32", (3, 6)),
        ("inner.2.bias", "F32", (3,)),
        ("odd", None, (8,)),
    ]
