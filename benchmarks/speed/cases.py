"""What is measured of one history: three cases, all subjects interleaved in every repetition.

    log     a new fine-tuned version, after two that are there
    again   the same content once more, as a new run
    load    that version, coded as differences, where nothing of it is cached, or the one before

Each repetition does everything once, in an order that moves on by one, so that whatever else
the machine does slows all alike.  One-core BLAKE3 of the same file is a subject like the others.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from speed.ceph import BUCKET
from speed.meter import Cost, worker
from speed.rewind import FolderState
from speed.sites import Borg, Dvc, Repository, Restic, Site, Stage, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from histories.recipe import History

    from speed.server import Server

CASES: Final = ("log", "again", "load")
NEW: Final = 2  # the version that is measured
HASH: Final = "BLAKE3, one core"
IDLE: Final = ", started for nothing"  # behind a peer's name
COLD, WARM, NUMPY = "vault", "vault, previous version cached", "vault, numpy"
OWN: Final = "MLflow's own"


@dataclass(slots=True)
class Series:
    """What one subject took in each repetition of one case."""

    case: str
    history: str
    link: str  # of `link.LINKS`; empty for the local disk
    subject: str
    size: int  # bytes of the version
    costs: list[Cost] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that every repetition does."""

    subject: str
    link: str
    perform: Callable[[], Cost]
    undo: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    cases: tuple[str, ...]
    links: tuple[str, ...]
    repetitions: int
    peers: tuple[str, ...]  # of restic, borg, dvc: those that are installed
    dvc: str = "dvc"


