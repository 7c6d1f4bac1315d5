"""References: from what a person types to a version.

    b3:6f1e...            what it contains; shortened to as few digits as are not ambiguous
    models:/fraud/3       a number of a registered model, also fraud/3
    models:/fraud@prod    an alias; models:/fraud/latest
    models:/m-...         a logged model
    runs:/<run>/model     artifacts of a run
    vault-s3://...        a location

The vault is asked first, so that most references work when MLflow has forgotten what they meant;
aliases are MLflow's alone.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import InvalidInputError, NotFoundError, StorageError, VaultError
from mlflow_vault.format.digest import PREFIX, Digest
from mlflow_vault.format.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlflow_vault.engine.seals import Seals
    from mlflow_vault.govern.host import Held, Host
    from mlflow_vault.govern.records import Records

Reference = str | Version | Digest

_NUMBERED: Final = re.compile(r"models:/(?P<name>[^/]+)/(?P<number>[0-9]+)")
_LOGGED: Final = re.compile(r"models:/(?P<model>m-[0-9a-f]{32})")
_OF_RUN: Final = re.compile(r"runs:/(?P<run>[0-9a-f]{32})/(?P<path>.+)")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_SHOWN: Final = 4
_DIGITS: Final = 18  # of a number

_log = logging.getLogger(__name__)


class References:
    """Finds versions of one vault.

    Args:
        records: The versions that there are.
        seals: Which path is which version's.
        host: MLflow; asked for only where a reference needs it.
        place: Returns the path of a location in this vault; raises InvalidInputError outside.
    """

    def __init__(
        self,
        records: Records,
        seals: Seals,
        host: Callable[[], Host],
        place: Callable[[str], str],
    ) -> None:
        self._records = records
        self._seals = seals
        self._host = host
        self._place = place

    def version(self, reference: Reference) -> Version:
        """Return what *reference* means.

        Raises:
            NotFoundError: No version does; the message says how to make one.
            InvalidInputError: It is no reference, ambiguous, or of another vault.
        """
        if isinstance(reference, Version):
            return reference
        if isinstance(reference, Digest):
            return self._by_digest(str(reference))
        text = full(reference)
        if text.startswith(PREFIX):
            return self._by_digest(text)
        numbered = _NUMBERED.fullmatch(text)
        if numbered:
            if len(numbered["number"]) > _DIGITS:
                raise InvalidInputError(f"{text[:80]}... has more digits than any number")
            return self._by_number(numbered["name"], int(numbered["number"]))
        return self._by_host(text)

    def _by_digest(self, text: str) -> Version:
        found = self._records.starting(text.removeprefix(PREFIX))
        digests = sorted({str(version.digest) for version in found})
        if not found:
            raise NotFoundError(f"no version of this vault is called {text}")
        if len(digests) > 1:
            raise InvalidInputError(
                f"{text} is ambiguous: it begins {len(digests)} digests, {_listed(digests)}; give "
                "more digits"
            )
        called = (found[0].name, found[0].number)
        return [one for one in found if (one.name, one.number) == called][-1]

    def _by_number(self, name: str, number: int) -> Version:
        found = self._records.named(name, number)
        if not found:
            others = self._records.numbers(name)
            has = f"it holds {name}/{_listed(map(str, others))}" if others else "it holds none"
            raise NotFoundError(
                f"{name}/{number} is no version of this vault; {has}. If MLflow has it, commit it: "
                f"vault.commit('models:/{name}/{number}'), or all: vault.sync()"
            )
        digests = {str(version.digest) for version in found}
        if len(digests) > 1:
            said = self._digest_of(f"models:/{name}/{number}")
            found = [version for version in found if str(version.digest) == said]
            if not found:
                raise InvalidInputError(
                    f"{name}/{number} is ambiguous, as MLflow counts anew once a model was "
                    f"deleted: it was {_listed(sorted(digests))}; ask for one of these"
                )
        return found[-1]

    def _digest_of(self, reference: str) -> str:
        try:
            return self._host().resolve(reference).digest
        except VaultError as cause:
            _log.info("MLflow does not say what %s is: %s", reference, cause)
            return ""

    def _by_host(self, text: str) -> Version:
        try:
            held = self._host().resolve(text)
        except NotFoundError as cause:
            found = self._forgotten(text)
            if found is None:
                raise NotFoundError(f"{cause}; nor does this vault hold what it was") from cause
            return found
        except StorageError as cause:
            found = self._forgotten(text)
            if found is None:
                raise
            _log.warning("%s is what the vault remembers, as %s", text, cause)
            return found
        if held.name and held.number:
            version = self._by_held(text, held)
            self.compare(held, version)
            return version
        path = self._place(held.location)
        seal = self._seals.get(path)
        if seal is None or not seal.get("digest"):
            raise NotFoundError(f"{text} was never committed to this vault: vault.commit({text!r})")
        alike = self._records.of(Digest.parse(seal["digest"]))
        if not alike:
            raise NotFoundError(f"{text} is sealed, but its commit was not finished: commit it")
        here = [version for version in alike if version.origin.path == path]
        return (here or alike)[-1]

    def _by_held(self, text: str, held: Held) -> Version:
        """Return the version that MLflow holds: its number may have meant another one before."""
        numbered = self._records.named(held.name, held.number)
        if not numbered:
            return self._by_number(held.name, held.number)  # says what to do
        found = [one for one in numbered if str(one.digest) == held.digest]
        found = found or [one for one in numbered if self._lies_at(one, held)]
        if not found:
            others = _listed(sorted({str(version.digest) for version in numbered}))
            raise NotFoundError(
                f"{text} is {held.uri}, which was never committed to this vault: "
                f"vault.commit({held.uri!r}). What was called so before is {others}"
            )
        return found[-1]

    def _lies_at(self, version: Version, held: Held) -> bool:
        if held.model_id and held.model_id == version.origin.model_id:
            return True
        try:
            return self._place(held.location) == version.origin.path
        except InvalidInputError:
            return False  # of another vault

    def compare(self, held: Held, version: Version) -> str:
        """Say, and log, where MLflow's registry and this vault tell different digests."""
        if not held.digest or held.digest == str(version.digest):
            return ""
        said = (
            f"MLflow says that {held.uri} is {held.digest}, this vault that it is "
            f"{version.digest}: somebody changed the registry, or it is another one. What the "
            "vault holds is what was committed."
        )
        _log.warning("%s", said)
        return said

    def _forgotten(self, text: str) -> Version | None:
        """Find what MLflow no longer knows by what it told when that was committed."""
        logged, of_run = _LOGGED.fullmatch(text), _OF_RUN.fullmatch(text)
        if not logged and not of_run:
            return None
        found = [
            version
            for version in self._records.all()
            if (logged and version.origin.model_id == logged["model"])
            or (
                of_run
                and version.origin.run_id == of_run["run"]
                and version.origin.path.endswith(f"/artifacts/{of_run['path']}")
            )
        ]
        return max(found, key=lambda version: version.created, default=None)


def is_reference(text: str) -> bool:
    """Whether *text* says by its scheme that it is a version, not a path.

    >>> is_reference("b3:6f1e"), is_reference("models:/fraud/3"), is_reference("7/run")
    (True, True, False)
    """
    return text.startswith((PREFIX, "models:/", "runs:/"))


def full(reference: str) -> str:
    """Spell a reference with its scheme.

    >>> full("fraud/3"), full("fraud@prod"), full("b3:6f1e")
    ('models:/fraud/3', 'models:/fraud@prod', 'b3:6f1e')
    """
    text = reference.strip()
    return f"models:/{text}" if text and not _SCHEME.match(text) else text


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")
