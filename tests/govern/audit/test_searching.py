"""The log is searched by what an entry says, exported whole, and replayed up to a moment."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action, Actor, LogEntry, Subject
from mlflow_vault.govern.audit.searching import COLUMNS, Query, search, to_csv, to_jsonl
from mlflow_vault.govern.audit.standing import at
from mlflow_vault.testing.stores import CountingStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.govern.audit.log import Log
    from mlflow_vault.store.protocol import Store

    Open = Callable[[Store], Log]
    Append = Callable[..., LogEntry]

START = datetime.fromtimestamp(1_764_000_000, UTC)
BOB = Actor("bob")


@pytest.fixture
def filled(log: Log, append: Append) -> Log:
    """Five entries, a second apart."""
    append(log, 1)
    append(log, 2, actor=BOB)
    append(log, action=Action.DELETE_REFUSED, actor=BOB, subject=Subject("path", "7/x"))
    append(log, action=Action.SYNC, subject=Subject("version", "Größe", Digest.of(b"x")))
    append(log, 3, before={"note": "Say=1"})
    return log


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), [0, 1, 2, 3, 4]),
        (Query(action="commit"), [0, 1, 4]),
        (Query(actor="bob"), [1, 2]),
        (Query(actor="bob", action=Action.COMMIT), [1]),
        (Query(subject="fraud"), [0, 1, 4]),
        (Query(subject=str(Digest.of(b"2"))), [1]),
        (Query(subject="frau"), []),
        (Query(text="GRÖSSE"), [3]),
        (Query(text="größe"), [3]),
        (Query(text="say=1"), [4]),
        (Query(since=START + timedelta(seconds=3)), [3, 4]),
        (Query(until=START + timedelta(seconds=3)), [0, 1, 2]),
        (Query(since=START + timedelta(seconds=1), until=START + timedelta(seconds=2)), [1]),
    ],
)
def test_search(filled: Log, query: Query, expected: list[int]) -> None:
    """Entries are found that fit everything that is given."""
    assert [entry.sequence for entry in search(filled, query)] == expected


def test_limit(filled: Log, open_log: Open) -> None:
    """A search ends where enough is found."""
    store = CountingStore(filled.store)

    found = list(search(open_log(store), Query(actor="bob"), limit=1))

    assert [entry.sequence for entry in found] == [1]


def test_naive_times(filled: Log) -> None:
    """A time without a zone means something else everywhere, and is refused."""
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - what is refused
    with pytest.raises(InvalidInputError, match="time zone"):
        Query(since=naive)
    with pytest.raises(InvalidInputError, match="time zone"):
        at(filled.entries(), naive)


def test_jsonl(filled: Log) -> None:
    """A line of JSON is what is stored, to the byte."""
    lines = "".join(to_jsonl(filled.entries())).splitlines()

    assert [line.encode() for line in lines] == [entry.to_bytes() for entry in filled.entries()]


def test_csv(filled: Log, append: Append) -> None:
    """Every entry is a row, and no cell is a formula."""
    append(
        filled,
        actor=Actor("=cmd|' /C calc'!A0"),
        subject=Subject("@x", 'a "b",\nc'),
        before=-1,
        after="+2",
    )
    text = "".join(to_csv(filled.entries()))
    rows = list(csv.DictReader(io.StringIO(text)))

    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 6
    assert rows[0]["time"] == "2025-11-24T16:00:00.000+00:00"
    assert (rows[0]["actor"], rows[0]["verified"], rows[1]["verified"]) == ("ann", "true", "false")
    assert json.loads(rows[0]["after"]) == {"number": 1}
    last = rows[-1]
    assert last["actor"].startswith("'=")
    assert last["kind"] == "'@x"
    assert last["name"] == 'a "b",\nc'
    assert last["before"] == "'-1"
    assert not any(cell[:1] in "=+-@\t\r" for row in rows for cell in row.values() if cell)


def _aliases(**numbers: int | None) -> dict[str, Any]:
    return {"aliases": numbers}


def _moment(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_at(log: Log, append: Append) -> None:
    """What stood at a moment is what entries until then left, and who had set it."""
    model = Subject("model", "fraud")
    append(log, 1)
    append(log, 2)
    append(log, action=Action.PROMOTE, subject=model, after=_aliases(production=1, staging=2))
    append(log, action=Action.PROMOTE, actor=BOB, subject=model, after=_aliases(production=2))
    append(log, action=Action.ROLL_BACK, subject=model, after=_aliases(production=1, staging=None))

    before, then, now = (at(log.entries(), _moment(second)) for second in (1.5, 3, 9))

    assert (before.entries, then.entries, now.entries) == (2, 4, 5)
    assert sorted(before.models["fraud"].versions) == [1, 2]
    assert before.models["fraud"].aliases == {}
    production = then.models["fraud"].aliases["production"]
    assert (production.number, production.digest) == (2, Digest.of(b"2"))
    assert (production.entry.actor, production.entry.sequence) == (BOB, 3)
    assert {alias: one.number for alias, one in now.models["fraud"].aliases.items()} == {
        "production": 1
    }
    assert "'production' -> 2" in str(then)
    assert then.to_dict()["models"]["fraud"]["aliases"]["production"]["actor"]["name"] == "bob"


def test_at_deleted_and_renamed(log: Log, append: Append) -> None:
    """Deletions and renames are replayed; a refused deletion changes nothing."""
    append(log, 1)
    append(log, 2)
    append(log, action=Action.ALIAS, after=_aliases(best=1, old=2))
    append(log, action=Action.DELETE_REFUSED, before={"number": 2}, after=None)
    append(log, action=Action.DELETE, before={"number": 1}, after=None)
    append(log, action=Action.RENAME, subject=Subject("model", "fraud"), after={"name": "f2"})
    append(log, action=Action.DELETE, subject=Subject("model", "f2"), after=None)

    whole, cut, renamed, gone = (at(log.entries(), _moment(second)) for second in (3, 4, 5, 6))

    assert sorted(whole.models["fraud"].versions) == [1, 2]
    assert sorted(cut.models["fraud"].versions) == [2]
    assert sorted(cut.models["fraud"].aliases) == ["old"]
    assert renamed.models.keys() == {"f2"}
    assert gone.models == {}


@pytest.mark.parametrize("after", [7, [], {"number": "x"}, {"aliases": [1]}, {"name": 3}, None])
@pytest.mark.parametrize("action", list(Action))
def test_at_odd_entries(log: Log, append: Append, action: Action, after: object) -> None:
    """Whatever an entry tells, replaying it is no error."""
    append(log, 1)
    append(log, action=action, before=after, after=after)

    assert at(log.entries(), _moment(99)).entries == 2


def test_hostile_names(log: Log, append: Append) -> None:
    """Names are shown escaped: none ends its line."""
    append(log, actor=Actor("a\n\x1b[2J"), subject=Subject("version", "x\ny\x1b"))
    entry = replace(log.read(0), after=_aliases(**{"p\n": 1}))

    shown = [str(entry.actor), str(entry.subject), repr(entry), str(at([entry], _moment(9)))]

    assert "\x1b" not in "".join(shown)
    tagged = replace(entry, actor=Actor("<b>"), after=_aliases(**{"<i>": 1}))
    html = [tagged._repr_html_(), at([tagged], _moment(9))._repr_html_()]
    assert all("<b>" not in text and "<i>" not in text for text in html)
    assert [text.count("\n") for text in shown] == [0, 0, 0, 2]


def test_at_decisions(log: Log, append: Append) -> None:
    """A decision that was logged again, by whoever finished it, changes nothing."""

    def decide(number: int, decision: int) -> LogEntry:
        after = {**_aliases(production=number), "decision": decision, "record": "b3:"}
        subject = Subject("version", "fraud", Digest.of(b"decided %d" % number))
        return append(log, action=Action.PROMOTE, subject=subject, after=after)

    append(log, 1)
    first = decide(1, 0)
    second = decide(2, 1)
    decide(1, 0)
    decide(2, 1)
    now = at(log.entries(), _moment(99)).models["fraud"].aliases["production"]

    assert (now.number, now.entry) == (2, second)
    assert now.digest == Digest.of(b"decided 2")
    then = at(log.entries(), _moment(1)).models["fraud"].aliases["production"]
    assert (then.entry, then.digest) == (first, Digest.of(b"decided 1"))
