"""The demonstration demonstrates: run as a user would, it ends well and keeps what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    Run = Callable[..., Any]
    Snapshot = Callable[[Path], dict[str, bytes]]

SCRIPT = "import sys; from mlflow_vault.cli.main import main; sys.exit(main())"


def test_demo(tmp_path: Path, run: Run, snapshot: Snapshot) -> None:
    """Every byte comes back, less is stored, and an export is what MLflow alone stores."""
    kept = tmp_path / "kept"
    words = ["demo", "--versions", "2", "--keep", str(kept), "--json"]

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=False
    )
    exported = run("export", kept / "vault", tmp_path / "out")

    values = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert values["is_whole"] is True
    assert len(values["versions"]) == 8
    assert all(version["same_predictions"] for version in values["versions"])
    assert values["stored"] < 0.5 * values["raw"]
    assert exported.code == 0
    assert snapshot(tmp_path / "out") == snapshot(kept / "plain")
    assert values["raw"] == sum(map(len, snapshot(kept / "plain").values()))


def test_missing_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without scikit-learn it says what to install."""
    monkeypatch.setitem(sys.modules, "sklearn", None)

    printed = run("demo")

    assert printed.code == 1
    assert "pip install 'mlflow-vault[demo]'" in printed.err


def test_full_folder(run: Run, tmp_path: Path) -> None:
    """A folder that holds something is not used."""
    (tmp_path / "mine").touch()

    printed = run("demo", "--keep", tmp_path)

    assert printed.code == 2
