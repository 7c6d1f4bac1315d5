"""Finds versions by what is known of them, among a hundred thousand, in a fraction of a second.

An embedded SQLite file, derived from the records in the vault and from MLflow, and never the truth:
it answers with ids, and whoever wants a version reads its record.

    index = Index.open(place_of(os.environ, vault_id), vault_id)
    sync(index, list_keys, read_version)      # what the vault holds
    index.refresh(host.registered())          # what people changed in MLflow
    index.search("metrics.f1 > 0.9", order_by=["metrics.f1 DESC"])

Versions that MLflow has and the vault has not are found, too: ``held`` is false for them, and their
id is their reference.
"""

# ruff: noqa: S608 - SQL is made of our own words alone; names and values are bound

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.expression.parser import parse
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.layout import record_key
from mlflow_vault.govern.index.compiling import Compiler
from mlflow_vault.govern.index.file import File
from mlflow_vault.govern.index.filling import Filling
from mlflow_vault.govern.index.known import ALIAS, STAGE, mutable, recorded, told
from mlflow_vault.govern.index.order import (
    Order,
    Place,
    Sorted,
    parse_order,
    question,
    read_token,
    spell_token,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.host import Held

MAX_RESULTS: Final = 50_000  # of one page, as MLflow has it
MAX_ORDERS: Final = 16
_ASKED: Final = 500  # ids in one question: SQLite takes 999 values


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what a search found.

    Attributes:
        ids: Of versions; of those that the vault does not hold, MLflow's references.
        token: With which the next page is asked for; empty if this is the last.
    """

    ids: tuple[str, ...]
    token: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)


class Index:
    """What is known of all versions of one vault; for many threads and processes."""

    def __init__(self, file: File, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock

    def __repr__(self) -> str:
        return f"Index({self._file!r})"

    @classmethod
    def open(cls, path: Path | None, vault: str, clock: Callable[[], float] = time.time) -> Index:
        """Open the index of the vault with the id *vault* at *path*, or in memory.

        An index that is not sound, or another vault's, is made again, empty.
        """
        return cls(File(path, vault), clock)

    def __len__(self) -> int:
        with self._file.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM versions").fetchone()[0])

    def keys(self) -> set[str]:
        """Return the keys of the records that are indexed."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT record FROM versions WHERE record IS NOT NULL")
            return {key for (key,) in rows}

    def records(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the keys of the records of those of *ids* that the vault holds."""
        found: dict[str, str] = {}
        with self._file.reading() as connection:
            for at in range(0, len(ids), _ASKED):
                some = ids[at : at + _ASKED]
                these = f"record IS NOT NULL AND id IN ({', '.join('?' * len(some))})"
                rows = connection.execute(f"SELECT id, record FROM versions WHERE {these}", some)
                found |= dict(rows)
        return found

    def add(self, versions: Iterable[Version]) -> None:
        """Index *versions* that the vault holds; one that is there is left as it is."""
        given = list(versions)  # before others have to wait
        with self._file.changing() as connection:
            filling = Filling(connection)
            for version in given:
                key = record_key(version.digest, version.id)
                filling.insert(recorded(version), key)
            filling.flush()

    def refresh(self, held: Iterable[Held], name: str | None = None) -> None:
        """Take over what MLflow says now, instead of what it said before.

        Where it says the same of the same versions, nothing is written.

        Args:
            held: Every model version of MLflow's, or of one registered model.
            name: That registered model; None if *held* are all.
        """
        given = list(held)  # before others have to wait: MLflow may take its time
        said = _digest(given) if name is None else ""
        with self._file.reading() as connection:
            if said and connection.execute("SELECT told FROM meta").fetchone() == (said,):
                return
        with self._file.changing() as connection:
            filling = Filling(connection, said)
            filling.clear(name, (ALIAS, STAGE))
            for one in given:
                row = filling.row_of(one)
                if row is None:
                    row = filling.insert(told(one), None)
                if row is not None:
                    filling.tell(row, mutable(one))
            filling.flush()

    def forget(self, keys: Collection[str]) -> None:
        """Drop the versions whose records have these *keys*; MLflow may still have them."""
        with self._file.changing() as connection:
            Filling(connection).drop(keys)

    def search(
        self,
        filter_string: str = "",
        *,
        order_by: Sequence[str] = (),
        max_results: int = 1000,
        page_token: str | None = None,
    ) -> Page:
        """Return the versions that fit *filter_string*.

        Args:
            filter_string: A filter, see `decide.expression`; empty for all.
            order_by: ``metrics.f1 DESC``, ``name ASC``, ...; the newest first where that is equal.
            max_results: How many at most.
            page_token: What the page before said.

        Raises:
            InvalidInputError: One of those is not what it should be.
        """
        if not 0 < max_results <= MAX_RESULTS:
            raise InvalidInputError(f"max_results is 1 to {MAX_RESULTS:,}, not {max_results!r}")
        if isinstance(order_by, str) or len(order_by) > MAX_ORDERS:
            raise InvalidInputError(f"order_by is a list of at most {MAX_ORDERS} texts")
        orders = [parse_order(text) for text in order_by]
        asked = question(filter_string, orders)
        place = Place(int(self._clock() * 1000), [])
        if page_token:
            place = read_token(page_token, asked, 2 * len(orders) + 2)
        compiler = Compiler(place.now)
        condition = compiler.condition(parse(filter_string))
        sql = _select(compiler, condition, orders, place.after)
        with self._file.reading() as connection:
            rows = connection.execute(
                f"{sql} LIMIT {compiler.bind(max_results + 1)}", compiler.values
            ).fetchall()
        return _page(rows, max_results, asked, place.now)


def _digest(held: Iterable[Held]) -> str:
    """Return a digest of all that MLflow said, in any order."""
    return str(Digest.of("\n".join(sorted(map(repr, held))).encode("utf-8", "surrogatepass")))


def _page(rows: list[tuple[Any, ...]], max_results: int, asked: str, now: int) -> Page:
    ids = tuple(row[-1] for row in rows[:max_results])
    if len(rows) <= max_results:
        return Page(ids)
    return Page(ids, spell_token(asked, Place(now, list(rows[max_results - 1]))))


def _select(compiler: Compiler, condition: str, orders: Sequence[Order], after: Sorted) -> str:
    """Return SQL for all that fit, sorted, behind the row that was sorted by *after*."""
    columns: list[tuple[str, bool]] = []  # SQL, and whether it descends
    for order in orders:
        columns.append((compiler.rank(order.field), False))
        columns.append((compiler.scalar(order.field, numeric=False), order.descending))
    columns += [("coalesce(v.created, 0)", True), ("v.id", False)]
    named = ", ".join(f"{sql} AS s{at}" for at, (sql, _) in enumerate(columns))
    rows = f"SELECT {named} FROM versions AS v WHERE {condition}"
    descends = [down for _, down in columns]
    order_by = ", ".join(f"s{at}{' DESC' if down else ''}" for at, down in enumerate(descends))
    behind = _behind(compiler, descends, after) if after else "1"
    return f"SELECT * FROM ({rows}) WHERE {behind} ORDER BY {order_by}"


def _behind(compiler: Compiler, descends: Sequence[bool], after: Sorted) -> str:
    """Return SQL for the rows that come after the one that was sorted by *after*."""
    places = [compiler.bind(value) for value in after]
    ways = []
    for at, down in enumerate(descends):
        same = [f"s{before} IS {places[before]}" for before in range(at)]
        ways.append(" AND ".join([*same, f"s{at} {'<' if down else '>'} {places[at]}"]))
    return " OR ".join(f"({way})" for way in ways)
