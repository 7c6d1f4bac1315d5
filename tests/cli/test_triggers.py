"""The words of `listen`, `validate` and `promote --auto`: what makes no sense is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.cli.main import main
from mlflow_vault.cli.parser import parse
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """An empty vault."""
    return Vault.init(f"vault-file://{tmp_path}/vault").uri


@pytest.mark.parametrize(
    ("secret", "told"), [(None, "MLFLOW_VAULT_WEBHOOK_SECRET"), ("short", "16 characters")]
)
def test_no_secret(
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    secret: str | None,
    told: str,
) -> None:
    """Nobody listens without a secret, or with one that can be guessed."""
    monkeypatch.delenv("MLFLOW_VAULT_WEBHOOK_SECRET", raising=False)
    if secret is not None:
        monkeypatch.setenv("MLFLOW_VAULT_WEBHOOK_SECRET", secret)

    assert main(["listen", "--vault", uri, "--port", "0"]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["listen", "--port", "65536"],
        ["listen", "--port", "http"],
        ["listen", "--every", "10"],
        ["listen", "--every", "0s"],
        ["validate", "credit/1", "--timeout", "soon"],
        ["validate", "credit/1", "--env", "dirty"],
    ],
)
def test_odd_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Ports, times and environments are what they are."""
    with pytest.raises(SystemExit) as ended:
        parse(words)

    assert ended.value.code == 2
    assert "argument" in capsys.readouterr().err


def test_words() -> None:
    """Times are read as policies have them."""
    listening = parse(["listen", "--every", "90s"])
    trying = parse(["validate", "credit/1", "--tests", "tests", "--timeout", "2m", "--with", "a"])

    assert (listening.every, listening.host, listening.port) == (90.0, "127.0.0.1", 8765)
    assert (trying.timeout, trying.packages, trying.env) == (120.0, ["a"], "clean")


def test_nothing_to_do(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no policy is automatic, a round finds no candidates."""
    assert main(["promote", "--auto", "--vault", uri]) == 0
    assert capsys.readouterr().out == "no candidates\n"
    assert main(["promote", "--auto", "--vault", uri, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["candidates"] == []


def test_odd_secret(uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a file that is no text nothing is told."""
    (tmp_path / "secret").write_bytes(b"half-a-secret\xff")
    words = ["listen", "--vault", uri, "--port", "0", "--secret-file", str(tmp_path / "secret")]

    assert main(words) == 2
    said = capsys.readouterr().err
    assert "is no text" in said
    assert "half" not in said
