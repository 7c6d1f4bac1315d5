"""Measure what a history takes in a vault, beside borg on the same files in the same run.

Each version is logged by `mlflow.log_artifact` from a process of its own, as training jobs
do, so that nothing is remembered but what the vault wrote down.  Then every byte below the
vault's folder is counted, every file is downloaded again and compared, and the shares are
held against bounds.  A missed bound or a differing byte is exit code 1.

    histories -+-> mlflow + vault ---------------> bytes, and restored as it was? -+
               +-> borg, restic -----------------> bytes --------------------------+-> report
               +-> XOR with the parent (children)-> bytes -------------------------+
"""

from __future__ import annotations

import argparse
import filecmp
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from histories.catalogue import RECIPES, REPORTS, ensure
from histories.recipe import DEFAULT_CACHE, History, Workshop, files
from peers import (
    BORG_SETTINGS,
    borg_bytes,
    bytes_below,
    child_bytes,
    restic_bytes,
    staged,
    tool_version,
)
from report import AGAINST_XOR, Row, markdown

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS: Final = Path(__file__).parent / "results"
FOLDER: Final = "model"  # the artifact path that every version is logged under
TITLES: Final = {"stored-bytes": "Stored bytes", "formats": "Stored bytes of other formats"}
P = ParamSpec("P")
T = TypeVar("T")


def alone(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what *call* returns in a fresh Python process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(call, *args, **kwargs).result()


def make_experiment(tracking: str, name: str, vault: Path) -> str:
    """Make an empty vault and an experiment whose artifacts go there; return its id."""
    import mlflow  # noqa: PLC0415 - in a process of its own

    from mlflow_vault.vault import Vault  # noqa: PLC0415 - as above

    Vault.init(f"vault-file://{vault}")
    mlflow.set_tracking_uri(tracking)
    return str(mlflow.create_experiment(name, artifact_location=f"vault-file://{vault}"))


def log_version(tracking: str, experiment: str, version: Path) -> str:
    """Log *version*, a file or a folder, in a run of its own and return the run's id."""
    import mlflow  # noqa: PLC0415 - in a process of its own

    mlflow.set_tracking_uri(tracking)
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_artifact(str(version), FOLDER)
        return str(run.info.run_id)


def download_version(tracking: str, run: str, name: str, folder: Path) -> Path:
    """Download what *run* logged as *name* into *folder* and return where it lies."""
    import mlflow  # noqa: PLC0415 - in a process of its own

    mlflow.set_tracking_uri(tracking)
    wanted = f"{FOLDER}/{name}"
    return Path(
        mlflow.artifacts.download_artifacts(run_id=run, artifact_path=wanted, dst_path=str(folder))
    )


def same(logged: Path, back: Path) -> bool:
    """Whether two files, or all files of two folders, have the same names and bytes."""
    pairs = [(path.relative_to(logged), path) for path in files(logged)]
    names = [path.relative_to(back) for path in files(back)]
    return [name for name, _ in pairs] == names and all(
        filecmp.cmp(path, back / name, shallow=False) for name, path in pairs
    )


def through_vault(history: History, folder: Path) -> tuple[list[int], list[int]]:
    """Log every version, then restore every version.

    Returns:
        The bytes that each version added to the vault, the empty vault's with the first;
        and the versions that came back different.
    """
    vault, tracking = folder / "vault", f"sqlite:///{folder / 'mlflow.db'}"
    experiment = alone(make_experiment, tracking, history.name, vault)
    sizes, runs = [0], []
    for version, copy in staged(history, folder / "source"):
        started = time.monotonic()
        runs.append(alone(log_version, tracking, experiment, copy))
        sizes.append(bytes_below(vault))
        print(f"  vault v{version}  {sizes[-1]:>12,} bytes  {time.monotonic() - started:.1f} s")
    differing = []
    for version, (run, logged) in enumerate(zip(runs, history.paths, strict=True)):
        name = history.recipe.file_name
        back = alone(download_version, tracking, run, name, folder / f"restored-{version}")
        if not same(logged, back):
            differing.append(version)
        shutil.rmtree(folder / f"restored-{version}")
    return [after - before for before, after in pairwise(sizes)], differing


def measure(history: History, arguments: argparse.Namespace) -> Row:
    """Measure *history* in the vault and with the peers that *arguments* ask for."""
    print(f"{history.name}: {history.raw_bytes / 1e6:.1f} MB", flush=True)
    with tempfile.TemporaryDirectory(prefix="stored-bytes-") as name:
        folder = Path(name)
        added, differing = through_vault(history, folder)
        borg = None if arguments.skip_borg else borg_bytes(history, folder)
        restic = restic_bytes(history, folder) if arguments.restic else None
    generations = pairwise(history.paths) if history.name in AGAINST_XOR else ()
    children = [child_bytes(parent, child) for parent, child in generations]
    row = Row(history, added, differing, borg, restic, children)
    print(f"  of borg {' '.join(row.judged.cells)}", flush=True)
    return row


def settings(arguments: argparse.Namespace, rows: list[Row]) -> list[str]:
    """Return the version of each peer of *rows* and how it was set, one a line."""
    pieces = "per tensor the smaller of whole and 1 MiB pieces, no index counted"
    lines = [f"XOR: zstandard, {pieces}"] if any(row.children for row in rows) else []
    if arguments.restic:
        lines.insert(0, f"{tool_version('restic')}, repository format 2")
    if not arguments.skip_borg:
        how = f"`init -e none`, `create {' '.join(BORG_SETTINGS)}`, one archive a version"
        lines.insert(0, f"{tool_version('borg')}, {how}")
    return lines


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--cache", type=Path, default=DEFAULT_CACHE, help="where histories are kept"
    )
    parser.add_argument("--model", type=Path, help="a folder of all-MiniLM-L6-v2")
    parser.add_argument("--only", choices=sorted(RECIPES), action="append", metavar="HISTORY")
    parser.add_argument("--report", choices=sorted(REPORTS), help="the histories of one report")
    parser.add_argument("--skip-borg", action="store_true", help="measure without borg")
    parser.add_argument("--restic", action="store_true", help="measure restic too, for information")
    parser.add_argument("--out", type=Path, help="one report over all that was measured")
    return parser.parse_args(words)


def write(out: Path, title: str, rows: list[Row], arguments: argparse.Namespace) -> None:
    """Write the report over *rows* to *out*."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(markdown(title, rows, settings(arguments, rows)), encoding="utf-8")


def main(words: list[str] | None = None) -> int:
    """Measure, report, and return 1 if a bound was missed or a byte differs."""
    arguments = parse(words)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    workshop = Workshop(arguments.cache, arguments.model)
    chosen = REPORTS.get(arguments.report, RECIPES)
    wanted = arguments.only or list(chosen)
    rows = [measure(ensure(name, workshop), arguments) for name in wanted]
    print(markdown("Stored bytes", rows, settings(arguments, rows)))
    if arguments.out:
        write(arguments.out, "Stored bytes", rows, arguments)
    for name, recipes in REPORTS.items():
        of_it = [row for row in rows if row.history.name in recipes]
        if len(of_it) == len(recipes) and not (arguments.skip_borg or arguments.out):
            write(RESULTS / f"{name}.md", TITLES[name], of_it, arguments)
    failures = [failure for row in rows for failure in row.failures]
    print("\n".join(failures) or "every bound kept, every byte restored")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
