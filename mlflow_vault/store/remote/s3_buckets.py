"""Opening a bucket by obstore: its settings, its timeouts, and what a fork does to it.

obstore keeps threads of its own from its first request on.  They are not there after a fork, and
a request then hangs for ever, also by a new client.  So the process that came first is
remembered and its forks are refused, in words.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import S3Store as Bucket

from mlflow_vault.errors import InvalidInputError, StorageError
from mlflow_vault.store.remote.s3_settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obstore.store import ClientConfig, S3Config

    from mlflow_vault.store.remote.retries import Patience
    from mlflow_vault.store.remote.s3_settings import S3Settings

_users: list[int] = []  # the process that obstore's threads are in, once there is one


@dataclass(frozen=True, slots=True)
class Buckets:
    """One bucket twice: what goes up has headers of its own and may be slow to be answered."""

    reading: Bucket
    writing: Bucket


class SharedBuckets:
    """A bucket that the first of its stores to need it opens: that takes 17 ms, and connections.

    Args:
        bucket: Its name.
        environment: Where settings are looked for.
        patience: How long to wait.
    """

    def __init__(self, bucket: str, environment: Mapping[str, str], patience: Patience) -> None:
        self._bucket = bucket
        self._environment = environment
        self._patience = patience
        self._lock = threading.Lock()
        self._opened: Buckets | None = None

    def get(self, action: str) -> Buckets:
        """Return the bucket, which is wanted to do *action*.

        Raises:
            InvalidInputError: A setting cannot be used.
            StorageError: This process was forked from one that had used obstore.
            UnsupportedError: A setting cannot be kept.
        """
        refuse_forks(action)  # before the lock, which may have been held at the fork
        with self._lock:
            if self._opened is None:
                settings = read_settings(self._environment, self._bucket)
                self._opened = open_buckets(self._bucket, settings, self._patience)
            return self._opened


def refuse_forks(action: str) -> None:
    """Raise instead of hanging.

    Raises:
        StorageError: This process was forked from one that had used obstore.
    """
    if not _users:
        _users.append(os.getpid())
    if _users[0] != os.getpid():
        raise StorageError(
            f"cannot {action}: this process was forked from one that had used S3, and would hang. "
            "Start workers by spawn or forkserver, or fork before the first use"
        )


def open_buckets(bucket: str, settings: S3Settings, patience: Patience) -> Buckets:
    """Open *bucket*, without a request.

    Raises:
        InvalidInputError: A setting cannot be used.
    """
    config: S3Config = {
        "region": settings.region,
        "virtual_hosted_style_request": settings.virtual,
        "skip_signature": settings.credentials is None,
        "conditional_put": "etag",
        "disable_bulk_delete": True,  # not known everywhere, and we delete one by one
    }
    if settings.endpoint is not None:
        config["aws_endpoint_url_s3"] = settings.endpoint
    options: ClientConfig = {
        "allow_http": settings.endpoint is not None and settings.endpoint.startswith("http://"),
        "allow_invalid_certificates": settings.trusting,
        "connect_timeout": timedelta(seconds=patience.connect),
        "timeout": timedelta(seconds=patience.request),
    }
    if settings.certificates:
        options["root_certificate"] = settings.certificates

    def opened(config: S3Config, options: ClientConfig) -> Bucket:
        try:
            return Bucket(
                bucket,
                config=config,
                client_options=options,
                retry_config={"max_retries": 0, "retry_timeout": timedelta(0)},
                credential_provider=settings.credentials,
            )
        except (BaseError, ValueError) as cause:
            why = str(cause).partition("\n")[0].rstrip(".")
            what = "AWS_CA_BUNDLE" if "ertificate" in str(cause) else "AWS_* and MLFLOW_S3_*"
            raise InvalidInputError(
                f"the bucket {bucket} cannot be opened as is set: {why}. Look at {what}"
            ) from cause

    uploads = settings.uploads
    reading: ClientConfig = {
        "default_headers": dict(settings.headers),
        # Not for writing: while a body goes up, nothing is read.
        "read_timeout": timedelta(seconds=patience.silence),
    }
    writing: ClientConfig = {
        "default_headers": {**settings.headers, **uploads.headers},
        "default_content_type": uploads.content_type,
    }
    checked: S3Config = {"checksum_algorithm": uploads.checksum} if uploads.checksum else {}
    return Buckets(
        opened(config, {**options, **reading}),
        opened({**config, **checked}, {**options, **writing}),
    )
