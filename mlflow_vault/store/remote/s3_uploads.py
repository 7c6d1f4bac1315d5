"""What goes up with every object: ``MLFLOW_S3_UPLOAD_EXTRA_ARGS``, in boto3's words, as headers.

    {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "..."}  ->  x-amz-server-side-encryption: ...

What is not known here is refused: it may be what keeps the bytes lawful.

Pure: no I/O.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = "MLFLOW_S3_UPLOAD_EXTRA_ARGS"
_HEADERS: Final = {
    "ACL": "x-amz-acl",
    "BucketKeyEnabled": "x-amz-server-side-encryption-bucket-key-enabled",
    "CacheControl": "cache-control",
    "ContentDisposition": "content-disposition",
    "ContentEncoding": "content-encoding",
    "ContentLanguage": "content-language",
    "ExpectedBucketOwner": "x-amz-expected-bucket-owner",
    "GrantFullControl": "x-amz-grant-full-control",
    "GrantRead": "x-amz-grant-read",
    "GrantReadACP": "x-amz-grant-read-acp",
    "GrantWriteACP": "x-amz-grant-write-acp",
    "RequestPayer": "x-amz-request-payer",
    "SSEKMSEncryptionContext": "x-amz-server-side-encryption-context",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "StorageClass": "x-amz-storage-class",
    "Tagging": "x-amz-tagging",
}
_CONTENT_TYPE: Final = "ContentType"
_METADATA: Final = "Metadata"
_CHECKSUM: Final = "ChecksumAlgorithm"
_KNOWN: Final = frozenset({*_HEADERS, _CONTENT_TYPE, _METADATA, _CHECKSUM})
_METADATA_NAME: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_CHECKSUMS: Final = ("CRC64NVME", "SHA256")
# From these classes an object must be restored, for hours, before it can be read.
_FROZEN_CLASSES: Final = ("GLACIER", "DEEP_ARCHIVE")


@dataclass(frozen=True, slots=True)
class Uploads:
    """What goes up with every object.

    Attributes:
        headers: Sent and signed.
        content_type: What S3 is told an object is.
        checksum: The algorithm of an additional checksum, empty for none.
    """

    headers: Mapping[str, str]
    content_type: str
    checksum: str


def read_uploads(text: str) -> Uploads:
    """Read the value of ``MLFLOW_S3_UPLOAD_EXTRA_ARGS``.

    >>> read_uploads('{"StorageClass": "STANDARD_IA"}').headers
    {'x-amz-storage-class': 'STANDARD_IA'}

    Raises:
        InvalidInputError: It is no JSON object of texts.
        UnsupportedError: It asks for what a vault cannot keep to.
    """
    try:
        extra = json.loads(text) if text else {}
    except ValueError as cause:
        raise InvalidInputError(f"{_NAME} is no JSON: {cause}") from cause
    if not isinstance(extra, dict):
        raise InvalidInputError(f"{_NAME} is no JSON object")
    _refuse_unkept(extra)
    headers = {
        _HEADERS[name]: _value(name, value) for name, value in extra.items() if name in _HEADERS
    }
    metadata = extra.get(_METADATA, {})
    if not isinstance(metadata, dict):
        raise InvalidInputError(f"{_NAME}: {_METADATA} is no JSON object")
    for name, value in metadata.items():
        if _METADATA_NAME.match(name) is None:
            raise InvalidInputError(
                f"{_NAME}: {_METADATA}'s {name!r} fits no header: use a-z, 0-9, -"
            )
        headers[f"x-amz-meta-{name.lower()}"] = _value(f"{_METADATA}.{name}", value)
    return Uploads(
        headers,
        content_type=_value(_CONTENT_TYPE, extra.get(_CONTENT_TYPE, "application/octet-stream")),
        checksum=extra.get(_CHECKSUM, ""),
    )


def _refuse_unkept(extra: dict[str, Any]) -> None:
    unknown = sorted(extra.keys() - _KNOWN)
    if unknown:
        raise UnsupportedError(
            f"{_NAME} sets {', '.join(unknown)}, which a vault cannot keep to; "
            f"it knows {', '.join(sorted(_KNOWN))}"
        )
    if _CHECKSUM in extra and extra[_CHECKSUM] not in _CHECKSUMS:
        raise UnsupportedError(
            f"{_NAME} sets {_CHECKSUM}={extra[_CHECKSUM]}: a vault knows {', '.join(_CHECKSUMS)}"
        )
    if extra.get("StorageClass") in _FROZEN_CLASSES:
        raise UnsupportedError(
            f"{_NAME} sets StorageClass={extra['StorageClass']}, whose objects must be restored "
            "before they are read, and a vault reads what it wrote. GLACIER_IR can be read at once"
        )


def _value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise InvalidInputError(f"{_NAME}: {name} is no text that fits a header")
    return value
