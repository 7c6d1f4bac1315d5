"""A registry in memory that keeps the promise of `govern.host.Host`, for tests without a server.

It numbers and tags as MLflow does, numbers anew once a model was deleted, and forgets on request.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.govern.host import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_NUMBERED: Final = re.compile(r"models:/([^/@]+)/([0-9]+)")
_ALIASED: Final = re.compile(r"models:/([^/@]+)@(.+)")
_LATEST: Final = re.compile(r"models:/([^/@]+)/latest")


class Registry:
    """Registered models, their versions, and what else has a reference.

    Attributes:
        known: What references of logged models and runs stand for.
        told: The facts of each location.
    """

    def __init__(self) -> None:
        self.known: dict[str, Held] = {}
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

    def tag(self, held: Held, tags: Mapping[str, str]) -> None:
        """Set *tags* of a model version."""
        now = {**self._models[held.name][held.number].tags, **tags}
        digest = now.get("mlflow_vault.digest", "")
        self._change(held.name, held.number, tags=now, digest=digest)

    def model_tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model."""
        return dict(self._tags.get(name, {}))

    def tag_model(self, name: str, tags: Mapping[str, str]) -> None:
        """Set *tags* of a registered model."""
        self._models.setdefault(name, {})
        self._tags.setdefault(name, {}).update(tags)

    def facts(self, held: Held, artifact: Callable[[str], bytes | None]) -> dict[str, Any]:
        """Return what was told of the location of *held*, and the length of its MLmodel."""
        described = artifact("MLmodel")
        told = dict(self.told.get(held.location, {}))
        return told if described is None else {**told, "described": len(described)}

    def _change(self, name: str, number: int, **changes: Any) -> None:
        self._models[name][number] = replace(self._models[name][number], **changes)
