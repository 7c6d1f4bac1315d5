"""Fields of JSON that is stored in one spelling: taken for what they should be, or refused.

Pure: no I/O.  Written down in docs/format.md, "Audit log".
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from mlflow_vault.format.digest import PREFIX, Digest, from_hex

_LATEST: Final = 221_845_392_000_000  # the year 9000, so that times can be told in any zone
_NONCE: Final = re.compile(r"[0-9a-f]{32}")


def text(value: Any) -> str:
    """Return *value*, which is text.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text should be")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Return *value*, which is an array of texts.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} where an array should be")
    return tuple(map(text, value))


def count(value: Any) -> int:
    """Return *value*, which is a whole number from 0.

    Raises:
        TypeError: It is not.
    """
    if type(value) is not int or value < 0:
        raise TypeError("a number is none, or negative")
    return value


def time(value: Any) -> int:
    """Return *value*, which is a time in milliseconds since 1970.

    Raises:
        TypeError: It is not.
        ValueError: It is too far away.
    """
    if count(value) >= _LATEST:
        raise ValueError("its time is too far away")
    return int(value)


def nonce(value: Any) -> str:
    """Return *value*, which is 16 bytes in hexadecimal.

    Raises:
        TypeError: It is no text.
        ValueError: It is something else.
    """
    if not _NONCE.fullmatch(text(value)):
        raise ValueError("its id or nonce is none")
    return str(value)


def octets(value: Any) -> bytes:
    """Return the bytes that *value* spells in base64, in the one spelling that encoders write.

    Raises:
        TypeError: It is no text.
        ValueError: It is something else, or empty.
    """
    try:
        raw = base64.b64decode(text(value), validate=True)
    except binascii.Error as cause:
        raise ValueError(f"a part of it is no base64: {cause}") from cause
    if not raw or base64.b64encode(raw).decode() != value:
        raise ValueError("a part of it is no base64 as it is written")
    return raw


def mapping(value: Any) -> dict[str, Any]:
    """Return *value*, which is an object of JSON.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{type(value).__name__} where an object should be")
    return value


def digest(value: Any) -> Digest:
    """Return what *value* spells, which is a digest.

    Raises:
        TypeError: It is no text.
        ValueError: It is something else.
    """
    if not text(value).startswith(PREFIX):
        raise ValueError("a digest is none")
    return Digest(from_hex(value.removeprefix(PREFIX)))


def optional_digest(value: Any) -> Digest | None:
    """Return what *value* spells, which is a digest or null.

    Raises:
        TypeError: It is no text.
        ValueError: It is something else.
    """
    return None if value is None else digest(value)
