"""Where versions are logged to: each way to keep a history, with one set of verbs.

A site is prepared once for a history and put back after each operation that is measured::

    log(v0), log(v1), keep()      then, again and again:  log(v2), restore()
    log(v2), keep()               then, again and again:  log(v2) or load(), restore()

All log one file, that of the `Stage`, so that tools which know a file by its path meet the next
version of it.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from speed.meter import Cost, program, worker
from speed.rewind import BucketState, FolderState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BORG_SETTINGS: Final = ("--compression", "zstd,3")


@dataclass(frozen=True, slots=True)
class Way:
    """Which inner loops the vault uses, and where its cache of chunks lies."""

    kernels: str = "compiled"
    cache: Path | None = None


class Stage:
    """One *file* that becomes each of *versions* in turn."""

    def __init__(self, file: Path, versions: Sequence[Path] = ()) -> None:
        self.file = file
        self._versions = versions
        file.parent.mkdir(parents=True, exist_ok=True)

    def show(self, version: int) -> None:
        """Make the file *version*."""
        shutil.copyfile(self._versions[version], self.file)

    def touch(self) -> None:
        """Make it look new: it is to be read, however well a tool remembers it."""
        os.utime(self.file)


class Site(Protocol):
    """One way to keep a history."""

    @property
    def remembers(self) -> bool:
        """Whether earlier versions matter to it; where whole files are kept they do not."""

    def log(self, way: Way) -> Cost:
        """Keep what the stage shows as another version."""

    def load(self, way: Way) -> Cost:
        """Write the newest version to an empty folder."""

    def keep(self) -> None:
        """Remember how everything is now."""

    def restore(self) -> None:
        """Put everything back to how it was when it was kept."""


class Repository:
    """MLflow's artifact repository for locations below *uri*, a vault's or its own.

    *place* is the folder behind it, or boto3's client, the bucket and the prefix.
    """

    def __init__(
        self, uri: str, stage: Stage, scratch: Path, place: Path | tuple[Any, str, str]
    ) -> None:
        self._uri, self._stage, self._scratch, self._place = uri, stage, scratch, place
        self.remembers = uri.startswith("vault")
        self._run = self._kept_run = ""
        self._kept: FolderState | BucketState | None = None
        if self.remembers:
            worker({"deed": "init", "uri": uri}, {})

    def log(self, way: Way) -> Cost:
        """See `Site`; each in a run of its own."""
        self._run = uuid.uuid4().hex
        return self._work("log", way)

    def load(self, way: Way) -> Cost:
        """See `Site`."""
        return self._work("load", way)

    def keep(self) -> None:
        """See `Site`."""
        self._kept_run = self._run
        if isinstance(self._place, tuple):
            self._kept = BucketState(*self._place)
        else:
            self._place.mkdir(parents=True, exist_ok=True)
            self._kept = FolderState(self._place, self._scratch / "kept")

    def restore(self) -> None:
        """See `Site`."""
        self._run = self._kept_run
        if self._kept:
            self._kept.restore()

    def _work(self, deed: str, way: Way) -> Cost:
        order = {
            "deed": deed,
            "uri": f"{self._uri}/1/{self._run}/artifacts",
            "file": str(self._stage.file),
            "into": str(self._scratch / "loaded"),
            "kernels": way.kernels,
        }
        cache = {"MLFLOW_VAULT_CACHE": str(way.cache)} if way.cache else {}
        return worker(order, cache)


class Restic:
    """A restic repository of its newest format in *folder*."""

    remembers: Final = True

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage, self._folder = stage, folder
        self._state = folder / "state"
        self._state.mkdir(parents=True)
        self._world = {
            "RESTIC_REPOSITORY": str(self._state / "repository"),
            "RESTIC_PASSWORD": "benchmark",
            "RESTIC_CACHE_DIR": str(self._state / "cache"),
        }
        program([["restic", "init", "--repository-version", "2"]], folder, self._world)

    def log(self, way: Way) -> Cost:  # noqa: ARG002 - a site's
        """See `Site`."""
        self._stage.touch()
        command = ["restic", "backup", "--quiet", self._stage.file.name]
        return program([command], self._stage.file.parent, self._world)

    def load(self, way: Way) -> Cost:  # noqa: ARG002 - a site's
        """See `Site`."""
        return _into_empty(
            self._folder,
            ["restic", "restore", "--quiet", "latest", "--target", "."],
            self._world,
            self._stage,
        )

    def idle(self) -> Cost:
        """Open the repository and do nothing else."""
        return program([["restic", "cat", "config"]], self._folder, self._world)

    def keep(self) -> None:
        """See `Site`."""
        self._kept = FolderState(self._state, self._folder / "kept")

    def restore(self) -> None:
        """See `Site`."""
        self._kept.restore()


class Borg:
    """A borg repository in *folder*, not encrypted."""

    remembers: Final = True

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage, self._folder = stage, folder
        self._state = folder / "state"
        self._state.mkdir(parents=True)
        self._repository = str(self._state / "repository")
        self._archives = self._kept_archives = 0
        self._world = {
            "BORG_BASE_DIR": str(self._state / "home"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }
        program([["borg", "init", "-e", "none", self._repository]], folder, self._world)

    def log(self, way: Way) -> Cost:  # noqa: ARG002 - a site's
        """See `Site`."""
        self._stage.touch()
        self._archives += 1
        archive = f"{self._repository}::v{self._archives}"
        command = ["borg", "create", *BORG_SETTINGS, archive, self._stage.file.name]
        return program([command], self._stage.file.parent, self._world)

    def load(self, way: Way) -> Cost:  # noqa: ARG002 - a site's
        """See `Site`."""
        archive = f"{self._repository}::v{self._archives}"
        return _into_empty(self._folder, ["borg", "extract", archive], self._world, self._stage)

    def idle(self) -> Cost:
        """Open the repository and do nothing else."""
        return program([["borg", "list", self._repository]], self._folder, self._world)

    def keep(self) -> None:
        """See `Site`."""
        self._kept_archives = self._archives
        self._kept = FolderState(self._state, self._folder / "kept")

    def restore(self) -> None:
        """See `Site`."""
        self._archives = self._kept_archives
        self._kept.restore()


class Dvc:
    """A DVC project in *folder*, with a remote in another one; its cache is linked, not copied."""

    remembers: Final = False

    def __init__(self, stage: Stage, folder: Path, program_path: str) -> None:
        self._stage, self._folder, self._dvc = stage, folder, program_path
        self._state = folder / "state"
        self._project = self._state / "project"
        self._project.mkdir(parents=True)
        self._world = {
            "DVC_NO_ANALYTICS": "1",
            "DVC_GLOBAL_CONFIG_DIR": str(folder / "home"),
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
        }
        dvc = self._dvc
        program(
            [
                [dvc, "init", "--no-scm", "--quiet"],
                [dvc, "remote", "add", "--default", "store", str(self._state / "remote")],
                [dvc, "config", "cache.type", "reflink,hardlink,copy"],
            ],
            self._project,
            self._world,
        )

    def log(self, way: Way) -> Cost:  # noqa: ARG002 - a site's
        """See `Site`: `dvc add` and `dvc push`."""
        name = self._stage.file.name
        (self._project / name).unlink(missing_ok=True)
        shutil.copyfile(self._stage.file, self._project / name)
        os.sync()
        add, push = [self._dvc, "add", "--quiet", name], [self._dvc, "push", "--quiet"]
        return program([add, push], self._project, self._world)

    def load(self, way: Way) -> Cost:  # noqa: ARG002 - a site's
        """See `Site`: `dvc pull` where neither the file nor the project's cache is left."""
        file = self._project / self._stage.file.name
        file.unlink()
        shutil.rmtree(self._project / ".dvc" / "cache")
        cost = program([[self._dvc, "pull", "--quiet"]], self._project, self._world)
        _compare(file, self._stage.file)
        return cost

    def idle(self) -> Cost:
        """Start and do nothing else."""
        return program([[self._dvc, "root"]], self._project, self._world)

    def keep(self) -> None:
        """See `Site`."""
        self._kept = FolderState(self._state, self._folder / "kept")

    def restore(self) -> None:
        """See `Site`."""
        self._kept.restore()


def _into_empty(folder: Path, command: list[str], world: Mapping[str, str], stage: Stage) -> Cost:
    loaded = folder / "loaded"
    shutil.rmtree(loaded, ignore_errors=True)
    loaded.mkdir()
    cost = program([command], loaded, world)
    _compare(next(path for path in loaded.rglob("*") if path.is_file()), stage.file)
    shutil.rmtree(loaded)
    return cost


def _compare(found: Path, logged: Path) -> None:
    if not filecmp.cmp(found, logged, shallow=False):
        raise ValueError(f"{found} came back different")