class Measurement:
    """One history in every site, in *folder*; without a *server* on the local disk alone."""

    def __init__(self, history: History, plan: Plan, folder: Path, server: Server | None) -> None:
        self._history, self._plan, self._folder, self._server = history, plan, folder, server
        stage = self._stage = Stage(folder / "stage" / history.recipe.file_name, history.paths)
        self._local: dict[str, Site] = {
            COLD: self._repository(f"vault-file://{folder}/vault/store", "vault", remote=False),
            OWN: self._repository(f"{folder}/own/store", "own", remote=False),
        }
        peers: dict[str, Callable[[], Site]] = {
            "restic": lambda: Restic(stage, folder / "restic"),
            "borg": lambda: Borg(stage, folder / "borg"),
            "dvc": lambda: Dvc(stage, folder / "dvc", plan.dvc),
        }
        self._local |= {name: peers[name]() for name in plan.peers}
        self._remote: dict[str, Site] = {}
        if server and plan.links:
            prefix = f"{BUCKET}/{history.name}"
            self._remote = {
                COLD: self._repository(f"vault-s3://{prefix}-vault", "vault-s3", remote=True),
                OWN: self._repository(f"s3://{prefix}-own", "own-s3", remote=True),
            }
        self._cache = folder / "cache"

    def run(self) -> list[Series]:
        """Measure every case of the plan."""
        found: list[Series] = []
        self._log_all(0, keep=False)
        self._log_all(1, keep=True)
        self._fill_cache()
        self._stage.show(NEW)
        if "log" in self._plan.cases:
            found += self._repeat("log", list(self._logging(warm=True)))
        self._log_all(NEW, keep=True)
        if "again" in self._plan.cases:
            found += self._repeat("again", list(self._logging(warm=False)))
        if "load" in self._plan.cases:
            found += self._repeat("load", list(self._loading()))
        return found

    def _repository(self, uri: str, name: str, *, remote: bool) -> Repository:
        scratch = self._folder / name
        scratch.mkdir(parents=True)
        prefix = f"{uri.rpartition('/')[2]}/"
        place = (self._server.client, BUCKET, prefix) if self._server and remote else None
        return Repository(uri, self._stage, scratch, place or scratch / "store")

    def _sites(self) -> Iterable[Site]:
        return [*self._local.values(), *self._remote.values()]

    def _log_all(self, version: int, *, keep: bool) -> None:
        self._stage.show(version)
        if self._server:
            self._server.set_link("free")
        for site in self._sites():
            if site.remembers or version == NEW:
                site.log(Way(cache=self._cold_cache()))
            if keep:
                site.keep()

    def _fill_cache(self) -> None:
        """Load the version that comes before the measured one through a cache that stays."""
        self._cache.mkdir()
        if COLD in self._remote:
            self._remote[COLD].load(Way(cache=self._cache))
            self._remote[COLD].restore()
        self._cached = FolderState(self._cache, self._folder / "cache-kept")

    def _cold_cache(self) -> Path:
        cold = self._folder / "cold"
        shutil.rmtree(cold, ignore_errors=True)
        return cold

    def _logging(self, *, warm: bool) -> Iterable[Operation]:
        yield Operation(HASH, "", self._hash)
        for name, site in self._local.items():
            yield Operation(name, "", _logs(site, Way()), site.restore)
            if isinstance(site, Restic | Borg | Dvc):
                yield Operation(name + IDLE, "", site.idle, site.restore)
        vault = self._local[COLD]
        if warm:  # content that is known reaches no kernel
            yield Operation(NUMPY, "", _logs(vault, Way("numpy")), vault.restore)
        for link in self._plan.links if self._remote else ():
            vault, own = self._remote[COLD], self._remote[OWN]
            yield Operation(COLD, link, self._log_cold, vault.restore)
            yield Operation(OWN, link, _logs(own, Way()), own.restore)
            if warm:
                yield Operation(WARM, link, _logs(vault, self._warm()), self._undo_warm)

    def _loading(self) -> Iterable[Operation]:
        yield Operation(HASH, "", self._hash)
        for name, site in self._local.items():
            yield Operation(name, "", _loads(site, Way()), site.restore)
            if isinstance(site, Restic | Borg | Dvc):
                yield Operation(name + IDLE, "", site.idle, site.restore)
        yield Operation(NUMPY, "", _loads(self._local[COLD], Way("numpy")))
        for link in self._plan.links if self._remote else ():
            vault, own = self._remote[COLD], self._remote[OWN]
            yield Operation(COLD, link, self._load_cold)
            yield Operation(WARM, link, _loads(vault, self._warm()), self._undo_warm)
            yield Operation(OWN, link, _loads(own, Way()))

    def _log_cold(self) -> Cost:
        return self._remote[COLD].log(Way(cache=self._cold_cache()))

    def _load_cold(self) -> Cost:
        return self._remote[COLD].load(Way(cache=self._cold_cache()))

    def _warm(self) -> Way:
        return Way(cache=self._cache)

    def _undo_warm(self) -> None:
        self._remote[COLD].restore()
        self._cached.restore()

    def _hash(self) -> Cost:
        return worker({"deed": "hash", "file": str(self._stage.file)}, {})

    def _repeat(self, case: str, operations: list[Operation]) -> list[Series]:
        size = self._stage.file.stat().st_size
        name = self._history.name
        found = [Series(case, name, each.link, each.subject, size) for each in operations]
        pairs = list(zip(operations, found, strict=True))
        for repetition in range(self._plan.repetitions):
            turn = repetition % len(pairs)
            for operation, series in pairs[turn:] + pairs[:turn]:
                cost = self._once(operation)
                series.costs.append(cost)
                where = series.link or "local"
                print(f"  {case} {name} {where} {series.subject}: {cost.wall:.3f} s", flush=True)
            if self._server and self._remote:
                self._server.tidy()
        return found

    def _once(self, operation: Operation) -> Cost:
        os.sync()  # what was written before is not this operation's to wait for
        if not operation.link:
            cost = operation.perform()
        else:
            assert self._server is not None
            self._server.set_link(operation.link)
            cost = self._server.watched(operation.perform)
            self._server.set_link("free")
        operation.undo()
        return cost


def _logs(site: Site, way: Way) -> Callable[[], Cost]:
    return lambda: site.log(way)


def _loads(site: Site, way: Way) -> Callable[[], Cost]:
    return lambda: site.load(way)
