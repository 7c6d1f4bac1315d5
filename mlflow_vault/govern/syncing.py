"""Sync: brings MLflow's registry and a vault together, and says where they do not agree.

What was registered before there was a vault, or past it, is adopted; nothing is changed or deleted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from mlflow_vault.errors import InvalidInputError, NotFoundError, StorageError, VaultError
from mlflow_vault.format.showing import html_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.host import Held


@dataclass(frozen=True, slots=True)
class Sync:
    """What a sync did and saw; all are ``name/number``.

    Attributes:
        adopted: Committed now.
        known: Committed before.
        outside: Their artifacts are not in this vault.
        failed: What could not be committed, and why: their files are gone, or damaged.
        disagreeing: Where the registry tells another digest than the vault, and what each says.
        forgotten: Versions of this vault that the registry no longer has; they are kept.
    """

    adopted: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    disagreeing: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether all that lies in the vault is committed, and both sides say the same."""
        return not self.failed and not self.disagreeing

    def _repr_html_(self) -> str:
        told = asdict(self)
        return html_table(
            "sync", [(kind, len(said), ", ".join(said)) for kind, said in told.items()]
        )

    def to_dict(self) -> dict[str, Any]:
        """This as plain values."""
        return {**asdict(self), "is_clean": self.is_clean}


def bring_together(
    registered: Iterable[Held],
    versions: Iterable[Version],
    place: Callable[[Held], str],
    commit: Callable[[Held], Version],
    compare: Callable[[Held, Version], str],
) -> Sync:
    """Adopt what is *registered* and not among *versions*.

    Args:
        registered: Every model version that MLflow has.
        versions: Every version of the vault.
        place: The path of one in the vault; raises InvalidInputError outside it.
        commit: Commits one.
        compare: Says where the two tell different digests; nothing if they agree.

    Raises:
        StorageError: The store failed.
    """
    held_here: dict[str, list[Version]] = {}
    for version in versions:
        if version.number:
            slim = replace(version, metadata={}, facts={})  # of thousands
            held_here.setdefault(version.label, []).append(slim)
    told: dict[str, list[str]] = {
        kind: [] for kind in ("adopted", "known", "outside", "failed", "disagreeing")
    }
    seen = set()
    for held in registered:
        label = f"{held.name}/{held.number}"
        seen.add(label)
        try:
            there = _same(held, held_here.get(label, []), place)
        except InvalidInputError:
            told["outside"].append(label)
            continue
        if there:
            said = compare(held, there[-1])
            told["disagreeing" if said else "known"].append(f"{label}: {said}" if said else label)
            continue
        try:
            version = commit(held)
        except NotFoundError as error:
            told["failed"].append(f"{label}: {error}")
        except StorageError:
            raise
        except VaultError as error:
            told["failed"].append(f"{label}: {error}")
        else:
            told["adopted"].append(version.label)
    return Sync(
        **{kind: tuple(labels) for kind, labels in told.items()},
        forgotten=tuple(sorted(held_here.keys() - seen)),
    )


def _same(held: Held, called: list[Version], place: Callable[[Held], str]) -> list[Version]:
    """Return those of the versions *called* as *held* is that are of its files.

    Numbers start again once a model was deleted: what counts is where the files lie.
    """
    logged = [one for one in called if held.model_id and one.origin.model_id == held.model_id]
    if logged:
        return logged
    path = place(held)
    return [one for one in called if one.origin.path == path]
