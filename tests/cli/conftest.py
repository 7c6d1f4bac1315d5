"""A vault with a little history in it, and the command line to look at it with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlflow_vault.cli.main import main
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERSIONS = 3
RUNS = tuple(f"{number:032x}" for number in range(VERSIONS))


@dataclass(frozen=True, slots=True)
class Printed:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def values(self) -> Any:
        """The one JSON object on standard output."""
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Printed]:
    """Type a command."""

    def type_(*words: object) -> Printed:
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return Printed(code, printed.out, printed.err)

    return type_


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of a model that was trained on: 2.4 MB of weights and two small files each."""
    root = tmp_path_factory.mktemp("versions")
    rng = np.random.default_rng(3)
    weights = rng.normal(size=600_000).astype(np.float32)
    folders = []
    for number in range(VERSIONS):
        folder = root / f"v{number}"
        (folder / "code").mkdir(parents=True)
        np.save(folder / "weights.npy", weights)
        (folder / "MLmodel").write_text(f"version: {number}\n")
        (folder / "code" / "train.py").write_text("print('trained')\n")
        folders.append(folder)
        weights[::50] += np.float32(0.001) * rng.normal(size=12_000).astype(np.float32)
    return folders


@pytest.fixture
def vault(tmp_path: Path, versions: list[Path]) -> Path:
    """A vault's folder, with each version logged by a run of experiment 7."""
    folder = tmp_path / "vault"
    made = Vault.init(f"vault-file://{folder}")
    for name, version in zip(RUNS, versions, strict=True):
        made.write_folder(version, f"7/{name}/artifacts/model")
    return folder


@pytest.fixture
def damaged(vault: Path) -> Path:
    """The same vault after one bit of the first version's pack has changed."""
    packs = [path for path in (vault / "packs").rglob("*") if path.is_file()]
    pack = max(packs, key=lambda path: path.stat().st_size)
    body = bytearray(pack.read_bytes())
    body[len(body) // 2] ^= 1
    pack.write_bytes(body)
    return vault


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    """Read all files below a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    return read
