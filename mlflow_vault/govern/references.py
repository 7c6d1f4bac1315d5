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

from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.format.digest import PREFIX, Digest, from_hex
from mlflow_vault.format.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlflow_vault.engine.seals import Seals
    from mlflow_vault.govern.host import Held, Host
    from mlflow_vault.govern.records import Records

Reference = str | Version | Digest

_NUMBERED: Final = re.compile(r"models:/(?P<name>[^/@]+)/(?P<number>[0-9]+)")
_LOGGED: Final = re.compile(r"models:/(?P<model>m-[0-9a-f]{32})")
_OF_RUN: Final = re.compile(r"runs:/(?P<run>[0-9a-f]{32})/(?P<path>.+)")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_SHOWN: Final = 4

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
            others = sorted({version.number for version in self._records.named(name)})
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
        except (NotFoundError, InvalidInputError):
            return ""

    def _by_host(self, text: str) -> Version:
        try:
            held = self._host().resolve(text)
        except NotFoundError as cause:
            found = self._forgotten(text)
            if found is None:
                raise NotFoundError(f"{cause}; nor does this vault hold what it was") from cause
            return found
        if held.name and held.number:
            version = self._by_number(held.name, held.number)
            self.compare(held, version)
            return version
        seal = self._seals.get(self._place(held.location))
        if seal is None or not seal.get("digest"):
            raise NotFoundError(f"{text} was never committed to this vault: vault.commit({text!r})")
        found_here = self._records.of(Digest(from_hex(seal["digest"].removeprefix(PREFIX))))
        if not found_here:
            raise NotFoundError(f"{text} is sealed, but its commit was not finished: commit it")
        return found_here[-1]

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
