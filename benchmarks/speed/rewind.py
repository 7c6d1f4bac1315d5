"""Put a place back to how it was, so that one operation can be measured again and again.

A folder is kept as a copy beside it; what an operation added is removed, what it changed or took
away is put back.  Large files are linked rather than copied, as every tool here writes them once;
one that was changed in place all the same is an error.  A bucket's prefix likewise, where what is
small enough to be overwritten is kept in memory: packs never are.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Final

SMALL: Final = 4 << 20  # bytes; what is larger is written once
KEYS_AT_ONCE: Final = 1000  # that one request deletes


class FolderState:
    """What is below *folder* now; its copy lies at *copy*, on the same disk."""

    def __init__(self, folder: Path, copy: Path) -> None:
        self._folder, self._copy = folder, copy
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy, symlinks=True, copy_function=_keep)
        self._seen = _marks(folder)
        self._kept = _marks(copy)

    def restore(self) -> None:
        """Put everything back.

        Raises:
            ValueError: A file that counts as written once was changed.
        """
        if _marks(self._copy) != self._kept:
            raise ValueError(f"a large file below {self._folder} was changed in place")
        now = _marks(self._folder)
        for name in now.keys() - self._seen.keys():
            (self._folder / name).unlink()
        for name, mark in self._seen.items():
            if now.get(name) != mark:
                path = self._folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                _keep(str(self._copy / name), str(path))
        self._seen = _marks(self._folder)


def _keep(source: str, destination: str) -> None:
    """Make *destination* what *source* is."""
    if os.lstat(source).st_size >= SMALL:
        os.link(source, destination, follow_symlinks=False)
    else:
        shutil.copy2(source, destination, follow_symlinks=False)


def _marks(folder: Path) -> dict[str, tuple[int, int, int]]:
    marks = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            status = path.lstat()
            marks[str(path.relative_to(folder))] = (
                status.st_ino,
                status.st_size,
                status.st_mtime_ns,
            )
    return marks


class BucketState:
    """What is below *prefix* of *bucket* now; *client* is boto3's."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix
        found = self._listed()
        self._seen = {key: tag for key, (tag, _) in found.items()}
        self._small = {
            key: client.get_object(Bucket=bucket, Key=key)["Body"].read()
            for key, (_, size) in found.items()
            if size < SMALL
        }

    def restore(self) -> None:
        """Put everything back."""
        now = {key: tag for key, (tag, _) in self._listed().items()}
        added = sorted(now.keys() - self._seen.keys())
        for start in range(0, len(added), KEYS_AT_ONCE):
            keys = [{"Key": key} for key in added[start : start + KEYS_AT_ONCE]]
            self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys})
        for key, tag in self._seen.items():
            if now.get(key) != tag:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=self._small[key])

    def _listed(self) -> dict[str, tuple[str, int]]:
        pages = self._client.get_paginator("list_objects_v2")
        return {
            item["Key"]: (item["ETag"], item["Size"])
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix)
            for item in page.get("Contents", ())
        }
