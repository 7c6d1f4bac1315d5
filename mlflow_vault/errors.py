"""Every exception the vault raises, grouped by what a caller can do.

The tree::

    VaultError
    ├── InvalidInputError  (ValueError)         fix the call
    ├── NotFoundError      (FileNotFoundError)  ask for something else
    ├── ConflictError                           someone was first: look, retry
    ├── SealedError                             the path no longer changes; log elsewhere
    ├── SourceChangedError (OSError)            the file moved while it was read; log again
    ├── CorruptionError                         restore from a good copy
    ├── DeniedError                             a policy or a role does not allow it: see why
    │   └── WaitingError                        not yet: approvals or time are missing
    ├── UntrustedError                          no signature holds: sign it, or trust its key
    ├── UnsupportedError                        a newer or different vault: upgrade
    └── StorageError       (OSError)            the store failed; often transient
        └── PermissionDeniedError               not allowed: the message names what is missing

A message says what happened, where, and what to do next.
"""

from __future__ import annotations

from typing import Any


class VaultError(Exception):
    """Base of every error the vault raises on purpose."""


class InvalidInputError(VaultError, ValueError):
    """An argument cannot mean anything."""


class NotFoundError(VaultError, FileNotFoundError):
    """There is nothing under that name."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class ConflictError(VaultError):
    """Someone else was first: look at what is there, then try again."""


class SealedError(VaultError):
    """A version pins this path: it no longer changes.

    Attributes:
        sealed: The path that is sealed, at or above the one that was asked for; or empty.
    """

    def __init__(self, message: str, sealed: str = "") -> None:
        super().__init__(message)
        self.sealed = sealed


class SourceChangedError(VaultError, OSError):
    """A file changed or shrank while it was read; nothing was committed."""


class CorruptionError(VaultError):
    """Stored bytes are not what their name says they are.

    Attributes:
        key: Where in the store.
        reason: What is wrong there.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(
            f"{key} is damaged: {reason}. Nothing was written. Restore this object from a replica."
        )
        self.key, self.reason = key, reason


class DeniedError(VaultError):
    """A policy, or a role that somebody lacks, does not allow it; nothing was moved.

    Attributes:
        verdicts: What each policy said, rule by rule; empty where it is a role that is lacking.
    """

    def __init__(self, message: str, verdicts: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.verdicts = verdicts


class WaitingError(DeniedError):
    """Nothing is broken, but people or time are missing: approve it, or wait."""


class UntrustedError(VaultError):
    """A signature is missing or does not hold: sign it, or trust its key."""


class UnsupportedError(VaultError):
    """A newer or different vault, or a feature this release does not know."""


class StorageError(VaultError, OSError):
    """The store failed; often transient, so trying again is safe."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class PermissionDeniedError(StorageError):
    """The store does not allow this; trying again does not help.

    A store may answer so, too, where nothing is: above a vault it means "not here".
    """
