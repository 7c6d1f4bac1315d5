"""What each policy said, as SLSA's verification summaries: for readers that know those.

An in-toto statement for each verdict, whose predicate says who verified what by which policy, from
what, and whether it passed (https://slsa.dev/spec/v1.0/verification_summary).  It says nothing that
the decision does not; so it is not signed, and is verified by making it again.

Pure: no I/O.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mlflow_vault.format import fields
from mlflow_vault.format.digest import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlflow_vault.format.decision import Decision

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/verification_summary/v1"
_LEVEL: Final = "MLFLOW_VAULT_POLICY"
_FAILED: Final = "FAILED"


def summaries(
    decision: Decision, policies: Mapping[str, str], inputs: Sequence[tuple[str, str]]
) -> tuple[dict[str, Any], ...]:
    """Return the summary of each verdict of *decision*.

    Args:
        decision: What was decided.
        policies: The canonical text of each policy, by digest, as far as they are known.
        inputs: Key and digest of each statement that is kept with it.
    """
    return tuple(_summary(decision, verdict, policies, inputs) for verdict in decision.verdicts)


def _summary(
    decision: Decision,
    verdict: Mapping[str, Any],
    policies: Mapping[str, str],
    inputs: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    version = f"models:/{quote(decision.model, safe='')}/{decision.number}"
    passed = verdict.get("state") == "passed"
    digest = str(verdict.get("policy_digest"))
    named = {"blake3": digest.removeprefix(PREFIX)}
    if digest in policies:
        named["sha256"] = sha256(policies[digest].encode()).hexdigest()
    return {
        "_type": STATEMENT,
        "subject": [{"name": version, "digest": {"blake3": decision.digest.raw.hex()}}],
        "predicateType": PREDICATE,
        "predicate": {
            "verifier": {"id": f"mlflow-vault:{decision.vault}"},
            "timeVerified": _moment(verdict.get("time")),
            "resourceUri": version,
            "policy": {
                "uri": f"mlflow-vault:policies/{quote(str(verdict.get('policy')), safe='')}",
                "digest": named,
            },
            "inputAttestations": [
                {"uri": f"mlflow-vault:{key}", "digest": {"blake3": told.removeprefix(PREFIX)}}
                for key, told in inputs
            ],
            "verificationResult": "PASSED" if passed else _FAILED,
            "verifiedLevels": [_LEVEL if passed else _FAILED],
            "slsaVersion": "1.0",
        },
    }


def _moment(time: object) -> str:
    """Spell milliseconds since 1970 as RFC 3339."""
    try:
        told = datetime.fromtimestamp(fields.time(time) / 1000, UTC)
    except (TypeError, ValueError):
        return ""
    return told.isoformat(timespec="milliseconds").replace("+00:00", "Z")
