"""A program written from docs/format.md alone restores what the library wrote.

Red means that the page and the library disagree: one of them is wrong, and nobody but the library
could read these vaults.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from blake3 import blake3
from decoding import CODECS, MODES
from hypothesis import given, settings
from hypothesis import strategies as st
from reader import restore

from mlflow_vault.testing.models import bfloat16, noise, npy, safetensors, trained, weights
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, Any]

HERE: Final = Path(__file__).parent
GOLDEN: Final = HERE.parent / "golden"

# What the vault below must hold for the program to be tried: see `--tell`.
PATHS: Final = {
    *CODECS,
    *(f"mode {mode}" for mode in MODES),
    *(f"mode {mode} inside" for mode in MODES[:3]),
    "packed without exceptions",
    *(f"delta {element} grouped" for element in ("12", "22", "13", "14")),
    *(f"delta {element} ungrouped" for element in ("01", "02", "03", "04", "13")),
    *("cast 13-22", "cast 13-12"),
    *("inline", "parts 0", "parts 1", "parts 2"),
}


def artifact(run: int, name: str) -> str:
    """Return where MLflow has the file *name* of a run."""
    return f"1/{run:032x}/artifacts/{name}"


def versions() -> dict[str, bytes]:
    """Return models and arrays, and what becomes of them in later runs."""
    step = np.random.default_rng(9).integers
    files = {}
    floats = weights(1, 300, 1000)  # of which the grid makes two chunks
    files[artifact(0, "copy.safetensors")] = safetensors({"w": floats})
    files[artifact(1, "copy.safetensors")] = safetensors({"w": bfloat16(floats)})
    files[artifact(2, "copy.safetensors")] = safetensors({"w": floats.astype("<f2")})
    floats = weights(2, 200, 1000)
    for run in range(3):
        files[artifact(run, "m32.safetensors")] = safetensors({"layer.weight": floats})
        files[artifact(run, "m16.safetensors")] = safetensors({"w": floats.astype("<f2")})
        files[artifact(run, "mb16.safetensors")] = safetensors({"w": bfloat16(floats)})
        floats = trained(floats, run)
    wide = np.random.default_rng(8).normal(size=50_000)
    embedding = weights(3, 2000, 128)
    touched = embedding.copy()
    touched[7::97] = trained(touched[7::97], 4, 1e-2)
    arrays = {  # an array, and what is added to it in the next run
        "ids": (step(0, 1 << 40, 60_000), step(0, 2, 60_000)),
        "few": (step(0, 1 << 50, 60_000), step(0, 4, 60_000)),
        "i4": (step(0, 1 << 30, 80_000, "<i4"), step(-1, 2, 80_000, "<i4")),
        "i2": (step(0, 30_000, 200_000, "<i2"), step(0, 3, 200_000, "<i2")),
        "u1": (step(0, 256, 300_000, "u1"), step(0, 2, 300_000, "u1")),
        "d": (wide, wide * 1e-9 * weights(5, 50_000)),
        "rows": (embedding, touched - embedding),
    }
    for name, (array, added) in arrays.items():
        files[artifact(0, f"{name}.npy")] = npy(array)
        files[artifact(1, f"{name}.npy")] = npy(array + added)
    losses = np.random.default_rng(6).random(30_000)
    text = b"".join(b'{"step": %d, "loss": %.6f}\n' % told for told in enumerate(losses))
    files[artifact(0, "log.json")] = text
    files[artifact(1, "log.json")] = text.replace(b'"step": 77,', b'"STEP": 77,') + b"end\n"
    files[artifact(0, "random.bin")] = noise(7, 600_000)
    return files


def oddly_named() -> dict[str, bytes]:
    """Return files whose names are spelled in every way that the page knows."""
    not_text = b"\xff\xfe\xc3".decode("utf-8", "surrogateescape")
    names = [
        *("MLmodel", "Model v2/x", "Ärger/ß€😀", "~!'\"$", "line\nfeed\ttab", "a\\b", "100%"),
        *("a%2eb", "a/%2e/b", "..%", "..a", ".../x", ".hidden", "-", "_", "!", "!-", "a!-/b"),
        *("con", "con.txt", "CON1", "nul .x", "aux..", "x/lpt9.tar.gz/com1", "com10", "prn1"),
        *("dot.", "dots...", "e" * 180, "f" * 181, "G" * 90, "H" * 91, "ü" * 100),
        *("i" * 179 + "J" * 30, f"bytes {not_text}", not_text * 20),
    ]
    return {artifact(9, name): name.encode("utf-8", "surrogateescape") for name in names}


def write(vault: Vault, files: Mapping[str, bytes]) -> None:
    """Make every one of *files* a file of *vault*."""
    for path, plain in files.items():
        vault.write_stream(BytesIO(plain), path)


def run(*arguments: Path | str) -> tuple[int, list[str]]:
    """Run the program; return its exit code and its lines."""
    command = [sys.executable, HERE / "reader.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def found(folder: Path) -> dict[str, bytes]:
    """Return every file below *folder*."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_imports() -> None:
    """The program knows nothing of the library."""
    allowed = {*sys.stdlib_module_names, "numpy", "zstandard", "blake3", "decoding", "entries"}
    for name in ("reader", "entries", "decoding"):
        nodes = list(ast.walk(ast.parse((HERE / f"{name}.py").read_text())))
        plain = [
            alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
        ]
        named = [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]

        assert {module.partition(".")[0] for module in plain + named} <= allowed


