"""Decisions and statements: one spelling, believed only as far as it goes."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format.canonical import plain, spell
from mlflow_vault.format.decision import LARGEST, LONGEST_REASON, Decision, Stand
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action, Actor
from mlflow_vault.format.statement import LARGEST as LARGEST_STATEMENT
from mlflow_vault.format.statement import Kind, Statement, signed_id

GOLDEN = Path(__file__).parents[1] / "golden" / "decisions"
ENVELOPE = {"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": []}
DECISION = Decision(
    vault="6e02" * 8,
    model="Betrug",
    sequence=7,
    time=1_764_000_000_000,
    id="0a" * 16,
    action="promote",
    actor=Actor("ann", verified=True),
    number=3,
    digest=Digest.of(b"3"),
    to="production",
    reason="better",
    before={"production": Stand(2, Digest.of(b"2"), 1_763_000_000_000, 4)},
    after={"production": Stand(3, Digest.of(b"3"), 1_764_000_000_000, 7)},
    verdicts=({"policy": "p", "state": "passed", "results": [{"seen": {"f1": 0.5}}]},),
    predecessor=Digest.of(b"before"),
    request="r",
)
STATEMENT = Statement(
    vault="6e02" * 8,
    model="Betrug",
    number=3,
    digest=Digest.of(b"3"),
    kind=Kind.APPROVAL,
    id=signed_id(ENVELOPE),
    time=1_764_000_000_000,
    actor=Actor("ann", verified=True),
    roles=("risk",),
    factor="key",
    policies=(str(Digest.of(b"policy")),),
    reason="looks good",
    body={"to": "production", "values": {"f1": 0.5}},
    envelope=ENVELOPE,
    request="r",
)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
digests = st.binary(min_size=32, max_size=32).map(Digest)
times = st.integers(0, 10**14)
nonces = st.binary(min_size=16, max_size=16).map(bytes.hex)
actors = st.builds(Actor, names, st.booleans())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
).map(plain)
objects = st.dictionaries(names, json_values, max_size=3)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """Any decision."""
    sequence = draw(st.integers(0, 10**6))

    def stands(last: int) -> dict[str, Stand]:
        if last < 0:
            return {}
        stand = st.builds(Stand, st.integers(0, 10**6), digests, times, st.integers(0, last))
        return draw(st.dictionaries(names, stand, max_size=2))

    return Decision(
        vault=draw(names),
        model=draw(names),
        sequence=sequence,
        time=draw(times),
        id=draw(nonces),
        action=str(draw(st.sampled_from([Action.PROMOTE, Action.ARCHIVE, Action.ROLL_BACK]))),
        actor=draw(actors),
        number=draw(st.integers(0, 10**6)),
        digest=draw(digests),
        to=draw(names),
        reason=draw(names),
        before=stands(sequence - 1),
        after=stands(sequence),
        verdicts=tuple(draw(st.lists(objects, max_size=2))),
        predecessor=draw(digests) if sequence else None,
        request=draw(names),
    )


statements = st.builds(
    Statement, names, names, st.integers(0, 10**6), digests, st.sampled_from(list(Kind)).map(str),
    nonces, times, actors, st.lists(names, max_size=2).map(tuple), names,
    st.lists(names, max_size=2).map(tuple), names, objects, st.none(), names,
)  # fmt: skip


@given(decisions())
def test_decisions_round_trip(decision: Decision) -> None:
    """What is stored reads back as it was, and has one spelling."""
    stored = decision.to_bytes()

    assert replace(Decision.from_bytes(stored, decision.key)).to_bytes() == stored
    assert Decision.from_bytes(stored, decision.key) == decision
    assert decision.record == Digest.of(stored)
    assert json.loads(stored) == decision.to_dict()


@given(statements)
def test_statements_round_trip(statement: Statement) -> None:
    """What is stored reads back as it was, and has one spelling."""
    stored = statement.to_bytes()

    assert replace(Statement.from_bytes(stored, statement.key)).to_bytes() == stored
    assert Statement.from_bytes(stored, statement.key) == statement
    assert json.loads(stored) == statement.to_dict()


@given(st.binary() | json_values.map(spell))
def test_noise(stored: bytes) -> None:
    """Bytes of strangers are refused, whatever they are."""
    with pytest.raises(CorruptionError, match="decision"):
        Decision.from_bytes(stored, DECISION.key)
    with pytest.raises(CorruptionError, match="statement"):
        Statement.from_bytes(stored, STATEMENT.key)


ODD: list[tuple[str, Any]] = [
    ("action", "commit"), ("action", None), ("actor", {"name": "a"}), ("actor", "ann"),
    ("actor", {"name": "a", "verified": 1}), ("after", []), ("after", {"production": {}}),
    ("after", {"production": {**DECISION.after["production"].to_dict(), "decision": 8}}),
    ("before", {"production": {**DECISION.after["production"].to_dict(), "decision": 7}}),
    ("before", {"production": {**DECISION.after["production"].to_dict(), "since": 9 * 10**15}}),
    ("digest", "b3:00"), ("digest", None), ("id", "A" * 32), ("id", 3), ("model", 3),
    ("model", "other"), ("number", -1), ("number", True), ("number", 1.5),
    ("predecessor", None), ("reason", "x" * (LONGEST_REASON + 1)), ("request", None),
    ("sequence", 6), ("sequence", 0), ("sequence", "7"), ("time", 9 * 10**15), ("time", -1),
    ("to", 3), ("vault", None), ("verdicts", {}), ("verdicts", [3]), ("more", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), ODD)
def test_odd_decisions(name: str, value: object) -> None:
    """A decision with any odd field is refused, and the key is named."""
    stored = spell({**DECISION.to_dict(), name: value})

    with pytest.raises(CorruptionError, match=DECISION.key):
        Decision.from_bytes(stored, DECISION.key)


@pytest.mark.parametrize("name", [name for name in Decision.__dataclass_fields__ if name[0] != "_"])
def test_a_decision_lacks(name: str) -> None:
    """A decision that lacks a field is refused."""
    body = DECISION.to_dict()
    del body[name]

    with pytest.raises(CorruptionError, match="other ones"):
        Decision.from_bytes(spell(body), DECISION.key)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("actor", None), ("body", []), ("digest", str(Digest.of(b"other"))), ("envelope", []),
        ("envelope", {}), ("envelope", {**ENVELOPE, "payload": "e31="}), ("id", "00" * 16),
        ("envelope", {**ENVELOPE, "payload": "e30"}), ("factor", 1), ("kind", "A"), ("kind", 1),
        ("envelope", {**ENVELOPE, "payload": 3}), ("model", "other"), ("number", None),
        ("policies", "b3:"), ("policies", [3]), ("roles", [None]), ("time", 1.5), ("more", 1),
    ],
)  # fmt: skip
def test_odd_statements(name: str, value: object) -> None:
    """A statement with any odd field is refused, and the key is named."""
    stored = spell({**STATEMENT.to_dict(), name: value})

    with pytest.raises(CorruptionError, match=STATEMENT.key):
        Statement.from_bytes(stored, STATEMENT.key)


@pytest.mark.parametrize("made", [DECISION, STATEMENT], ids=["decision", "statement"])
def test_another_spelling(made: Decision | Statement) -> None:
    """The same values spelled otherwise, or too long, are refused."""
    stored = made.to_bytes()
    for other in (stored + b"\n", json.dumps(made.to_dict()).encode(), stored[:-1]):
        with pytest.raises(CorruptionError, match=made.key):
            type(made).from_bytes(other, made.key)
    with pytest.raises(CorruptionError, match="too many"):
        type(made).from_bytes(b" " * (LARGEST + 1), made.key)


def test_too_much() -> None:
    """What is too large, or no JSON, is refused before it is stored."""
    with pytest.raises(InvalidInputError, match="at most"):
        replace(DECISION, verdicts=({"seen": "x" * LARGEST},)).to_bytes()
    with pytest.raises(InvalidInputError, match="say less"):
        replace(DECISION, reason="x" * (LONGEST_REASON + 1)).to_bytes()
    with pytest.raises(InvalidInputError, match="JSON"):
        replace(DECISION, verdicts=({"seen": float("nan")},)).to_bytes()
    with pytest.raises(InvalidInputError, match="no decision"):
        replace(DECISION, action="commit").to_bytes()
    with pytest.raises(InvalidInputError, match="at most"):
        replace(STATEMENT, reason="x" * LARGEST_STATEMENT).to_bytes()
    with pytest.raises(InvalidInputError, match="what is signed"):
        replace(STATEMENT, id="00" * 16).to_bytes()


def test_the_id_of_what_is_signed() -> None:
    """The id is of what is signed: other signatures make the same, other words another."""
    again = {**ENVELOPE, "signatures": [{"sig": "AA=="}]}
    other = {**ENVELOPE, "payload": base64.b64encode(b"{} ").decode()}
    typed = {**ENVELOPE, "payloadType": "text/plain"}

    assert signed_id(again) == signed_id(ENVELOPE)
    assert len({signed_id(ENVELOPE), signed_id(other), signed_id(typed)}) == 3


def test_told() -> None:
    """Both are told to people and notebooks, whatever they say."""
    sly = replace(DECISION, reason="<b>", actor=Actor("<i>"))

    assert str(DECISION).splitlines() == [
        "decision 7, 2025-11-24 16:00:00+00:00: promote Betrug/3 to production by 'ann': better",
        "  production: 2 (since 2025-11-13 02:13:20+00:00) -> 3 (since 2025-11-24 16:00:00+00:00)",
    ]
    assert "<b>" not in sly._repr_html_()
    assert "<i>" not in sly._repr_html_()
    assert repr(DECISION) == "Decision(7, 'promote', Betrug/3, production)"
    assert "approval of Betrug/3 by 'ann', shown by key: looks good" in str(STATEMENT)
    assert "<table>" in STATEMENT._repr_html_()
    assert "'ann'" in repr(STATEMENT)


@pytest.mark.parametrize("made", [DECISION, STATEMENT], ids=["decision", "statement"])
def test_pinned(made: Decision | Statement) -> None:
    """The bytes of both are what they always were, and so is where they lie."""
    pinned = (GOLDEN / f"{type(made).__name__.lower()}.json").read_bytes()

    assert made.to_bytes() == pinned
    assert type(made).from_bytes(pinned, made.key) == made
    assert made.key in {
        "decisions/!betrug!/00000000000000000007",
        f"statements/!betrug!/{Digest.of(b'3').raw.hex()}/28eb0e4d65cc0a795a9bad14b7aa8c03",
    }
