"""What stood at a moment: which versions and aliases there were, and who had set them.

The log is replayed up to then.  Whatever an entry is called, what it changed it tells in the same
words: *after* has ``number`` where a version came to be, ``aliases`` where aliases moved; a
``delete`` of a version or model takes it away (its bytes stay), a ``rename`` moves it.  An entry
with a ``decision`` that is not newer than the last one about its model was logged twice, by whoever
finished what another left, and changes nothing.

It tells what was logged.  What was done around the vault is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.transitions import Decided, decision_of
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.log import Action
from mlflow_vault.format.showing import html_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.log import LogEntry

_KINDS = frozenset({"version", "model"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing as some entry left it.

    Attributes:
        number: Of the version.
        digest: Of the version; None if the log does not tell.
        entry: What set it: who, when, and where in the log.
    """

    number: int
    digest: Digest | None
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class Model:
    """One registered model.

    Attributes:
        versions: By number.
        aliases: By name, such as ``production``.
    """

    versions: dict[int, Setting] = field(default_factory=dict)
    aliases: dict[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """What stood at a moment.

    Attributes:
        moment: When.
        entries: How many entries of the log were made until then.
        models: By name.
    """

    moment: datetime
    entries: int
    models: dict[str, Model]

    def __repr__(self) -> str:
        return f"Standing({self.moment.isoformat()!r}, {len(self.models)} models)"

    def _repr_html_(self) -> str:
        rows = [
            (name, alias, one.number, one.digest or "", one.entry.actor, one.entry.sequence)
            for name, model in sorted(self.models.items())
            for alias, one in sorted(model.aliases.items())
        ]
        head = ("model", "alias", "version", "digest", "set by", "entry")
        return html_table(f"at {self.moment.isoformat()}", rows, head)

    def __str__(self) -> str:
        lines = [f"at {self.moment.isoformat()}, after {self.entries} entries:"]
        for name, model in sorted(self.models.items()):
            numbers = ", ".join(map(str, sorted(model.versions))) or "none"
            lines.append(f"  {name!r}: versions {numbers}")
            for alias, one in sorted(model.aliases.items()):
                by = f"entry {one.entry.sequence} by {one.entry.actor}"
                lines.append(f"    {alias!r} -> {one.number} ({one.digest or 'no digest'}), {by}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {
            "moment": self.moment.isoformat(),
            "entries": self.entries,
            "models": {
                name: {
                    "versions": {str(n): _told(one) for n, one in sorted(model.versions.items())},
                    "aliases": {alias: _told(one) for alias, one in sorted(model.aliases.items())},
                }
                for name, model in sorted(self.models.items())
            },
        }


def at(entries: Iterable[LogEntry], moment: datetime) -> Standing:
    """Replay *entries*, those up to *moment* by their own clocks, in their order.

    Args:
        entries: The log from its beginning (`Log.entries`).
        moment: With a time zone.

    Raises:
        InvalidInputError: *moment* has no time zone.
    """
    if moment.tzinfo is None:
        raise InvalidInputError(f"{moment} needs a time zone: 2026-03-01T12:00Z has one")
    until = moment.timestamp() * 1000
    models: dict[str, Model] = {}
    seen = Decided()
    count = 0
    for entry in entries:
        if entry.time <= until:
            count += 1
            if entry.subject.kind in _KINDS and seen.is_new(entry):
                _replay(models, entry)
    return Standing(moment.astimezone(UTC), count, models)


def _replay(models: dict[str, Model], entry: LogEntry) -> None:
    name = entry.subject.name
    after = entry.after if isinstance(entry.after, dict) else {}
    if entry.action == Action.RENAME:
        if name in models and isinstance(after.get("name"), str):
            models[after["name"]] = models.pop(name)
        return
    if entry.action == Action.DELETE:
        _take_away(models, entry)
        return
    number, aliases = after.get("number"), after.get("aliases")
    if type(number) is int and entry.action in {Action.COMMIT, Action.SYNC}:
        versions = models.setdefault(name, Model()).versions
        versions[number] = Setting(number, entry.subject.digest, entry)
    if isinstance(aliases, dict):
        _move(models.setdefault(name, Model()), aliases, entry)


def _take_away(models: dict[str, Model], entry: LogEntry) -> None:
    model = models.get(entry.subject.name)
    if model is None:
        return
    if entry.subject.kind == "model":
        del models[entry.subject.name]
        return
    before = entry.before if isinstance(entry.before, dict) else {}
    number = before.get("number")
    if type(number) is int:
        model.versions.pop(number, None)
        for alias in [alias for alias, one in model.aliases.items() if one.number == number]:
            del model.aliases[alias]


def _move(model: Model, aliases: dict[str, Any], entry: LogEntry) -> None:
    decided = decision_of(entry) is not None
    for alias, number in aliases.items():
        if type(number) is not int:
            model.aliases.pop(alias, None)
            continue
        version = None if decided else model.versions.get(number)  # a decision names its digest
        digest = version.digest if version else entry.subject.digest
        model.aliases[alias] = Setting(number, digest, entry)


def _told(one: Setting) -> dict[str, Any]:
    return {
        "number": one.number,
        "digest": str(one.digest) if one.digest else None,
        "sequence": one.entry.sequence,
        "time": one.entry.time,
        "action": one.entry.action,
        "actor": {"name": one.entry.actor.name, "verified": one.entry.actor.verified},
    }
