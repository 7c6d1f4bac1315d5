"""Columns of Arrow's tables, which polars and Hugging Face's datasets are made of.

Arrow is imported at the first use: whoever has such data has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.plugin.capturing.canonical.columns import CATEGORY, VALUES, Column, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROWS: Final = 16_384  # looked at together; the digest does not depend on it


def of_arrow(table: Any) -> Iterable[Column]:
    """Yield the columns of a table."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        yield of_chunks(name, [column])


def of_hugging_face(dataset: Any) -> Iterable[Column]:
    """Yield the columns of a dataset, read piece by piece: it may be larger than memory."""
    plain = dataset.with_format("arrow")
    for name in dataset.column_names:
        only = plain.select_columns([name])
        batches = only.iter(batch_size=_ROWS)
        kind = only.features.arrow_schema.field(name).type
        yield of_chunks(name, (batch.column(name) for batch in batches), kind)


def of_chunks(name: Any, arrays: Iterable[Any], kind: Any = None) -> Column:
    """Take in arrays of Arrow of one type, which is *kind* where there may be none of them."""
    column: Column | None = None
    for array in arrays:
        kind = array.type
        column = column or Column(name, _arrow_kind(kind))
        for start in range(0, len(array), _ROWS):
            _add_arrow(column, array.slice(start, _ROWS))
    if column is None:
        column = Column(name, _arrow_kind(kind))
    return column


def _arrow_kind(kind: Any) -> str:
    from pyarrow import types  # noqa: PLC0415 - whoever has such data has it

    if types.is_dictionary(kind):
        return CATEGORY
    if types.is_timestamp(kind):
        return kind_of(np.dtype("M8[s]"), str(kind.tz or ""))
    if types.is_duration(kind):
        return kind_of(np.dtype("m8[s]"))
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return kind_of(np.dtype(kind.to_pandas_dtype()))
    return VALUES


def _add_arrow(column: Column, array: Any) -> None:
    import pyarrow as pa  # noqa: PLC0415 - as above

    if hasattr(array, "combine_chunks"):
        array = array.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # of nothing
        return
    if column.kind in {VALUES, CATEGORY}:
        column.add_values(map(_of_scalar, array))
        return
    missing = array.is_null().to_numpy(zero_copy_only=False)
    kind = array.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        letter = "M" if pa.types.is_timestamp(kind) else "m"
        counts = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        column.add_fixed(counts.view(f"{letter}8[{kind.unit}]"), missing)
        return
    column.add_fixed(_filled(array), missing)


def _filled(array: Any) -> Any:
    if array.null_count:
        array = array.fill_null(False if str(array.type) == "bool" else 0)
    return array.to_numpy(zero_copy_only=False)


def _of_scalar(scalar: Any) -> Any:
    """Return a value of Arrow's; a list of numbers as an array, as pandas has it from Parquet."""
    inner = getattr(scalar, "values", None)
    if inner is None or callable(inner) or inner.null_count:
        return scalar.as_py()
    if kind_of(np.dtype(_numpy_type(inner.type))) == VALUES:
        return scalar.as_py()
    return inner.to_numpy(zero_copy_only=False)


def _numpy_type(kind: Any) -> Any:
    try:
        return kind.to_pandas_dtype()
    except NotImplementedError:
        return object
