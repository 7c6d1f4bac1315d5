"""The doors through which bytes from strangers come in: one target for each.

A target takes any bytes and returns, or raises what must not happen.  It imports no fuzzer, so
that the kept inputs are replayed by ordinary tests too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from doors import approvals, bundles, coding, decisions, files, keys, log, objects, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    **files.TARGETS,
    **objects.TARGETS,
    **coding.TARGETS,
    **keys.TARGETS,
    **versions.TARGETS,
    **log.TARGETS,
    **decisions.TARGETS,
    **bundles.TARGETS,
    **approvals.TARGETS,
}
