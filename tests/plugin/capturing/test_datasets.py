"""A full digest is of all of the data, and of nothing but the data."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import datasets
import mlflow.data
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.plugin.capturing.canonical import arrow, frames
from mlflow_vault.plugin.capturing.canonical.columns import Column, encode, table_digest
from mlflow_vault.plugin.capturing.datasets import full_digest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
]

ROWS = 12_000


def frame(**columns: Any) -> pd.DataFrame:
    """Return 12,000 rows of every common type, with some columns replaced."""
    numbers = np.arange(ROWS)
    made: dict[str, Any] = {
        "int": numbers.astype("i4"),
        "float": np.where(numbers % 7, numbers / 3, np.nan),
        "flag": numbers % 3 == 0,
        "time": pd.Timestamp("2026-01-01") + pd.to_timedelta(numbers, unit="s"),
        "zone": pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="Europe/Berlin"),
        "text": [None if number % 11 == 0 else f"text {number}" for number in numbers],
        "kind": pd.Categorical(np.where(numbers % 2, "odd", "even")),
        "masked": pd.array([None if number % 5 == 0 else number for number in numbers], "Int64"),
    }
    return pd.DataFrame(made | columns)


WHOLE = frame()


def changed(column: str, row: int, value: Any) -> pd.DataFrame:
    """Return the frame with one value changed."""
    values = WHOLE[column].copy()
    values.iloc[row] = value
    return frame(**{column: values})


@pytest.mark.parametrize(
    "other",
    [
        changed("int", ROWS - 1, 5),
        changed("flag", 4, True),  # noqa: FBT003 - a value of the data
        changed("time", 4, pd.Timestamp("2020-02-02")),
        changed("zone", 4, pd.Timestamp("2020-02-02", tz="Europe/Berlin")),
    ],
    ids=["a late row", "a truth", "a time", "a time in a zone"],
)
def test_beyond_mlflow(other: pd.DataFrame) -> None:
    """Two datasets that MLflow tells apart by nothing have different digests of ours."""
    theirs = {mlflow.data.from_pandas(one).digest for one in (WHOLE, other)}
    ours = {full_digest(mlflow.data.from_pandas(one)) for one in (WHOLE, other)}

    assert (len(theirs), len(ours)) == (1, 2)


@pytest.mark.parametrize(
    "other",
    [
        changed("float", 0, 1.0),
        changed("text", 0, "None"),
        changed("masked", 0, 0),
        changed("text", 1, "text"),
        frame(int=np.arange(ROWS)),
        frame(kind=WHOLE["kind"].astype(str)),
        frame(zone=WHOLE["zone"].dt.tz_convert("UTC")),
        WHOLE.rename(columns={"int": "whole"}),
        WHOLE[WHOLE.columns[::-1]],
        WHOLE.iloc[::-1],
        WHOLE.iloc[:-1],
        WHOLE.set_index("int"),
    ],
)
def test_changes(other: pd.DataFrame) -> None:
    """A value, a type, a name, the order or the number of rows makes another digest."""
    assert full_digest(other) != full_digest(WHOLE)


@pytest.mark.parametrize(
    "same",
    [
        WHOLE.copy(),
        WHOLE.set_axis(WHOLE.index + 7),
        frame(text=WHOLE["text"].astype(object)),
        frame(text=WHOLE["text"].astype("string")),
        frame(time=WHOLE["time"].astype("datetime64[ms]")),
        frame(zone=WHOLE["zone"].dt.as_unit("ns")),
        frame(float=WHOLE["float"].astype(">f8")),
        frame(kind=pd.Categorical(WHOLE["kind"], ["more", "odd", "even"])),
        frame(int=WHOLE["int"].astype(pd.SparseDtype("i4"))),
        frame(int=WHOLE["int"].astype("Int32")),
        frame(text=WHOLE["text"].astype(pd.ArrowDtype(pa.string()))),
    ],
)
def test_same(same: pd.DataFrame) -> None:
    """How a library keeps the data does not show: units, byte order, kinds of text, row numbers."""
    assert full_digest(same) == full_digest(WHOLE)


def test_pinned() -> None:
    """The form is the same everywhere and for ever: red here means that lineage breaks."""
    data = pd.DataFrame(
        {
            "n": np.asarray([1, 2, -3], "i8"),
            "x": [0.5, np.nan, -0.0],
            "t": np.asarray(["2026-01-01", "NaT", "1969-12-31T23:59:59.5"], "M8[ms]"),
            "s": ["é", None, ""],
        }
    )

    assert str(full_digest(data)) == PINNED


PINNED = "b3:b3cf0ca0da3d6816ee072e4648ae3da57a56558a9cd46b0bde70049f334faa29"


def test_elsewhere() -> None:
    """Another process, with another seed of hashes, finds the same digest."""
    script = (
        "import numpy as np; from mlflow_vault.plugin.capturing.datasets import full_digest;"
        "print(full_digest({'b': np.arange(9), 'a': [{'x': 1, 'y': 'z'}, {'w', }.pop()]}))"
    )
    here = full_digest({"a": [{"y": "z", "x": 1}, "w"], "b": np.arange(9)})
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "1"},
    )

    assert done.stdout.strip() == str(here)


# Other libraries.


def test_libraries() -> None:
    """The same table has the same digest in pandas, polars, Arrow and Hugging Face's datasets."""
    columns = {
        "n": np.arange(ROWS, dtype="i2"),
        "flag": np.arange(ROWS) % 2 == 0,
        "text": [f"text {number}" if number % 3 else None for number in range(ROWS)],
        "time": np.arange(ROWS).astype("M8[us]"),
        "list": [np.arange(number % 4, dtype="f4") for number in range(ROWS)],
    }
    table = pa.table(columns)
    polar = pl.from_arrow(pa.Table.from_batches(table.to_batches(max_chunksize=777)))
    face = datasets.Dataset(table)

    found = {
        full_digest(data) for data in (pd.DataFrame(columns), table, polar, face, polar.lazy())
    }

    assert len(found) == 1
    assert full_digest(face.select([1, 0, *range(2, ROWS)])) not in found


