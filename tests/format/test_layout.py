"""Paths become keys that every disk and object store takes, and come back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest

names = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=60).filter(
    lambda name: name not in {".", ".."}
)


def _is_path(path: str) -> bool:
    try:
        layout.check_path(path)
    except InvalidInputError:
        return False
    return True


paths = st.lists(names, min_size=1, max_size=4).map("/".join).filter(_is_path)


@given(path=paths)
def test_round_trip(path: str) -> None:
    """The key of an entry says which path it is of."""
    assert layout.path_of(layout.tree_key(path)) == path
    assert layout.path_of(layout.tree_prefix(path)) == path


@given(path=paths)
def test_characters(path: str) -> None:
    """A key is lower-case ASCII without a component that a disk would refuse or change."""
    key = layout.tree_key(path)

    assert re.fullmatch(r"[a-z0-9!._/-]+", key)
    for component in key.split("/"):
        assert len(component) <= 255
        assert component not in {"", ".", ".."}
        assert not component.endswith(".")
        assert not re.match(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|!|$)", component)


@given(left=paths, right=paths)
def test_injective(left: str, right: str) -> None:
    """Different paths have different keys, and a file's key is no folder's."""
    if left != right:
        assert layout.tree_key(left) != layout.tree_key(right)
    assert not layout.tree_key(left).startswith(layout.tree_prefix(right)) or left.startswith(
        right + "/"
    )


def test_case() -> None:
    """Names that differ in case only stay apart on disks that ignore case."""
    assert layout.tree_key("Model").casefold() != layout.tree_key("model").casefold()


def test_long_names() -> None:
    """A name as long as a disk allows is cut into pieces and comes back."""
    name = "Ä" * 60

    key = layout.tree_key(f"run/{name}")

    assert max(map(len, key.split("/"))) <= 200
    assert layout.path_of(key) == f"run/{name}"


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "a/../b",
        "a/%2e%2e/b",
        "a/%252e%252e/b",
        "a/%25252e%25252e%2fb",
        "%2e%2e%2fetc%2fpasswd",
        "a\\..\\b",
        "a%5c..%5cb",
        "/etc/passwd",
        "a\0b",
        "a%00b",
        "a%2500b",
        "a//b",
        "a/./b",
        "a/",
        "a\ud800",
        "x" * 1000,
    ],
)
def test_refused(path: str) -> None:
    """A path that climbs, is absolute, empty in a part, or too long is refused, however spelled."""
    with pytest.raises(InvalidInputError):
        layout.check_path(path)


@pytest.mark.parametrize("path", ["100%", "a%20b", "..a", "a..", "...", "a%2eb", "~", "ü", "a b#?"])
def test_accepted(path: str) -> None:
    """What only looks odd is a name like any other."""
    assert layout.check_path(path) == path


@pytest.mark.parametrize(
    "forged",
    [
        "tree/!046!046!",
        "tree/!046!046/a!",
        "tree/a/!047etc!",
        "tree/..!",
        "tree/a!300!",
        "tree/A!",
        "tree/!097!",
        "tree/a!000!",
        "tree//a!",
        "tree/a",
        "tree/a!-/b!",
        "tree/!0372e!0372e/x!",  # what no path may be is no key's path
        "tree/a!092!046.!092b!",
        f"tree/{'a' * 2_000}!",
        "tree/!",
        "tree/",
    ],
)
def test_forged_keys(forged: str) -> None:
    """A key that is not the key of its path is no key: none climbs, and no path has two."""
    with pytest.raises(InvalidInputError):
        layout.path_of(forged)


def test_packs() -> None:
    """A pack's key says which pack it is, and nothing else is taken for one."""
    pack = bytes(range(16))

    assert layout.pack_of(layout.pack_key(pack)) == pack
    for other in ("packs/00/zz", "packs/01/" + pack.hex(), "packs/" + pack.hex()):
        with pytest.raises(InvalidInputError):
            layout.pack_of(other)


def test_seals() -> None:
    """One listing finds every seal that can cover a path, and no seal of another run."""
    run = "1/" + "0" * 32 + "/artifacts"

    unit = layout.seal_unit(f"{run}/model/MLmodel")

    assert layout.seal_key(f"{run}/model").startswith(unit)
    assert layout.seal_key(run).startswith(unit)
    assert not layout.seal_key("1/" + "1" * 32 + "/artifacts/model").startswith(unit)
    assert layout.seal_key(f"{run}/model").startswith(layout.seal_prefix("1"))


def test_pinned() -> None:
    """Keys are part of the format: these never change."""
    digest = Digest.of(b"")

    assert layout.tree_key("7/Run 1/con.txt") == "tree/7/!run!0321/!099on.txt!"
    assert layout.tree_key("ends.") == "tree/ends!046!"
    assert layout.known_file_key(digest).startswith("hints/files/af/af1349b9")
    assert layout.pack_key(bytes(16)) == "packs/00/" + "00" * 16
