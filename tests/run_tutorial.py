"""Runs the blocks of a page in the order that they stand in, as one reader would.

    python run_tutorial.py PAGE WITNESS

Python blocks share one namespace, shell blocks the environment and the folder; other blocks are
not for running.  The page may not say where MLflow is, so whoever runs it sets the environment.

What MLflow is given as a logged model's files is copied to WITNESS, by the model's id, before
anything else sees it.  In the end each version is checked out again and compared with that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from mlflow.tracking import MlflowClient

from mlflow_vault import Vault

BLOCK: Final = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def witness(folder: Path) -> None:
    """Copy what is logged as a model's files to *folder*."""
    log: Any = MlflowClient.log_model_artifacts

    def copying(
        client: MlflowClient, model_id: str, local_dir: str, artifact_path: str | None = None
    ) -> None:
        shutil.copytree(local_dir, folder / model_id / (artifact_path or ""), dirs_exist_ok=True)
        log(client, model_id, local_dir, artifact_path)

    MlflowClient.log_model_artifacts = copying


def say(line: str) -> None:
    """Print a line before what comes next does."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(page: Path) -> None:
    """Run the blocks of *page*; an error tells its line there."""
    text = page.read_text()
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(2))
        kind, source = block.groups()
        say(f"{page.name}:{line}")
        if kind == "python":
            exec(compile("\n" * line + source, page, "exec"), namespace)  # noqa: S102 - our page
        else:
            subprocess.run(["sh", "-e", "-c", source], check=True)  # noqa: S607 - as above


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below *folder*."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def compare(folder: Path) -> int:
    """Check out every version of the vault and compare it with what was logged; count them."""
    vault = Vault.open(os.environ["MLFLOW_VAULT_URI"])
    names = ("churn", "credit", "merchants")
    versions = [version for name in names for version in vault.versions(name)]
    for version in versions:
        place = Path("compared", version.name, str(version.number))
        place.parent.mkdir(parents=True, exist_ok=True)
        vault.checkout(version, place)
        logged = contents(folder / version.origin.model_id)
        if contents(place) != logged or not logged:
            sys.exit(f"{version.label} is not what was logged as {version.origin.model_id}")
    return len(versions)


if __name__ == "__main__":
    given = Path(sys.argv[2])
    witness(given)
    run(Path(sys.argv[1]))
    say(f"{compare(given)} versions compared")
