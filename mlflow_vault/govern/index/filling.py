"""Writes what is known of versions into the tables of the index."""

# ruff: noqa: S608 - SQL is made of our own words alone; names and values are bound

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.expression.evaluate import as_number
from mlflow_vault.govern.index.tables import CHILDREN, COLUMNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from mlflow_vault.decide.expression.evaluate import Value
    from mlflow_vault.decide.expression.tree import Field
    from mlflow_vault.govern.host import Held

_TOGETHER: Final = 20_000  # rows of one table that are sorted and written together
_INSERT: Final = (
    f"INSERT OR IGNORE INTO versions (record, {', '.join(COLUMNS)}) "
    f"VALUES (?{', ?' * len(COLUMNS)})"
)
_OF_HELD: Final = (
    "SELECT row FROM versions WHERE name = :name AND number = :number AND held "
    "AND (:digest = '' OR digest = :digest) ORDER BY created DESC, id LIMIT 1"
)
_UNHELD: Final = (
    "SELECT row FROM versions WHERE name = :name AND number = :number AND NOT held "
    "AND (digest IS NULL OR digest = :digest)"
)


class Filling:
    """One change of the index behind *connection*, to what MLflow said with the digest *told*."""

    def __init__(self, connection: sqlite3.Connection, told: str = "") -> None:
        self._connection = connection
        connection.execute("UPDATE meta SET told = ?", (told,))
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in CHILDREN}
        rows = connection.execute("SELECT kind, key, field FROM names")
        self._names: dict[tuple[str, str], int] = {(kind, key): field for kind, key, field in rows}

    def insert(self, values: Mapping[Field, Value], record: str | None) -> int | None:
        """Add a version, and return its row; None if it is there."""
        attributes = {
            field.key: value for field, value in values.items() if field.kind == "attribute"
        }
        row = [record, *map(attributes.get, COLUMNS)]
        added = self._connection.execute(_INSERT, row)
        if added.rowcount == 0 or added.lastrowid is None:
            return None
        self._put(added.lastrowid, values, tags="texts")
        if record is not None:
            self._adopt(added.lastrowid, attributes)
        return added.lastrowid

    def tell(self, row: int, values: Mapping[Field, Value]) -> None:
        """Add to the version in *row* what MLflow says of it."""
        self._put(row, values, tags="live")

    def row_of(self, held: Held) -> int | None:
        """Return the row of the version that the vault holds and MLflow calls *held*, or None."""
        asked = {"name": held.name, "number": held.number, "digest": held.digest}
        found = self._connection.execute(_OF_HELD, asked).fetchone()
        return None if found is None else int(found[0])

    def clear(self, name: str | None, changing: Iterable[Field]) -> None:
        """Drop what MLflow said of the registered model *name*, None for all."""
        which = "SELECT row FROM versions WHERE :name IS NULL OR name = :name"
        asked: dict[str, str | int | None] = {"name": name}
        self._connection.execute(f"DELETE FROM live WHERE version IN ({which})", asked)
        for field in changing:
            self._connection.execute(
                f"DELETE FROM many WHERE field = :field AND version IN ({which})",
                {**asked, "field": self._number(field)},
            )
        self._connection.execute(
            "DELETE FROM versions WHERE NOT held AND (:name IS NULL OR name = :name)", asked
        )

    def drop(self, records: Iterable[str]) -> None:
        """Remove the versions with the keys *records*."""
        self._connection.execute("CREATE TEMP TABLE gone (row INTEGER PRIMARY KEY)")
        self._connection.executemany(
            "INSERT INTO gone SELECT row FROM versions WHERE record = ?",
            ((record,) for record in records),
        )
        for table in CHILDREN:
            self._connection.execute(f"DELETE FROM {table} WHERE version IN (SELECT row FROM gone)")
        self._connection.execute("DELETE FROM versions WHERE row IN (SELECT row FROM gone)")
        self._connection.execute("DROP TABLE gone")

    def _adopt(self, row: int, attributes: Mapping[str, Value]) -> None:
        """Take over what MLflow said before the vault held the version."""
        asked = {key: attributes.get(key) for key in ("name", "number", "digest")}
        for (unheld,) in self._connection.execute(_UNHELD, asked).fetchall():
            for table in ("live", "many"):
                self._connection.execute(
                    f"UPDATE OR IGNORE {table} SET version = ? WHERE version = ?", (row, unheld)
                )
            self._connection.execute("DELETE FROM versions WHERE row = ?", (unheld,))

    def _put(self, row: int, values: Mapping[Field, Value], tags: str) -> None:
        for field, value in values.items():
            if isinstance(value, tuple):
                self._rows["many"] += [(self._number(field), row, one) for one in value]
            elif field.kind == "metric":
                self._rows["numbers"].append((self._number(field), row, value))
            elif field.kind != "attribute":
                table = tags if field.kind == "tag" else "texts"
                self._rows[table].append((self._number(field), row, value, as_number(value)))
        if max(map(len, self._rows.values())) > _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write what was collected; everything else that is written does not need it."""
        for table, rows in self._rows.items():
            if rows:
                places = ", ".join("?" * len(rows[0]))
                rows.sort()  # as they lie in the table
                self._connection.executemany(
                    f"INSERT OR REPLACE INTO {table} VALUES ({places})", rows
                )
                rows.clear()

    def _number(self, field: Field) -> int:
        """Return the number of *field*, a new one if it has none."""
        name = field.kind, field.key
        if name not in self._names:
            added = self._connection.execute("INSERT INTO names (kind, key) VALUES (?, ?)", name)
            self._names[name] = int(added.lastrowid or 0)
        return self._names[name]
