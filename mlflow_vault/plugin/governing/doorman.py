"""Opens the gates of one registry: finds out what is in force, who asks, and who stands where.

The registry is asked past its own guard, see `showing`; what moves is decided by the vault.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.utils.validation import _validate_model_name, _validate_model_version

from mlflow_vault.errors import NotFoundError, VaultError
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.plugin.governing.actor import actor_of_request, groups_of
from mlflow_vault.plugin.governing.asking import perform
from mlflow_vault.plugin.governing.gate import Gate, unauthorized, unreadable
from mlflow_vault.plugin.governing.law import Laws
from mlflow_vault.plugin.governing.prompts import is_prompt, is_prompt_version
from mlflow_vault.plugin.governing.scoped_host import active_workspace
from mlflow_vault.plugin.governing.scoping import plain, scoped
from mlflow_vault.plugin.governing.showing import NONE, STAGES, governing
from mlflow_vault.plugin.governing.spelling import folded
from mlflow_vault.plugin.registered import filter_for, paged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow_vault.govern.release.releases import Releases
    from mlflow_vault.plugin.governing.law import Law

_MISSING: Final = "RESOURCE_DOES_NOT_EXIST"


class Doorman:
    """Opens the gates of one registry.

    Args:
        store_uri: The plain URI of its database.
        below: The registry, past its guard.
    """

    def __init__(self, store_uri: str, below: Any) -> None:
        self._store_uri = store_uri
        self._below = below
        self._laws = Laws(store_uri)
        self._deciding: dict[tuple[str, str], Releases] = {}  # each reads a policy once

    def shows_governed(self, name: str) -> bool:
        """Whether to tell who reads the model *name* that this registry governs it."""
        return self._laws.shows_governed(scoped(name, active_workspace()))

    @contextmanager
    def gate(  # noqa: PLR0913 - what a call may be about
        self,
        call: str,
        name: str,
        *,
        version: object = None,
        alias: str | None = None,
        prompts: bool = False,
        reserved: bool = False,
    ) -> Iterator[Gate | None]:
        """Yield what stands before a *call* for the model *name*; None if nothing does.

        Args:
            call: What MLflow calls it.
            name: The registered model.
            version: The version that it is about: prompts pass.
            alias: The alias that it is about: those of prompts pass.
            prompts: Whether it passes where the model is a prompt.
            reserved: Whether it is about a tag of the vault's, which is guarded of any model.

        Raises:
            MlflowException: What the block raises, as a client should hear it.
        """
        _validate_model_name(name)
        if version is not None:
            _validate_model_version(version)
        try:
            law = self._law(name)
            passes = law is None or (
                self._is_of_prompt(name, version, alias, mere=prompts)
                if law.governs
                else not reserved
            )
        except VaultError as error:
            raise unreadable(call, name, error) from error
        if law is None or passes:
            yield None
            return
        made = self._made(law, call, name)
        with made.answering(name):
            yield made

    def _made(self, law: Law, call: str, name: str) -> Gate:
        actor = actor_of_request()
        try:
            groups = groups_of(actor, active_workspace())
        except MlflowException as error:
            raise unauthorized(call, name, actor, error) from error
        return Gate(law, Caller.of(actor, law.roles, groups), call)

    def _law(self, name: str) -> Law | None:
        workspace = active_workspace()
        law = self._laws.of(scoped(name, workspace))
        if law is None or not (self._laws.loose if law.governs else law.others):
            return law
        # Some databases find a model by other spellings of its name than a policy does.
        model = self._model(name)
        if model is None or model.name == name:
            return law
        return self._laws.of(scoped(str(model.name), workspace), fresh=False)

    # What the registry has.

    def version(self, name: str, version: object) -> Any:
        """Return a version, which has to be there.

        Raises:
            MlflowException: It is not.
        """
        return self._below.get_model_version(name, version)

    def alias(self, name: str, alias: str) -> int | None:
        """Return which version an alias points at; None if there is no such alias."""
        try:
            return int(self._below.get_model_version_by_alias(name, alias).version)
        except MlflowException as error:
            if error.error_code in {_MISSING, "INVALID_PARAMETER_VALUE"}:
                return None
            raise

    def is_model(self, name: str) -> bool:
        """Whether there is a model of this name, and it is no prompt."""
        model = self._model(name)
        return model is not None and not is_prompt(model)

    def is_mere_prompt(self, name: str) -> bool:
        """Whether a model is a prompt, and no version of it could be loaded as a model."""
        model = self._model(name)
        if model is None or not is_prompt(model):
            return False
        named = filter_for(name)  # None where MLflow's language cannot spell it
        wanted = f"{named} AND tags.`{IS_PROMPT_TAG_KEY}` = 'true'" if named else "name = ''"
        found = paged(self._below.search_model_versions, wanted, ["version_number ASC"])
        versions = {int(one.version): one for one in found}
        last = max((int(one.version) for one in model.latest_versions), default=0)
        for number in range(1, last + 1):
            one = versions.get(number) or self._there(name, number)
            if one is not None and not (
                is_prompt_version(one.source, one.tags) and one.current_stage == NONE
            ):
                return False
        return True

    def _there(self, name: str, number: int) -> Any:
        try:
            return self.version(name, number)
        except MlflowException as error:
            if error.error_code == _MISSING:
                return None  # it was deleted
            raise

    def _is_of_prompt(self, name: str, version: object, alias: str | None, *, mere: bool) -> bool:
        if alias is not None:
            version = self.alias(name, alias)
            mere = mere or version is None
        if version is None and not mere:
            return False
        model = self._model(name)
        if model is None or not is_prompt(model):
            return False
        if version is None:
            return True
        try:
            found = self.version(name, version)
        except MlflowException:
            return False  # MLflow says so itself
        return is_prompt_version(found.source, found.tags)

    def _model(self, name: str) -> Any:
        try:
            return self._below.get_registered_model(name)
        except MlflowException as error:
            if error.error_code == _MISSING:
                return None
            raise

    # Who stands where.

    def keep_standing(self, gate: Gate, name: str, number: int | None = None) -> None:
        """Refuse a call that would take a version away from the stage that it stands in.

        Args:
            gate: Before the call.
            name: The model.
            number: The version; None for every one.

        Raises:
            RefusedError: A version stands in a stage.
        """
        standing = {stage: one.number for stage, one in self._decided(gate).items()}
        model = self._model(name)
        if model is not None:
            for alias, to in model.aliases.items():
                if folded(alias) in gate.law.stages:
                    standing.setdefault(alias, int(to))
            for one in model.latest_versions:
                if one.current_stage in STAGES.values():
                    standing.setdefault(one.current_stage, int(one.version))
        for stage, held in sorted(standing.items()):
            if number in {None, held}:
                raise gate.refuse(
                    f"version {held} stands in {stage}: archive it, roll back, or promote another"
                )

    def keep_stage(self, gate: Gate, name: str, version: object) -> None:
        """Refuse to take a version out of MLflow's stage, unless it is in none.

        Raises:
            RefusedError: It is in one.
        """
        stage = self.version(name, version).current_stage
        self.keep_standing(gate, name, int(str(version)))
        if stage != NONE:
            raise gate.refuse(f"nothing leads from {stage} back to {NONE}")

    def _decided(self, gate: Gate) -> Mapping[str, Any]:
        return self._releases(gate).standing(gate.law.model)

    # What the vault decides.

    def promote(self, gate: Gate, version: object, stage: str) -> None:
        """Promote a version to *stage*; one that stands there is shown there.

        Raises:
            VaultError: As `Vault.promote` does.
        """
        number = int(str(version))
        self.version(plain(gate.law.model), version)
        with self._judgeable(gate, number):
            reference = f"models:/{gate.law.model}/{number}"
            self._releases(gate).promote(reference, to=stage, caller=gate.caller)

    def settle(self, gate: Gate, version: object, stage: str) -> None:
        """Let MLflow's old stage show who stands there, if by now that is not *version*."""
        shown: int | None = int(str(version))
        while (stand := self._decided(gate).get(stage)) is None or stand.number != shown:
            host = self._releases(gate).around.host()
            if stand is None:
                return host.delete_alias(gate.law.model, stage)
            shown = stand.number
            host.set_alias(gate.law.model, stage, shown)
        return None

    def archive(self, gate: Gate, version: object) -> None:
        """Archive a version.

        Raises:
            VaultError: As `Vault.archive` does.
        """
        self.version(plain(gate.law.model), version)
        with self._judgeable(gate, int(str(version))):
            reference = f"models:/{gate.law.model}/{version}"
            self._releases(gate).archive(
                reference, reason="moved to MLflow's stage Archived", caller=gate.caller
            )

    def perform(self, gate: Gate, version: object, asked: tuple[str, Mapping[str, Any]]) -> None:
        """Do what a client asked for by a tag.

        Raises:
            VaultError: As the verb does.
            MlflowException: There is no such version.
        """
        if not gate.law.governs:
            raise gate.refuse("no policy in force is for it: apply one first")
        self.version(plain(gate.law.model), version)
        number = int(str(version))
        with self._judgeable(gate, number):
            perform(gate.law, self._releases(gate), gate.caller, number, asked)

    @contextmanager
    def _judgeable(self, gate: Gate, number: int) -> Iterator[None]:
        """Refuse what no policy can judge: the vault has no such version, no policy leads there."""
        try:
            yield
        except NotFoundError as cause:
            raise gate.refuse(f"version {number}: {cause}") from cause

    def _releases(self, gate: Gate) -> Releases:
        vault, workspace = gate.law.vault, active_workspace()
        key = vault.uri, workspace
        if key not in self._deciding:
            self._deciding[key] = governing(vault, self._store_uri, workspace).releases
        return self._deciding[key]
