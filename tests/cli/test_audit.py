"""The commands of the audit log, on a vault whose versions were committed."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.cli.main import main
from mlflow_vault.fluent import _mlflow
from mlflow_vault.format import layout
from mlflow_vault.format.checkpoint import PublicKey
from mlflow_vault.govern.audit.proofs import Inclusion
from mlflow_vault.govern.host import attach
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

ROOT = "1/models/m-{:032x}/artifacts"


@pytest.fixture
def registry() -> Registry:
    """A registry in memory."""
    return Registry()


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry) -> Vault:
    """A vault on a disk with two versions of one model."""
    made = Vault.init(f"vault-file://{tmp_path}/vault")
    vault = Vault(made.store, made.identity, host=lambda: registry)
    for number in (1, 2):
        write(vault, f"{ROOT.format(number)}/MLmodel", b"%d" % number)
        vault.commit(f"{vault.uri}/{ROOT.format(number)}", name="fraud")
    monkeypatch.setenv("MLFLOW_VAULT_URI", vault.uri)
    return vault


def _asked(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(("audit", *words)) == code
    return capsys.readouterr().out


def test_story(vault: Vault, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What was done is found, signed, proven, and verified against what was kept elsewhere."""
    key, kept = tmp_path / "key.pem", tmp_path / "kept"
    told = json.loads(_asked(capsys, "key", "--name", "audit.example", "--out", str(key), "--json"))
    signing = ("--key", str(key), "--name", "audit.example")
    trust = ("--trust", told["key"])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600

    found = _asked(capsys, "search", "--action", "commit", "--subject", "fraud").splitlines()
    assert len(found) == 2
    assert "'fraud'" in found[0] or "fraud" in found[0]
    kept.write_text(_asked(capsys, "checkpoint", *signing))
    vault.delete(ROOT.format(1))
    assert "delete_refused" in _asked(capsys, "search", "--since", "2020-01-01T00:00Z")
    proof = json.loads(_asked(capsys, "prove", "1", *trust))
    trusted = [PublicKey.parse(told["key"])]
    assert Inclusion.from_dict(proof).check(trusted).action == "commit"
    assert "whole" in _asked(capsys, "verify", *trust, "--known", str(kept))
    assert "versions 1, 2" in _asked(capsys, "at", "2100-01-01T00:00Z")
    assert len(_asked(capsys, "export").splitlines()) == 4
    assert _asked(capsys, "export", "--form", "csv").startswith("sequence,")


def test_tampering(vault: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed entry is damage: exit code 1, and the entry is named."""
    stored = vault.store.get(layout.log_key(0))
    vault.store.put(layout.log_key(0), stored.replace(b'"commit"', b'"delete"'))

    assert f"{layout.log_key(0)}" in _asked(capsys, "verify", code=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("prove", "0"), "no checkpoint yet"),
        (("prove", "99", "--trust", "nonsense"), "nonsense"),
        (("at", "tomorrow"), "no time"),
        (("checkpoint", "--key", "nowhere.pem", "--name", "n"), "nowhere.pem"),
    ],
)
def test_bad_input(
    vault: Vault, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """A mistake is a line on standard error."""
    assert vault
    assert main(("audit", *words)) == 2
    assert said in capsys.readouterr().err


def test_a_key_is_not_replaced(
    vault: Vault, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A file that is there is not written over."""
    assert vault
    (tmp_path / "key.pem").write_text("mine")

    assert main(("audit", "key", "--name", "n", "--out", str(tmp_path / "key.pem"))) == 2
    assert "never replaced" in capsys.readouterr().err
    assert (tmp_path / "key.pem").read_text() == "mine"


def test_drift(
    vault: Vault,
    registry: Registry,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A registry that was changed past the vault is told, also among what looks odd."""
    attach(lambda: registry)
    try:
        assert "shows what the vault has" in _asked(capsys, "drift")
        registry.unregister(registry.resolve("models:/fraud/1"))
        assert "fraud: version 1 is gone" in _asked(capsys, "drift", code=1)
        assert json.loads(_asked(capsys, "drift", "--json", code=1))["drift"][0]["sequence"] == 0

        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
        assert "drift" not in json.dumps(list(map(str, vault.audit.anomalies())))
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", "sqlite://")
        assert "drift: fraud: version 1 is gone" in _asked(capsys, "anomalies", code=1)
    finally:
        attach(_mlflow)
