"""Votes by a key or with a one-time code: who it was is shown, and each counts once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mlflow_vault.errors import ConflictError, DeniedError, InvalidInputError, WaitingError
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.policies.reading import read_document
from mlflow_vault.govern.release.approving.approver_key import ApproverKey
from mlflow_vault.govern.release.approving.factors import enroll
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.govern.signing.keys import Key
from mlflow_vault.testing.promotions import PRODUCTION, caller

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.testing.promotions import Stage

MFA = PRODUCTION.replace("from: staging, ", "") + "approvals: {min: 1, roles: risk, mfa: true}\n"


def _roles(stage: Stage, keys: dict[str, ApproverKey]) -> None:
    text = "kind: Roles\nroles:\n  risk: {users: [bob, cat]}\n  releaser: {users: ann}\n"
    if keys:
        text += "keys:\n"
    for user, key in keys.items():
        text += f"  {user}: |\n" + "".join(f"    {row}\n" for row in key.public.pem.splitlines())
    stage.vault.policies.apply(read_document(text), "admin")


def _key() -> ApproverKey:
    return ApproverKey.of(Ed25519PrivateKey.generate())


RELEASER = caller("ann", "releaser")


def test_key(stage: Stage) -> None:
    """A signed approval counts as its key's owner's, with a second factor, without any server."""
    version, key = stage.version(author="eve"), _key()
    stage.apply(MFA)
    _roles(stage, {"bob": key})

    vote = stage.releases.approve(version, key=key, reason="I looked")
    moved = stage.releases.promote(version, to="production", caller=RELEASER)

    assert (vote.actor, vote.roles, vote.factor) == (Actor("bob", verified=True), ("risk",), "key")
    assert moved.passed
    with pytest.raises(ConflictError, match="counts once"):
        stage.releases.approve(version, envelope=vote.envelope)
    stage.releases.archive(version, reason="for now", caller=RELEASER)
    with pytest.raises(WaitingError, match="0 of 1"):
        stage.releases.promote(version, to="production", caller=RELEASER)


def test_key_of_signatures(stage: Stage, tmp_path: Path) -> None:
    """A key that signs versions signs approvals, too."""
    private = generate_private_key(SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "bob.pem").write_bytes(pem)
    version = stage.version(author="eve")
    stage.apply(MFA)
    _roles(stage, {"bob": ApproverKey.of(private)})

    vote = stage.releases.approve(version, key=Key.from_files(tmp_path / "bob.pem"))

    assert (vote.actor.name, vote.factor) == ("bob", "key")


def test_foreign_envelope(stage: Stage) -> None:
    """What was signed for another version, by a key that nobody named, or as a no is refused."""
    first, second, key = stage.version(author="eve"), stage.version(author="eve"), _key()
    stage.apply(MFA)
    with pytest.raises(InvalidInputError, match="no roles are in force"):
        stage.releases.approve(first, key=key)
    _roles(stage, {"bob": key})
    vote = stage.releases.approve(first, key=key)

    with pytest.raises(DeniedError, match="it is for credit/1"):
        stage.releases.approve(second, envelope=vote.envelope)
    with pytest.raises(InvalidInputError, match="whose key"):
        stage.releases.approve(second, key=_key())
    with pytest.raises(InvalidInputError, match="opposite"):
        stage.releases.reject(first, envelope=vote.envelope)
    with pytest.raises(DeniedError, match="handed it in"):
        stage.releases.approve(first, envelope=vote.envelope, caller=caller("cat"))


def test_key_that_is_withdrawn(stage: Stage) -> None:
    """A key that the roles no longer name speaks for nobody, and a forged statement never did."""
    version, key = stage.version(author="eve"), _key()
    stage.apply(MFA)
    _roles(stage, {"bob": key})
    vote = stage.releases.approve(version, key=key)
    _roles(stage, {"bob": _key()})

    with pytest.raises(WaitingError, match="nobody checked who it was"):
        stage.releases.promote(version, to="production", caller=RELEASER)
    forged = replace(vote, id="0" * 32, envelope=None, actor=Actor("cat", verified=True))
    stage.releases.around.statements.add(forged)
    with pytest.raises(WaitingError, match="cat: nobody checked who it was"):
        stage.releases.promote(version, to="production", caller=RELEASER)


def test_code(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A one-time code is a second factor for whom a server authenticated, once."""
    version = stage.version(author="eve")
    secrets = tmp_path / "secrets.json"
    uri = enroll(secrets, "bob")
    monkeypatch.setenv("MLFLOW_VAULT_TOTP_FILE", str(secrets))
    code = pyotp.TOTP(parse_qs(urlsplit(uri).query)["secret"][0]).at(int(stage.time))
    stage.apply(MFA)
    _roles(stage, {})
    bob = Caller.of(Actor("bob", verified=True), stage.vault.policies.roles())
    unknown = replace(bob, actor=Actor("bob"))

    with pytest.raises(DeniedError, match="without a second factor"):
        stage.releases.approve(version, caller=bob)
    with pytest.raises(DeniedError, match="nobody checked who it was"):
        stage.releases.approve(version, caller=unknown, code=code)
    with pytest.raises(DeniedError, match="wrong, or its time is over"):
        stage.releases.approve(version, caller=bob, code=f"{(int(code) + 1) % 10**6:06d}")
    vote = stage.releases.approve(version, caller=bob, code=code)
    with pytest.raises(DeniedError, match="was used"):
        stage.releases.approve(version, caller=bob, code=code)

    assert vote.factor == "totp"
    assert stage.releases.promote(version, to="production", caller=RELEASER).passed
