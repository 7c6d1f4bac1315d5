"""Judges a version of a vault: collects what is known of it now, and asks the policy."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlflow_vault.decide.policy import judge
from mlflow_vault.decide.policy.evidence import Context, Finding
from mlflow_vault.errors import NotFoundError
from mlflow_vault.govern.policies.checking import run_checks
from mlflow_vault.govern.policies.subjects import subject

if TYPE_CHECKING:
    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.decide.policy.evidence import Subject
    from mlflow_vault.decide.policy.verdict import Verdict
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.host import Held
    from mlflow_vault.govern.knowledge import Knowledge
    from mlflow_vault.govern.references import Reference


def judge_version(
    vault: Knowledge, version: Version, policy: Policy, baseline: Reference, signed: Finding
) -> Verdict:
    """Say whether *version* fulfils *policy* as things are.

    Args:
        vault: Where it is.
        version: The candidate.
        policy: The conditions.
        baseline: What it is compared with, if it is not what the policy says.
        signed: Whether who is trusted signed it.

    Raises:
        NotFoundError: A baseline was asked for that is not there.
    """
    candidate = subject(version, _held(vault, version))
    against = _baseline(vault, version, policy, baseline)
    context = Context(
        now=int(time.time() * 1000),
        verified=_verified(vault, version),
        signed=signed,
        answers=run_checks(policy, candidate, against),
    )
    return judge(policy, candidate, against, context)


def _baseline(
    vault: Knowledge, version: Version, policy: Policy, asked: Reference
) -> Subject | None:
    if asked:
        found = vault.version(asked)
    elif policy.baseline is None:
        return None
    else:
        said = policy.baseline
        try:
            found = vault.version(f"models:/{version.name}{said}" if said[:1] == "@" else said)
        except NotFoundError:
            return None  # the first version that ever comes so far; the policy says what then
    return subject(found, _held(vault, found))


def _held(vault: Knowledge, version: Version) -> Held | None:
    """What MLflow says of *version* now."""
    if not version.number:
        return None
    held = vault.held(f"models:/{version.label}")
    return held if held is not None and held.digest in {"", str(version.digest)} else None


def _verified(vault: Knowledge, version: Version) -> Finding:
    found = vault.verify(str(version.digest))
    if found.is_whole:
        return Finding(holds=True, reason=f"{found.files} files, {found.size:,} bytes read")
    return Finding(holds=False, reason="; ".join(one.reason for one in found.damaged[:3]))
