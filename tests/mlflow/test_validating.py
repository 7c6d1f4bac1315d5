"""A version is tried with a project's tests and MLflow's evaluation; what comes out is evidence."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Final

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from mlflow_vault.cli.main import main
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.fluent import Vault
from mlflow_vault.plugin.validating.trials import Evaluation, Suite
from mlflow_vault.plugin.validating.validation import Settings, Validation, validate

QUICK: Final = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"


@pytest.fixture(scope="module")
def vault(tracking: str, tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """A vault with one version of a small model, ``credit/1``."""
    assert tracking
    folder = tmp_path_factory.mktemp("validated")
    made = Vault.init(f"vault-file://{folder}")
    experiment = mlflow.create_experiment("validated", f"vault-file://{folder}/1")
    samples = np.random.default_rng(3).normal(size=(60, 2))
    model = LogisticRegression().fit(samples, (samples[:, 0] > 0).astype(int))
    with mlflow.start_run(experiment_id=experiment):
        # Said, as finding out takes a process that loads the model: seconds.
        logged = mlflow.sklearn.log_model(
            model, name="model", pip_requirements=["mlflow", "scikit-learn"]
        )
    made.commit(logged.model_uri, name="credit")
    return made


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, whose tests need no plugins of pytest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(QUICK, "1")
    return tmp_path


def suite(folder: Path, *lines: str, **more: str) -> Suite:
    """Tests that say these lines."""
    tests = folder / "smoke"
    tests.mkdir(exist_ok=True)
    (tests / "test_model.py").write_text("\n".join(lines))
    return Suite(Path("smoke"), **more)


def evidence(vault: Vault, name: str) -> list[dict[str, Any]]:
    """The evidence about the version that is kept under a name."""
    version = vault.version("credit/1")
    kept = vault.releases.around.statements.of("credit", version.digest)
    return [dict(one.body) for one in kept if one.body.get("name") == name]


def tried(vault: Vault, *trials: Suite | Evaluation, **more: Any) -> Validation:
    """Validate in the environment that there is."""
    settings = Settings(**{"env": "current", "timeout": 120.0, "passed": (QUICK,), **more})
    keep = vault.releases.evidence
    return validate(vault, "credit/1", trials, keep=keep, settings=settings)


def test_good(vault: Vault, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that pass and metrics are evidence, with what they were of and in; secrets stay out."""
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("SEED", "3")
    smoke = suite(
        here,
        "import os",
        "def test_files():",
        "    assert 'MLmodel' in os.listdir(os.environ['MLFLOW_VAULT_MODEL'])",
        "def test_surroundings():",
        "    assert 'PGPASSWORD' not in os.environ and os.environ['SEED'] == '3'",
    )
    samples = np.random.default_rng(4).normal(size=(50, 2))
    table = pd.DataFrame(samples, columns=["a", "b"]).assign(label=(samples[:, 0] > 0).astype(int))
    table.to_csv(here / "holdout.csv", index=False)
    evaluation = Evaluation(Path("holdout.csv"), "label", "classifier")

    found = tried(vault, smoke, evaluation, passed=("SEED", QUICK))

    assert found.passed, [one.said for one in found.trials]
    (tests,), (metrics,) = evidence(vault, "smoke"), evidence(vault, "holdout")
    assert (tests["type"], tests["passed"]) == ("test-result", True)
    assert (tests["values"]["tests_passed"], tests["values"]["tests_failed"]) == (2, 0)
    assert (metrics["type"], metrics["passed"]) == ("evaluation", True)
    assert metrics["values"]["accuracy_score"] > 0.8
    about = metrics["values"]["validation"]
    assert about["source"].startswith("b3:")
    assert about["environment"]["packages"]["mlflow"] == mlflow.__version__
    assert "passed: 2 passed" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["passed"] is True


def test_bad(vault: Vault, here: Path) -> None:
    """A test that fails, is broken, or crashes is evidence against the version."""
    failing = "def test_fails():\n    assert False"
    broken = "import nothing_by_this_name"
    crashing = "import os\ndef test_crashes():\n    os._exit(0)"
    for name, lines in (("f", failing), ("b", broken), ("c", crashing)):
        assert not tried(vault, suite(here, lines, name=name)).passed

    assert [evidence(vault, name)[0]["passed"] for name in "fbc"] == [False] * 3
    assert evidence(vault, "f")[0]["values"]["failures"] == ["smoke/test_model.py::test_fails"]


def test_hangs(vault: Vault, here: Path) -> None:
    """A test that does not end is ended, with what it started."""
    smoke = suite(
        here,
        "import os, pathlib, subprocess, time",
        "def test_hangs():",
        "    child = subprocess.Popen(['sleep', '600'])",
        "    pathlib.Path('child').write_text(str(child.pid))",
        "    time.sleep(600)",
        name="hanging",
    )

    found = tried(vault, smoke, timeout=5.0)

    assert not found.passed
    assert evidence(vault, "hanging")[0]["values"]["reason"] == "it did not end in time"
    child = int((here / "child").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()


def test_nothing_learnt(vault: Vault, here: Path) -> None:
    """Where nothing was learnt of the version there is an error, and no evidence."""
    (here / "table.csv").write_text("a,b\n1,2\n")
    for trial in (
        suite(here, "", name="none"),
        Suite(Path("nowhere"), "none"),
        Evaluation(Path("table.csv"), "label", "classifier", "none"),
    ):
        with pytest.raises(InvalidInputError):
            tried(vault, trial)

    assert evidence(vault, "none") == []
    with pytest.raises(InvalidInputError, match="say what to try it with"):
        tried(vault)


def test_no_environment(vault: Vault, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that cannot be made is an error, and no evidence."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    with pytest.raises(InvalidInputError, match="the environment cannot be made"):
        tried(vault, suite(here, "def test_x(): pass", name="unmade"), env="clean")

    assert evidence(vault, "unmade") == []


def test_command(
    vault: Vault, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says the same: 0 if all is well, 1 if not, 2 if nothing was learnt."""
    monkeypatch.setenv("MLFLOW_VAULT_URI", vault.uri)
    words = ["validate", "credit/1", "--env", "current", "--tests", "smoke", "--evidence", "typed"]
    suite(here, "def test_x(): pass")
    assert main(words) == 0
    assert "test-result 'typed': passed: 1 passed, 0 failed" in capsys.readouterr().out
    suite(here, "def test_x(): assert 'boom' == 'bang'")
    assert main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["trials"][0]["values"]["tests_failed"] == 1
    assert main(words) == 1
    assert "boom" in capsys.readouterr().out
    suite(here, "")
    assert main(words) == 2
    assert main(["validate", "credit/1"]) == 2


def test_damaged(vault: Vault, here: Path) -> None:
    """A version whose files are damaged is not even tried: exit code 4."""
    suite(here, "def test_x(): pass")
    copy = here / "vault"
    shutil.copytree(vault.uri.removeprefix("vault-file://"), copy)
    for path in (copy / "versions" / "content").rglob("*"):
        if path.is_file():
            body = bytearray(path.read_bytes())
            body[len(body) // 2] ^= 1
            path.chmod(0o600)
            path.write_bytes(body)

    words = [
        "validate",
        "credit/1",
        "--tests",
        "smoke",
        "--env",
        "current",
        "--evidence",
        "damaged",
    ]
    assert main([*words, "--vault", f"vault-file://{copy}"]) == 4

    assert evidence(vault, "damaged") == []
