"""What the commands say of a vault is what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]
    Snapshot = Callable[[Path], dict[str, bytes]]

RUNS = tuple(f"{number:032x}" for number in range(3))  # as the fixture names them
MODEL = f"7/{RUNS[0]}/artifacts/model"


def test_init(run: Run, tmp_path: Path) -> None:
    """A vault is made once; saying it again finds that one."""
    first = run("init", tmp_path / "new", "--json")
    second = run("init", f"vault-file://{tmp_path}/new", "--json")

    assert first.code == second.code == 0
    assert (first.values["is_new"], second.values["is_new"]) == (True, False)
    assert first.values["id"] == second.values["id"]


def test_init_after_a_kill(run: Run, tmp_path: Path) -> None:
    """What a killed `init` left is no obstacle to the next one."""
    (tmp_path / "new" / "tmp").mkdir(parents=True)

    assert run("init", tmp_path / "new").code == 0


def test_init_elsewhere(run: Run, vault: Path, tmp_path: Path) -> None:
    """No vault is made inside another, nor among other files."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "meta.yaml").touch()

    inside = run("init", vault / "inner")
    among = run("init", tmp_path / "full")

    assert inside.code == among.code == 2
    assert "inside the vault" in inside.err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["meta.yaml"]


def test_ls(run: Run, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing is one level, folders marked, from a plain path or a URI alike."""
    by_path = run("ls", vault / MODEL)
    by_uri = run("ls", f"vault-file://{vault}/{MODEL}")
    monkeypatch.chdir(vault.parent)
    by_relative = run("ls", f"./vault/{MODEL}/")

    assert by_path.out == "MLmodel\ncode/\nweights.npy\n"
    assert by_path == by_uri == by_relative


def test_ls_recursive(run: Run, vault: Path) -> None:
    """A recursive listing is every file, with sizes if asked for."""
    printed = run("ls", "-rl", vault / "7" / RUNS[0])

    assert [line.split() for line in printed.out.splitlines()] == [
        ["11", "B", "artifacts/model/MLmodel"],
        ["17", "B", "artifacts/model/code/train.py"],
        ["2.4", "MB", "artifacts/model/weights.npy"],
    ]


def test_ls_file(run: Run, vault: Path) -> None:
    """A file lists itself."""
    printed = run("ls", vault / MODEL / "MLmodel", "--json")

    assert printed.values["items"] == [{"path": f"{MODEL}/MLmodel", "size": 11, "is_folder": False}]


def test_ls_odd_name(run: Run, vault: Path, tmp_path: Path) -> None:
    """A name cannot steer the terminal, and is whole in JSON."""
    (tmp_path / "file").touch()
    Vault.open(f"vault-file://{vault}").write_file(tmp_path / "file", "8/\x1b[2J\nname")

    assert run("ls", vault / "8").out == "\\x1b[2J\\nname\n"
    assert run("ls", vault / "8", "--json").values["items"][0]["path"] == "8/\x1b[2J\nname"


def test_stats(run: Run, vault: Path, versions: list[Path], snapshot: Snapshot) -> None:
    """Logical is the files' sizes added up, stored is what lies on the disk."""
    logical = sum(len(body) for version in versions for body in snapshot(version).values())
    stored = sum(map(len, snapshot(vault).values()))

    values = run("stats", vault, "--json").values
    text = run("stats", vault).out

    assert (values["logical"], values["stored"], values["files"]) == (logical, stored, 9)
    assert values["saved"] == pytest.approx(1 - stored / logical)
    assert values["by_experiment"] == {"7": [9, logical]}
    assert sum(values["by_coding"].values()) + values["overhead"] == stored
    assert "7.2 MB" in text
    assert "unreferenced" in text


def test_verify(run: Run, vault: Path) -> None:
    """A whole vault, and any part of one, is exit code 0."""
    printed = run("verify", vault)
    part = run("verify", vault / MODEL, "--json")

    assert (printed.code, part.code) == (0, 0)
    assert printed.out == "9 files, 7.2 MB: every byte is as it was written\n"
    assert part.values["files"] == 3


def test_verify_damage(run: Run, damaged: Path) -> None:
    """Damage is named and is exit code 1."""
    printed = run("verify", damaged)
    values = run("verify", damaged, "--json").values

    assert printed.code == 1
    assert f"{MODEL}/weights.npy: packs/" in printed.out
    assert values["is_whole"] is False
    assert f"{MODEL}/weights.npy" in [damage["path"] for damage in values["damaged"]]


def test_verify_entry_damage(run: Run, vault: Path) -> None:
    """A damaged entry is found too, when it is all that was asked about."""
    entry = vault / "tree" / "7" / RUNS[0] / "artifacts" / "model" / "!m!lmodel!"
    body = bytearray(entry.read_bytes())
    body[-1] ^= 1
    entry.write_bytes(body)

    printed = run("verify", vault / MODEL / "MLmodel")

    assert printed.code == 1
    assert f"{MODEL}/MLmodel" in printed.out


@pytest.mark.parametrize("command", ["ls", "verify", "export"])
def test_nothing_there(command: str, run: Run, vault: Path, tmp_path: Path) -> None:
    """A path that holds nothing is bad input, not an empty success."""
    more = [tmp_path / "out"] if command == "export" else []

    printed = run(command, vault / "9", *more)

    assert printed.code == 2
    assert "nothing at 9" in printed.err


def test_export(
    run: Run, vault: Path, versions: list[Path], tmp_path: Path, snapshot: Snapshot
) -> None:
    """Exported files are the files that were logged."""
    printed = run("export", vault / MODEL, tmp_path / "out", "--json")

    assert printed.code == 0
    assert printed.values["files"] == 3
    assert snapshot(tmp_path / "out") == snapshot(versions[0])


def test_export_all(
    run: Run, vault: Path, versions: list[Path], tmp_path: Path, snapshot: Snapshot
) -> None:
    """A whole vault exports as MLflow lays artifacts out."""
    run("export", vault, tmp_path / "out")

    for name, version in zip(RUNS, versions, strict=True):
        folder = tmp_path / "out" / "7" / name / "artifacts" / "model"
        assert snapshot(folder) == snapshot(version)


def test_export_file(run: Run, vault: Path, tmp_path: Path) -> None:
    """A single file keeps its name."""
    run("export", vault / MODEL / "MLmodel", tmp_path / "out")

    assert (tmp_path / "out" / "MLmodel").read_text() == "version: 0\n"


def test_export_again(run: Run, vault: Path, tmp_path: Path) -> None:
    """An export can be repeated, but replaces nothing that differs unless told to."""
    out = tmp_path / "out"
    run("export", vault / MODEL, out)
    (out / "weights.npy").unlink()
    repeated = run("export", vault / MODEL, out)
    (out / "MLmodel").write_text("mine")
    refused = run("export", vault / MODEL, out)
    kept = (out / "MLmodel").read_text()
    forced = run("export", vault / MODEL, out, "--force")

    assert (repeated.code, refused.code, forced.code) == (0, 2, 0)
    assert str(out / "MLmodel") in refused.err
    assert kept == "mine"
    assert (out / "MLmodel").read_text() == "version: 0\n"


def test_export_into_vault(run: Run, vault: Path, tmp_path: Path) -> None:
    """Nothing is exported into a vault, nor to what is no folder."""
    (tmp_path / "file").touch()

    inside = run("export", vault / MODEL, vault / "packs")
    onto = run("export", vault / MODEL, tmp_path / "file")

    assert inside.code == onto.code == 2


def test_export_damage(run: Run, damaged: Path, tmp_path: Path, snapshot: Snapshot) -> None:
    """A damaged file is named and left out; the others are written; exit code 1."""
    printed = run("export", damaged / MODEL, tmp_path / "out")

    assert printed.code == 1
    assert "Left out 1 damaged file\n" in printed.out
    assert sorted(snapshot(tmp_path / "out")) == ["MLmodel", "code/train.py"]
