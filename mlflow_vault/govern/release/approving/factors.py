"""Second factors: one-time codes (TOTP, RFC 6238), each of which counts once.

    factors/<user>/<step>      created by whoever uses the code of that half minute: one wins

A code is right in its own half minute and in those beside it, so that clocks may be off a little.
It is compared in constant time; after some wrong ones nobody of that name may try for a while, in
this process.  Whoever asks must have authenticated the user by something else before: else anybody
could lock anybody out.

The other factor is a key: `signed_approvals`.  Codes need the extra ``mfa``.
"""

from __future__ import annotations

import hmac
import logging
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import (
    ConflictError,
    DeniedError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    UnsupportedError,
)
from mlflow_vault.format.canonical import spell
from mlflow_vault.format.governed_layout import factor_key
from mlflow_vault.govern.release.approving.codes_file import add_secret, read_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.engine.world import World
    from mlflow_vault.format.record import Identity
    from mlflow_vault.store.protocol import Store

FILE_VARIABLE: Final = "MLFLOW_VAULT_TOTP_FILE"
ISSUER: Final = "mlflow-vault"
STEP: Final = 30  # seconds, as authenticator apps take for granted
DIGITS: Final = 6
_BESIDE: Final = (-1, 0, 1)  # steps
_SECRET: Final = 32  # letters of base32: 160 bits, as RFC 4226 recommends
_MOST_WRONG: Final = 5
_PAUSE: Final = 3600.0  # seconds: three in 10**6 for each try, so years to guess one
_MOST_USERS: Final = 10_000  # of whom wrong codes are remembered
_CODE: Final = re.compile(rf"[0-9]{{{DIGITS}}}")
_log = logging.getLogger(__name__)
_wrong: OrderedDict[tuple[str, str], list[float]] = OrderedDict()  # when, by file and user
_turn = threading.Lock()  # held for a moment, while nothing is waited for


class Codes:
    """Checks one-time codes.

    Args:
        store: Where the vault lies, which remembers the codes that were used.
        world: Its clocks and randomness.
        identity: What the vault is.
        file: Who has which secret; `codes_file`.
    """

    def __init__(self, store: Store, world: World, identity: Identity, file: Path) -> None:
        self._store = store
        self._world = world
        self._has_one_winner = identity.conditional_create
        self._file = file

    def __repr__(self) -> str:
        return f"Codes({str(self._file)!r})"

    @classmethod
    def from_environment(
        cls, store: Store, world: World, identity: Identity, environment: Mapping[str, str]
    ) -> Codes:
        """Return what checks codes here: by the file that ``MLFLOW_VAULT_TOTP_FILE`` names.

        Raises:
            InvalidInputError: It names none.
        """
        named = environment.get(FILE_VARIABLE, "")
        if not named:
            raise InvalidInputError(
                f"one-time codes cannot be checked here: {FILE_VARIABLE} names no file of secrets"
            )
        return cls(store, world, identity, Path(named))

    def use(self, user: str, code: str) -> None:
        """Insist that *code* is one of *user*'s, now and for the first time.

        Args:
            user: Whom somebody authenticated, as the roles call them.
            code: Six digits.

        Raises:
            DeniedError: It is wrong, or was used; *user* has no secret, or was wrong too often; or
                the file is not as it must be, which the log tells and not who asks.
            InvalidInputError: It is not six digits.
            UnsupportedError: The extra ``mfa`` is not installed, or the store lets a second create
                win.
            StorageError: The store failed; the code may be used up.
        """
        if not self._has_one_winner:
            raise UnsupportedError(
                f"{self._store.uri} lets a second create win, so a code could count twice there. "
                "Keep the vault in a store with conditional writes, or sign with a key."
            )
        code = "".join(code.split())
        if not _CODE.fullmatch(code):
            raise InvalidInputError(f"a one-time code is {DIGITS} digits")
        secret = self._secret(user)
        if secret is None:
            raise DeniedError(f"{user!r} has no one-time codes: mlflow-vault approver enroll")
        self._try(user)
        step = self._step(secret, code)
        if step is None:
            raise DeniedError(f"the one-time code of {user!r} is wrong, or its time is over")
        self._was_right(user)
        self._use_up(user, step)
        with _turn:
            _wrong.pop((str(self._file), user), None)

    def _secret(self, user: str) -> str | None:
        try:
            return read_secrets(self._file).get(user)
        except (InvalidInputError, NotFoundError) as cause:
            _log.error("one-time codes are refused: %s", cause)
            raise DeniedError(
                "one-time codes cannot be checked here now: the log of who checks them says why"
            ) from None

    def _step(self, secret: str, code: str) -> int | None:
        """Which step *code* is of; every one is compared, whichever it is."""
        now = int(self._world.now()) // STEP
        totp = _pyotp().TOTP(secret, digits=DIGITS, interval=STEP)
        found = None
        for step in (now + beside for beside in _BESIDE):
            if step >= 0 and hmac.compare_digest(totp.generate_otp(step), code):
                found = step
        return found

    def _use_up(self, user: str, step: int) -> None:
        key = factor_key(user, step)
        body = {"nonce": self._world.random(16).hex(), "time": int(self._world.now() * 1000)}
        stored = spell(body)
        try:
            self._store.create(key, stored)
        except (ConflictError, StorageError) as error:
            try:
                found = self._store.get(key)
            except NotFoundError:
                raise error from None
            if found != stored:
                raise DeniedError(
                    f"this one-time code of {user!r} was used: wait for the next one"
                ) from error

    def _try(self, user: str) -> None:
        """Count a try as a wrong one before it is looked at, so that those at once all count."""
        now, name = self._world.monotonic(), (str(self._file), user)
        with _turn:
            recent = [one for one in _wrong.pop(name, []) if now - one < _PAUSE]
            left = int(_PAUSE - (now - recent[0])) + 1 if recent else 0
            refused = len(recent) >= _MOST_WRONG
            _wrong[name] = recent if refused else [*recent, now]
            while len(_wrong) > _MOST_USERS:
                _wrong.popitem(last=False)
        if refused:
            raise DeniedError(
                f"{user!r} gave {len(recent)} wrong one-time codes: try again in {left} seconds"
            )

    def _was_right(self, user: str) -> None:
        """Count the last try no longer."""
        with _turn:
            tries = _wrong.get((str(self._file), user))
            if tries:
                tries.pop()


def enroll(file: Path, user: str, *, issuer: str = ISSUER, replace: bool = False) -> str:
    """Make a secret for *user* and keep it in *file*.

    Args:
        file: Made if there is none, readable by its owner alone.
        user: As the roles call them.
        issuer: What authenticator apps call this.
        replace: Whether in place of the one that they have.

    Returns:
        The ``otpauth://`` URI for an authenticator app, which holds the secret: show it to *user*
        and keep it nowhere.

    Raises:
        InvalidInputError: *user* has one, or the file is not as it must be.
        UnsupportedError: The extra ``mfa`` is not installed.
    """
    pyotp = _pyotp()
    secret = pyotp.random_base32(_SECRET)
    add_secret(file, user, secret, replace=replace)
    uri: str = pyotp.TOTP(secret, digits=DIGITS, interval=STEP).provisioning_uri(
        name=user, issuer_name=issuer
    )
    return uri


def _pyotp() -> Any:
    try:
        import pyotp  # noqa: PLC0415 - extra: mfa
    except ImportError as cause:
        raise UnsupportedError(
            'one-time codes need pyotp: pip install "mlflow-vault[mfa]"'
        ) from cause
    return pyotp
