"""The canonical form of data, so that equal data has one digest wherever it is computed.

A table is taken column by column, each into three digests that grow with the rows:

    values    fixed width: little-endian bytes; anything else: each value with its type before it
    sizes     how many bytes each such value took; nothing for fixed width
    missing   the numbers of the rows that have none

Neither the library that holds the data nor how it cuts it into pieces shows: text is text, whether
pandas calls it ``object`` or ``str``; a time is an instant in a zone, whatever its unit.  What
could matter to a model does show: order, names, widths of numbers, categories.

Pure: sees values only, and only as many at once as it is given.
"""

from __future__ import annotations

import datetime as dt
import struct
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import numpy as np
from blake3 import blake3

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

DOMAIN: Final = b"mlflow-vault dataset 1\n"
VALUES: Final = "values"  # what has no fixed width
CATEGORY: Final = "category"
_DEEPEST: Final = 32
_INSTANT: Final = np.dtype([("seconds", "<i8"), ("nanoseconds", "<i4")])
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MISSING: Final = frozenset({"NAType", "NaTType", "NoneType"})  # pandas is not imported for them
_WIDEST: Final = 8  # bytes of a number; wider ones differ between machines


@dataclass(slots=True)
class Column:
    """The digests of a column, or of an array, as its values come in.

    Attributes:
        name: What it is called: any value that has a canonical form.
        kind: Of its values, ``i8`` say, with all that is said of them.
        shape: Of the whole array; empty for a column.
        rows: Values so far.
    """

    name: Any
    kind: str
    shape: tuple[int, ...] = ()
    rows: int = 0
    _values: Any = field(default_factory=blake3)
    _sizes: Any = field(default_factory=blake3)
    _missing: Any = field(default_factory=blake3)

    def add_fixed(self, values: Array, missing: Array | None = None) -> None:
        """Take in numbers, truths or times.

        Args:
            values: Of the width that the kind says.
            missing: Where there is none; times and floats may say that themselves.
        """
        values = values.reshape(-1)
        if values.dtype.kind in "Mm":
            missing = np.isnat(values) if missing is None else missing | np.isnat(values)
            values = _instants(values)
        values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        if values.dtype.kind in "fc":
            unknown = np.isnan(values)
            if unknown.any():  # there are many bit patterns for it
                values = np.where(unknown, values.dtype.type(np.nan), values)
                values = values.astype(values.dtype.newbyteorder("<"), copy=False)
        if missing is not None and missing.any():
            values = values.copy()
            values[missing] = np.zeros((), values.dtype)
            self._note_missing(np.flatnonzero(missing))
        self._values.update(values.view(np.uint8).data)
        self.rows += len(values)

    def add_values(self, values: Iterable[Any]) -> None:
        """Take in anything else.

        Raises:
            InvalidInputError: A value has no canonical form.
        """
        try:
            encoded = [
                b"s" + value.encode("utf-8", "surrogatepass")
                if type(value) is str
                else encode(value)
                for value in values
            ]
        except InvalidInputError as error:
            raise InvalidInputError(f"column {self.name!r}: {error}") from error
        absent = [number for number, one in enumerate(encoded) if one == b"n"]
        if absent:
            self._note_missing(np.asarray(absent))
        self._sizes.update(np.fromiter(map(len, encoded), "<u8", len(encoded)).tobytes())
        self._values.update(b"".join(encoded))
        self.rows += len(encoded)

    def _note_missing(self, numbers: Array) -> None:
        self._missing.update((numbers + self.rows).astype("<u8").tobytes())

    def to_bytes(self) -> bytes:
        """Return what stands for this column."""
        parts = [encode(self.name), self.kind.encode(), encode(list(self.shape)), encode(self.rows)]
        parts += [one.digest() for one in (self._values, self._sizes, self._missing)]
        return _framed(parts)


def table_digest(columns: Sequence[Column]) -> Digest:
    """Return the digest of data of these columns, or arrays, in this order."""
    return Digest(blake3(DOMAIN + _framed(column.to_bytes() for column in columns)).digest())


