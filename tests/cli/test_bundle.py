"""The commands of bundles and of rights: what they print, write and end with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from mlflow_vault.decide.policy import Policy
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.audit.keys import Signer
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Printed

    Run = Callable[..., Printed]

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "bundles"
BUNDLE: Final = GOLDEN / "promotion-1.bundle.json"
KEYS: Final = json.loads((GOLDEN / "keys.json").read_text())
POLICY: Final = {
    "kind": "PromotionPolicy",
    "metadata": {"name": "fraud"},
    "transition": {"to": "production"},
}


@pytest.fixture
def signer() -> Signer:
    """Who signs checkpoints."""
    return Signer.generate("log.example")


@pytest.fixture
def vault(tmp_path: Path, signer: Signer) -> Vault:
    """A vault on a disk, in which a version was promoted."""
    registry = Registry()
    made = Vault.init(f"vault-file://{tmp_path}/vault")
    vault = Vault(made.store, made.identity, host=lambda: registry)
    write(vault, "1/models/m/artifacts/MLmodel", b"flavors: {}")
    vault.commit(f"{vault.uri}/1/models/m/artifacts", name="fraud")
    vault.policies.apply(Policy.model_validate(POLICY), "ada")
    who = Caller(Actor("rel", verified=True))
    vault.releases.promote("fraud/1", to="production", caller=who)
    vault.audit.checkpoint(signer)
    return vault


def test_story(run: Run, vault: Vault, signer: Signer, tmp_path: Path) -> None:
    """A bundle is made from a vault and verified without it; it is never replaced."""
    out = tmp_path / "b.json"
    key = ("--log-key", signer.public)

    made = run("bundle", "make", "fraud", "--vault", vault.uri, "--out", out)
    again = run("bundle", "make", "fraud", "--vault", vault.uri, "--out", out)
    (tmp_path / "vault").rename(tmp_path / "gone")
    verified = run("bundle", "verify", out, *key)
    with_files = run("bundle", "verify", out, *key, "--files", tmp_path / "gone" / "log", "--json")

    assert (made.code, again.code, verified.code, with_files.code) == (0, 2, 0, 4), verified
    assert "proven  decision: decision 0 of 'fraud'" in verified.out
    assert verified.out.endswith("the bundle holds\n")
    assert with_files.values["claims"][-1]["standing"] in {"told", "proven"}


def test_planted_link(run: Run, vault: Vault, tmp_path: Path) -> None:
    """Who may write where the bundle goes cannot have it written over another file."""
    out, other = tmp_path / "b.json", tmp_path / "precious"
    other.write_text("mine")
    out.with_name(f"b.json.{os.getpid()}.part").symlink_to(other)

    made = run("bundle", "make", "fraud", "--vault", vault.uri, "--out", out)

    assert (made.code, out.exists(), other.read_text()) == (1, False, "mine")


def test_golden(run: Run, tmp_path: Path) -> None:
    """With all keys the golden bundle holds; with one of its bytes changed it is false: 4."""
    words = ["--log-key", KEYS["log"], "--trust", tmp_path / "models.pem"]
    (tmp_path / "models.pem").write_text(KEYS["models"])
    for user, (pem,) in KEYS["approvers"].items():
        (tmp_path / f"{user}.pem").write_text(pem)
        words += ["--approver", f"{user}={tmp_path / user}.pem"]
    (tmp_path / "b.json").write_bytes(BUNDLE.read_bytes().replace(b"better", b"bitter"))

    assert run("bundle", "verify", BUNDLE, *words).code == 0
    assert run("bundle", "verify", tmp_path / "b.json", *words).code == 4
    assert run("bundle", "verify", BUNDLE, "--log-key", Signer.generate("a").public).code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bundle", "verify", BUNDLE), "--log-key"),
        (("bundle", "verify", BUNDLE, "--log-key", "nonsense"), "name+id+key"),
        (("bundle", "verify", "missing", "--log-key", KEYS["log"]), "no file missing"),
        (("bundle", "verify", BUNDLE, "--log-key", KEYS["log"], "--approver", "bob"), "USER=FILE"),
        (
            ("bundle", "verify", BUNDLE, "--log-key", KEYS["log"], "--approver", f"bob={BUNDLE}"),
            "approver's key",
        ),
        (
            (
                "access",
                "policy",
                "--provider",
                "gcp",
                "--role",
                "viewer",
                "--vault",
                "vault-s3://b",
            ),
            "not kept by gcp",
        ),
    ],
)
def test_bad_words(run: Run, words: tuple[object, ...], said: str) -> None:
    """What cannot be meant is told in a line."""
    printed = run(*words)

    assert printed.code in {1, 2}
    assert said in printed.err
    assert printed.err.count("\n") == 1


def test_missing_approver(run: Run, tmp_path: Path) -> None:
    """Approvals that a trusted key did not sign are missing: 1."""
    (tmp_path / "bob.pem").write_text(KEYS["approvers"]["bob"][0])
    words = ("--log-key", KEYS["log"], "--approver", f"bob={tmp_path}/bob.pem")

    printed = run("bundle", "verify", BUNDLE, *words)

    assert printed.code == 1
    assert "missing approvals credit-production" in printed.out


def test_access(run: Run) -> None:
    """Documents are printed as JSON, for people and for programs alike."""
    words = ("--provider", "aws", "--role", "releaser", "--vault", "vault-s3://bucket/models")

    printed = run("access", "policy", *words)

    assert json.loads(printed.out) == run("access", "policy", *words, "--json").values
    assert "arn:aws:s3:::bucket/models/decisions/*" in printed.out
