"""A clean environment is made from what a version says it needs, by pip and its index."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

from mlflow_vault.fluent import Vault
from mlflow_vault.plugin.validating.trials import Evaluation, Suite
from mlflow_vault.plugin.validating.validation import Settings, validate

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("FutureWarning", "DeprecationWarning", "UserWarning", "ResourceWarning")
]
TESTS = """
import os, sys, mlflow, numpy, sklearn

def test_it_predicts():
    model = mlflow.pyfunc.load_model(os.environ["MLFLOW_VAULT_MODEL"])
    assert model.predict(numpy.zeros((3, 2))).shape == (3,)

def test_it_is_alone():
    assert "mlflow_vault" not in sys.modules
    assert sys.prefix != sys.base_prefix
    assert sklearn.__file__.startswith(sys.prefix)
"""


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """A vault with one version of a small model, ``credit/1``."""
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    for point in (mlflow.set_tracking_uri, mlflow.set_registry_uri):
        point(f"sqlite:///{tmp_path}/mlflow.db")
    made = Vault.init(f"vault-file://{tmp_path}/vault")
    experiment = mlflow.create_experiment("credit", f"vault-file://{tmp_path}/vault/1")
    samples = np.random.default_rng(3).normal(size=(60, 2))
    model = LogisticRegression().fit(samples, (samples[:, 0] > 0).astype(int))
    with mlflow.start_run(experiment_id=experiment):
        # Said, as finding out takes a process that loads the model: seconds.
        wanted = [f"mlflow=={mlflow.__version__}", f"scikit-learn=={sklearn.__version__}"]
        logged = mlflow.sklearn.log_model(model, name="model", pip_requirements=wanted)
    made.commit(logged.model_uri, name="credit")
    yield made
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


def test_clean(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests and evaluation run there, on what the version needs and nothing of ours."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "test_model.py").write_text(TESTS)
    samples = np.random.default_rng(4).normal(size=(40, 2))
    rows = [f"{one},{two},{int(one > 0)}" for one, two in samples]
    (tmp_path / "holdout.csv").write_text("\n".join(["a,b,label", *rows]))
    trials = (Suite(Path("smoke")), Evaluation(Path("holdout.csv"), "label", "classifier"))

    found = validate(
        vault, "credit/1", trials, keep=vault.releases.evidence, settings=Settings(timeout=900)
    )

    assert found.passed, [one.said for one in found.trials]
    packages = found.environment["packages"]
    assert packages["mlflow"] == mlflow.__version__
    assert "mlflow-vault" not in packages
    assert found.environment["python"].startswith(
        f"{sys.version_info.major}.{sys.version_info.minor}."
    )
    assert [one.type for one in found.trials] == ["test-result", "evaluation"]
