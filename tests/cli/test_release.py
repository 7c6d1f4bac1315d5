"""The commands of releases: each says what it did, and ends with an honest exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlflow_vault import fluent
from mlflow_vault.cli.main import main
from mlflow_vault.govern.host import Held, attach
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAGING = """\
metadata: {name: to-staging}
transition: {to: staging}
evidence: [{type: test-result, name: holdout}]
"""
PRODUCTION = """\
metadata: {name: to-production}
transition: {from: staging, to: production}
approvals: {min: 1}
"""


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[str]:
    """A vault with two versions of a model, and policies in files beside it."""
    registry = Registry()
    attach(lambda: registry)
    uri = f"vault-file://{tmp_path}/vault"
    made = Vault.init(uri)
    for number in (1, 2):
        place = f"1/models/m-{number:032x}/artifacts"
        write(made, f"{place}/model.bin", b"%d" % number)
        held = Held("", f"{uri}/{place}", model_id=f"m-{number:032x}", author="ann")
        registry.known[f"models:/{held.model_id}"] = held
        made.commit(f"models:/{held.model_id}", name="credit")
    for name, text in (("staging", STAGING), ("production", PRODUCTION)):
        (tmp_path / f"{name}.yaml").write_text(text)
    yield uri
    attach(fluent._mlflow)


def _ask(
    vault: str, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, dict[str, object]]:
    code = main((*words, "--vault", vault, "--json"))
    return code, json.loads(capsys.readouterr().out)


def test_story(vault: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Denied is 1, waiting is 3, wrong is 2; what is done is 0; JSON has the whole verdict."""
    staging, production = str(tmp_path / "staging.yaml"), str(tmp_path / "production.yaml")
    result = ("evidence", "credit/1", "--type", "test-result", "--name", "holdout")

    assert main(("promote", "credit/1", "--to", "staging", "--vault", vault)) == 2
    assert "policy apply" in capsys.readouterr().err
    assert _ask(vault, capsys, "policy", "apply", staging, production)[0] == 0
    code, told = _ask(vault, capsys, "promote", "credit/1", "--to", "staging")
    assert (code, told["state"]) == (1, "denied")
    assert "evidence.holdout" in json.dumps(told["verdicts"])
    code, told = _ask(vault, capsys, *result, "--passed", "--value", "f1=0.9", "--value", "by=ann")
    assert (code, told["body"]["values"]) == (0, {"f1": 0.9, "by": "ann"})  # type: ignore[index]
    code, told = _ask(vault, capsys, "promote", "credit/1", "--to", "staging", "--reason", "good")
    assert (code, told["decision"]["reason"]) == (0, "good")  # type: ignore[index]
    code, told = _ask(vault, capsys, "promote", "credit/1", "--to", "production")
    assert (code, told["state"]) == (3, "waiting")
    code, told = _ask(vault, capsys, "approve", "credit/1")
    assert code == 1
    assert "nobody checked who it was" in told["error"]["message"]  # type: ignore[index]
    assert main(("promote", "credit/1", "--to", "production", "--vault", vault)) == 3
    assert "waiting approvals" in capsys.readouterr().out
    code, told = _ask(vault, capsys, "status", "credit")
    assert (code, told["standing"]["staging"]["number"]) == (0, 1)  # type: ignore[index]
    assert main(("status", "credit", "--vault", vault)) == 0
    assert "waits for 1 more (to-production)" in capsys.readouterr().out
    assert _ask(vault, capsys, "rollback", "credit", "--reason", "bad")[0] == 2
    code, told = _ask(vault, capsys, "archive", "credit/1", "--reason", "over")
    assert (code, told["to"]) == (0, "archived")


def test_named_policy(vault: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A policy that is named is asked, though it is not in force."""
    named = str(tmp_path / "staging.yaml")

    assert (
        _ask(vault, capsys, *["promote", "credit/1", "--to", "staging", "--policy"], named)[0] == 1
    )
    (tmp_path / "staging.yaml").write_text(STAGING.split("evidence", maxsplit=1)[0])
    assert (
        _ask(vault, capsys, *["promote", "credit/1", "--to", "staging", "--policy"], named)[0] == 0
    )


def test_damage(vault: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A version whose bytes changed ends with an exit code of its own."""
    lax = STAGING.split("evidence", maxsplit=1)[0]
    (tmp_path / "staging.yaml").write_text(lax + "integrity: {verified: true}\n")
    store = Vault.open(vault).store
    for found in list(store.list("versions/content/")):
        store.put(found.key, b"something else")

    words = ("promote", "credit/1", "--to", "staging", "--policy", str(tmp_path / "staging.yaml"))
    assert _ask(vault, capsys, *words)[0] == 4


def test_wrong_usage(vault: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A version and a stage, or all candidates: not both, not neither."""
    for words in (("credit/1",), ("--to", "staging"), ("credit/1", "--auto")):
        assert main(("promote", *words, "--vault", vault)) == 2
    assert main(("promote", "--auto", "--vault", vault)) == 0
    assert "no candidates" in capsys.readouterr().out
