"""Versions as policies see them: what the record says, and what MLflow says now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.policy.evidence import Subject
from mlflow_vault.govern.index.known import NONE_IS_KNOWN, mutable, recorded

if TYPE_CHECKING:
    from mlflow_vault.decide.expression import Field, Value
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.host import Held


def subject(version: Version, held: Held | None = None) -> Subject:
    """Return *version* as a policy sees it.

    Args:
        version: Its record.
        held: What MLflow has of it; without, tags, aliases and stage are those of the record.
    """
    values: dict[Field, Value] = {**dict.fromkeys(NONE_IS_KNOWN, ()), **recorded(version)}
    if held is not None:
        values |= mutable(held)
    run = version.facts.get("run")
    user = run.get("user") if isinstance(run, dict) else None
    return Subject(
        label=version.label,
        digest=str(version.digest),
        name=version.name,
        authors=tuple(dict.fromkeys(_told(version.author) + _told(user))),
        created=version.created,
        facts=version.facts,
        values=values,
    )


def _told(author: Any) -> tuple[str, ...]:
    return (author,) if isinstance(author, str) and author.strip() else ()
