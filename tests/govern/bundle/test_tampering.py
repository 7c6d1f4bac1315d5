"""Whatever is changed in a bundle, it never proves anything else than it did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from promoted import MODEL, keys, log_signer, promoted, trust

from mlflow_vault.format.canonical import read, spell
from mlflow_vault.format.digest import Digest
from mlflow_vault.govern.bundle.chain import read_decision, read_statement
from mlflow_vault.govern.bundle.claims import Proof, Standing
from mlflow_vault.govern.bundle.summaries import summaries
from mlflow_vault.govern.bundle.verifying import verify_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

STORED: Final = promoted().bundle().to_bytes()
BODY: Final[dict[str, Any]] = read(STORED)
# Texts that hold JSON of their own, which whoever tampers spells again.
_INNER: Final = ("decision", "policies", "signatures", "statements", "entry")
Path = tuple[str | int, ...]


def _verify(stored: bytes) -> Proof:
    return verify_bundle(stored, [log_signer().public], trust=trust(), approvers=keys())


def _truths(proof: Proof) -> frozenset[tuple[str, str]]:
    """All that is proven, and which decision it was."""
    found = {(one.about, one.text) for one in proof.claims if one.standing is Standing.PROVEN}
    return frozenset(found)


TRUTHS: Final = _truths(_verify(STORED))


def _opened(value: Any, inside: str = "") -> Any:
    """*value* with the JSON that its texts hold opened, so that leaves within are reached."""
    if isinstance(value, dict):
        return {key: _opened(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_opened(inner, inside) for inner in value]
    if inside in _INNER and isinstance(value, str):
        return {"<json>": json.loads(value)}
    return value


def _closed(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"<json>"}:
        return _text(_closed(value["<json>"]))
    if isinstance(value, dict):
        return {key: _closed(inner) for key, inner in value.items()}
    return [_closed(inner) for inner in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    if isinstance(value, dict) and "verificationMaterial" in value:  # as its signer spells it
        return json.dumps(value, separators=(",", ":"))
    return spell(value).decode()


def _paths(value: Any, above: Path = ()) -> Iterator[Path]:
    """Yield where every leaf, and every part with leaves, lies."""
    if above:
        yield above
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, one in inner:
        yield from _paths(one, (*above, key))


OPENED: Final = _opened(BODY)
PATHS: Final = sorted(set(_paths(OPENED)), key=str)


def _replaced(path: Path, change: Any) -> Any:
    """A copy of the bundle in which *change* made something else of what is at *path*."""
    whole = json.loads(json.dumps(OPENED))
    at = whole
    for step in path[:-1]:
        at = at[step]
    if change is DROP:
        del at[path[-1]]
    else:
        at[path[-1]] = change(at[path[-1]])
    return whole


DROP: Final = object()


def _flip(value: Any) -> Any:
    """Something else of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        middle = len(value) // 2
        other = "1" if value[middle : middle + 1] == "0" else "0"
        return value[:middle] + other + value[middle + 1 :]
    if isinstance(value, list):
        return [*value, *value[:1]]
    return {"another": True} if not value else {**value, "another": True}


def _emptied(value: Any) -> Any:
    return type(value)() if value is not None else False


CHANGES: Final = {"drop": DROP, "flip": _flip, "empty": _emptied}


def _mended(whole: dict[str, Any]) -> bytes | None:
    """The bundle with summaries made anew, as whoever tampers well would; None if none fit."""
    try:
        body = _closed(whole)
        statements = tuple(map(read_statement, body["statements"]))
        policies = {str(Digest.of(one.encode())): one for one in body["policies"]}
        inputs = [(one.key, str(one.record)) for one in statements]
        body["summaries"] = list(summaries(read_decision(body["decision"]), policies, inputs))
        return spell(body)
    except Exception:  # noqa: BLE001 - what cannot be spelled cannot be handed to anybody
        return None


@pytest.mark.parametrize("name", CHANGES)
def test_every_part(name: str) -> None:
    """Each part of the file, dropped, flipped, emptied: false, missing, or the same truth."""
    kept = 0
    for path in PATHS:
        whole = _replaced(path, CHANGES[name])
        try:
            stored = spell(_closed(whole))
        except (KeyError, TypeError, ValueError):
            continue
        for tampered in {stored, _mended(whole) or stored}:
            if tampered == STORED:
                continue
            proof = _verify(tampered)
            assert _truths(proof) <= TRUTHS, (path, str(proof))
            if proof.holds:
                kept += 1
                # What nothing is proven by may go: an unsigned result, what is around signatures.
                assert "signatures" in path or "statements" in path, (path, str(proof))
                assert proof.decision is not None
                assert proof.decision.model == MODEL
    assert kept < len(PATHS) / 10


@given(at=st.integers(0, len(STORED) - 1), byte=st.integers(0, 255))
def test_every_byte(at: int, byte: int) -> None:
    """One byte changed is noticed, wherever it is."""
    tampered = STORED[:at] + bytes([byte]) + STORED[at + 1 :]
    if tampered == STORED:
        return

    proof = _verify(tampered)

    assert not proof.holds
    assert _truths(proof) <= TRUTHS


@given(start=st.integers(0, len(STORED)), stop=st.integers(0, len(STORED)))
def test_cut(start: int, stop: int) -> None:
    """With something cut out it is no bundle."""
    if start < stop:
        assert not _verify(STORED[:start] + STORED[stop:]).holds
    elif start < len(STORED):
        assert not _verify(STORED[:start]).holds


def test_another_spelling() -> None:
    """The same JSON spelled otherwise is refused: what is compared by bytes has one spelling."""
    assert _verify(json.dumps(BODY, indent=1).encode()).exit_code == 4
