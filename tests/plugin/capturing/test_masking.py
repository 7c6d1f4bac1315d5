"""What is kept of commands and addresses holds no secret."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.plugin.capturing.masking import (
    is_secret,
    masked,
    masked_command,
    without_credentials,
)

SECRET = "s3cr3t-Value.9"
TOKEN = "abcdefghijklmnopqrstuv0123456789abcd"


@pytest.mark.parametrize(
    "command",
    [
        ["--password", SECRET],
        ["-password", SECRET],
        [f"--password={SECRET} and more"],
        [f"--db-password={SECRET}"],
        [f"password={SECRET}"],
        ["--token", f"-{SECRET}"],
        ["--api_key", SECRET],
        [f"+trainer.api_key={SECRET}"],
        [f"++db.connection_string=host=x;pw={SECRET}"],
        ["--AWS_SECRET_ACCESS_KEY", SECRET],
        [f"AWS_SECRET_ACCESS_KEY={SECRET}"],
        ["--clientSecret", SECRET],
        [f"--config={{'password': '{SECRET} x', 'lr': 1}}"],
        [f'{{"password": "{SECRET}\\" x"}}'],
        [f"host=x;password={SECRET};port=1"],
        ["--db", f"postgresql://me:{SECRET}@host/db"],
        [f"--db=postgresql+psycopg://me:{SECRET}/x@host/db"],
        [f"https://{SECRET}@host/x"],
        [f"https://host/x?sig={SECRET}&n=1"],
        [f"--url=https://host/x?access_token={SECRET}"],
        ["-H", f"Authorization: {SECRET}"],
        ["-H", f"X: Bearer {SECRET}"],
    ],
)
def test_commands(command: list[str]) -> None:
    """A secret is masked wherever a command line may have it."""
    shown = masked_command(["train.py", *command, "--lr", "0.1"])

    assert SECRET not in shown
    assert "s3cr3t" not in shown
    assert "***" in shown
    assert shown.startswith("train.py ")
    assert shown.endswith("--lr 0.1")


@pytest.mark.parametrize(
    "token",
    [
        f"ghp_{TOKEN}",
        f"github_pat_{TOKEN}",
        f"hf_{TOKEN}",
        f"sk-{TOKEN}",
        f"glpat-{TOKEN}",
        f"xoxb-{TOKEN}",
        "AKIA" + "ABCDEFGH01234567",
        f"eyJ{TOKEN}.{TOKEN}.{TOKEN}",
    ],
)
def test_tokens(token: str) -> None:
    """A token of a well-known shape is masked whatever it is called."""
    assert masked(f"upload {token} there") == "upload *** there"


@pytest.mark.parametrize(
    "command",
    [
        ["python", "-m", "train", "--lr", "0.1", "--max_tokens", "512", "--tokenizer=bpe"],
        ["train.py", "data=s3://bucket/path", "--monkey", "x", "passes=3", "author=me"],
        ["train.py", "a b", "it's", "x=1,y=2", "https://host:80/path@v1"],
    ],
)
def test_kept(command: list[str]) -> None:
    """What is no secret is kept, as a shell would read it."""
    assert shlex.split(masked_command(command)) == command


@given(st.lists(st.text(max_size=40), max_size=6))
def test_any(command: list[str]) -> None:
    """Any arguments can be shown, and shown again."""
    assert isinstance(masked_command(command), str)


def test_flags() -> None:
    """After an option that has no value the next option is kept."""
    assert masked_command(["--use-token", "--lr", "1"]) == "--use-token --lr 1"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://host/team/repo.git", "https://host/team/repo.git"),
        ("https://token@host/repo.git", "https://host/repo.git"),
        ("https://me:p@ss@host:8443/repo.git", "https://host:8443/repo.git"),
        ("https://me:p/w@host/repo.git", "https://host/repo.git"),
        ("https://host/repo?private_token=x#y", "https://host/repo"),
        ("ssh://git@host:22/repo", "ssh://git@host:22/repo"),
        ("ssh://git:pw@host/repo", "ssh://git@host/repo"),
        ("git@host:team/repo.git", "git@host:team/repo.git"),
        ("/srv/repo", "/srv/repo"),
        ("https://[::1]:8443/@team/repo", "https://[::1]:8443/@team/repo"),
        ("", ""),
    ],
)
def test_urls(url: str, kept: str) -> None:
    """Of a repository's address, who reads it and how is left out."""
    assert without_credentials(url) == kept


def test_names() -> None:
    """Names are read by their words, however they are written."""
    secret = [
        "key",
        "apiKey",
        "API-KEY",
        "db.passwd",
        "sslpassword",
        "HF_TOKEN",
        "pw",
        "accesskeys",
    ]
    plain = ["keyboard", "tokenizer", "max_tokens", "compass", "monkey", "author", "bypass", "lr"]

    assert [name for name in secret + plain if is_secret(name)] == secret
