"""The shell's side: exit codes, one line for an error, one object for JSON, a quick start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.cli import commands
from mlflow_vault.cli.main import main

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]

SCRIPT = "import sys; from mlflow_vault.cli.main import main; sys.exit(main())"
HEAVY = ("numpy", "mlflow", "fsspec", "blake3", "zstandard", "pyfastcdc", "tqdm", "asyncio")


def loaded_after(statement: str) -> set[str]:
    """Return which modules a fresh Python has loaded after *statement*."""
    report = f"import sys\n{statement}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import mlflow_vault",
        "from mlflow_vault.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from mlflow_vault.cli.main import main\ntry: main(['ls', '-h'])\nexcept SystemExit: pass",
    ],
)
def test_start(statement: str) -> None:
    """Importing the package and asking for help load nothing heavy."""
    loaded = loaded_after(statement)

    assert "mlflow_vault" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_installed() -> None:
    """The command is installed under its name and says its version."""
    command = os.path.join(os.path.dirname(sys.executable), "mlflow-vault")  # noqa: PTH118, PTH120
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("mlflow-vault 0")


@pytest.mark.parametrize(
    "words", [[], ["dance"], ["ls"], ["export", "here"], ["demo", "--versions", "1"]]
)
def test_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Words that make no sense are exit code 2 and say how to do it."""
    with pytest.raises(SystemExit) as left:
        main(words)

    assert left.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["ls", "nowhere"],
        ["ls", "vault-file:///a/../b"],
        ["stats", "s3://bucket/models"],
        ["verify", "vault-file://host/models"],
        ["estimate", "nowhere"],
    ],
)
def test_bad_input(
    words: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad input is exit code 2 and one line, without a traceback."""
    monkeypatch.chdir(tmp_path)

    printed = run(*words)

    assert printed.code == 2
    assert printed.out == ""
    assert printed.err.startswith("mlflow-vault: ")
    assert printed.err.count("\n") == 1


def test_failure(run: Run, tmp_path: Path) -> None:
    """What this release cannot do is exit code 1."""
    printed = run("ls", "vault-hdfs://bucket/models")

    assert printed.code == 1
    assert "vault-hdfs" in printed.err
    assert not list(tmp_path.iterdir())


def test_failure_json(run: Run, tmp_path: Path) -> None:
    """With --json a failure, too, is one object on standard output."""
    printed = run("verify", tmp_path / "nowhere", "--json")

    assert printed.code == 2
    assert printed.values["error"]["kind"] == "NotFoundError"
    assert "no vault" in printed.values["error"]["message"]


def test_debug(run: Run, tmp_path: Path) -> None:
    """With --debug the traceback comes too, and the code stays."""
    printed = run("ls", tmp_path / "nowhere", "--debug")

    assert printed.code == 2
    assert "Traceback" in printed.err


def test_bug(run: Run, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error nobody expected is one line as well, with its kind."""

    def fail(_: Namespace) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(commands, "stats", fail)

    printed = run("stats", vault)

    assert printed.code == 1
    assert printed.err == "mlflow-vault: ZeroDivisionError: two lines (--debug shows where)\n"


def test_interrupt(run: Run, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is exit code 130 and no traceback."""

    def interrupted(_: Namespace) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "stats", interrupted)

    printed = run("stats", vault)

    assert (printed.code, printed.err) == (130, "mlflow-vault: interrupted\n")


def test_broken_pipe(vault: Path) -> None:
    """A reader that goes away is no error worth a word."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "ls", "-r", str(vault)],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")


def test_told_to_stop(tmp_path: Path, versions: list[Path]) -> None:
    """An estimate that is told to stop leaves nothing behind."""
    place = tmp_path / "room"
    place.mkdir()
    words = ["estimate", "--tmp", str(place), *map(str, versions * 30)]
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *words])
    while not list(place.glob("*/vault/tree")) and process.poll() is None:
        time.sleep(0.02)

    process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 143
    assert not list(place.iterdir())


def test_json_is_alone(vault: Path) -> None:
    """With --json standard output has the object and nothing else."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "verify", str(vault), "--json"],
        capture_output=True,
        check=True,
    )

    assert json.loads(done.stdout)["is_whole"] is True
    assert done.stderr == b""
