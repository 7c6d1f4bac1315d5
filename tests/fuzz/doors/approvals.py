"""What people hand in to be believed: signed approvals, policies and roles."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.errors import CorruptionError, InvalidInputError, UnsupportedError, UntrustedError
from mlflow_vault.format.digest import Digest
from mlflow_vault.govern.policies.reading import read_document
from mlflow_vault.govern.policies.shelf import parse, spelled
from mlflow_vault.govern.release.approving.approval_payload import Proposal
from mlflow_vault.govern.release.approving.approver_key import ApproverKey
from mlflow_vault.govern.release.approving.envelope import Envelope, signed_bytes
from mlflow_vault.govern.release.approving.signed_approvals import sign_approval, verify_approval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KEY: Final = ApproverKey.of(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
_ROLES: Final = Roles.model_validate(
    {"kind": "Roles", "roles": {"risk": {"users": ["bob"]}}, "keys": {"bob": _KEY.public.pem}}
)
_POLICY: Final = str(Digest.of(b"policy"))
PROPOSAL: Final = Proposal("0c" * 16, "credit", 3, Digest.of(b"model"), "production", (_POLICY,))
NOW: Final = 1_767_225_600_000


def _approval(fed: bytes) -> None:
    """The input is an envelope, and what bob signed with tools of his own."""
    with suppress(InvalidInputError, UntrustedError):
        verify_approval(fed, _ROLES, PROPOSAL, NOW)
        raise AssertionError("nobody signed this")
    own = Envelope(fed, _KEY.public.fingerprint, _KEY.sign(signed_bytes(fed)))
    with suppress(InvalidInputError, UntrustedError):
        found = verify_approval(own.to_dict(), _ROLES, PROPOSAL, NOW)
        again = sign_approval(found.proposal, found.said, _KEY)
        assert verify_approval(again, _ROLES, PROPOSAL, NOW).said == found.said
        assert found.said.actor == "bob"
        assert (found.proposal.vault, found.proposal.label) == (PROPOSAL.vault, PROPOSAL.label)


def _document(fed: bytes) -> None:
    """The input is a policy or roles, as people write them."""
    with suppress(InvalidInputError):
        document = read_document(fed.decode("utf-8", "replace"))
        assert read_document(document.canonical().decode()).digest == document.digest
        if isinstance(document, Roles):
            assert parse(spelled(document), document.name, "key") == document


def _applied(fed: bytes) -> None:
    """The input is what somebody put among the policies in force."""
    with suppress(CorruptionError, UnsupportedError):
        document = parse(fed, "p", "key")
        assert spelled(document) == fed


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "approval": _approval,
    "document": _document,
    "applied": _applied,
}
