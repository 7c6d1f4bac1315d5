"""What the vault writes to a disk goes where it was asked to, and is nobody else's to change."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.cli.main import main
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATHS = ("7/run/artifacts/a/b.txt", "7/run/artifacts/c.txt")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with two files."""
    vault = Vault.init(f"vault-file://{tmp_path / 'vault'}")
    (tmp_path / "source").write_text("new")
    for path in PATHS:
        vault.write_file(tmp_path / "source", path)
    return vault


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that an export has no business in."""
    folder = tmp_path / "outside"
    (folder / "a").mkdir(parents=True)
    (folder / "c.txt").write_text("old")
    (folder / "a" / "b.txt").write_text("old")
    return folder


def texts(folder: Path) -> dict[str, str]:
    """Return the files below *folder*."""
    return {
        file.relative_to(folder).as_posix(): file.read_text()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("at", ["7", "7/run", "7/run/artifacts", "7/run/artifacts/a"])
def test_export_through_a_link(vault: Vault, tmp_path: Path, outside: Path, at: str) -> None:
    """An export never follows a link to a folder: what lies behind it is left out and named."""
    destination = tmp_path / "out"
    (destination / at).parent.mkdir(parents=True)
    (destination / at).symlink_to(outside, target_is_directory=True)
    before = texts(outside)

    found = vault.export("", destination)

    behind = [path for path in PATHS if path.startswith(f"{at}/")]
    assert [damage.path for damage in found.damaged] == behind
    assert found.files == len(PATHS) - len(behind)
    assert texts(outside) == before
    assert sorted(path.name for path in outside.rglob("*")) == ["a", "b.txt", "c.txt"]


@pytest.mark.parametrize("linked", ["c.txt", "nothing"])
def test_export_onto_a_link(vault: Vault, tmp_path: Path, outside: Path, linked: str) -> None:
    """A link where a file belongs is replaced by the file, and its target stays as it was."""
    target = tmp_path / "out" / PATHS[1]
    target.parent.mkdir(parents=True)
    target.symlink_to(outside / linked)
    before = texts(outside)

    found = vault.export("", tmp_path / "out")

    assert found.is_whole
    assert not target.is_symlink()
    assert target.read_text() == "new"
    assert texts(outside) == before


def test_export_by_command(
    vault: Vault, tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says so, and its exit code does; ``--force`` is no leave to follow links."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "7").symlink_to(outside, target_is_directory=True)

    code = main(["export", vault.uri, str(tmp_path / "out"), "--force"])

    assert code != 0
    assert "link" in capsys.readouterr().out
    assert sorted(path.name for path in outside.rglob("*")) == ["a", "b.txt", "c.txt"]


def test_links_that_are_logged(tmp_path: Path) -> None:
    """A link to a folder is not entered, one to a file gives its content, a loop is an error."""
    model = tmp_path / "model"
    model.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("secret")
    (model / "folder").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (model / "up").symlink_to("..", target_is_directory=True)
    (model / "file").symlink_to(tmp_path / "elsewhere" / "secret")
    vault = Vault.init(f"vault-file://{tmp_path / 'vault'}")

    vault.write_folder(model, "7/run")

    assert list(vault.walk()) == ["7/run/file"]


@pytest.fixture(params=[0o022, 0o077, 0o000])
def mask(request: pytest.FixtureRequest) -> Iterator[int]:
    """What a process keeps from others."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_permissions(mask: int, tmp_path: Path) -> None:
    """What is written has the permissions its process gives to plain files, and no others."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(300_000))
    source.chmod(0o7777)
    vault = Vault.init(f"vault-file://{tmp_path / 'vault'}")
    vault.write_file(source, PATHS[0])
    with source.open("rb") as stream:
        vault.write_stream(stream, PATHS[1])

    vault.export("", tmp_path / "out")

    for path in (file for name in ("vault", "out") for file in (tmp_path / name).rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        allowed = (0o777 if path.is_dir() else 0o666) & ~mask
        assert mode & ~allowed == 0, f"{path} {mode:o}"


def test_archives_are_not_opened(tmp_path: Path) -> None:
    """An archive that would fill a disk is stored as the few bytes it is."""
    bomb = tmp_path / "model.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        layer = zlib.compress(bytes(1 << 24), 9)
        for number in range(4):
            archive.writestr(f"{number}.npy", bytes(1 << 24))
            archive.writestr(f"{number}.z", layer)
    vault = Vault.init(f"vault-file://{tmp_path / 'vault'}")

    vault.write_file(bomb, PATHS[0])
    stored = sum(file.stat().st_size for file in (tmp_path / "vault").rglob("*") if file.is_file())

    assert stored < bomb.stat().st_size + 20_000
    assert b"".join(vault.iter_file(PATHS[0])) == bomb.read_bytes()
