"""Where a vault belongs when nobody made one: at MLflow's default artifact root.

MLflow lays artifacts out below a root in one of three ways, each also below
``workspaces/<name>/``:

    <root>/<experiment id>/<run: 32 hex>/artifacts
    <root>/<experiment id>/models/m-<32 hex>/artifacts
    <root>/<experiment id>/traces/tr-<32 hex>/artifacts

A location that ends like this (or lies deeper) names its root, and only such a location
does: guessing from anything else would strew vaults over a disk.

Pure: reads text only.
"""

from __future__ import annotations

import re
from typing import Final

_LAYOUT: Final = re.compile(
    r"""
    (?P<root>.+?)
    (?:/workspaces/[^/]+)?
    /[0-9]+                                              # the experiment
    /(?:|models/m-|traces/tr-)[0-9a-f]{32}/artifacts     # a run, a logged model, a trace
    (?:/.*)?
    """,
    re.VERBOSE,
)
_OWN: Final = re.compile(r"/(?:|models/m-|traces/tr-)[0-9a-f]{32}/artifacts(?:/.*)?")
_BARE: Final = re.compile(r"[a-z][a-z0-9+.-]*:/*", re.IGNORECASE)  # a scheme and no folder


def default_root(uri: str) -> str | None:
    """Return the default artifact root that *uri* lies under, None if it does not say.

    Where MLflow's layout occurs twice the outer one counts: a vault is never made
    inside what could be another's artifacts.

    >>> default_root("vault-file:///srv/ml/7/0123456789abcdef0123456789abcdef/artifacts/model")
    'vault-file:///srv/ml'
    >>> default_root("vault-file:///srv/ml/7") is None
    True
    """
    found = _LAYOUT.fullmatch(uri)
    if found is None or _BARE.fullmatch(found["root"]):
        return None
    return found["root"]


def suggested_root(uri: str) -> str:
    """Return where a person would want the vault that *uri* needs.

    An experiment with a location of its own has no experiment id in its runs' locations:

    >>> suggested_root("vault-file:///srv/mine/0123456789abcdef0123456789abcdef/artifacts")
    'vault-file:///srv/mine'
    """
    return default_root(uri) or _OWN.split(uri, maxsplit=1)[0] or uri
