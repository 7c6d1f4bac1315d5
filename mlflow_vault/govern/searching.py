"""Search: asks the index, brings it up to date first, and returns the versions that it names.

    records of the vault --\
                            index -- filter --> ids --> versions
    MLflow's registry ----/

New records are indexed at every search.  What MLflow says (aliases, tags, what it has besides) may
be half a minute old, as asking it takes a request for each thousand versions; where it cannot be
asked, it is as old as the last time that it could.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import StorageError, VaultError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.showing import html_table
from mlflow_vault.format.version import Version
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.index import Index, Page, place_of, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlflow_vault.govern.host import Host
    from mlflow_vault.govern.records import Records

_FRESH: Final = 30.0  # seconds that what MLflow said is taken for true
_AT_ONCE: Final = 16  # records read at once
_SHOWN: Final = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """Some of what a search found, in its order.

    Attributes:
        versions: Those that the vault holds; of the others what MLflow has of them.
        token: With which the next page is asked for; empty if this is the last.
    """

    versions: tuple[Version | Held, ...]
    token: str = ""

    def __len__(self) -> int:
        return len(self.versions)

    def __iter__(self) -> Iterator[Version | Held]:
        return iter(self.versions)

    def __getitem__(self, at: int) -> Version | Held:
        return self.versions[at]

    def __repr__(self) -> str:
        more = ", more" if self.token else ""
        return f"Found({len(self.versions)} versions{more})"

    def _repr_html_(self) -> str:
        rows = [(row["label"], row["digest"], row["held"]) for row in self.rows()[:_SHOWN]]
        return html_table(repr(self), rows, ("version", "digest", "in the vault"))

    def rows(self) -> Sequence[dict[str, Any]]:
        """One flat dictionary for each version, with what was asked most often."""
        return [_row(version) for version in self.versions]

    def to_dict(self) -> dict[str, Any]:
        """These versions as plain values."""
        return {"versions": self.rows(), "token": self.token}

    def to_pandas(self) -> Any:
        """These versions as a `pandas.DataFrame`, a row each.

        Raises:
            ImportError: There is no pandas.
        """
        import pandas as pd  # noqa: PLC0415 - the rest needs none

        return pd.DataFrame(self.rows())


class Search:
    """Searches the versions of one vault, and what its MLflow has besides.

    Args:
        records: The versions of the vault.
        host: Its MLflow.
        vault: The vault's id.
        monotonic: Seconds since some moment.
    """

    def __init__(
        self,
        records: Records,
        host: Callable[[], Host],
        vault: str,
        monotonic: Callable[[], float],
    ) -> None:
        self._records = records
        self._host = host
        self._vault = vault
        self._monotonic = monotonic
        self._index: Index | None = None
        self._pid = 0
        self._heard = float("-inf")
        self._hears = True
        self._besides: dict[str, Held] = {}

    def find(
        self,
        filter_string: str,
        *,
        order_by: Sequence[str],
        max_results: int,
        page_token: str | None,
    ) -> Found:
        """Return the versions that fit *filter_string*; see `Index.search`.

        Raises:
            InvalidInputError: One of the arguments is not what it should be; the message points
                at the column.
        """
        asked = {"order_by": order_by, "max_results": max_results, "page_token": page_token}
        try:
            page, keys = self._ask(filter_string, asked)
        except StorageError:  # the file was damaged or removed while it was open
            self._index = None
            page, keys = self._ask(filter_string, asked)
        with ThreadPoolExecutor(_AT_ONCE, "vault-search") as pool:
            read = dict(zip(keys, pool.map(self._records.read, keys.values()), strict=True))
        return Found(tuple(read.get(one) or self._beside(one) for one in page.ids), page.token)

    def _ask(self, filter_string: str, asked: dict[str, Any]) -> tuple[Page, dict[str, str]]:
        index = self._current()
        page = index.search(filter_string, **asked)
        return page, index.records(page.ids)

    def _beside(self, reference: str) -> Held:
        """What MLflow has of a version that the vault does not hold: its name at least."""
        if reference not in self._besides and self._hears:
            with suppress(VaultError):
                self._besides[reference] = self._host().resolve(reference)
        name, _, number = reference.removeprefix("models:/").rpartition("/")
        label = Held(reference, "", name=name, number=int(number) if number.isdecimal() else 0)
        return self._besides.get(reference, label)

    def _current(self) -> Index:
        if self._index is None or self._pid != os.getpid():
            # Of two registries that use one vault, each says something else of its versions.
            called = f"{self._vault}-{Digest.of(self._host().uri.encode()).raw.hex()[:16]}"
            self._index = Index.open(place_of(os.environ, called), called)
            self._pid = os.getpid()
            self._heard = float("-inf")
        with ThreadPoolExecutor(_AT_ONCE, "vault-index") as pool:
            sync(self._index, self._records.keys, self._records.read, pool.map)
        now = self._monotonic()
        if now - self._heard >= _FRESH:
            self._hears = self._hear(self._index)
            self._heard = now
        return self._index

    def _hear(self, index: Index) -> bool:
        """Index what MLflow says; False if it says nothing."""
        try:
            held = list(self._host().registered())
        except VaultError as cause:
            _log.warning(
                "aliases, tags and what this vault does not hold are as MLflow last told them, as "
                "now it does not: %s",
                cause,
            )
            return False
        index.refresh(held)
        self._besides = {one.uri: one for one in held}
        return True


def _row(version: Version | Held) -> dict[str, Any]:
    if not isinstance(version, Version):
        return {
            "label": f"{version.name}/{version.number}",
            "name": version.name,
            "number": version.number,
            "digest": "",
            "held": False,
            "created": version.created,
            "run_id": version.run_id,
            **{f"tags.{key}": text for key, text in sorted(version.tags.items())},
        }
    told = {
        f"{kind}.{key}": value
        for kind in ("metrics", "params", "tags")
        for key, value in sorted(version.told(kind).items())
    }
    return {
        "label": version.label,
        "name": version.name,
        "number": version.number,
        "digest": str(version.digest),
        "held": True,
        "created": version.created,
        "run_id": version.origin.run_id,
        **told,
    }
