"""Archives of torch.export (.pt2): raw weights, and JSON that says what they are.

    <top>/archive_format                              "pt2"
    <top>/data/weights/weight_<n>                     the bytes of one weight
    <top>/data/weights/<model>_weights_config.json    what they are called, their types and shapes
    <top>/data/constants/...                          the same for constants

A weight that is no plain tensor is a torch zip of its own, as were all weights before torch 2.8
(``serialized_state_dict.pt``); those are looked into, one level deep.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.format.tensors.arrays import MAX_ARRAYS, check, read_exactly
from mlflow_vault.format.tensors.bounded_json import read_json
from mlflow_vault.format.tensors.dtypes import TORCH_EXPORT, fit
from mlflow_vault.format.tensors.zipped import torch
from mlflow_vault.format.tensors.zipped.directory import MAGIC, read_zip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow_vault.format.tensors.arrays import Array, Window
    from mlflow_vault.format.tensors.dtypes import Dtype
    from mlflow_vault.format.tensors.zipped.directory import Zip

_FORMAT: Final = "archive_format"
_PROGRAM: Final = "serialized_exported_program.json"  # of an archive before torch 2.8
_CONFIG: Final = "_config.json"
_MAX_CONFIGS: Final = 4 << 20  # bytes in all; a weight takes 290
_MAX_INNER_PICKLES: Final = 1 << 19  # bytes in all zips together; a tensor takes 80 to 300
_COST_OF_ZIP: Final = 50  # what looking into a zip costs, in members


class _Payload(NamedTuple):
    """What a configuration says of one member."""

    name: str
    pickled: bool
    dtype: Dtype | None
    shape: tuple[int, ...] | None


def find_top(archive: Zip) -> str | None:
    """Return the folder, with its slash or empty, of an exported program; None if there is none."""
    if _PROGRAM in archive.members:
        return ""
    for name in archive.members:
        top, _, file = name.partition("/")
        if file == _FORMAT and archive.read(name, 16) == b"pt2":
            return f"{top}/"
    return None


def parse(archive: Zip, top: str) -> list[Array]:
    """Return the weights and constants of the exported program in folder *top*."""
    big = torch.is_big_endian(archive, top)
    payloads = _read_payloads(archive)
    found: list[Array] = []
    inner: list[tuple[str, Window]] = []
    for path in archive.members:
        window = archive.open(path)
        if window is None:
            continue
        payload = payloads.get(path)
        if payload and not payload.pickled:
            found.append(fit(window, payload.name, None if big else payload.dtype, payload.shape))
        elif read_exactly(window, 0, min(len(MAGIC), window.size)) == MAGIC:
            inner.append((payload.name if payload else path.removeprefix(top), window))
    return [*found, *_parse_inner(inner)]


def _parse_inner(zips: list[tuple[str, Window]]) -> Iterator[Array]:
    members, pickles = MAX_ARRAYS, _MAX_INNER_PICKLES
    for name, window in zips:
        inner = read_zip(window)
        members -= _COST_OF_ZIP + len(inner.members)
        pickles -= sum(m.size for path, m in inner.members.items() if path.endswith(".pkl"))
        check(members >= 0 and pickles >= 0, "too many zips in a zip")
        inner_top = torch.find_top(inner)
        if inner_top is not None:
            for array in torch.parse(inner, inner_top):
                yield replace(window.place(array), name=f"{name}.{array.name}")


def _read_payloads(archive: Zip) -> dict[str, _Payload]:
    """Return what the configurations say of members, by the members' paths."""
    found: dict[str, _Payload] = {}
    left = _MAX_CONFIGS
    for path in archive.members:
        text = archive.read(path, _MAX_CONFIGS) if path.endswith(_CONFIG) else None
        if text is None:
            continue
        left -= len(text)
        check(left >= 0, "too much JSON")
        folder = path.rpartition("/")[0]
        for file, payload in _read_config(text):
            found.setdefault(f"{folder}/{file}", payload)
    return found


def _read_config(text: bytes) -> Iterator[tuple[str, _Payload]]:
    """Yield the member that each payload lies in, and what is said of it."""
    match read_json(text):
        case {"config": dict(config)}:
            for name, payload in config.items():
                match payload:
                    case {"path_name": str(file), "use_pickle": bool(pickled), **rest}:
                        yield file, _Payload(name, pickled, *_read_meta(rest))


def _read_meta(payload: Mapping[object, object]) -> tuple[Dtype | None, tuple[int, ...] | None]:
    match payload:
        case {"tensor_meta": {"dtype": int(dtype), "sizes": [*sizes]}}:
            sides = tuple(size.get("as_int") for size in sizes if isinstance(size, dict))
            shape = tuple(side for side in sides if type(side) is int)
            return TORCH_EXPORT.get(dtype), shape if len(shape) == len(sizes) else None
    return None, None
