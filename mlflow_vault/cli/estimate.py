"""What a vault would store of somebody's own files, found out by doing it.

A formula would flatter: what is shared between versions depends on every byte.  So the files
go through the real engine into a temporary vault, one version after another as training would
log them, and what each adds on the disk is counted.  The vault is removed whatever happens.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.cli.answer import Answer, share_text, shown, size_text, table
from mlflow_vault.cli.disk import measure
from mlflow_vault.decide.families import series_of
from mlflow_vault.errors import InvalidInputError, NotFoundError, StorageError
from mlflow_vault.format import layout
from mlflow_vault.progress import progress_bar
from mlflow_vault.store.address import Address
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

ARTIFACTS: Final = "artifacts"  # what MLflow calls the folder of a run's or a model's files
_PREFIX: Final = "mlflow-vault-estimate-"


@dataclass(frozen=True, slots=True)
class Part:
    """A file or folder, and where in the vault MLflow would have put it."""

    source: Path
    path: str


@dataclass(frozen=True, slots=True)
class Step:
    """What is logged before the next look at the disk: a version, or an experiment.

    Attributes:
        name: For people.
        parts: In the order in which they are logged.
        files: How many files that is.
        size: Their bytes.
    """

    name: str
    parts: tuple[Part, ...]
    files: int
    size: int

    @classmethod
    def of(cls, name: str, parts: Sequence[Part]) -> Step:
        """Look at *parts* on the disk."""
        sizes = [measure(part.source) for part in parts]
        files, size = (sum(column) for column in zip(*sizes, strict=True))
        return cls(name, tuple(parts), files, size)


def estimate(arguments: Namespace) -> Answer:
    """Say what a vault would store of files, and store nothing.

    Raises:
        InvalidInputError: A path is neither a file nor a folder, is a vault, or has no files.
        StorageError: There is no room for the temporary vault.
    """
    steps = plan_steps(arguments.paths)
    raw = sum(step.size for step in steps)
    stored: list[int] = []
    with (
        _temporary_vault(arguments.tmp, arguments.paths) as (vault, folder),
        progress_bar("estimating", raw, visible=False if arguments.no_progress else None) as bar,
    ):
        before = 0
        started = time.monotonic()
        for step in steps:
            for part in step.parts:
                if part.source.is_dir():
                    vault.write_folder(part.source, part.path, progress=bar)
                else:
                    vault.write_file(part.source, part.path, progress=bar)
            after = measure(folder)[1]
            stored.append(after - before)
            before = after
        seconds = time.monotonic() - started
        by_coding = vault.stats().by_coding
    return _answer(steps, stored, by_coding, seconds)


def plan_steps(paths: Sequence[Path]) -> list[Step]:
    """Say what to log in which order: versions, or the experiments of one existing folder.

    Raises:
        InvalidInputError: A path is neither a file nor a folder, is a vault, or has no files.
    """
    for path in paths:
        if not path.is_dir() and not path.is_file():
            raise InvalidInputError(f"{path} is neither a file nor a folder")
        if (path / layout.VAULT).exists():
            raise InvalidInputError(f"{path} is a vault; see: mlflow-vault stats {path}")
    if len(paths) == 1 and paths[0].is_dir():
        steps = list(_experiments(paths[0]))
    else:
        steps = [_version(number, path, paths[0]) for number, path in enumerate(paths)]
    steps = [step for step in steps if step.files]
    if not steps:
        raise InvalidInputError(f"there are no files at {', '.join(map(str, paths))}")
    return steps


def _version(number: int, path: Path, first: Path) -> Step:
    """Give a version a run of its own; what continues the first file has its name."""
    target = f"0/{number:032x}/{ARTIFACTS}"
    if path.is_file():
        continues = first.is_file() and first.suffix == path.suffix
        target = f"{target}/{first.name if continues else path.name}"
    return Step.of(str(path), [Part(path, target)])


def _experiments(root: Path) -> Iterator[Step]:
    """Find what MLflow laid out below *root*, oldest first; all of it where MLflow did not.

    MLflow's own notes, which a file store keeps beside the artifacts, are no artifacts.
    """
    experiments: dict[str, list[tuple[float, Part]]] = {}
    for folder, inner, _ in os.walk(root):
        if ARTIFACTS in inner:
            inner.remove(ARTIFACTS)
            source = Path(folder) / ARTIFACTS
            path = source.relative_to(root).as_posix()
            name = series_of(f"{path}/").partition("|")[0]
            found = experiments.setdefault(name or root.name, [])
            found.append((source.stat().st_mtime, Part(source, path)))
    if not experiments:
        yield Step.of(str(root), [Part(root, "")])
        return
    for found in experiments.values():
        found.sort(key=lambda dated: dated[0])
    for name, found in sorted(experiments.items(), key=lambda item: item[1][0][0]):
        yield Step.of(name, [part for _, part in found])


@contextmanager
def _temporary_vault(place: Path | None, paths: Sequence[Path]) -> Iterator[tuple[Vault, Path]]:
    """Make a vault that is gone afterwards."""
    try:
        temporary = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place)
    except FileNotFoundError as cause:
        raise NotFoundError(f"there is no folder {place} to make a vault in") from cause
    except OSError as cause:
        raise StorageError(f"no vault can be made in {place}: {cause.strerror}") from cause
    with temporary as name:
        folder = Path(name).resolve() / "vault"
        for path in paths:
            if path.resolve() in folder.parents:
                raise InvalidInputError(f"{name} lies in {path}; choose another place: --tmp")
        yield Vault.init(str(Address.of_path(folder))), folder


def _answer(
    steps: Sequence[Step], stored: Sequence[int], by_coding: dict[str, int], seconds: float
) -> Answer:
    raw, kept = sum(step.size for step in steps), sum(stored)
    rows = [
        (shown(step.name), f"{step.files:,}", *_figures(step.size, added))
        for step, added in zip(steps, stored, strict=True)
    ]
    files = sum(step.files for step in steps)
    rows.append(("total", f"{files:,}", *_figures(raw, kept)))
    lines = table(("", "files", "now", "vault", "share"), rows)
    lines += ["", f"{seconds:.1f} s, {size_text(raw / max(seconds, 1e-3))}/s; nothing was kept"]
    values = {
        "steps": [
            {"name": step.name, "files": step.files, "raw": step.size, "stored": added}
            for step, added in zip(steps, stored, strict=True)
        ],
        "files": files,
        "raw": raw,
        "stored": kept,
        "saved": 1 - kept / raw if raw else 0.0,
        "by_coding": by_coding,
        "seconds": round(seconds, 3),
    }
    return Answer(values, lines)


def _figures(raw: int, stored: int) -> tuple[str, str, str]:
    return size_text(raw), size_text(stored), share_text(stored, raw)
