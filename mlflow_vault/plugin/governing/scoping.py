"""Names of models across workspaces: one vault may hold those of all.

MLflow's workspaces each have their own registered models, so that two may have a ``credit``.  A
vault calls a model of any workspace but the default one by both names, joined by what no name
of MLflow's can have:

    default workspace  credit          workspace risk  risk:credit

The way back needs no workspace.  Only what MLflow tells a vault, and a vault asks of MLflow,
passes here.

Pure: no I/O.
"""

from __future__ import annotations

from typing import Final

SEPARATOR: Final = ":"
DEFAULT: Final = "default"


def scoped(name: str, workspace: str) -> str:
    """Return what a vault calls the model *name* of *workspace*.

    >>> scoped("credit", "risk"), scoped("credit", "default")
    ('risk:credit', 'credit')
    """
    return name if workspace in {"", DEFAULT} else f"{workspace}{SEPARATOR}{name}"


def plain(model: str) -> str:
    """Return what MLflow calls, in its workspace, what a vault calls *model*.

    >>> plain("risk:credit"), plain("credit")
    ('credit', 'credit')
    """
    return model.rpartition(SEPARATOR)[2]
