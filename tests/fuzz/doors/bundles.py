"""Promotion bundles, as anybody may have made them."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.canonical import plain, spell
from mlflow_vault.govern.bundle.bundle import Bundle
from mlflow_vault.govern.bundle.claims import Proof, Standing
from mlflow_vault.govern.bundle.verifying import verify_bundle
from mlflow_vault.govern.signing.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_GOLDEN: Final = Path(__file__).parents[2] / "golden" / "bundles"


@cache
def _known() -> dict[str, Any]:
    known: dict[str, Any] = json.loads((_GOLDEN / "keys.json").read_text())
    return known


def _verify(stored: bytes) -> Proof:
    known = _known()
    trust = Trust((known["models"].encode(),))
    return verify_bundle(stored, [known["log"]], trust=trust, approvers=known["approvers"])


def _truths(proof: Proof) -> set[tuple[str, str]]:
    return {(one.about, one.text) for one in proof.claims if one.standing is Standing.PROVEN}


@cache
def _true() -> frozenset[tuple[str, str]]:
    return frozenset(_truths(_verify((_GOLDEN / "promotion-1.bundle.json").read_bytes())))


def _promotion(fed: bytes) -> None:
    """The input is a bundle, or JSON that is spelled as one."""
    with suppress(CorruptionError):
        assert Bundle.from_bytes(fed).to_bytes() == fed, "two spellings of one bundle"
    stored = fed
    with suppress(RecursionError, ValueError):
        stored = spell(plain(json.loads(fed)))
    proof = _verify(stored)
    assert _truths(proof) <= _true(), "something else is proven"
    str(proof)
    proof.to_dict()
    proof._repr_html_()


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {"promotion": _promotion}
