"""A registry in memory that keeps the promise of `govern.host.Host`, for tests without a server.

It numbers and tags as MLflow does, numbers anew once a model was deleted, and forgets on request.
It may be asked from many threads at once.
"""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.health.judge import Sample
from mlflow_vault.errors import DeniedError, InvalidInputError, NotFoundError
from mlflow_vault.govern.host import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_NUMBERED: Final = re.compile(r"models:/([^/@]+)/([0-9]+)")
_ALIASED: Final = re.compile(r"models:/([^/@]+)@(.+)")
_LATEST: Final = re.compile(r"models:/([^/@]+)/latest")


class Registry:
    """Registered models, their versions, and what else has a reference.

    Attributes:
        known: What references of logged models and runs stand for.
        told: The facts of each location.
        measured: The latest sample of each metric, by the experiment or the version's reference.
        performs: What a registry that governs a model does when it is asked, by model.
    """

    def __init__(self) -> None:
        self.known: dict[str, Held] = {}
        self.measured: dict[tuple[str, str], Sample] = {}
        self.performs: dict[str, Callable[[int, str, Mapping[str, Any]], None]] = {}
        self._turn = threading.RLock()
        self.told: dict[str, dict[str, Any]] = {}
        self._models: dict[str, dict[int, Held]] = {}
        self._tags: dict[str, dict[str, str]] = {}

    @property
    def uri(self) -> str:
        """Where it is."""
        return "registry-in-memory"

    def default_location(self) -> str:
        """Where nothing is kept."""
        return "vault-memory://nowhere"

    def resolve(self, reference: str) -> Held:
        """Return what *reference* stands for."""
        if reference in self.known:
            return self.known[reference]
        if found := _NUMBERED.fullmatch(reference):
            numbered = self._models.get(found[1], {}).get(int(found[2]))
            if numbered is not None:
                return numbered
        if found := _ALIASED.fullmatch(reference):
            for held in self._models.get(found[1], {}).values():
                if found[2] in held.aliases:
                    return held
        if (found := _LATEST.fullmatch(reference)) and self._models.get(found[1]):
            return self._models[found[1]][max(self._models[found[1]])]
        if reference.startswith(("models:/", "runs:/")):
            raise NotFoundError(f"{self.uri} has no {reference}")
        if ":" not in reference:
            raise InvalidInputError(f"{reference!r} is no reference")
        return Held(reference, reference)

    def registered(self, name: str = "") -> Iterator[Held]:
        """Yield every model version; of one model if *name* is given."""
        for model, numbers in sorted(self._models.items()):
            if not name or model == name:
                yield from [held for _, held in sorted(numbers.items())]

    def located(self, held: Held) -> Held:
        """Return what `registered` yielded, of which all is known."""
        return held

    def register(self, name: str, held: Held) -> Held:
        """Make a model version of *held*."""
        numbers = self._models.setdefault(name, {})
        number = max(numbers, default=0) + 1
        made = replace(
            held, uri=f"models:/{name}/{number}", name=name, number=number, digest="", tags={}
        )
        numbers[number] = made
        return made

    def unregister(self, held: Held) -> None:
        """Take back a model version."""
        del self._models[held.name][held.number]

    def forget(self, name: str) -> None:
        """Delete a registered model: its numbers start again."""
        self._models.pop(name, None)
        self._tags.pop(name, None)

    def alias(self, name: str, number: int, *aliases: str) -> None:
        """Give a model version its aliases."""
        self._change(name, number, aliases=aliases)

    def aliases(self, name: str) -> dict[str, int]:
        """Return which version each alias of a registered model points at."""
        with self._turn:
            numbers = self._models.get(name, {}).items()
            return {alias: number for number, held in numbers for alias in held.aliases}

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Let an alias of a registered model point at a version of it."""
        with self._turn:
            if number not in self._models.get(name, {}):
                raise NotFoundError(f"{self.uri} has no models:/{name}/{number}")
            self.delete_alias(name, alias)
            had = self._models[name][number].aliases
            self._change(name, number, aliases=tuple(sorted({*had, alias})))

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias of a registered model away, if there is one."""
        with self._turn:
            for number, held in self._models.get(name, {}).items():
                if alias in held.aliases:
                    left = tuple(one for one in held.aliases if one != alias)
                    self._change(name, number, aliases=left)

    def governs(self, name: str) -> bool:
        """Whether somebody said what this registry does when it is asked."""
        return name in self.performs

    def ask(self, name: str, number: int, verb: str, body: Mapping[str, Any]) -> None:
        """Do what was said that this registry does."""
        if name not in self.performs:
            raise DeniedError(f"{self.uri} does not govern {name}")
        self.performs[name](number, verb, body)

    def tag(self, held: Held, tags: Mapping[str, str]) -> None:
        """Set *tags* of a model version."""
        with self._turn:
            if held.number not in self._models.get(held.name, {}):
                raise NotFoundError(f"{self.uri} has no {held.uri}")
            now = {**self._models[held.name][held.number].tags, **tags}
            digest = now.get("mlflow_vault.digest", "")
            self._change(held.name, held.number, tags=now, digest=digest)

    def untag(self, held: Held, keys: Iterable[str]) -> None:
        """Take the tags *keys* of a model version away."""
        with self._turn:
            if held.number not in self._models.get(held.name, {}):
                raise NotFoundError(f"{self.uri} has no {held.uri}")
            gone = set(keys)
            had = self._models[held.name][held.number].tags
            left = {key: text for key, text in had.items() if key not in gone}
            digest = left.get("mlflow_vault.digest", "")
            self._change(held.name, held.number, tags=left, digest=digest)

    def model_tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model."""
        return dict(self._tags.get(name, {}))

    def tag_model(self, name: str, tags: Mapping[str, str]) -> None:
        """Set *tags* of a registered model."""
        self._models.setdefault(name, {})
        self._tags.setdefault(name, {}).update(tags)

    def metric(self, key: str, held: Held, experiment: str = "", runs: str = "") -> Sample:
        """Return what was `measured` of an experiment, or of a version by its reference."""
        where = experiment or held.uri
        return self.measured.get(
            (where, key), Sample(reason=f"{where} has no metric {key!r}{runs}")
        )

    def facts(self, held: Held, artifact: Callable[[str], bytes | None]) -> dict[str, Any]:
        """Return what was told of the location of *held*, and the length of its MLmodel."""
        described = artifact("MLmodel")
        told = dict(self.told.get(held.location, {}))
        return told if described is None else {**told, "described": len(described)}

    def _change(self, name: str, number: int, **changes: Any) -> None:
        with self._turn:
            self._models[name][number] = replace(self._models[name][number], **changes)
