"""A folder's listing is complete and of plain files, or an error."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import StorageError
from mlflow_vault.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLACING = """
import os, random, sys
root = sys.argv[1]
print("ready", flush=True)
while True:
    with open(f"{root}/tmp/churn", "wb"):
        pass
    os.replace(f"{root}/tmp/churn", f"{root}/tree/{random.randrange(3000)}!")
"""
# Where file systems differ most from ext4: in memory, if this system has such a folder.
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the test makes a folder of its own there


def test_missing_root(tmp_path: Path) -> None:
    """A missing root is no empty store: its disk may not be mounted."""
    store = LocalStore(tmp_path / "unmounted")

    for listing in (store.list(""), store.list("tree/"), store.list_level("")):
        with pytest.raises(StorageError, match="mounted"):
            next(listing)


def test_vanishing(tmp_path: Path) -> None:
    """What is deleted while it is listed is passed over."""
    store = LocalStore(tmp_path)
    store.put_many((f"tree/{n}/{m}", b"") for n in range(3) for m in range(3))

    listing = store.list("")
    first = next(listing)
    for found in store.list(""):
        store.delete(found.key)

    assert first.key == "tree/0/0"
    assert list(listing) == []


def test_replaced_while_listed(tmp_path: Path) -> None:
    """What is replaced while it is listed is listed, once, also where replacing moves it."""
    parent = IN_MEMORY if IN_MEMORY.is_dir() else tmp_path
    with tempfile.TemporaryDirectory(dir=parent) as root:
        store = LocalStore(Path(root))
        store.put_many((f"tree/{n}!", b"") for n in range(3000))
        churn = subprocess.Popen([sys.executable, "-c", REPLACING, root], stdout=subprocess.PIPE)
        try:
            assert churn.stdout is not None
            churn.stdout.readline()
            listings = [[found.key for found in store.list("tree/")] for _ in range(10)]
        finally:
            churn.kill()
            churn.communicate()

    assert [len(listing) for listing in listings] == [3000] * 10
    assert all(listing == sorted(set(listing)) for listing in listings)


def test_leftover_folder(tmp_path: Path) -> None:
    """A folder that a dying put left empty is no folder of a listing."""
    store = LocalStore(tmp_path)
    store.put("tree/a!", b"")
    (tmp_path / "tree" / "b" / "c").mkdir(parents=True)

    assert [each.key for each in store.list_level("tree/")] == ["tree/a!"]
    assert [each.key for each in store.list_level("tree/b/")] == []


@pytest.mark.parametrize("inside", ["images/", "images/1/"])
def test_level_above_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    """Listing a level costs the same however many files lie in a folder of it."""
    looked: list[str] = []

    class Counted:
        """A scan that notes the names taken from it."""

        def __init__(self, folder: str) -> None:
            self._scan = scandir(folder)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return self._entries()

        def _entries(self) -> Iterator[os.DirEntry[str]]:
            for entry in self._scan:
                looked.append(entry.name)
                yield entry

        def __exit__(self, *_: object) -> None:
            self._scan.close()

    scandir = os.scandir
    store = LocalStore(tmp_path)
    store.put_many((f"tree/run/{inside}{n}!", b"") for n in range(300))
    monkeypatch.setattr(os, "scandir", Counted)

    found = [each.key for each in store.list_level("tree/run/")]

    assert found == ["tree/run/images/"]
    assert len(looked) < 10


@pytest.mark.parametrize("link", ["tree/link!", "tree/folder", "packs"])
def test_symbolic_links(tmp_path: Path, link: str) -> None:
    """A listing that meets a symbolic link raises: it cannot say what lies behind."""
    root, outside = tmp_path / "vault", tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store = LocalStore(root)
    store.put("tree/a!", b"")
    (root / link).symlink_to(outside / "secret" if link.endswith("!") else outside)

    for listing in (
        store.list(""),
        store.list_level(link.rpartition("/")[0] + "/" if "/" in link else ""),
    ):
        with pytest.raises(StorageError, match="symbolic link"):
            list(listing)
    with pytest.raises(StorageError, match="symbolic link"):
        store.stat(link)
