"""A vault is made at MLflow's default root, and at no other guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.plugin.layout import default_root, suggested_root

HEX = "0123456789abcdef" * 2
words = st.from_regex(r"[A-Za-z0-9_.~%+-]{1,12}", fullmatch=True)
roots = st.builds(
    lambda scheme, slashes, parts: f"{scheme}:{slashes}{'/'.join(parts)}",
    st.sampled_from(["vault-file", "vault+file", "vault-memory"]),
    st.sampled_from(["/", "///"]),
    st.lists(words.filter(lambda word: word != "workspaces"), min_size=1, max_size=4),
)
kinds = st.sampled_from([HEX, f"models/m-{HEX}", f"traces/tr-{HEX}"])


@given(
    root=roots,
    workspace=st.none() | words,
    experiment=st.integers(0, 10**18),
    kind=kinds,
    below=st.sampled_from(["", "/", "/model", "/model/data/x.bin"]),
)
def test_default_root(
    root: str, workspace: str | None, experiment: int, kind: str, below: str
) -> None:
    """Whatever lies below a default root, in a workspace or not, names it."""
    space = "" if workspace is None else f"/workspaces/{workspace}"

    assert default_root(f"{root}{space}/{experiment}/{kind}/artifacts{below}") == root


@pytest.mark.parametrize(
    "uri",
    [
        "vault-file:///srv/ml",
        "vault-file:///srv/ml/7",
        f"vault-file:///srv/ml/7/{HEX}",
        f"vault-file:///srv/ml/seven/{HEX}/artifacts",
        f"vault-file:///srv/ml/7/{HEX}0/artifacts",
        f"vault-file:///srv/ml/7/{HEX.upper()}/artifacts",
        f"vault-file:///srv/ml/7/models/{HEX}/artifacts",
        f"vault-file:///srv/ml/7/m-{HEX}/artifacts",
        f"vault-file:///srv/ml/7/{HEX}/artifacts2",
        f"vault-file:///7/{HEX}/artifacts",
        f"vault-memory:/7/{HEX}/artifacts",
        "",
    ],
)
def test_no_default_root(uri: str) -> None:
    """A location that is not laid out so names none, nor does the root of a disk."""
    assert default_root(uri) is None


def test_the_outer_one() -> None:
    """Where MLflow's layout occurs twice, the outer root counts."""
    inner = f"7/{HEX}/artifacts/copy/8/{HEX}/artifacts"

    assert default_root(f"vault-file:///srv/{inner}") == "vault-file:///srv"


@pytest.mark.parametrize(
    ("uri", "root"),
    [
        (f"vault-file:///srv/ml/7/{HEX}/artifacts", "vault-file:///srv/ml"),
        (f"vault-file:///srv/mine/models/m-{HEX}/artifacts/x", "vault-file:///srv/mine"),
        ("vault-file:///srv/mine", "vault-file:///srv/mine"),
    ],
)
def test_suggested_root(uri: str, root: str) -> None:
    """What we tell a person to type is the root, or the experiment's own location."""
    assert suggested_root(uri) == root
