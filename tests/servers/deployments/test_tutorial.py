"""The tutorial runs as it stands against servers whose registry commits, direct and proxied.

What the proxy takes and gives of a version's files is told beside it.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.testing.vaults import read

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[list[str], dict[str, str]], str]

TESTS: Final = Path(__file__).parents[2]
PAGE: Final = TESTS.parent / "docs" / "tutorial.md"
ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"


def test_tutorial(committing: Any, run: Run, tmp_path: Path) -> None:
    """Every block of the page runs, and all twelve versions are what was logged."""
    environment = committing.environment | {
        "MLFLOW_TRACKING_URI": committing.url,
        "MLFLOW_BACKEND_STORE_URI": committing.database,
        "MLFLOW_VAULT_URI": committing.root,
        "MLFLOW_VAULT_CACHE_LIMIT": "0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{committing.environment['PATH']}",
    }
    if committing.deployment.artifacts == "proxied":
        environment["MLFLOW_ARTIFACTS_DESTINATION"] = committing.root
    (tmp_path / "work").mkdir()
    script = f"cd '{tmp_path}/work' && exec \"$@\""
    program = [sys.executable, str(TESTS / "run_tutorial.py"), str(PAGE), f"{tmp_path}/witness"]

    said = run(["sh", "-c", script, "sh", *program], environment)

    assert said.endswith("12 versions compared\n")
    assert len(list((tmp_path / "witness").iterdir())) == 12
    assert "Traceback" not in committing.log.read_text()


def test_proxy(committing: Any) -> None:
    """A version's files cannot be replaced through the proxy; deleting them leaves every byte."""
    name, call = secrets.token_hex(8), "/api/2.0/mlflow"
    wanted = {"name": name}
    experiment = committing.ask("POST", f"{call}/experiments/create", json=wanted).json()
    made = committing.ask("POST", f"{call}/runs/create", json=experiment).json()
    run = made["run"]["info"]
    source = f"{run['artifact_uri']}/model"
    root = source.removeprefix("mlflow-artifacts:").strip("/")
    route = f"{ARTIFACTS}/{root}/weights.bin"
    put = committing.ask("PUT", route, data=b"alpha" * 1000)
    if committing.deployment.artifacts == "direct":
        assert put.status_code == 503
        return
    committing.ask("POST", f"{call}/registered-models/create", json=wanted)
    wanted |= {"source": source, "run_id": run["run_id"]}
    registered = committing.ask("POST", f"{call}/model-versions/create", json=wanted)
    assert registered.status_code == 200, registered.text

    changed = committing.ask("PUT", route, data=b"other" * 1000)
    longer = committing.ask("PUT", route, data=bytes(500_000))
    above = root.removesuffix("/artifacts/model")
    deleted = [committing.ask("DELETE", f"{ARTIFACTS}/{path}") for path in (root, above)]

    for refused in (changed, longer):
        assert refused.status_code == 403, refused.text
        assert f"{name}/1 (b3:" in refused.text
    assert [answer.status_code for answer in deleted] == [200, 200]
    assert committing.ask("GET", route).content == b"alpha" * 1000
    vault = committing.vault()
    version = vault.version(f"models:/{name}/1")
    assert vault.verify(str(version.digest)).is_whole
    assert read(vault, f"{root}/weights.bin") == b"alpha" * 1000
