"""Who asks for something, and what they may: an actor with roles and rights.

The roles in force say both.  Where there are none, everybody may everything, and nobody has a role.
Whom nobody authenticated has no role either, and may what all others may; in a process of their own
that is advice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow_vault.decide.policy.roles import EVERYTHING, Right
from mlflow_vault.errors import DeniedError
from mlflow_vault.format.log import Actor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.decide.policy.roles import Roles


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        actor: Their name, and whether somebody authenticated them.
        roles: The names of the roles that they have.
        rights: What they may.
    """

    actor: Actor
    roles: tuple[str, ...] = ()
    rights: frozenset[Right] = EVERYTHING

    @classmethod
    def of(cls, actor: Actor, roles: Roles | None, groups: Iterable[str] = ()) -> Caller:
        """Return what *roles* say of somebody whom a server answers.

        Args:
            actor: Who asks.
            roles: What is in force; None if nothing is.
            groups: Which *actor* is in, as who authenticated them says.
        """
        if roles is None:
            return cls(actor)
        names = roles.roles_of(actor.name, groups) if actor.verified else ()
        return cls(actor, names, roles.rights_of(names))

    @classmethod
    def claimed(cls, name: str, roles: Roles | None) -> Caller:
        """Return what *roles* say of who runs this process: advice, as nobody checked the name.

        Who runs it can write to the vault's store anyway.  They get the rights of whom they say
        they are, so that a slip is told; the roles, which approvals count by, they do not get.
        """
        actor = Actor(name, verified=False)
        if roles is None:
            return cls(actor)
        return cls(actor, (), roles.rights_of(roles.roles_of(name)))

    def need(self, right: Right, what: str) -> None:
        """Insist on a right.

        Args:
            right: The right.
            what: What it is needed for.

        Raises:
            DeniedError: They have not.
        """
        if right not in self.rights:
            having = f" (roles: {', '.join(self.roles)})" if self.roles else ""
            raise DeniedError(
                f"{what} needs the right to {right.value}, which {self.actor}{having} has not by "
                "the roles in force"
            )
