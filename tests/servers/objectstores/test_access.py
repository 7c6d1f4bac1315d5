"""The printed IAM policies, held by a real server: each role can do exactly what it should.

Ceph's gateway judges what users may by the documents of `mlflow-vault access policy`.  It does not
know the condition ``s3:if-none-match``, which AWS has; that column is judged by a model of AWS, and
this shows that the model says of Ceph what Ceph says.
"""

from __future__ import annotations

import json
import secrets
import urllib.request
from typing import TYPE_CHECKING, Final

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlflow_vault.errors import PermissionDeniedError
from mlflow_vault.format import layout
from mlflow_vault.govern.access import Role, documents
from mlflow_vault.govern.audit.keys import Signer
from mlflow_vault.govern.signing.keys import Key, fingerprint
from mlflow_vault.store.address import Address
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.testing.rights import CEPH, TRIES, GuardedStore, Site, tried

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Settings = Callable[[str], dict[str, str]]

REGION: Final = "us-east-1"


class Users:
    """Users of a Ceph gateway, made by one who may."""

    def __init__(self, url: str, settings: dict[str, str]) -> None:
        self._url, self._settings = url, settings
        key, secret = settings["AWS_ACCESS_KEY_ID"], settings["AWS_SECRET_ACCESS_KEY"]
        self._known = Credentials(key, secret)
        self._iam = boto3.client(
            "iam",
            endpoint_url=url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            region_name=REGION,
        )

    def store(self, address: Address, document: Mapping[str, object]) -> S3Store:
        """Make a user who may do what *document* says; return the store as they see it."""
        name, secret = f"user-{secrets.token_hex(6)}", secrets.token_hex(16)
        words = f"uid={name}&display-name={name}&access-key={name}&secret-key={secret}"
        url = f"{self._url}/admin/user?format=json&{words}"
        request = AWSRequest(method="PUT", url=url)
        S3SigV4Auth(self._known, "s3", REGION).add_auth(request)
        asked = urllib.request.Request(url, method="PUT", headers=dict(request.headers))  # noqa: S310
        with urllib.request.urlopen(asked, timeout=30):  # noqa: S310 - ours
            pass
        self._iam.put_user_policy(
            UserName=name, PolicyName="vault", PolicyDocument=json.dumps(document)
        )
        theirs = {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": secret}
        return S3Store(address, {**self._settings, **theirs})


@pytest.fixture
def users(ceph: str, settings: Settings) -> Users:
    """Makes users of the gateway."""
    return Users(ceph, settings(ceph))


def _site(own: S3Store | MemoryStore) -> Site:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    site = Site(own, own, Key(private, fingerprint(pem)), Signer.generate("log.example.com"))
    site.begin()
    return site


@pytest.fixture(scope="module")
def remote(ceph: str, settings: Settings) -> tuple[Site, Address]:
    """A vault in Ceph."""
    address = Address("s3", "vaults", f"/{secrets.token_hex(6)}/models")
    # Not the bucket's owner: at Ceph whoever writes an object owns it, and whoever has the bucket
    # may not read it by that alone.
    own = Users(ceph, settings(ceph)).store(address, documents("aws", Role.ADMIN, address))
    return _site(own), address


@pytest.mark.parametrize("role", Role)
def test_roles(role: Role, remote: tuple[Site, Address], users: Users) -> None:
    """With a role's document one can do on Ceph what the model of it says, try by try."""
    site, address = remote
    document = documents("aws", role, address)
    near = _site(MemoryStore("rights"))
    root = f"{address.authority}{address.path}/"
    expected = tried(near.seen_by(GuardedStore(near.own, document, root, CEPH)))

    found = tried(site.seen_by(users.store(address, document)))

    assert found == expected
    assert len(found) == len(TRIES)


def test_besides(remote: tuple[Site, Address], users: Users, settings: Settings, ceph: str) -> None:
    """Not even an admin of one vault reads, lists, writes or deletes what lies beside it."""
    _, address = remote
    beside = Address("s3", "vaults", f"{address.path}-2")
    S3Store(beside, settings(ceph)).put(layout.VAULT, b"{}")
    store = users.store(beside, documents("aws", Role.ADMIN, address))

    for deed in (
        lambda: store.get(layout.VAULT),
        lambda: list(store.list("")),
        lambda: store.put(layout.VAULT, b"[]"),
        lambda: store.delete(layout.VAULT),
    ):
        with pytest.raises(PermissionDeniedError):
            deed()


def test_nobody(remote: tuple[Site, Address], users: Users) -> None:
    """Without a document one can do nothing at all, so what is allowed comes from there."""
    site, address = remote
    nothing = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::other/*"]}
        ],
    }

    found = tried(site.seen_by(users.store(address, nothing)))

    assert not any(found.values())
