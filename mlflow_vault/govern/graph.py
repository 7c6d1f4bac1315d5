"""Reads what the lineage of a vault is made from, and remembers what never changes.

Facts and parents stand in the records of versions; who shares bytes with whom is only in their
entries, which are read once for each set of files.  Files that cannot be read cost their ancestry
by content, and a warning, not the whole lineage.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.lineage.ancestry import Content, content_of, discover
from mlflow_vault.decide.lineage.build import build
from mlflow_vault.errors import CorruptionError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mlflow_vault.decide.lineage.ancestry import Shared
    from mlflow_vault.decide.lineage.graph import LineageGraph
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.host import Held

    Entries = Callable[[Version], Mapping[str, Entry]]

_log = logging.getLogger(__name__)
MOST_CHUNKS: Final = 1_000_000  # compared with one another; about 200 bytes of memory each


class Ancestry:
    """Which versions share bytes, for one vault.

    Args:
        entries: Reads the entries of a version, such as `Versions.entries`.
        most: Chunks that are compared; beyond, the oldest versions are left out.
    """

    def __init__(self, entries: Entries, most: int = MOST_CHUNKS) -> None:
        self._entries = entries
        self._most = most
        self._contents: dict[str, Content] = {}

    def shared(self, versions: Iterable[Version]) -> list[Shared]:
        """Find who is made of whose bytes; reads the entries of what was not seen before."""
        oldest: dict[str, Version] = {}
        for version in sorted(versions, key=lambda version: (version.created, version.id)):
            oldest.setdefault(str(version.digest), version)
        contents: list[Content] = []
        chunks = 0
        for version in reversed(oldest.values()):
            content = self._content(version)
            chunks += len(content.chunks)
            if contents and chunks > self._most:
                _log.warning(
                    "%s and older versions are not compared by content: %d chunks are enough",
                    version.label,
                    self._most,
                )
                break
            contents.append(content)
        return discover(contents)

    def _content(self, version: Version) -> Content:
        digest = str(version.digest)
        known = self._contents.get(digest)
        if known is not None and known.since == version.created:
            return known
        try:
            entries = self._entries(version)
        except (CorruptionError, NotFoundError) as cause:
            _log.warning(
                "%s is left out where versions are compared by content: %s", version.label, cause
            )
            return Content(digest, version.created)
        content = content_of(digest, version.created, entries.values())
        self._contents[digest] = content
        return content


def lineage_of(
    versions: Iterable[Version],
    held: Iterable[Held] = (),
    told: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    ancestry: Ancestry | None = None,
) -> LineageGraph:
    """Return the lineage of *versions* and of what MLflow has registered.

    Args:
        versions: Of the vault.
        held: What MLflow has registered, in the vault or not.
        told: Facts of what is registered outside the vault, by its URI.
        ancestry: Finds who shares bytes; None where only what was told is asked for.
    """
    versions = list(versions)
    shared = ancestry.shared(versions) if ancestry else ()
    return build(versions, held, shared, told)
