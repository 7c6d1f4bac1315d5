"""A store on S3 keeps the contract, says what is wrong, and keeps to what its users have set."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import boto3
import pytest

from mlflow_vault.errors import (
    ConflictError,
    InvalidInputError,
    PermissionDeniedError,
    StorageError,
)
from mlflow_vault.store.address import Address
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.testing.contract import StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.store.protocol import Store
    from mlflow_vault.store.remote.retries import Patience

    Settings = Callable[[str], dict[str, str]]


class TestCeph(StoreContract):
    """The contract, on Ceph."""

    @pytest.fixture
    def store(self, ceph: str, address: Address, settings: Settings) -> S3Store:
        """Return an empty store."""
        return S3Store(address, settings(ceph))


class TestMoto(StoreContract):
    """The contract, on what behaves as AWS does."""

    @pytest.fixture
    def store(self, moto: str, address: Address, settings: Settings) -> S3Store:
        """Return an empty store."""
        return S3Store(address, settings(moto))


@pytest.fixture
def store(ceph: str, address: Address, settings: Settings, hasty: Patience) -> S3Store:
    """Return an empty store on Ceph."""
    return S3Store(address, settings(ceph), hasty)


def head(url: str, environment: dict[str, str], store: S3Store, key: str) -> dict[str, object]:
    """Return what boto3 says of an object."""
    address = Address.parse(store.uri)
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    try:
        found = client.head_object(Bucket=address.authority, Key=f"{address.path[1:]}/{key}")
    finally:
        client.close()
    return dict(found)


def test_whole_bucket(ceph: str, settings: Settings) -> None:
    """A vault may be a whole bucket, and see what lies under its prefixes."""
    environment = settings(ceph)
    store = S3Store(Address.parse("vault-s3://vaults"), environment)
    below = S3Store(Address.parse("vault-s3://vaults/whole/bucket"), environment)

    below.put("a/b!", b"body")

    assert store.get("whole/bucket/a/b!") == b"body"
    assert [each.key for each in store.list_level("whole/")] == ["whole/bucket/"]
    assert [each.key for each in store.list("whole/")] == ["whole/bucket/a/b!"]


def test_no_bucket(ceph: str, settings: Settings, hasty: Patience) -> None:
    """Where no bucket is, nothing passes for missing, empty or done; a HEAD alone cannot tell."""
    store = S3Store(Address.parse("vault-s3://no-such-bucket/p"), settings(ceph), hasty)

    assert store.stat("a") is None
    for operation in (
        lambda: store.get("a"),
        lambda: store.put("a", b""),
        lambda: store.create("a", b""),
        lambda: store.delete("a"),
        lambda: list(store.list("")),
        lambda: store.list_level(""),
    ):
        with pytest.raises(StorageError, match=r"NoSuchBucket.*make it"):
            operation()


def test_wrong_secret(ceph: str, address: Address, settings: Settings, hasty: Patience) -> None:
    """Wrong credentials are said to be wrong, with the server's reason and without the secret."""
    environment = settings(ceph) | {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    store = S3Store(address, environment, hasty)

    for operation in (
        lambda: store.get("a"),
        lambda: store.put("a", b""),
        lambda: store.create("a", b""),
        lambda: store.stat("a"),
        lambda: list(store.list("")),
        lambda: store.list_level(""),
        lambda: store.delete("a"),
    ):
        with pytest.raises(PermissionDeniedError, match=r"403.*It needs s3:") as caught:
            operation()
        assert "not-the-secret" not in str(caught.value)


def test_lazy() -> None:
    """A store is opened by its first operation, so wrong settings do no harm before."""
    store = S3Store(Address.parse("vault-s3://b/p"), {"MLFLOW_S3_ENDPOINT_URL": "nonsense"})

    assert store.uri == "vault-s3://b/p"
    with pytest.raises(InvalidInputError, match="endpoint"):
        store.get("a")


def test_upload_arguments(ceph: str, address: Address, settings: Settings, hasty: Patience) -> None:
    """What goes up with an object is signed, arrives with puts and creates, and hinders no read."""
    environment = settings(ceph) | {
        "MLFLOW_S3_UPLOAD_EXTRA_ARGS": '{"Metadata": {"Team": "a b"}, "ContentType": "x/y",'
        ' "Tagging": "k=v", "ACL": "private", "ChecksumAlgorithm": "SHA256"}',
        "MLFLOW_S3_EXPECTED_BUCKET_OWNER": "123456789012",
    }
    store = S3Store(address, environment, hasty)

    store.put("a", b"put")
    store.create("b", b"created")

    assert (store.get("a"), store.get("b")) == (b"put", b"created")
    for key in "ab":
        found = head(ceph, environment, store, key)
        assert found["Metadata"] == {"team": "a b"}
        assert found["ContentType"] == "x/y"


def test_encryption_and_class(moto: str, address: Address, settings: Settings) -> None:
    """The key and the storage class that are set are those that objects have."""
    environment = settings(moto) | {
        "MLFLOW_S3_UPLOAD_EXTRA_ARGS": '{"ServerSideEncryption": "aws:kms",'
        ' "SSEKMSKeyId": "the-key", "StorageClass": "STANDARD_IA", "BucketKeyEnabled": true}'
    }
    store = S3Store(address, environment)

    store.create("a", b"body")

    found = head(moto, environment, store, "a")
    assert found["StorageClass"] == "STANDARD_IA"
    assert found["ServerSideEncryption"] == "aws:kms"
    assert found["SSEKMSKeyId"] == "the-key"
    assert found["BucketKeyEnabled"] is True


def test_profile(ceph: str, address: Address, settings: Settings, tmp_path: Path) -> None:
    """A profile's keys and endpoint are used; nothing else needs to be set."""
    environment = settings(ceph)
    (tmp_path / "credentials").write_text(
        f"[lab]\naws_access_key_id = {environment['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {environment['AWS_SECRET_ACCESS_KEY']}\n"
    )
    (tmp_path / "config").write_text(f"[profile lab]\nregion = us-east-1\nendpoint_url = {ceph}\n")
    store = S3Store(
        address,
        {
            "AWS_PROFILE": "lab",
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        },
    )

    store.create("a", b"body")

    assert S3Store(address, environment).get("a") == b"body"


FORKING = """
import os, sys
from mlflow_vault.errors import StorageError
from mlflow_vault.store.address import Address
from mlflow_vault.store.remote.s3 import S3Store

address, used_before = Address.parse(sys.argv[1]), sys.argv[2] == "used"
store = S3Store(address)
if used_before:
    store.put("parent", b"1")
child = os.fork()
if child == 0:
    try:
        S3Store(address).put("child", b"1")
    except StorageError as error:
        print(error)
    else:
        print("done")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.parametrize(("before", "said"), [("used", "spawn or forkserver"), ("fresh", "done")])
def test_fork(ceph: str, address: Address, settings: Settings, before: str, said: str) -> None:
    """After a fork a store works if S3 was not used before it, and else says so at once."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(address), before],
        env=settings(ceph),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert said in done.stdout


def test_empty_create(store: Store) -> None:
    """An empty object, too, is created once."""
    store.create("outcomes/x", b"")

    with pytest.raises(ConflictError):
        store.create("outcomes/x", b"")
