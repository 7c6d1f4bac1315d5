"""Statements: what somebody said of one version, kept beside it and never changed.

    approval, rejection    of a version under a policy
    evidence               a test's result, an evaluation's metrics
    verdict                a policy did not let it pass, and why
    health                 what monitoring saw of it in production

A statement that its speaker signed carries the DSSE envelope over the same words; the key it lies
under is then made from the signed payload, so that the same envelope cannot be put there twice.

Pure: no I/O.  Written down in docs/format.md, "Statements".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.log import Actor

LARGEST: Final = 1 << 20  # bytes of a statement


class Kind(StrEnum):
    """What a statement is."""

    APPROVAL = "approval"
    REJECTION = "rejection"
    EVIDENCE = "evidence"
    VERDICT = "verdict"
    HEALTH = "health"


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody said of a version.

    Attributes:
        vault: The id of the vault in which it is.
        model: The registered model.
        number: The model version's.
        digest: Of the version.
        kind: What it is.
        id: 32 hexadecimal digits: random, or of the digest of the signed payload.
        time: Milliseconds since 1970, by the clock of whoever kept it.
        actor: Who said it, and whether somebody authenticated them.
        roles: Which roles they had then.
        factor: The second factor that was checked: empty, ``totp`` or ``key``.
        policies: Of an approval or rejection, the digests of the policies it was given under.
        reason: Why, in words.
        body: What else it says, as JSON: of evidence ``type``, ``name``, ``passed``, ``values``.
        envelope: The DSSE envelope, as JSON; None if it is not signed.
        request: The random text by which whoever asked a server for it finds it again.
    """

    vault: str
    model: str
    number: int
    digest: Digest
    kind: str
    id: str
    time: int
    actor: Actor
    roles: tuple[str, ...] = ()
    factor: str = ""
    policies: tuple[str, ...] = ()
    reason: str = ""
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    envelope: Mapping[str, Any] | None = field(default=None, hash=False)
    request: str = ""