def test_library(tmp_path: Path) -> None:
    """It restores all kinds of files that the library wrote, and every codec and mode was there."""
    files = versions() | oddly_named() | {artifact(8, "empty"): b""}
    write(Vault.init(f"vault-file://{tmp_path}/vault"), files)

    code, lines = run("--tell", tmp_path / "vault", tmp_path / "restored")

    assert (code, lines[:-1]) == (0, [])
    assert found(tmp_path / "restored") == files
    assert {told for told, times in json.loads(lines[-1]).items() if times} >= PATHS


def test_packs_alone(tmp_path: Path) -> None:
    """It rebuilds every chunk from packs alone; a base that is in none of them is named."""
    files = {path: plain for path, plain in versions().items() if "m32" in path}
    vault = Vault.init(f"vault-file://{tmp_path}")
    write(vault, files)
    rows = {str(row.digest) for path in files for row in vault.entry(path).rows}
    packs = sorted(tmp_path.glob("packs/*/*"))

    code, lines = run("--from-packs", *packs)
    told = [run("--from-packs", pack) for pack in packs]

    assert (code, {line.removeprefix("verified ") for line in lines}) == (0, rows)
    assert len(told) == 3
    assert sorted(code for code, _ in told) == [0, 1, 1]
    assert any("is in none of the packs" in line for _, lines in told for line in lines)


@pytest.mark.parametrize("name", ["vault-0", "vault-1"])
def test_golden(tmp_path: Path, name: str) -> None:
    """It restores the vaults that every release must read."""
    expected = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))

    code, lines = run(GOLDEN / name, tmp_path / "restored")

    assert (code, lines) == (0, [])
    restored = found(tmp_path / "restored")
    assert expected == {
        path: [len(plain), blake3(plain).hexdigest()] for path, plain in restored.items()
    }


@pytest.mark.parametrize("hurt", ["packs", "tree"])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone", "empty"])
def test_damage(tmp_path: Path, hurt: str, how: str) -> None:
    """What is damaged is named, and the rest restored."""
    files = {"a": noise(1, 300_000), "b": noise(2, 300_000), "c": b"small"}
    vault = Vault.init(f"vault-file://{tmp_path}/vault")
    write(vault, files)
    [row, *_] = vault.entry("a").rows
    pack = f"packs/{row.pack.hex()[:2]}/{row.pack.hex()}"
    place = tmp_path / "vault" / (pack if hurt == "packs" else "tree/a!")
    raw = bytearray(place.read_bytes())
    raw[len(raw) // 4] ^= 1
    place.write_bytes(raw if how == "flipped" else raw[: len(raw) // 2] if how == "cut" else b"")
    if how == "gone":
        place.unlink()

    code, lines = run(tmp_path / "vault", tmp_path / "restored")

    restored = found(tmp_path / "restored")
    assert restored == {"b": files["b"], "c": files["c"]}
    if (hurt, how) == ("tree", "gone"):
        assert (code, lines) == (0, [])  # nothing says that there was an entry
    else:
        [line] = lines
        assert code == 1
        assert line.startswith("damaged 'a': ")
        assert (pack in line) == (hurt == "packs")


KINDS: Final = ("<f4", "<f2", "<f8", "bf16", "<i8", "<i4", "<u2", "|u1")
SPECIAL: Final = (0, 1, -1, 1 << 63, 0x7FF8 << 48, 0x7F800001, 0xFFC00000, 0x80007FC1, 0xFC007E01)


def array_of(kind: str, bits: Array, steps: Array) -> tuple[Array, Array]:
    """Return the numbers of *kind* with these bits, and what a few *steps* make of them."""
    type_of = "<u2" if kind == "bf16" else kind
    unsigned = f"<u{np.dtype(type_of).itemsize}"
    older = bits.astype(unsigned)
    newer = older + steps.astype(unsigned)
    return older.view(type_of), newer.view(type_of)


@settings(max_examples=20)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 1 << 20),
    count=st.integers(1_024, 5_000),
    wild=st.lists(st.sampled_from(SPECIAL), max_size=9),
    reach=st.sampled_from([1, 2, 3, 5, 40, 1000, 1 << 33]),
)
def test_arrays(*, kind: str, seed: int, count: int, wild: list[int], reach: int) -> None:
    """Arrays that are a few steps apart come back bit for bit, and so do narrower copies."""
    random = np.random.default_rng(seed)
    bits = random.integers(0, 1 << 63, count, "<u8")
    odd = np.array([number % (1 << 64) for number in wild], "<u8")
    bits[: len(wild)] = odd
    steps = random.integers(0, reach, count, "<u8")
    steps[-len(wild) or count :] = odd
    older, newer = array_of(kind, bits, steps)
    rest = noise(seed, 270_000)  # nothing that is small enough to lie inline is a chunk
    copies = {}
    if kind == "<f4":
        with np.errstate(all="ignore"):
            copies = {"half": older.astype("<f2"), "brain": bfloat16(older)}
    named = {artifact(0, "a.npy"): older, artifact(1, "a.npy"): newer}
    files = {path: npy(array) + rest for path, array in named.items()}
    if kind in ("<f4", "<f2", "<f8", "bf16", "|u1"):
        files = {
            path: safetensors({"w": array, "rest": np.frombuffer(rest, "u1")})
            for path, array in named.items()
        }
    for name, array in copies.items():
        plain = safetensors({"w": array, "rest": np.frombuffer(rest, "u1")})
        files[artifact(2, f"{name}.safetensors")] = plain
    with TemporaryDirectory() as folder:
        vault, target = Path(folder, "vault"), Path(folder, "restored")
        write(Vault.init(f"vault-file://{vault}"), files)

        damage = restore(vault, target)

        assert damage == []
        assert found(target) == files
