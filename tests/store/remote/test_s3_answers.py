"""A failure of S3 in the vault's words; `tests/servers/objectstores` asks servers for the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import obstore
import pytest
from obstore.exceptions import UnauthenticatedError

from mlflow_vault.errors import PermissionDeniedError
from mlflow_vault.store.remote.retries import Patience
from mlflow_vault.store.remote.s3_answers import meaning
from mlflow_vault.store.remote.s3_buckets import open_buckets
from mlflow_vault.store.remote.s3_settings import SigningKeys, read_settings

if TYPE_CHECKING:
    from obstore.store import S3Credential


class Expired(SigningKeys):
    """Keys that cannot be renewed."""

    def __init__(self) -> None:
        """Need no credentials."""

    def __call__(self) -> S3Credential:
        """Fail."""
        return self._fail()

    def _fail(self) -> NoReturn:
        raise RuntimeError("the login has expired")


def test_expired_login() -> None:
    """Credentials that cannot be renewed are an error of permission, with the reason."""
    environment = {
        "MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    settings = replace(read_settings(environment, "bucket"), credentials=Expired())
    buckets = open_buckets("bucket", settings, Patience())

    with pytest.raises(UnauthenticatedError) as caught:
        obstore.head(buckets.reading, "a")

    error = meaning(caught.value, "get vault-s3://bucket/a", "s3:GetObject")
    assert isinstance(error, PermissionDeniedError)
    assert "the login has expired" in str(error)