def kind_of(dtype: np.dtype[Any], zone: str = "") -> str:
    """Return the kind of a column of *dtype*; `VALUES` where it has no fixed width.

    >>> [kind_of(np.dtype(name)) for name in ("int32", ">f8", "bool", "M8[ms]", "object")]
    ['i4', 'f8', 'b1', 'instant', 'values']
    """
    if dtype.kind == "M":
        return f"instant {zone}".rstrip()
    if dtype.kind == "m":
        return "duration"
    widest = 2 * _WIDEST if dtype.kind == "c" else _WIDEST
    if dtype.kind in "biufc" and dtype.itemsize <= widest:
        return f"{dtype.kind}{dtype.itemsize}"
    return VALUES


def encode(value: Any, depth: int = 0) -> bytes:
    """Return the canonical bytes of one value, its type before it.

    >>> encode(12), encode("a"), encode(float("nan"))
    (b'i12', b'sa', b'n')

    Raises:
        InvalidInputError: It has none: bytes of an unknown type say nothing that lasts.
    """
    if type(value).__name__ in _MISSING:
        return b"n"
    if isinstance(value, (bool, np.bool_)):
        return b"t" if value else b"f"
    for kinds, spelled in _SPELLED:
        if isinstance(value, kinds):
            said: bytes = spelled(value)
            return said
    if depth > _DEEPEST:
        raise InvalidInputError(f"a value is nested more than {_DEEPEST} deep")
    if isinstance(value, np.ndarray) and kind_of(value.dtype) != VALUES:
        inner = Column("", kind_of(value.dtype), value.shape)
        inner.add_fixed(value)
        return b"a" + inner.to_bytes()
    if isinstance(value, (list, tuple, np.ndarray)):
        return b"l" + _framed(encode(inner, depth + 1) for inner in value)
    if isinstance(value, dict):
        pairs = ((encode(key, depth + 1), encode(inner, depth + 1)) for key, inner in value.items())
        return b"o" + _framed(part for pair in sorted(pairs) for part in pair)
    raise InvalidInputError(
        f"a {type(value).__module__}.{type(value).__qualname__} has no canonical form; make it "
        "text, bytes, a number, a time, or a list or dictionary of these"
    )


def _framed(parts: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack("<Q", len(part)) + part for part in parts)


def _spelled_float(value: Any) -> bytes:
    number = float(value)
    return b"n" if number != number else b"d" + struct.pack("<d", number)  # noqa: PLR0124 - NaN


def _spelled_duration(value: Any) -> bytes:
    whole = (value.days * 86_400 + value.seconds) * 10**6 + value.microseconds
    return b"E%d" % (whole * 1000 + getattr(value, "nanoseconds", 0))


def _spelled_complex(value: Any) -> bytes:
    return b"c" + struct.pack("<dd", value.real, value.imag)


# In this order: a `datetime` is a `date`, too.
_SPELLED: Final[tuple[tuple[Any, Any], ...]] = (
    (str, lambda value: b"s" + value.encode("utf-8", "surrogatepass")),
    ((bytes, bytearray, memoryview), lambda value: b"b" + bytes(value)),
    ((int, np.integer), lambda value: b"i%d" % int(value)),
    ((float, np.floating), _spelled_float),
    ((complex, np.complexfloating), _spelled_complex),
    (Decimal, lambda value: b"m" + str(value).encode()),
    (dt.datetime, lambda value: b"T" + value.isoformat().encode()),
    (dt.date, lambda value: b"D" + value.isoformat().encode()),
    (dt.time, lambda value: b"H" + value.isoformat().encode()),
    (dt.timedelta, _spelled_duration),
    (UUID, lambda value: b"u" + value.bytes),
)


def _instants(times: Array) -> Array:
    """Return times or durations as seconds and nanoseconds, whatever their unit.

    Raises:
        InvalidInputError: They are finer than that.
    """
    unit, step = np.datetime_data(times.dtype)
    if unit in {"ps", "fs", "as", "generic"}:
        raise InvalidInputError(f"times in {unit} have no canonical form; make them [ns]")
    if unit not in _PER_SECOND or step != 1:
        exact = unit if unit in _PER_SECOND else "s"
        times = times.astype(f"{times.dtype.kind}8[{exact}]")
    per = _PER_SECOND[np.datetime_data(times.dtype)[0]]
    counts = np.ascontiguousarray(times, times.dtype.newbyteorder("=")).view("i8")
    made = np.empty(len(counts), _INSTANT)
    made["seconds"], part = np.divmod(counts, per)
    made["nanoseconds"] = part * (10**9 // per)
    return made
