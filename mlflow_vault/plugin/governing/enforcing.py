"""The guard of a registry: each call that changes something passes a `Gate` first.

    not governed        MLflow's own call, as it is
    a stage             `vault.releases` decides; MLflow's stages then show what stands
    a version, a name   kept while it stands in a stage; else by right
    tags, descriptions  by right; the vault's own tags are questions or nobody's
    prompts             MLflow's own call, as it is

Each method has MLflow's name and meaning; `calls.CALLS` lists them all.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from mlflow.entities.model_registry import RegisteredModelTag
from mlflow.entities.model_registry.model_version_stages import get_canonical_stage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from mlflow_vault.decide.policy.roles import Right
from mlflow_vault.format.log import Action
from mlflow_vault.govern.host import GOVERNED_TAG, REQUIRED_TAG
from mlflow_vault.plugin.governing.asking import body_of, verb_of
from mlflow_vault.plugin.governing.doorman import Doorman
from mlflow_vault.plugin.governing.law import ARCHIVED
from mlflow_vault.plugin.governing.prompts import (
    is_mark,
    is_own,
    is_prompt,
    is_prompt_version,
    says_prompt,
)
from mlflow_vault.plugin.governing.showing import NONE, STAGES
from mlflow_vault.plugin.governing.spelling import folded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.plugin.governing.gate import Gate

# What MLflow refuses as an alias: it is not in the log as done.
_NO_ALIAS: Final = re.compile(r"|latest|v\d+|.*[^\w\n-].*", re.IGNORECASE | re.DOTALL)
_STAGES: Final = {shown: stage for stage, shown in STAGES.items()} | {"Archived": ARCHIVED}


class EnforcingStore:
    """What a governing registry does before MLflow's; to be mixed in before one of its stores."""

    db_uri: str

    @cached_property
    def doorman(self) -> Doorman:
        """Who opens the gates of this registry."""
        return Doorman(self.db_uri, super())

    # Registered models.

    def get_registered_model(self, name: str) -> Any:
        """Return a model; a tag tells whether this registry governs it."""
        model: Any = super().get_registered_model(name)  # type: ignore[misc]
        model._tags.pop(GOVERNED_TAG, None)  # noqa: SLF001 - whoever stored it
        if not is_prompt(model) and self.doorman.shows_governed(model.name):
            model._add_tag(RegisteredModelTag(GOVERNED_TAG, "true"))  # noqa: SLF001 - no other way
        return model

    def create_registered_model(
        self, name: str, tags: Iterable[Any] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Make a model, without the vault's tags but the one that declares metadata."""
        sent = list(tags or ())
        kept = [tag for tag in sent if not is_own(tag.key) or tag.key == REQUIRED_TAG]
        reserved = len(kept) < len(sent) or any(is_own(tag.key) for tag in kept)
        with self.doorman.gate("create_registered_model", name, reserved=reserved) as gate:
            if gate and any(tag.key == REQUIRED_TAG for tag in kept):
                gate.need(Right.ADMINISTER, f"the tag {REQUIRED_TAG}")
            if gate and gate.law.governs and not says_prompt(sent):
                gate.need(Right.CONTRIBUTE, "it")
            return super().create_registered_model(name, kept, *args, **kwargs)  # type: ignore[misc]

    def update_registered_model(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Change what describes a model."""
        with self.doorman.gate("update_registered_model", name, prompts=True) as gate:
            if gate and gate.law.governs:
                gate.need(Right.CONTRIBUTE, "it")
            return super().update_registered_model(name, *args, **kwargs)  # type: ignore[misc]

    def rename_registered_model(self, name: str, new_name: str) -> Any:
        """Rename a model of which no version stands in a stage, before or after."""
        call = "rename_registered_model"
        with self.doorman.gate(call, name) as left, self.doorman.gate(call, new_name) as entered:
            gates = [gate for gate in (left, entered) if gate and gate.law.governs]
            if gates and not self.doorman.is_mere_prompt(name):
                for gate in gates:
                    gate.need(Right.ADMINISTER, "it")
                    self.doorman.keep_standing(gate, name)
                for gate in gates:
                    gate.note(Action.RENAME, before={"name": name}, after={"name": new_name})
            return super().rename_registered_model(name, new_name)  # type: ignore[misc]

    def delete_registered_model(self, name: str) -> None:
        """Delete a model of which no version stands in a stage."""
        with self.doorman.gate("delete_registered_model", name) as gate:
            if gate and gate.law.governs and not self.doorman.is_mere_prompt(name):
                gate.need(Right.ADMINISTER, "it")
                self.doorman.keep_standing(gate, name)
                gate.note(Action.DELETE, before={"model": name})
            super().delete_registered_model(name)  # type: ignore[misc]

    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        """Set a tag; what declares metadata takes a right, the vault's others are nobody's."""
        call, own = "set_registered_model_tag", is_own(tag.key)
        free = not (own or is_mark(tag.key))
        with self.doorman.gate(call, name, prompts=free, reserved=own) as gate:
            self._tag_of_model(gate, tag.key)
            super().set_registered_model_tag(name, tag)  # type: ignore[misc]

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Delete a tag; what declares metadata takes a right, the vault's others are nobody's."""
        call, own = "delete_registered_model_tag", is_own(key)
        free = not (own or is_mark(key))
        with self.doorman.gate(call, name, prompts=free, reserved=own) as gate:
            self._tag_of_model(gate, key)
            super().delete_registered_model_tag(name, key)  # type: ignore[misc]

    @staticmethod
    def _tag_of_model(gate: Gate | None, key: str) -> None:
        if is_own(key) and key != REQUIRED_TAG:
            raise _of_vault(gate, key)
        if gate and key == REQUIRED_TAG:
            gate.need(Right.ADMINISTER, f"the tag {key}")
        elif gate and gate.law.governs:
            if is_mark(key):
                raise _of_prompts(gate, key)
            gate.need(Right.CONTRIBUTE, "it")

    # Aliases and stages.

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Set an alias; where it is a stage, that is a promotion."""
        call = "set_registered_model_alias"
        with self.doorman.gate(call, name, version=version) as gate:
            stage = folded(alias or "")
            if gate and gate.law.governs and stage in gate.law.stages:
                if alias not in STAGES:
                    raise gate.refuse(f"{alias} is no alias of its: ask for {stage}")
                self.doorman.promote(gate, version, stage)
                return
            if gate and gate.law.governs:
                self._free_alias(gate, name, alias, int(version))
            super().set_registered_model_alias(name, alias, version)  # type: ignore[misc]

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Delete an alias, unless it is a stage in which somebody stands."""
        call = "delete_registered_model_alias"
        with self.doorman.gate(call, name, alias=alias) as gate:
            stage = folded(alias or "")
            if gate and gate.law.governs and stage in gate.law.stages:
                if self.doorman.alias(name, alias) is not None:
                    raise gate.refuse(
                        f"{alias} is a stage: archive the version that stands there, roll back, "
                        "or promote another"
                    )
            elif gate and gate.law.governs:
                self._free_alias(gate, name, alias, None)
            super().delete_registered_model_alias(name, alias)  # type: ignore[misc]

    def _free_alias(self, gate: Gate, name: str, alias: str, number: int | None) -> None:
        """Let pass an alias that is no stage; what candidates are compared with takes more."""
        compared = folded(alias or "") in map(folded, gate.law.baselines)
        what = f"the alias {alias}"
        if compared:
            gate.need(Right.RELEASE, f"{what}, with which candidates are compared,")
        else:
            gate.need(Right.CONTRIBUTE, what)
        before = self.doorman.alias(name, alias)
        if number is not None:
            self.doorman.version(name, str(number))
        if before != number and not _NO_ALIAS.fullmatch(alias or ""):
            told = ({"aliases": {alias: one}} for one in (before, number))
            gate.note(Action.ALIAS, before=next(told), after=next(told))

    def transition_model_version_stage(
        self,
        name: str,
        version: str,
        stage: str,
        archive_existing_versions: bool,  # noqa: FBT001
    ) -> Any:
        """Move a version to one of MLflow's stages: a promotion, or it is archived."""
        call = "transition_model_version_stage"
        with self.doorman.gate(call, name, version=version) as gate:
            wanted = get_canonical_stage(stage)
            archive, entered = archive_existing_versions, ""
            if gate and gate.law.governs:
                archive = False  # who stood there is put back to None, as the vault has it
                if wanted == NONE:
                    self.doorman.keep_stage(gate, name, version)
                elif wanted == "Archived":
                    self.doorman.archive(gate, version)
                else:
                    entered = _STAGES[wanted]
                    self.doorman.promote(gate, version, entered)
            made = super().transition_model_version_stage(  # type: ignore[misc]
                name, version, wanted, archive
            )
            if gate and entered:
                self.doorman.settle(gate, version, entered)  # somebody may have been quicker
            return made

    # Model versions.

    def create_model_version(self, name: str, source: str, *args: Any, **kwargs: Any) -> Any:
        """Make a model version; in no stage, and with no tag of the vault's."""
        with self.doorman.gate("create_model_version", name) as gate:
            tags = kwargs.get("tags") or (args[1] if len(args) > 1 else ()) or ()
            if gate and gate.law.governs:
                prompt = is_prompt_version(source, tags) and not self.doorman.is_model(name)
                if not prompt:
                    gate.need(Right.CONTRIBUTE, "it")
            return super().create_model_version(name, source, *args, **kwargs)  # type: ignore[misc]

    def update_model_version(self, name: str, version: str, *args: Any, **kwargs: Any) -> Any:
        """Change what describes a version."""
        with self.doorman.gate("update_model_version", name, version=version) as gate:
            if gate and gate.law.governs:
                gate.need(Right.CONTRIBUTE, "it")
            return super().update_model_version(name, version, *args, **kwargs)  # type: ignore[misc]

    def delete_model_version(self, name: str, version: str) -> None:
        """Delete a version that stands in no stage; its files the vault keeps."""
        with self.doorman.gate("delete_model_version", name, version=version) as gate:
            if gate and gate.law.governs:
                gate.need(Right.ADMINISTER, "it")
                self.doorman.version(name, version)
                self.doorman.keep_standing(gate, name, int(version))
                gate.note(Action.DELETE, before={"model": name, "number": int(version)})
            super().delete_model_version(name, version)  # type: ignore[misc]

    def set_model_version_tag(self, name: str, version: str, tag: Any) -> None:
        """Set a tag, or do what it asks for."""
        call, own = "set_model_version_tag", is_own(tag.key)
        with self.doorman.gate(call, name, version=version, reserved=own) as gate:
            verb = verb_of(tag.key) if gate else ""
            if gate and verb:
                self.doorman.perform(gate, version, (verb, body_of(verb, str(tag.value))))
                return
            if own:
                held = self.doorman.version(name, version).tags
                if held.get(tag.key) != tag.value:  # saying again what it says is fine
                    raise _of_vault(gate, tag.key)
                return
            if gate and gate.law.governs:
                if is_mark(tag.key):  # MLflow's clients would find no such version any more
                    raise _of_prompts(gate, tag.key)
                gate.need(Right.CONTRIBUTE, f"the tag {tag.key}")
            super().set_model_version_tag(name, version, tag)  # type: ignore[misc]

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Delete a tag that is not the vault's."""
        call, own = "delete_model_version_tag", is_own(key)
        with self.doorman.gate(call, name, version=version, reserved=own) as gate:
            if own:
                raise _of_vault(gate, key)
            if gate and gate.law.governs:
                gate.need(Right.CONTRIBUTE, f"the tag {key}")
            super().delete_model_version_tag(name, version, key)  # type: ignore[misc]


def _of_prompts(gate: Gate, key: str) -> Exception:
    return gate.refuse(f"the tag {key} would make it something else")


def _of_vault(gate: Gate | None, key: str) -> Exception:
    said = f"the tag {key} says what a vault holds and is set by it alone"
    return gate.refuse(said) if gate else MlflowException(said, PERMISSION_DENIED)
