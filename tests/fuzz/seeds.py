"""Where the fuzzer begins: the golden files and objects, spelled as inputs of the targets.

The kept corpora grew from these.  They are made anew for each run, so that a new golden file is
an input at once.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from doors.approvals import NOW, PROPOSAL
from doors.coding import spell
from doors.files import BREAK, RUN, expand

from mlflow_vault.format import layout
from mlflow_vault.format.coding.codec import Codec, encode_delta, encode_whole
from mlflow_vault.format.elements import Element
from mlflow_vault.format.entry_tiles import join
from mlflow_vault.format.log import Actor, LogEntry, Subject
from mlflow_vault.format.record import CHECK, Kind, unframe
from mlflow_vault.govern.policies.reading import check_document
from mlflow_vault.govern.policies.shelf import spelled
from mlflow_vault.govern.release.approving.approval_payload import Said, spell_approval

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN: Final = Path(__file__).parents[1] / "golden"
_FILES: Final = GOLDEN / "files"
_RECORDS: Final = GOLDEN / "records-1"
_ZIPS: Final = ("checkpoint.ckpt", "exported.pt2", "module.pth", "network.keras", "state.pt")
_ODD: Final = (
    b'{"digest":"","id":"00112233445566778899aabbccddeeff","name":"n","number":1,"created":1,"author":"a","origin":{"uri":"u",'
    b'"path":"p"},"files":[],"parents":[],"metadata":{"a":[1]},"facts":{"params":5,"metrics":[1],'
    b'"tags":{"a":{"b":1}},"datasets":{"b3":7},"run":3,"signature":[],"flavors":"x","inputs":[0],'
    b'"environment":{"packages":[]},"evaluations":[{"metrics":1}]},"content":"00112233445566778899aabbccddeeff","parts":0}'
)
_LOGGED: Final = LogEntry(
    "00" * 16, 0, 1, "11" * 16, "commit", Actor("ada", verified=True), Subject("version", "fraud"),
    after={"number": 3, "aliases": {"production": None}},
)  # fmt: skip
_NOTE: Final = ("mlflow-vault/0011\n3\n" + "A" * 43 + "=\n\n\u2014 key " + "A" * 92 + "\n").encode()
_FILTERS: Final = (
    "metrics.f1 > 0.9 AND (params.lr < 0.01 OR tags.team = 'risk')",
    "NOT tags.`val/f1` IN ('a', 'b') OR created > now - 7d",
    "metrics.a > metrics.b - 0.01 * 2 AND name ILIKE '%x_'",
    'params."a b" IS NOT NULL AND number IN (1, 2)',
)
_RUN: Final = RUN + (1024).to_bytes(2, "little")  # 16 KiB


def seeds() -> dict[str, list[bytes]]:
    """Return the first inputs of every target."""
    return {
        "safetensors": list(_safetensors()),
        "npy": list(_npy()),
        "zipped": [(_FILES / name).read_bytes() for name in _ZIPS],
        "members": [_members(name) for name in (*_ZIPS, "network.skops")],
        "pickled": list(_pickled()),
        "hdf5": [(_FILES / name).read_bytes() for name in ("new.h5", "old.h5")],
        "gguf": [(_FILES / "blocks.gguf").read_bytes()],
        "onnx": [(_FILES / "graph.onnx").read_bytes()],
        "sampled": [bytes(64), bytes(range(256)), *_sampled()],
        "chunking": [bytes(600), bytes(range(256)) * 3, b"\1\2\3\4" + b"some text, " * 80],
        "entry": [*_bodies(Kind.ENTRY, "entry-*"), *_entries()],
        "tables": [bytes(range(40)), bytes([3, 1, 7, 0]) * 20],
        "framed": [b"%c" % index + _open(name) for index, name in enumerate(_objects())],
        "notes": list(_notes()),
        "identity": [(_RECORDS / "vault.json").read_bytes()],
        "pack": [(_RECORDS / "pack").read_bytes(), *_packs()],
        "decode": list(_payloads()),
        "encode": [b"%c%c\x40\0" % (n, n) + bytes(range(160)) for n in range(9)],
        "path": [b"7/0123/artifacts/Model v2/MLmodel", "con/a.\u00e4".encode(), b"%2e%2e/x"],
        "key": list(_keys()),
        "version": [*_bodies(Kind.VERSION, "version"), _ODD],
        "content": _bodies(Kind.FILES, "files"),
        "logged": [_LOGGED.to_bytes()],
        "note": [_NOTE],
        "tile": [join([b"{}"] * 256), bytes(512)],
        "decision": [(GOLDEN / "decisions" / "decision.json").read_bytes()],
        "statement": [(GOLDEN / "decisions" / "statement.json").read_bytes()],
        "promotion": [(GOLDEN / "bundles" / "promotion-1.bundle.json").read_bytes()],
        "filter": [one.encode() for one in _FILTERS],
        "approval": list(_approvals()),
        "document": [one.read_bytes() for one in _documents()],
        "applied": [b"null", *(spelled(check_document(one)) for one in _documents())],
        "bundle": [one.read_bytes() for one in sorted((GOLDEN / "signatures").glob("*.json"))],
    }


def _documents() -> list[Path]:
    return sorted((GOLDEN / "documents").iterdir())


def _approvals() -> Iterator[bytes]:
    stored = (GOLDEN / "approvals" / "ed25519.json").read_bytes()
    yield stored
    yield base64.b64decode(json.loads(stored)["payload"])
    for rejects in (False, True):
        yield spell_approval(PROPOSAL, Said("bob", NOW, "0c" * 16, rejects=rejects, reason="so"))


def _safetensors() -> Iterator[bytes]:
    tensors = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [64, 64], "data_offsets": [0, 16384]},
        "b": {"dtype": "BF16", "shape": [2048], "data_offsets": [16384, 20480]},
    }
    yield json.dumps(tensors).encode() + b"\0" + _RUN + RUN + b"\0\1"
    yield b'{"t":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}\0x'


def _npy() -> Iterator[bytes]:
    for descr in ("'<f4'", "'>f8'", "'<V2'", "[('a', '<f4', (2,)), ('b', '|u1')]", "'|O'"):
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (3, 2), }}\n".encode()
        for version, width in ((b"\1\0", 2), (b"\2\0", 4)):
            length = len(header).to_bytes(width, "little")
            yield b"\x93NUMPY" + version + length + header + bytes(80)


def _members(name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO((_FILES / name).read_bytes())) as archive:
        return BREAK.join(
            one.filename.encode("cp437") + b"\n" + archive.read(one) for one in archive.infolist()
        )


def _pickled() -> Iterator[bytes]:
    for value in ({"a": [1, 2.5, "x"], "b": (None, True)}, [b"bytes", {1: {2: 3}}]):
        for protocol in (2, 4, 5):
            yield pickle.dumps(value, protocol)
    floats = expand(_RUN)
    array = np.frombuffer(floats, "<f4").reshape(64, 64)
    for protocol in (3, 4, 5):
        whole = pickle.dumps({"w": array, "v": [array[0]]}, protocol)
        yield whole.replace(floats, _RUN)


def _sampled() -> Iterator[bytes]:
    floats = np.random.default_rng(7).normal(0, 0.1, 500)
    for kind in ("<f2", "<f4", "<f8"):
        yield floats.astype(kind).tobytes()
    yield floats.astype("<f4").view("<u2")[1::2].tobytes()  # bfloat16


def _bodies(kind: Kind, pattern: str) -> list[bytes]:
    return [unframe(kind, one.read_bytes(), "") for one in sorted(_RECORDS.glob(pattern))]


def _entries() -> list[bytes]:
    found = (GOLDEN / "vault-1" / "tree").rglob("*!")
    return [unframe(Kind.ENTRY, one.read_bytes(), "") for one in found if one.is_file()]


def _objects() -> list[str]:
    return ["entry-chunked", "pack", "intent", "outcome", "condemned", "seal", "hint"]


def _open(name: str) -> bytes:
    return (_RECORDS / name).read_bytes()[:-CHECK]


def _notes() -> Iterator[bytes]:
    for kind in (Kind.INTENT, Kind.OUTCOME, Kind.CONDEMNED, Kind.SEAL, Kind.HINT):
        yield from _bodies(kind, kind.name.lower())
    yield from _bodies(Kind.HINT, "listing")
    yield b'{"sizes":{"tree/a!":["etag",1e999]},"paths":["../../a","a/b"]}'


def _packs() -> list[bytes]:
    found = (GOLDEN / "vault-1" / "packs").rglob("*")
    return [one.read_bytes() for one in found if one.is_file() and one.stat().st_size < 1000]


def _payloads() -> Iterator[bytes]:
    plain = bytes(range(256)) * 2 + b"\0" * 301
    base = bytes(range(1, 256)) * 2 + b"\0" * 300
    for element in (None, *Element):
        whole = encode_whole(plain, element)
        yield spell(whole.codec, whole.payload, len(plain), None)
        delta = encode_delta(plain, base, element, element)
        if delta is not None:
            yield spell(delta.codec, delta.payload, len(plain), base)
    cast = encode_delta(bytes(400), bytes(800), Element.BF16, Element.F32)
    if cast is not None:
        yield spell(cast.codec, cast.payload, 400, bytes(800))
    whole_numbers = bytes([Element.U8.tag, Element.U8.tag])  # which have no exponent
    yield spell(Codec.DELTA, whole_numbers + bytes([1, 0, 0, 0, 0, 1, 0]), 32, bytes(32))


def _keys() -> Iterator[bytes]:
    for path in ("7/Model v2/MLmodel", "a" * 400, "aux/b."):
        yield layout.tree_key(path).encode()
    yield layout.pack_key(bytes(16)).encode()
    yield b"b3:" + b"0a" * 32
