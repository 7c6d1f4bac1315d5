"""Digests of all of a dataset, for lineage that can be believed.

MLflow's own digest of a dataset is the first eight digits of an MD5 over the first 10,000 rows,
and leaves out columns of truths and times: two different datasets can share it.  Ours is over all
rows and columns in their canonical form (`canonical`), and goes along as a tag of the input:

    log_input(dataset, context="training")  -->  mlflow.log_input(..., tags={mlflow_vault.digest})

Columns count in their order, with their names and types; rows in theirs.  An index of pandas
counts if it has a name or is not made of integers: numbers of rows are not data.  Which column is
the target does not count.

What is not here, a table of Spark or a file on a server, is not fetched to be read.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import mlflow
import numpy as np
from blake3 import blake3

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest
from mlflow_vault.plugin.capturing.canonical.arrow import of_arrow, of_hugging_face
from mlflow_vault.plugin.capturing.canonical.columns import Column, table_digest
from mlflow_vault.plugin.capturing.canonical.frames import of_arrays, of_pandas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlflow.data.dataset import Dataset
    from mlflow.entities import LoggedModelInput

TAG: Final = "mlflow_vault.digest"
_READ: Final = 1024 * 1024


def log_input(
    dataset: Dataset | None = None,
    context: str | None = None,
    tags: Mapping[str, str] | None = None,
    model: LoggedModelInput | None = None,
) -> None:
    """Log a dataset as `mlflow.log_input` does, with the digest of all of it.

    Args:
        dataset: Made by one of `mlflow.data.from_...`.
        context: What it is used for, ``training`` say.
        tags: More tags of this input.
        model: A model that the run takes as input.

    Raises:
        InvalidInputError: The data has no canonical form, or is not here; use
            `mlflow.log_input`, and lineage knows it by MLflow's digest alone.
    """
    told = dict(tags or {})
    if dataset is not None:
        told[TAG] = str(full_digest(dataset))
    mlflow.log_input(dataset, context=context, tags=told or None, model=model)


def full_digest(dataset: Any) -> Digest:
    """Return the digest of all that *dataset* holds.

    Args:
        dataset: A dataset of MLflow's, a frame of pandas or polars, a table of Arrow, a dataset of
            Hugging Face's, an array of numpy or a mapping of arrays, or the `Path` of a file or
            folder.

    Raises:
        InvalidInputError: It is none of these, a value in it has no canonical form, or the data
            is not here.
    """
    held = _held(dataset)
    if isinstance(held, Path):
        return _files_digest(held)
    return table_digest(list(_columns(held)))


def _held(dataset: Any) -> Any:
    """Return the data that a dataset of MLflow's stands for; anything else as it is."""
    base = getattr(sys.modules.get("mlflow.data.dataset"), "Dataset", None)
    if base is None or not isinstance(dataset, base):
        return dataset
    for name in ("df", "ds"):
        held = getattr(dataset, name, None)
        if held is not None:
            return held
    if getattr(dataset, "features", None) is not None:
        targets = getattr(dataset, "targets", None)
        named = {"features": dataset.features}
        return named if targets is None else {**named, "targets": targets}
    uri = getattr(dataset.source, "uri", None) or getattr(dataset.source, "_uri", "")
    parts = urlsplit(str(uri))
    if parts.path and parts.scheme in {"", "file"}:
        return Path(unquote(parts.path) if parts.scheme else str(uri))
    raise InvalidInputError(
        f"the data of {dataset.name!r} is not here to be read ({type(dataset).__name__}, source "
        f"{type(dataset.source).__name__}); read it and give it to mlflow.data.from_pandas, say"
    )


def _columns(held: Any) -> Iterable[Column]:
    module = type(held).__module__.split(".")[0]
    if module == "pandas":
        return of_pandas(held.to_frame() if hasattr(held, "to_frame") else held)
    if module == "polars":
        held = held.collect() if type(held).__name__ == "LazyFrame" else held
        return of_arrow((held.to_frame() if hasattr(held, "to_frame") else held).to_arrow())
    if module == "pyarrow" and hasattr(held, "column_names"):
        return of_arrow(held)
    if module == "datasets" and hasattr(held, "with_format"):
        return of_hugging_face(held)
    if isinstance(held, (np.ndarray, dict, list, tuple)) or module == "scipy":
        return of_arrays("", held)
    raise InvalidInputError(
        f"{type(held).__module__}.{type(held).__qualname__} is no data that can be read here; "
        "give a frame of pandas or polars, a dataset of Hugging Face's, arrays or a path"
    )


def _files_digest(path: Path) -> Digest:
    """Return the digest of a file's bytes, or of the names and bytes of all below a folder."""
    if not path.is_dir():
        return Digest(_file_digest(path))
    column = Column("", "files")
    for file in sorted(path.rglob("*"), key=lambda one: one.relative_to(path).parts):
        if file.is_file():
            column.add_values([file.relative_to(path).as_posix(), _file_digest(file)])
    return table_digest([column])


def _file_digest(path: Path) -> bytes:
    hasher = blake3()
    try:
        with path.open("rb") as file:
            while piece := file.read(_READ):
                hasher.update(piece)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from error
    return hasher.digest()
