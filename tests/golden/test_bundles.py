"""A bundle that was made once is verified by every release, and proves the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from mlflow_vault.govern.bundle.bundle import Bundle
from mlflow_vault.govern.bundle.verifying import verify_bundle
from mlflow_vault.govern.signing.trust import Trust

BUNDLES: Final = Path(__file__).parent / "bundles"
STORED: Final = (BUNDLES / "promotion-1.bundle.json").read_bytes()
STANDINGS: Final = {
    "checkpoint": "proven",
    "entry": "proven",
    "decision": "proven",
    "version": "proven",
    "signature": "proven",
    "policy credit-production": "proven",
    "verdict credit-production": "told",
    "approvals credit-production": "proven",
    "evidence holdout": "told",
}


def test_golden() -> None:
    """It holds by the public keys that lie beside it, claim by claim."""
    known = json.loads((BUNDLES / "keys.json").read_text())
    trust = Trust((known["models"].encode(),))

    proof = verify_bundle(STORED, [known["log"]], trust=trust, approvers=known["approvers"])

    assert {claim.about: claim.standing.value for claim in proof.claims} == STANDINGS, str(proof)
    assert proof.exit_code == 0
    assert proof.decision is not None
    assert str(proof.decision.digest).startswith("b3:8c2ac701aac2a5dd")


def test_spelling() -> None:
    """It is spelled as it was."""
    assert Bundle.from_bytes(STORED).to_bytes() == STORED
