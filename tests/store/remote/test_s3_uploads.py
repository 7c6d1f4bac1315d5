"""What goes up with an object is what was asked for, or an error."""

from __future__ import annotations

import json

import pytest

from mlflow_vault.errors import InvalidInputError, UnsupportedError, VaultError
from mlflow_vault.store.remote.s3_uploads import read_uploads


def test_nothing() -> None:
    """Where nothing is set, nothing goes up besides."""
    uploads = read_uploads("")

    assert (uploads.headers, uploads.checksum) == ({}, "")
    assert uploads.content_type == "application/octet-stream"


def test_headers() -> None:
    """boto3's words become the headers that boto3 would send."""
    uploads = read_uploads(
        json.dumps(
            {
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": "arn:aws:kms:eu-west-1:1:key/2",
                "BucketKeyEnabled": True,
                "StorageClass": "GLACIER_IR",
                "Metadata": {"Team": "x"},
                "ContentType": "a/b",
                "ChecksumAlgorithm": "SHA256",
            }
        )
    )

    assert uploads.headers == {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-west-1:1:key/2",
        "x-amz-server-side-encryption-bucket-key-enabled": "true",
        "x-amz-storage-class": "GLACIER_IR",
        "x-amz-meta-team": "x",
    }
    assert (uploads.content_type, uploads.checksum) == ("a/b", "SHA256")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", InvalidInputError),
        ("[]", InvalidInputError),
        ('{"StorageClass": 1}', InvalidInputError),
        ('{"StorageClass": "a\\nb: c"}', InvalidInputError),
        ('{"Metadata": "x"}', InvalidInputError),
        ('{"Metadata": {"a": "\\u00e4"}}', InvalidInputError),
        ('{"SSECustomerKey": "x"}', UnsupportedError),
        ('{"ObjectLockMode": "GOVERNANCE"}', UnsupportedError),
        ('{"Nonsense": "x"}', UnsupportedError),
        ('{"ChecksumAlgorithm": "CRC32"}', UnsupportedError),
        ('{"ChecksumAlgorithm": ["SHA256"]}', UnsupportedError),
        ('{"StorageClass": "DEEP_ARCHIVE"}', UnsupportedError),
    ],
)
def test_refused(text: str, error: type[VaultError]) -> None:
    """What cannot be kept to is no silence, and the error names the variable."""
    with pytest.raises(error, match="MLFLOW_S3_UPLOAD_EXTRA_ARGS"):
        read_uploads(text)