def test_arrow_missing() -> None:
    """What is missing in Arrow is missing, whatever lies beneath; that is no NaN, and no zero."""
    columns = [[None, 1.0], [float("nan"), 1.0], [0.0, 1.0]]

    found = {full_digest(pa.table({"x": pa.array(column)})) for column in columns}

    assert len(found) == 3


def test_empty() -> None:
    """No rows is a dataset, too, and its columns count."""
    tables = [WHOLE.iloc[:0], pd.DataFrame(), pd.DataFrame({"int": np.zeros(0, "i4")})]
    schema = pa.schema([("a", pa.int8()), ("b", pa.timestamp("s", "UTC")), ("c", pa.string())])

    found = {full_digest(table) for table in [*tables, schema.empty_table()]}

    assert len(found) == 4
    face = datasets.Dataset(schema.empty_table())
    assert full_digest(face) == full_digest(schema.empty_table())


def test_arrays() -> None:
    """Arrays count by type, shape and values, and a mapping by its names."""
    base = np.arange(24, dtype="f4").reshape(2, 3, 4)
    others: list[Any] = [
        base.reshape(4, 3, 2),
        base.astype("f8"),
        {"a": base},
        {"b": base},
        base.astype(str),
        base.astype("M8[D]"),
        np.asarray(7.0),
        scipy.sparse.csr_matrix(base[0]),
        [[1, 2], [3, 4]],
    ]

    assert len({full_digest(data) for data in [base, *others]}) == 10
    same = np.asfortranarray(base.astype(">f4"))
    assert full_digest(mlflow.data.from_numpy(same)) == full_digest({"features": base})
    with_targets = mlflow.data.from_numpy(base, targets=np.arange(2))
    assert full_digest(with_targets) == full_digest({"features": base, "targets": np.arange(2)})
    shuffled = scipy.sparse.csc_matrix(base[0]).tocoo()
    assert full_digest(shuffled) == full_digest(scipy.sparse.csr_matrix(base[0]))


def test_files(tmp_path: Path) -> None:
    """A file is its bytes, a folder the names and bytes below it."""
    (tmp_path / "in" / "b").mkdir(parents=True)
    (tmp_path / "in" / "b" / "c").write_bytes(b"12")
    (tmp_path / "in" / "a").write_bytes(b"1")
    before = full_digest(tmp_path / "in")
    source = mlflow.data.http_dataset_source.HTTPDatasetSource("https://host/x")

    (tmp_path / "in" / "a").rename(tmp_path / "in" / "d")

    assert full_digest(tmp_path / "in") != before
    assert full_digest(tmp_path / "in" / "d") == type(before).of(b"1")
    for absent in (tmp_path / "none", mlflow.data.meta_dataset.MetaDataset(source)):
        with pytest.raises(InvalidInputError, match=r"cannot be read|is not here to be read"):
            full_digest(absent)


# Values.


@pytest.mark.parametrize("bad", [object(), {1, 2}, pd.Interval(0, 1), [[object()]]])
def test_no_form(bad: Any) -> None:
    """What has no form that lasts is refused, and the message says where and what to do."""
    with pytest.raises(InvalidInputError, match=r"column 'x': a .* has no canonical form; make it"):
        full_digest(pd.DataFrame({"x": pd.Series([bad, 1], dtype=object)}))


def test_too_deep() -> None:
    """Nesting has an end."""
    value: list[Any] = []
    value.append(value)

    with pytest.raises(InvalidInputError, match="deep"):
        full_digest([value])


def test_values() -> None:
    """Values of different types are different, but for what one type stands for."""
    unlike = [
        None, True, 1, 1.5, "1", b"1", 1j, Decimal(1), [1], {"a": 1}, dt.date(2026, 1, 1),
        dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.time(1),  # noqa: DTZ001
        dt.timedelta(1), UUID(int=1), np.zeros(2), np.zeros((1, 2)), np.zeros(2, "f4"), "\udcff",
    ]  # fmt: skip
    alike = [
        (None, float("nan"), pd.NA, pd.NaT),
        (1, np.int8(1)),
        (1.5, np.float32(1.5)),
        ("a", np.str_("a")),
        (b"a", bytearray(b"a")),
        ([1, 2], (1, 2)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (dt.datetime(2026, 1, 1), pd.Timestamp("2026-01-01")),  # noqa: DTZ001
        (dt.timedelta(1), pd.Timedelta(1, "D")),
    ]

    assert len({encode(value) for value in unlike}) == len(unlike)
    assert [len({encode(value) for value in group}) for group in alike] == [1] * len(alike)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@given(rows=st.lists(values, max_size=20), cut=st.integers(0, 20))
def test_pieces(rows: list[Any], cut: int) -> None:
    """A digest does not depend on how the rows are cut into pieces."""
    whole, parts = Column("x", "values"), Column("x", "values")

    whole.add_values(rows)
    parts.add_values(rows[:cut])
    parts.add_values(rows[cut:])

    assert table_digest([whole]) == table_digest([parts])


def test_piece_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows are looked at together does not show."""
    before = full_digest(WHOLE), full_digest(pa.Table.from_pandas(WHOLE))
    for module in (frames, arrow):
        monkeypatch.setattr(module, "_ROWS", 1000)

    assert (full_digest(WHOLE), full_digest(pa.Table.from_pandas(WHOLE))) == before
