"""Columns of pandas' frames, and arrays of numpy and scipy.

None of pandas' types are imported: what a column is, it says itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.plugin.capturing.canonical.arrow import of_chunks
from mlflow_vault.plugin.capturing.canonical.columns import CATEGORY, VALUES, Column, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROWS: Final = 16_384  # looked at together; the digest does not depend on it


def of_arrays(name: str, held: Any) -> Iterable[Column]:
    """Yield an array or a list, all that a mapping holds, or the parts of a sparse matrix."""
    if isinstance(held, dict):
        for key in sorted(held, key=str):
            yield from of_arrays(f"{name}/{key}", held[key])
        return
    if type(held).__module__.split(".")[0] == "scipy":
        rows = held.tocsr(copy=True)
        rows.sum_duplicates()
        for part in ("indptr", "indices", "data"):
            array = getattr(rows, part)
            array = array if part == "data" else array.astype("i8")
            yield _of_array(f"{name}/{part} of {rows.shape}", array)
        return
    if isinstance(held, np.ndarray):
        yield _of_array(name, held)
        return
    column = Column(name, VALUES)
    column.add_values(held)
    yield column


def _of_array(name: str, array: Any) -> Column:
    kind = kind_of(array.dtype)
    column = Column(name, kind, array.shape)
    flat = array.reshape(1) if array.ndim == 0 else array
    step = max(1, _ROWS // max(1, flat[:1].size))
    for start in range(0, len(flat), step):
        piece = flat[start : start + step]
        if kind == VALUES:
            column.add_values(piece.reshape(-1).tolist())
        else:
            column.add_fixed(piece)
    return column


def of_pandas(frame: Any) -> Iterable[Column]:
    """Yield the columns of a frame.

    Its index counts if it has a name, several levels, or is not of integers: numbers of
    rows are not data.
    """
    for level in range(frame.index.nlevels):
        values = frame.index.get_level_values(level)
        numbers = frame.index.nlevels == 1 and values.dtype.kind in "iu"
        if values.name is not None or not numbers:
            yield _of_series(["index", values.name], values.to_series())
    for number, name in enumerate(frame.columns):
        yield _of_series(name, frame.iloc[:, number])


def _of_series(name: Any, series: Any) -> Column:
    dtype = series.dtype
    if hasattr(dtype, "pyarrow_dtype"):
        return of_chunks(name, [series.array.__arrow_array__()])
    if hasattr(dtype, "fill_value"):  # sparse
        series = series.sparse.to_dense()
        dtype = series.dtype
    if hasattr(dtype, "categories"):
        column = Column(name, CATEGORY)
    elif hasattr(dtype, "tz"):
        column = Column(name, kind_of(np.dtype("M8[s]"), str(dtype.tz)))
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    else:
        plain = getattr(dtype, "numpy_dtype", dtype)
        column = Column(name, kind_of(plain) if isinstance(plain, np.dtype) else VALUES)
    for start in range(0, len(series), _ROWS):
        piece = series.iloc[start : start + _ROWS]
        if column.kind in {VALUES, CATEGORY}:
            column.add_values(piece.astype(object).tolist())
        elif hasattr(dtype, "numpy_dtype"):  # with a mask of its own
            missing = piece.isna().to_numpy()
            column.add_fixed(piece.to_numpy(dtype.numpy_dtype, na_value=0), missing)
        else:
            column.add_fixed(piece.to_numpy())
    return column
