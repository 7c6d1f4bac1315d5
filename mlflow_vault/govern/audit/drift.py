"""Compares MLflow's registry with what was decided and logged: did somebody go around us?

What is compared, of every model that the log knows: its stages with the newest decision, its other
aliases and its versions with what the log says of them.  A version that is in the registry alone
is for `sync` to tell.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.anomalies import Anomaly
from mlflow_vault.decide.transitions import STAGES, decision_of
from mlflow_vault.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow_vault.format.decision import Decision
    from mlflow_vault.govern.audit.standing import Model, Standing
    from mlflow_vault.govern.host import Held, Host
    from mlflow_vault.govern.release.keeping.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that the registry shows otherwise than the vault.

    Attributes:
        model: The registered model.
        reason: What the vault has and what the registry shows.
        sequence: The entry of the audit log that tells of it; None if that is a decision.
    """

    model: str
    reason: str
    sequence: int | None = None

    def __str__(self) -> str:
        where = "" if self.sequence is None else f" (entry {self.sequence})"
        return f"{self.model}: {self.reason}{where}"

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {"model": self.model, "reason": self.reason, "sequence": self.sequence}

    @property
    def anomaly(self) -> Anomaly:
        """This as one of what looks odd."""
        sequences = () if self.sequence is None else (self.sequence,)
        return Anomaly("drift", sequences, f"{self.model}: {self.reason}")


def drift(
    host: Host, standing: Standing, ledger: Callable[[str], Ledger], readers: int
) -> tuple[Drift, ...]:
    """Say where MLflow's registry shows something else than was decided and logged.

    Args:
        host: The registry.
        standing: What the log says of now.
        ledger: Opens the ledger of a model.
        readers: How many wait for the store at once.

    Raises:
        CorruptionError: A decision is damaged.
        StorageError: The store failed, or the registry does not answer.
    """
    names = sorted(standing.models)
    with ThreadPoolExecutor(readers, "vault-ledgers") as pool:
        heads = pool.map(lambda name: _head(ledger(name)), names)
        return tuple(
            found
            for name, (head, done) in zip(names, heads, strict=True)
            for found in _of_model(host, name, standing.models[name], head, done)
        )


def _head(ledger: Ledger) -> tuple[Decision | None, int]:
    done = ledger.carried_out()  # before the head: what is carried out since is not called undone
    return ledger.head(), done


def _of_model(
    host: Host, name: str, model: Model, head: Decision | None, done: int
) -> Iterator[Drift]:
    there = {held.number: held for held in host.registered(name)}
    if not there:
        if model.versions or head is not None:
            yield Drift(name, "the registry has no version of it, and the log tells of no delete")
        return
    try:
        aliases = host.aliases(name)
    except NotFoundError:
        aliases = {}
    if head is not None and head.sequence > done:
        yield Drift(name, f"decision {head.sequence} is not carried out yet: it is on its way")
    elif head is not None:
        yield from _stages(name, head, there, aliases)
    stages = {*STAGES, *head.after} if head is not None else set()
    yield from _others(name, model, stages, aliases)
    yield from _versions(name, model, there)


def _others(name: str, model: Model, stages: set[str], aliases: dict[str, int]) -> Iterator[Drift]:
    """Aliases that are no stages, or whose model is not governed."""
    for alias, one in sorted(model.aliases.items()):
        shows = aliases.get(alias)
        if alias not in stages and decision_of(one.entry) is None and shows != one.number:
            reason = f"{alias!r} shows {_told(shows)}; {one.entry.actor} let it show {one.number}"
            yield Drift(name, reason, one.entry.sequence)


def _versions(name: str, model: Model, there: dict[int, Held]) -> Iterator[Drift]:
    for number, one in sorted(model.versions.items()):
        held = there.get(number)
        if held is None:
            reason = f"version {number} is gone, and the log tells of no delete"
            yield Drift(name, reason, one.entry.sequence)
        elif held.digest and one.digest and held.digest != str(one.digest):
            reason = f"version {number} is called {held.digest}, and was committed as {one.digest}"
            yield Drift(name, reason, one.entry.sequence)


def _stages(
    name: str, head: Decision, there: dict[int, Held], aliases: dict[str, int]
) -> Iterator[Drift]:
    for stage in sorted({*STAGES, *head.after}):
        stand, shows = head.after.get(stage), aliases.get(stage)
        number = None if stand is None else stand.number
        if number is not None and number not in there:
            yield Drift(name, f"version {number}, which stands in {stage}, is gone")
        elif shows != number:
            reason = f"{stage} shows {_told(shows)}, and {_told(number)} was decided"
            yield Drift(name, f"{reason} (up to decision {head.sequence})")


def _told(number: int | None) -> str:
    return "nobody" if number is None else f"version {number}"
