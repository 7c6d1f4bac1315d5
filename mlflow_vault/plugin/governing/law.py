"""What is in force for a registered model: the policies that match its name, and the roles.

Both lie in the vault that the server keeps its artifacts in.  A call that may change something
protected looks at the vault itself, so that a policy holds from the moment on at which it was
applied, whoever applied it; calls that only read believe a look for a few seconds.

If what is in force cannot be read, nobody knows what is protected: then what a policy could
protect is refused, and all else goes on.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mlflow.utils.uri import extract_db_type_from_uri

from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.policy.matching import is_for
from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.engine.world import World
from mlflow_vault.errors import NotFoundError, VaultError
from mlflow_vault.govern.policies.force import Force
from mlflow_vault.plugin.governing.showing import STAGES
from mlflow_vault.plugin.governing.spelling import LOOSE, folded
from mlflow_vault.plugin.guard import HostPolicy
from mlflow_vault.plugin.host import MlflowHost
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

BELIEVED: Final = 5.0  # seconds that calls which only read believe a look
ARCHIVED: Final = "archived"


@dataclass(frozen=True, slots=True)
class Law:
    """What is in force for one registered model.

    Attributes:
        vault: Where it is kept.
        model: What that vault calls the model.
        policies: The policies that match its name; without any it is not governed.
        roles: Who may do what; None if nobody said.
        others: Whether there are policies for other models.
    """

    vault: Vault
    model: str
    policies: tuple[Policy, ...]
    roles: Roles | None
    others: bool = False

    @property
    def governs(self) -> bool:
        """Whether a policy in force matches the model's name."""
        return bool(self.policies)

    @property
    def names(self) -> str:
        """What the policies are called."""
        return ", ".join(policy.name for policy in self.policies)

    @property
    def stages(self) -> frozenset[str]:
        """The stages that its policies speak of; aliases of these names are protected."""
        found: set[str] = set()
        for policy in self.policies:
            found |= {policy.transition.to, *policy.transition.from_}
            found |= {policy.soak.in_} if policy.soak else set()
            found |= {(policy.baseline or "").removeprefix("@")} & STAGES.keys()
        return frozenset(found - {"none"})

    @property
    def baselines(self) -> frozenset[str]:
        """The aliases, beside stages, that its policies compare candidates with."""
        said = (policy.baseline or "" for policy in self.policies)
        return frozenset(text[1:] for text in said if text[:1] == "@") - STAGES.keys()


@dataclass(frozen=True, slots=True)
class _Look:
    policies: tuple[Policy, ...]
    roles: Roles | None
    since: float


class Laws:
    """What is in force for the models of one registry.

    Args:
        store_uri: The plain URI of the registry's database.

    Attributes:
        loose: Whether the database finds a model by other spellings of its name.  There a policy
            is for all of them.
    """

    def __init__(self, store_uri: str) -> None:
        self._store_uri = store_uri
        self.loose = extract_db_type_from_uri(store_uri) in LOOSE
        self._forces: dict[str, Force] = {}  # each reads a document once
        self._looks: dict[str, _Look] = {}
        self._default = "", -BELIEVED
        self._turn = threading.Lock()

    def of(self, model: str, *, fresh: bool = True) -> Law | None:
        """Return what is in force for *model*; None if the server has no vault.

        Args:
            model: What a vault calls it.
            fresh: Whether to look now; else a look of the last seconds will do.

        Raises:
            VaultError: What is in force cannot be read.
        """
        law: Law | None = None
        for vault in self._vaults():
            look = self._look(vault, fresh=fresh)
            found = tuple(one for one in look.policies if self._is_for(one, model))
            made = Law(vault, model, found, look.roles, others=len(found) < len(look.policies))
            if found:
                return made
            law = replace(law, others=law.others or made.others) if law else made
        return law

    def shows_governed(self, model: str) -> bool:
        """Whether to tell a reader that *model* is governed; no if that cannot be told now."""
        try:
            law = self.of(model, fresh=False)
        except VaultError:
            return False
        return law is not None and law.governs

    def _is_for(self, policy: Policy, model: str) -> bool:
        if is_for(policy, model) or not self.loose:
            return is_for(policy, model)
        patterns = tuple(map(folded, policy.metadata.models))
        metadata = policy.metadata.model_copy(update={"models": patterns})
        return is_for(policy.model_copy(update={"metadata": metadata}), folded(model))

    def _look(self, vault: Vault, *, fresh: bool) -> _Look:
        known = self._looks.get(vault.uri)
        if known is not None and not fresh and time.monotonic() - known.since < BELIEVED:
            return known
        since = time.monotonic()
        with self._turn:
            force = self._forces.setdefault(
                vault.uri, Force(vault.store, World(), vault.identity, vault.audit)
            )
        documents = force.documents()
        policies = tuple(one for one in documents if isinstance(one, Policy))
        # Two are an error, which this raises.
        found = [one for one in documents if isinstance(one, Roles)]
        roles = force.roles() if len(found) > 1 else next(iter(found), None)
        made = _Look(policies, roles, since)
        with self._turn:
            self._looks[vault.uri] = made
        return made

    def _default_place(self) -> str:
        """Where the MLflow of this process keeps artifacts by default; empty if it does not say."""
        place, since = self._default
        if time.monotonic() - since > BELIEVED:
            try:
                place = MlflowHost(None, self._store_uri).default_location()
            except NotFoundError:
                place = ""
            self._default = place, time.monotonic()
        return place

    def _vaults(self) -> Iterator[Vault]:
        """Yield the vaults of this process: the server's own first, then those it may open."""
        policy = HostPolicy.from_environment(os.environ)
        places = [str(root) for root in (*policy.own, *policy.allowed)]
        if not policy.inside:
            places = [self._default_place()]
        seen: set[str] = set()
        for place in places:
            found = Vault.find(place) if place.startswith(("vault-", "vault+")) else None
            if found is not None and found[0].uri not in seen:
                seen.add(found[0].uri)
                yield found[0]
