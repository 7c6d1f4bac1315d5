"""Runs in a room: logs three versions of a model, loads them back, counts and compares.

Everything goes to a vault and, at the same door, to MLflow's own repository of plain files
(`witnessed`), so what comes back is compared with what MLflow alone would have had.  What it
found it writes as JSON.
"""

from __future__ import annotations

import argparse
import filecmp
import importlib
import importlib.metadata
import json
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from files import looked_at, zstd_apart, zstd_together
from rooms import ROOMS
from version import VERSIONS, agree
from ways import WAYS

from mlflow_vault.cli.demo.witness import witnessed
from mlflow_vault.cli.disk import measure
from mlflow_vault.store.address import Address
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from version import Version
    from ways import Way


@dataclass(frozen=True, slots=True)
class Logged:
    """A version as it was logged.

    Attributes:
        version: What was logged.
        inside: Where its files are, in the vault and in the plain folder.
        uri: By what it is loaded.
        raw: Bytes that MLflow alone stores for it.
        stored: Bytes that it added to the vault's folder.
    """

    version: Version
    inside: str
    uri: str
    raw: int
    stored: int


def made(way: Way) -> Iterator[Version]:
    """Yield the versions of *way*."""
    module, _, function = way.maker.partition(":")
    make = getattr(importlib.import_module(f"makers.{module}"), function)
    yield from make(way.argument) if way.argument else make()


def log(version: Version, folder: Path) -> Logged:
    """Log *version* in a run of its own."""
    vault, plain = folder / "vault", folder / "plain"
    kept, had = measure(vault)[1], measure(plain)[1]
    with mlflow.start_run() as run:
        said = version.log()
    if version.own:
        uri = f"runs:/{run.info.run_id}/{version.own}"
        location = f"{run.info.artifact_uri}/{version.own}"
    else:
        uri = said.model_uri
        location = mlflow.get_logged_model(said.model_id).artifact_location
    return Logged(
        version=version,
        inside=Address.parse(location).path.removeprefix(str(vault)).strip("/"),
        uri=uri,
        raw=measure(plain)[1] - had,
        stored=measure(vault)[1] - kept,
    )


def come_back(logged: Logged, folder: Path) -> dict[str, Any]:
    """Download and load *logged*; say what differs."""
    plain = folder / "plain" / logged.inside
    location = str(Address.of_path(folder / "vault").joined(logged.inside))
    with tempfile.TemporaryDirectory(dir=folder) as name:
        back = Path(mlflow.artifacts.download_artifacts(location, dst_path=name))
        names = sorted({*_files(plain), *_files(back)})
        _, differing, missing = filecmp.cmpfiles(plain, back, names, shallow=False)
    version = logged.version
    said = version.ask(version.load(logged.uri))
    same = agree(said, version.answer)
    # What a format rounds it rounds without us too.
    alone = same or agree(said, version.ask(version.load(str(plain))))
    return {
        "raw": logged.raw,
        "stored": logged.stored,
        "files": len(names),
        "differing": sorted(differing + missing),
        "same_answers": same,
        "as_alone": alone,
    }


def run(way: Way, folder: Path) -> dict[str, Any]:
    """Do all of it in the folder *folder*, which gets a vault and its plain twin."""
    vault, plain = folder / "vault", folder / "plain"
    plain.mkdir(parents=True)
    address = Address.of_path(vault)
    Vault.init(str(address))
    with witnessed(vault, plain):
        mlflow.create_experiment(way.name, str(address.joined("flavours")))
        mlflow.set_experiment(way.name)
        logged = [log(version, folder) for version in made(way)]
        assert len(logged) == VERSIONS, f"{way.name} made {len(logged)} versions"
        versions = [come_back(one, folder) for one in logged]
    opened = Vault.open(str(address))
    stats = opened.stats()
    everything = [plain / one.inside for one in logged]
    return {
        "versions": versions,
        "by_coding": stats.by_coding,
        "overhead": stats.overhead,
        "files": [asdict(seen) for seen in looked_at(opened, [one.inside for one in logged])],
        "zstd_apart": zstd_apart(everything),
        "zstd_together": zstd_together(everything),
    }


def _files(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def attempt(way: Way, folder: Path) -> dict[str, Any]:
    """Do all of it; a failure is an answer too, with its traceback."""
    started = time.monotonic()
    try:
        found = run(way, folder)
    except Exception as error:  # noqa: BLE001 - whatever a library trips over is a finding
        found = {"failure": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    print(f"{way.name}: {time.monotonic() - started:.0f} s", flush=True)
    return found


def main() -> int:
    """Measure ways that share a flavour, and write a file for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", choices=[way.name for way in WAYS], metavar="WAY")
    parser.add_argument("--out", type=Path, required=True, help="the folder for what was found")
    parser.add_argument("--keep", type=Path, help="an empty folder for vaults and plain files")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="flavours-") as name:
        folder = (arguments.keep or Path(name)).resolve()
        os.chdir(name)
        track(folder, out / "mlflow.db")
        for way in WAYS:
            if way.name in arguments.names:
                found = attempt(way, folder / way.file_name)
                found["libraries"] = libraries(way.room)
                (out / f"{way.file_name}.json").write_text(json.dumps(found), encoding="utf-8")
    return 0


def track(folder: Path, empty: Path) -> None:
    """Track in *folder*, in a copy of the database *empty*, which takes MLflow long to make."""
    if not empty.exists():
        mlflow.set_tracking_uri(f"sqlite:///{empty}")
        mlflow.search_experiments()
    copy = shutil.copy(empty, folder / "mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{copy}")


def libraries(room: str) -> dict[str, str]:
    """Return the versions of what *room* was made for, and of MLflow."""
    wanted = [re.split(r"[^\w-]", requirement)[0] for requirement in ROOMS[room].requirements]
    installed = {
        one.name.replace("_", "-"): one.version for one in importlib.metadata.distributions()
    }
    return {name: installed[name] for name in ("mlflow", *wanted) if name in installed}


if __name__ == "__main__":
    sys.exit(main())
