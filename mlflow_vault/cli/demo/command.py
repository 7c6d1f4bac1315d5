"""The command ``demo``: makes room, keeps MLflow quiet, prints the table."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.cli.answer import Answer, share_text, size_text, table
from mlflow_vault.errors import InvalidInputError, UnsupportedError
from mlflow_vault.progress import progress_bar

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from mlflow_vault.cli.demo.rehearsal import Row

_NEEDED: Final = ("sqlalchemy", "sklearn", "skops")  # SQLAlchemy: all of MLflow, not the skinny one
_SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # a demonstration sends nothing
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",  # a machine without git is fine
}
_PER_VERSION: Final = 8  # steps of progress: four kinds, logged and compared


def demo(arguments: Namespace) -> Answer:
    """Train, log, load back and compare.

    Raises:
        UnsupportedError: The extra is not installed.
        InvalidInputError: The folder to keep holds something.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UnsupportedError(
            f"the demo needs {', '.join(missing)}: pip install 'mlflow-vault[demo]'"
        )
    os.environ.update(_SETTINGS)
    started = time.monotonic()
    with (
        _folder(arguments.keep) as folder,
        progress_bar(
            "training and comparing",
            arguments.versions * _PER_VERSION,
            unit="step",
            visible=False if arguments.no_progress else None,
        ) as progress,
    ):
        rehearsal = import_module("mlflow_vault.cli.demo.rehearsal")  # extra: demo
        for name in ("mlflow", "alembic"):  # both set their levels when MLflow is imported
            logging.getLogger(name).setLevel(logging.ERROR)
        rows: list[Row] = rehearsal.rehearse(folder, arguments.versions, progress)
    return _answer(rows, arguments.keep, time.monotonic() - started)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="mlflow-vault-demo-") as name:
            yield Path(name).resolve()
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise InvalidInputError(f"{keep} is not empty; give a new folder")
    yield keep.resolve()


def _answer(rows: Sequence[Row], keep: Path | None, seconds: float) -> Answer:
    raw, stored = sum(row.raw for row in rows), sum(row.stored for row in rows)
    good = all(row.is_good for row in rows)
    lines = table(
        ("model", "version", "MLflow alone", "vault", "share", "came back"),
        [
            *(
                (
                    row.title,
                    str(row.version),
                    *_figures(row.raw, row.stored),
                    "every byte" if row.is_good else "NOT WHOLE",
                )
                for row in rows
            ),
            ("total", "", *_figures(raw, stored), "every byte" if good else "NOT WHOLE"),
        ],
    )
    files = sum(row.files for row in rows)
    lines += [
        "",
        f"Downloaded {files:,} files and compared them with what MLflow alone stored;",
        f"loaded {len(rows)} models and compared what they predict:",
        f"{'all the same' if good else 'NOT all the same'}, after {seconds:.0f} s.",
    ]
    for row in rows:
        lines += [f"{row.title}, version {row.version}: {name} differs" for name in row.differing]
        if not row.same_predictions:
            lines.append(f"{row.title}, version {row.version}: other predictions")
    if keep is not None:
        lines.append(f"Kept in {keep}: mlflow.db, vault/, and plain/, which is MLflow alone")
    values = {
        "versions": [
            {
                "model": row.title,
                "version": row.version,
                "raw": row.raw,
                "stored": row.stored,
                "files": row.files,
                "differing": list(row.differing),
                "same_predictions": row.same_predictions,
            }
            for row in rows
        ],
        "raw": raw,
        "stored": stored,
        "saved": 1 - stored / raw,
        "is_whole": good,
        "seconds": round(seconds, 1),
    }
    return Answer(values, lines, good)


def _figures(raw: int, stored: int) -> tuple[str, str, str]:
    return size_text(raw), size_text(stored), share_text(stored, raw)
