"""The file of one-time codes' secrets: who has which, readable by its owner alone.

    {"bob": "JBSWY3DP...", "cat": "..."}        base32, as authenticator apps take it

It lies with whoever checks codes - a server - and never in the vault.  Whoever can read it can make
every code, so it is refused where others may read or write it, where it belongs to somebody else,
and where it is a link.  What it holds is in no message and no log.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.format.stored_json import read_json

if TYPE_CHECKING:
    from pathlib import Path

MODE: Final = 0o600
_LARGEST: Final = 1 << 20  # bytes
_LEAST: Final = 16  # bytes of a secret, as RFC 4226 wants
_NEW: Final = ".new"


def read_secrets(path: Path) -> dict[str, str]:
    """Return the secret of each user.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It is open to others, a link, or holds something else.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as cause:
        raise NotFoundError(
            f"there are no secrets of one-time codes at {path}: mlflow-vault approver enroll"
        ) from cause
    except OSError as cause:
        why = "it is a link" if path.is_symlink() else cause.strerror
        raise InvalidInputError(f"{path} cannot be read: {why}") from cause
    try:
        _refuse_open(path, os.fstat(number))
    except InvalidInputError:
        os.close(number)
        raise
    with os.fdopen(number, "rb") as file:
        return _parsed(path, file.read(_LARGEST + 1))


def add_secret(path: Path, user: str, secret: str, *, replace: bool = False) -> None:
    """Keep the secret of *user*, durably; the file is made if there is none.

    Args:
        path: The file.
        user: As the roles call them.
        secret: In base32.
        replace: Whether in place of the one that they have.

    Raises:
        InvalidInputError: The file is not as it must be, somebody else is writing it, or *user* has
            a secret.
    """
    if not user or user != user.strip() or not user.isprintable():
        raise InvalidInputError(f"{user!r} is no name of a user")
    new = path.with_name(path.name + _NEW)
    try:
        number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    except FileExistsError as cause:
        raise InvalidInputError(
            f"{new} is there: somebody else enrolls now, or died doing so; then remove it"
        ) from cause
    except OSError as cause:
        raise InvalidInputError(f"{new} cannot be written: {cause.strerror}") from cause
    try:
        with os.fdopen(number, "wb") as file:
            found = _found(path)
            if not replace:
                _refuse_enrolled(user, found)
            file.write(json.dumps({**found, user: secret}, indent=1).encode())
            file.flush()
            os.fsync(number)
        new.rename(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def secret_bytes(secret: str) -> bytes:
    """Return what codes are made from.

    Raises:
        ValueError: It is no base32, or too short.
    """
    try:
        raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    except binascii.Error:
        raise ValueError("a secret is no base32") from None
    if len(raw) < _LEAST:
        raise ValueError(f"a secret has fewer than {_LEAST} bytes")
    return raw


def _found(path: Path) -> dict[str, str]:
    try:
        return read_secrets(path)
    except NotFoundError:
        return {}


def _refuse_enrolled(user: str, found: dict[str, str]) -> None:
    if user in found:
        raise InvalidInputError(
            f"{user!r} is enrolled already; --replace makes a new secret, and the old codes count "
            "no longer"
        )


def _refuse_open(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInputError(f"{path} is no file")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise InvalidInputError(
            f"{path} is open to others (mode {mode:04o}), who can make codes with it: chmod 600 "
            f"{path}, and enroll anew whoever is in it"
        )
    if found.st_uid not in {os.geteuid(), 0}:
        raise InvalidInputError(f"{path} belongs to somebody else, who can make codes with it")


def _parsed(path: Path, raw: bytes) -> dict[str, str]:
    # No cause is told: it would show what the file holds.
    wrong = InvalidInputError(f"{path} is no file of secrets: expected {{user: base32, ...}}")
    if len(raw) > _LARGEST:
        raise wrong
    try:
        found = read_json(raw)
        if not isinstance(found, dict):
            raise wrong
        for secret in found.values():
            secret_bytes(secret)
    except (AttributeError, TypeError, ValueError):
        raise wrong from None
    return found


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
