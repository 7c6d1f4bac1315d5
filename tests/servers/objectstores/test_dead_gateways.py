"""What does not pass ends in bounded time, in an error that says what is wrong and what to do.

How long is the policy's to say: `Patience.longest` for one operation of a store.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from mlflow_vault.errors import InvalidInputError, PermissionDeniedError, StorageError, VaultError
from mlflow_vault.store.address import Address
from mlflow_vault.store.remote.retries import Patience
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.testing.models import noise
from mlflow_vault.testing.proxy import FaultyProxy, Mishap, Trouble
from mlflow_vault.testing.vaults import contents, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Settings = Callable[[str], dict[str, str]]

MOST: Final = 14  # requests of a write before its packs
FOREVER: Final = 1_000_000  # requests
SLACK: Final = 20.0  # seconds that a busy machine may take besides
ENDPOINT: Final = "MLFLOW_S3_ENDPOINT_URL"
PATIENCE: Final = Patience(
    tries=3, total=1.5, first_wait=0.01, longest_wait=0.1, connect=0.4, silence=0.4, request=0.8
)


def every(status: int, code: str, *methods: str) -> tuple[Mishap, ...]:
    """Refuse every request by *methods*, or by any."""
    refused = [
        Mishap(Trouble.REFUSED, times=FOREVER, status=status, code=code, method=m) for m in methods
    ]
    return tuple(refused or [Mishap(Trouble.REFUSED, times=FOREVER, status=status, code=code)])


@dataclass(frozen=True)
class Case:
    """What is wrong, and what is said of it.

    Attributes:
        error: Of which class the error of a get and a put is.
        said: What it says, as a pattern.
        plan: What the network does.
        settings: What is set otherwise.
        bucket: Where the vault is looked for.
    """

    error: type[VaultError]
    said: str
    plan: tuple[Mishap, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    bucket: str = "vaults"


SILENT: Final = Mishap(Trouble.SILENT, times=FOREVER)
SKEWED: Final = "cannot.*403 RequestTimeTooSkewed.*Set this machine's clock"
CASES: Final = {
    "nobody listens": Case(
        StorageError,
        "nobody listens there.*AWS_ENDPOINT_URL_S3",
        settings={ENDPOINT: "http://127.0.0.1:1"},
    ),
    "black hole": Case(StorageError, "did not answer in time.*network", plan=(SILENT,)),
    "no such host": Case(
        StorageError, "its name has no address", settings={ENDPOINT: "http://no-such-host.invalid"}
    ),
    "wrong secret": Case(
        PermissionDeniedError,
        "403 SignatureDoesNotMatch.*credentials that hold",
        settings={"AWS_SECRET_ACCESS_KEY": "another"},
    ),
    "unknown key": Case(
        PermissionDeniedError,
        "403 InvalidAccessKeyId.*credentials that hold",
        settings={"AWS_ACCESS_KEY_ID": "another"},
    ),
    "no bucket": Case(StorageError, "NoSuchBucket.*make it", bucket="no-such-bucket"),
    "wrong clock": Case(StorageError, SKEWED, plan=every(403, "RequestTimeTooSkewed")),
    "expired": Case(StorageError, "new credentials", plan=every(400, "ExpiredToken")),
    "full disk": Case(StorageError, "507.*[Mm]ake room", plan=every(507, "InsufficientCapacity")),
    "full quota": Case(StorageError, "403 QuotaExceeded.*quota", plan=every(403, "QuotaExceeded")),
    "out of order": Case(StorageError, "503 SlowDown.*tried 3 times", plan=every(503, "SlowDown")),
    "not known": Case(StorageError, "405 MethodNotAllowed", plan=every(405, "MethodNotAllowed")),
}


@pytest.mark.parametrize("name", CASES)
def test_dead(
    ceph: str,
    address: Address,
    settings: Settings,
    watch: Any,
    name: str,
) -> None:
    """Opening, making, reading, listing and writing each end soon, in words that help."""
    case = CASES[name]
    place = Address("s3", case.bucket, address.path)
    with FaultyProxy(ceph, case.plan) as proxy:
        store = S3Store(place, settings(proxy.url) | case.settings, PATIENCE)
        for operation in (
            lambda: Vault.at(store),
            lambda: Vault.init_at(store),
            lambda: store.get("a"),
            lambda: store.put("a", b"x" * 100_000),
            lambda: store.create("a", b"x"),
            lambda: list(store.list("")),
            lambda: store.list_level(""),
        ):
            before, began = proxy.counts.total(), time.monotonic()

            with pytest.raises(case.error, match=case.said) as caught:
                watch.within(PATIENCE.longest + SLACK, operation)

            assert proxy.counts.total() - before <= PATIENCE.tries
            assert time.monotonic() - began < PATIENCE.longest + SLACK
            assert watch.complaints(caught.value) == []


def test_longest() -> None:
    """No operation outlasts the policy: by tries, or by the time in which they may begin."""
    assert Patience(tries=2, request=3, longest_wait=1, total=100).longest == 7
    assert Patience(tries=9, request=3, longest_wait=1, total=10).longest == 13


def test_read_only(ceph: str, address: Address, settings: Settings, tmp_path: Path) -> None:
    """Who may read and not write reads, and is told by each write which permission is missing."""
    write(Vault.init_at(S3Store(address, settings(ceph))), "a", b"there")
    (tmp_path / "large").write_bytes(noise(1, 300_000))
    with FaultyProxy(ceph, every(403, "AccessDenied", "PUT", "DELETE")) as proxy:
        vault = Vault.at(S3Store(address, settings(proxy.url), PATIENCE))

        for operation, permission in (
            (lambda: write(vault, "a", b"small"), "s3:PutObject"),
            (lambda: vault.write_file(tmp_path / "large", "b"), "s3:PutObject"),
            (lambda: vault.delete("a"), "s3:DeleteObject"),
        ):
            with pytest.raises(PermissionDeniedError, match=permission):
                operation()

        assert contents(vault) == {"a": b"there"}


@pytest.mark.parametrize("at", [2, 4, 6, 8])
def test_dies_midway(ceph: str, address: Address, settings: Settings, watch: Any, at: int) -> None:
    """A gateway that falls silent within a write ends it, and what was there is not harmed."""
    clean = Vault.init_at(S3Store(address, settings(ceph)))
    with FaultyProxy(ceph, [Mishap(Trouble.SILENT, at=at, times=FOREVER)]) as proxy:
        vault = Vault.at(S3Store(address, settings(proxy.url), PATIENCE))

        with pytest.raises(StorageError, match="did not answer"):
            watch.within(
                MOST * PATIENCE.longest + SLACK, lambda: write(vault, "a", noise(1, 300_000))
            )

        assert len(proxy.struck) <= MOST * PATIENCE.tries
    write(clean, "a", b"again")
    assert read(clean, "a") == b"again"


UNUSABLE: Final = {
    "endpoint's port": ({ENDPOINT: "http://127.0.0.1:99999"}, "endpoint"),
    "endpoint with a space": ({ENDPOINT: "http://a b"}, "endpoint"),
    "endpoint that is none": ({ENDPOINT: "http://[::1"}, "endpoint"),
    "endpoint with a password": ({ENDPOINT: "http://:password@127.0.0.1"}, "endpoint"),
    "endpoint with a query": ({ENDPOINT: "http://127.0.0.1/?password"}, "endpoint"),
    "key with its line's end": ({"AWS_ACCESS_KEY_ID": "password\n"}, "AWS_ACCESS_KEY_ID"),
    "secret with its line's end": (
        {"AWS_SECRET_ACCESS_KEY": "password\n"},
        "AWS_SECRET_ACCESS_KEY",
    ),
    "token with its line's end": ({"AWS_SESSION_TOKEN": "password\n"}, "AWS_SESSION_TOKEN"),
    "region": ({"AWS_DEFAULT_REGION": "us-east-1\n"}, "AWS_DEFAULT_REGION"),
    "owner": ({"MLFLOW_S3_EXPECTED_BUCKET_OWNER": "1\n"}, "MLFLOW_S3_EXPECTED_BUCKET_OWNER"),
    "metadata": ({"MLFLOW_S3_UPLOAD_EXTRA_ARGS": '{"Metadata": {"a b": ""}}'}, "Metadata"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_setting(address: Address, settings: Settings, name: str) -> None:
    """A setting that cannot be used is named, and its value, which may be a secret, is not told."""
    setting, said = UNUSABLE[name]
    store = S3Store(address, settings("http://127.0.0.1:1") | setting, PATIENCE)

    for operation in (lambda: store.get("a"), lambda: store.put("a", b"")):
        with pytest.raises(InvalidInputError, match=said) as caught:
            operation()
        assert "password" not in str(caught.value)


@pytest.mark.parametrize(
    "body", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_unusable_certificates(
    address: Address, settings: Settings, tmp_path: Path, body: str
) -> None:
    """A file of authorities that is none is named."""
    (tmp_path / "bundle.pem").write_text(body)
    environment = settings("https://127.0.0.1:1") | {"AWS_CA_BUNDLE": str(tmp_path / "bundle.pem")}

    with pytest.raises(InvalidInputError, match="AWS_CA_BUNDLE"):
        S3Store(address, environment, PATIENCE).get("a")
