"""The commands about versions, against MLflow with SQLite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import mlflow
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mlflow.entities import Run
from sklearn.linear_model import LogisticRegression

from mlflow_vault.cli.main import main
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("FutureWarning", "DeprecationWarning", "UserWarning", "ResourceWarning")
]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two models of one name in a vault, both logged, none committed; their references."""
    folder = tmp_path_factory.mktemp("story")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_registry_uri(f"sqlite:///{folder}/mlflow.db")
    Vault.init(f"vault-file://{folder}/vault")
    experiment = mlflow.create_experiment("credit", f"vault-file://{folder}/vault/1")
    chance = np.random.default_rng(3)
    samples = chance.normal(size=(120, 6))
    truth = (samples[:, 0] > 0).astype(int)
    references = []
    for strength in (0.1, 10.0):
        with mlflow.start_run(experiment_id=experiment) as run:
            assert isinstance(run, Run)
            mlflow.log_param("C", strength)
            mlflow.log_metric("f1", 0.9 + strength / 1000)
            model = LogisticRegression(C=strength).fit(samples, truth)
            references.append(mlflow.sklearn.log_model(model, name="model").model_uri)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_VAULT_URI", f"vault-file://{folder}/vault")
        yield references
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


def _asked(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(words) == 0
    return capsys.readouterr().out


def test_story(story: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is committed is listed, shown, compared, traced, checked out and verified."""
    first, second = story
    told = ("--metadata", "owner=risk", "--metadata", "share=0.5")

    assert "Committed credit/1: b3:" in _asked(capsys, "commit", first, "--name", "credit", *told)
    _asked(capsys, "commit", second, "--name", "credit", "--parent", "credit/1")
    assert "credit/2" in _asked(capsys, "versions", "credit")
    shown = _asked(capsys, "show", "models:/credit/1")
    assert "metadata.owner: risk" in shown
    assert "params.C: 0.1" in shown
    values = json.loads(_asked(capsys, "show", "credit/1", "--json"))
    assert values["metadata"] == {"owner": "risk", "share": 0.5}
    assert "params.C 0.1 -> 10.0" in _asked(capsys, "diff", "credit/1", "credit/2")
    assert "credit/2" in _asked(capsys, "impact", "credit/1")
    assert "credit/1" in _asked(capsys, "origin", "credit/2")
    assert "flowchart" in _asked(capsys, "lineage", "credit/2", "--format", "mermaid")
    assert "digraph" in _asked(capsys, "lineage", "credit/2", "--format", "dot")
    assert "version committed" in _asked(capsys, "timeline", "credit")
    found = json.loads(_asked(capsys, "search", "metrics.f1 > 0.905", "--json"))
    assert [row["label"] for row in found["versions"]] == ["credit/2"]
    assert "credit/1" in _asked(capsys, "search", "params.C = '0.1'", "--order-by", "name DESC")
    assert '"bomFormat": "CycloneDX"' in _asked(capsys, "describe", "credit/1", "--form", "bom")
    assert "model-index" in _asked(capsys, "describe", "credit/1", "--form", "card")
    assert "every byte is as it was written" in _asked(capsys, "verify", f"b3:{values['digest']}")
    assert "Wrote credit/1" in _asked(capsys, "checkout", "credit/1", str(tmp_path / "out"))
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"MLmodel", "model.skops"}
    assert "0 versions adopted, 2 known" in _asked(capsys, "sync")


def test_signing(story: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A version is signed with a key from a file, and required to be when it is checked out."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked = serialization.BestAvailableEncryption(b"secret")
    (tmp_path / "key").write_bytes(private.private_bytes(pem, pkcs8, locked))
    plain = serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "public").write_bytes(private.public_key().public_bytes(pem, plain))
    (tmp_path / "password").write_text("secret\n")
    digest = json.loads(_asked(capsys, "commit", story[1], "--json"))["digest"]
    required = ("--require-signature", str(tmp_path / "public"))
    words = ("checkout", f"b3:{digest}", str(tmp_path / "out"), *required)

    assert main(words) == 1
    assert "sign" in capsys.readouterr().err
    key = ("--key", str(tmp_path / "key"), "--password-file", str(tmp_path / "password"))
    said = _asked(capsys, "sign", f"b3:{digest}", *key)
    assert f"b3:{digest}" in said
    assert "secret" not in said
    assert "Wrote" in _asked(capsys, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "credit/99"), "credit/99 is no version of this vault"),
        (("checkout", "b3:00", "out"), "no version of this vault is called b3:00"),
        (("impact", "nobody"), "'nobody'"),
        (("search", "metrics.f1 >> 1"), "^"),
        (("sign", "credit/1", "--key", "nowhere.pem"), "nowhere.pem"),
        (("lineage", "nobody", "--as-of", "yesterday"), "'yesterday' is no time"),
    ],
)
def test_bad_input(
    story: list[str], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """A mistake is a line on standard error and exit code 2."""
    assert story
    assert main(words) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_no_vault(
    story: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no vault is named, and MLflow keeps its artifacts elsewhere, that is said."""
    assert story
    monkeypatch.delenv("MLFLOW_VAULT_URI")

    assert main(("sync",)) == 2
    assert "set MLFLOW_VAULT_URI" in capsys.readouterr().err


@pytest.mark.parametrize("pair", ["owner", "=risk", ""])
def test_metadata_without_a_value(pair: str) -> None:
    """Metadata is KEY=VALUE."""
    with pytest.raises(SystemExit, match="2"):
        main(("commit", "models:/credit/1", "--metadata", pair))


POLICY = """
apiVersion: mlflow-vault/v1
kind: PromotionPolicy
metadata: {name: credit, models: ["credit*"]}
transition: {to: staging}
metrics:
  f1: {threshold: LIMIT, greater_is_better: true}
examples:
  - name: good
    given: {candidate: {metrics: {f1: 0.99}}}
    expect: passed
  - name: bad
    given: {candidate: {metrics: {f1: .nan}}}
    expect: denied
"""


def test_policies(story: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A policy is checked, tried with its own examples, and a version judged by it."""
    lax, strict, wrong = (tmp_path / f"{name}.yaml" for name in ("lax", "strict", "wrong"))
    lax.write_text(POLICY.replace("LIMIT", "0.5"))
    strict.write_text(POLICY.replace("LIMIT", "0.95"))
    wrong.write_text(POLICY.replace("metrics:\n  f1", "metrcs:\n  f1").replace("LIMIT", "1"))
    digest = json.loads(_asked(capsys, "commit", story[1], "--name", "credit", "--json"))["digest"]

    assert "credit is a policy: b3:" in _asked(capsys, "policy", "check", str(lax))
    assert "2 examples, 0 failed" in _asked(capsys, "policy", "test", str(lax))
    assert "passed" in _asked(capsys, "policy", "judge", str(lax), f"b3:{digest}")
    assert main(("policy", "judge", str(strict), f"b3:{digest}")) == 1
    assert "f1" in capsys.readouterr().out
    assert main(("policy", "check", str(wrong))) == 2
    assert "metrics" in capsys.readouterr().err
    assert json.loads(_asked(capsys, "policy", "schema"))["title"]
