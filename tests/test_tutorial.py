"""The tutorial runs as it stands, on one machine, with MLflow on SQLite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from mlflow_vault.vault import Vault

HERE: Final = Path(__file__).parent
PAGE: Final = HERE.parent / "docs" / "tutorial.md"
KEPT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "MLFLOW_VAULT_CACHE_LIMIT")


def test_tutorial(tmp_path: Path) -> None:
    """Every block of the page runs, and all twelve versions are what was logged."""
    vault = f"vault-file://{tmp_path}/vault"
    Vault.init(vault)
    database = f"sqlite:///{tmp_path}/mlflow.db"
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "MLFLOW_TRACKING_URI": database,
        "MLFLOW_REGISTRY_URI": f"vault-{database}",
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_VAULT_URI": vault,
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "ARTIFACTS": vault,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "ignore",
    }
    (tmp_path / "work").mkdir()

    done = subprocess.run(
        [sys.executable, str(HERE / "run_tutorial.py"), str(PAGE), str(tmp_path / "witness")],
        cwd=tmp_path / "work",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-6000:]
    assert done.stdout.endswith("12 versions compared\n")
    assert len(list((tmp_path / "witness").iterdir())) == 12
