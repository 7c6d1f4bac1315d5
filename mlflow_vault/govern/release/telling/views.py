"""Looks at releases: how things stand, what was decided, what policies would say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.transitions import ARCHIVED
from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.format.governed_layout import DECISIONS, STATEMENTS
from mlflow_vault.format.spelling import CONTINUED, MARK, unescape
from mlflow_vault.govern.policies.judging import judge_all
from mlflow_vault.govern.policies.reading import check
from mlflow_vault.govern.release.approving.saying import Sayings
from mlflow_vault.govern.release.context import (
    Wish,
    questions,
    verified,
)
from mlflow_vault.govern.release.deciding import judge, no_policy
from mlflow_vault.govern.release.order import Order
from mlflow_vault.govern.release.telling.past import pasts
from mlflow_vault.govern.release.telling.promotion import Promotion
from mlflow_vault.govern.release.telling.status import status
from mlflow_vault.store.protocol import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlflow_vault.decide.policy.verdict import Verdict
    from mlflow_vault.format.decision import Decision, Stand
    from mlflow_vault.govern.policies.history import Past
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.govern.release.caller import Caller
    from mlflow_vault.govern.release.telling.status import Status
    from mlflow_vault.store.protocol import Store


class Views(Sayings):
    """How releases stand, and how they came about."""

    def judge(
        self,
        reference: Reference,
        *,
        to: str,
        policy: Policy | str | Path | None = None,
        caller: Caller | None = None,
        thorough: bool = True,
    ) -> Promotion:
        """Say what the policies in force say of a promotion; nothing is moved or kept.

        Args:
            reference: The version.
            to: The stage.
            policy: One that is asked besides.
            caller: Who would ask for it.
            thorough: Whether its bytes are read and custom checks asked, where policies want that;
                else they are taken to be fine, and the verdict says so.

        Raises:
            NotFoundError: There is no such version, or no policy is in force for it.
        """
        around, version = self.around, self._named(reference)
        kind = "archival" if to == ARCHIVED else "promotion"
        wish = Wish(version, to, kind, self._name(caller))
        named = self._named_policies(policy, to, kind, version.name)
        order = Order(wish, caller or around.caller(), policies=named)
        verdicts = judge(around, order, around.ledger(version.name).head(), thorough=thorough)
        if not verdicts:
            raise NotFoundError(no_policy(version.name, to))
        return Promotion(version.name, version.number, version.digest, to, verdicts)

    def ask(self, wish: Wish, policy: Policy) -> Verdict:
        """Say what one policy says of a version, whatever is in force; nothing is kept."""
        around, version = self.around, wish.version
        head = around.ledger(version.name).head() if version.name else None
        asked = questions(around, wish, (policy,), head)
        return judge_all(asked, lambda: verified(around, version))[0]

    def standing(self, name: str) -> Mapping[str, Stand]:
        """Who stands in which stage of the registered model *name*."""
        head = self.around.ledger(name).head()
        return head.after if head is not None else {}

    def status(self, name: str) -> Status:
        """Say who stands where since when, which versions wait for what, and what differs.

        What was decided and not carried out yet is finished first.
        """
        return status(self.around, name, self._name(None))

    def decisions(self, name: str) -> Iterator[Decision]:
        """Yield what was decided about the registered model *name*, newest first."""
        return self.around.ledger(name).history()

    def history(
        self, name: str, *, policy: str = "", to: str = "", kind: str = ""
    ) -> Iterator[Past]:
        """Yield what was decided and refused about a model, as it was asked for, oldest first.

        Args:
            name: The registered model.
            policy: Where several were asked, what that of this name was asked counts.
            to: Only transitions to this stage.
            kind: Only transitions of this kind: ``promotion``, ``archival``, ``rollback``.
        """
        return pasts(self.around, name, policy, to, kind)

    def models(self) -> tuple[str, ...]:
        """The registered models about which something was decided or said, by name."""
        store = self.around.vault.store
        found = {name for prefix in (DECISIONS, STATEMENTS) for name in _names(store, prefix)}
        return tuple(sorted(found))

    def _name(self, caller: Caller | None) -> str:
        return (caller or self.around.caller()).actor.name

    def _named_policies(
        self, policy: Policy | str | Path | None, to: str, kind: str, model: str
    ) -> tuple[Policy, ...]:
        """Return the policy that somebody names, if they do.

        Raises:
            NotFoundError: There is none of that name.
            InvalidInputError: It is about another transition.
        """
        if policy is None:
            return ()
        found = policy
        if not isinstance(found, Policy):
            in_force = [one for one in self.around.policies.policies() if one.name == str(policy)]
            found = in_force[0] if in_force else check(policy)  # type: ignore[arg-type]
        if (found.transition.to, found.transition.kind) != (to, kind):
            raise InvalidInputError(
                f"the policy {found.name!r} is about a {found.transition.kind} to "
                f"{found.transition.to}, not about the {kind} of {model} to {to}"
            )
        return (found,)


def _names(store: Store, prefix: str, begun: str = "") -> Iterator[str]:
    """Yield the models that something below *prefix* is about."""
    for found in store.list_level(prefix):
        component = found.key.removeprefix(prefix).rstrip("/")
        if isinstance(found, Folder) and component.endswith(CONTINUED):  # a long name goes on
            yield from _names(store, found.key, begun + component.removesuffix(CONTINUED))
        elif isinstance(found, Folder) and component.endswith(MARK):
            yield unescape(begun + component.removesuffix(MARK), found.key)
