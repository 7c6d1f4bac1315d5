"""Who asks: the user that MLflow's server authenticated for the request of this thread.

    --app-name basic-auth     that user, verified; the names of the roles that MLflow gave them in
                              the active workspace are their groups, and `mlflow:admin` if they
                              are one of MLflow's administrators
    any other server          nobody
    no server                 who runs this process, unverified

What MLflow knows of a user is asked for at each request that is guarded, so a role that was taken
away no longer counts.  MLflow's own modules are asked only where a server has loaded them.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.roles import ADMINISTRATORS
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.committing import user
from mlflow_vault.plugin.guard import ROOT_VARIABLE

if TYPE_CHECKING:
    from types import ModuleType

_RESERVED: Final = "mlflow:"  # no role of MLflow's is a group of this kind, whatever its name
_AUTH: Final = "mlflow.server.auth"


def actor_of_request() -> Actor:
    """Return who asks for what this thread is doing."""
    name = _authenticated()
    if name:
        return Actor(name, verified=True)
    inside = ROOT_VARIABLE in os.environ
    return Actor("" if inside else user(), verified=False)


def groups_of(actor: Actor, workspace: str) -> tuple[str, ...]:
    """Return the groups that MLflow's auth has *actor* in; none for whom nobody authenticated.

    Raises:
        MlflowException: It knows no such user any more.
    """
    auth = _auth()
    if not actor.verified or auth is None:
        return ()
    store: Any = auth.store
    known = store.get_user(actor.name)
    groups = [ADMINISTRATORS] if known.is_admin else []
    if hasattr(store, "list_user_roles_for_workspace"):  # MLflow has roles since 3.12
        made_up = getattr(store, "_is_synthetic_role_name", lambda _: False)
        names = (str(one.name) for one in store.list_user_roles_for_workspace(known.id, workspace))
        groups += [
            name for name in names if not (made_up(name) or name.lower().startswith(_RESERVED))
        ]
    return tuple(groups)


def _auth() -> ModuleType | None:
    """MLflow's auth, if it stands before the requests of this process."""
    auth = sys.modules.get(_AUTH)
    return auth if auth is not None and getattr(auth, "_auth_initialized", False) else None


def _authenticated() -> str:
    """The user that MLflow authenticated for this request; empty if there is none."""
    flask, auth = sys.modules.get("flask"), _auth()
    if flask is None or auth is None or not flask.has_request_context():
        return ""
    name = getattr(flask.g, "mlflow_authenticated_user", None)
    if name is not None or auth.is_unprotected_route(flask.request.path):
        return str(name or "")
    # Before it kept the name (3.10), only MLflow's own way of asking again tells it.
    authorization = auth.authenticate_request()
    return str(getattr(authorization, "username", "") or "")
