"""Who asks is whom MLflow's server authenticated, and nobody else."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, g
from mlflow.exceptions import MlflowException

from mlflow_vault.decide.policy.roles import ADMINISTRATORS
from mlflow_vault.format.log import Actor
from mlflow_vault.plugin.governing.actor import actor_of_request, groups_of
from mlflow_vault.plugin.guard import ROOT_VARIABLE
from mlflow_vault.testing.enforcement.users import ADMIN, PASSWORD, asking, authenticating

if TYPE_CHECKING:
    from collections.abc import Iterator

CON = Actor("con", verified=True)


@pytest.fixture(scope="module")
def auth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """MLflow's basic-auth, with users."""
    with authenticating(tmp_path_factory.mktemp("auth")) as module:
        yield module


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """This is a server's process."""
    monkeypatch.setenv(ROOT_VARIABLE, "vault-memory://actor")


@pytest.mark.usefixtures("auth")
def test_authenticated() -> None:
    """In a request it is the user of basic-auth, verified."""
    with asking("con"):
        assert actor_of_request() == CON


@pytest.mark.usefixtures("auth", "inside")
def test_no_request() -> None:
    """What a server does outside of a request nobody asked for."""
    assert actor_of_request() == Actor("", verified=False)


@pytest.mark.usefixtures("inside")
def test_no_auth(auth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that stands in a request of a server without auth is nobody's."""
    monkeypatch.setattr(auth, "_auth_initialized", False)

    with asking("con"):
        assert actor_of_request() == Actor("", verified=False)


def test_no_server() -> None:
    """Outside of a server it is who runs the process, unverified."""
    assert actor_of_request() == Actor(getpass.getuser(), verified=False)


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(("password", "name"), [(PASSWORD, "con"), ("wrong", "")])
def test_servers_that_keep_no_name(auth: Any, password: str, name: str) -> None:
    """Where MLflow keeps no name it is asked again who that is, password and all."""
    assert auth
    path = "/api/2.0/mlflow/registered-models/alias"
    with Flask(__name__).test_request_context(path, auth=("con", password)):
        assert not hasattr(g, "mlflow_authenticated_user")
        assert actor_of_request().name == name


@pytest.mark.usefixtures("auth", "inside")
def test_unprotected_routes() -> None:
    """On a route that MLflow leaves open nobody is authenticated, whatever was sent along."""
    with Flask(__name__).test_request_context("/health", auth=("con", PASSWORD)):
        assert actor_of_request() == Actor("", verified=False)


def test_groups(auth: Any) -> None:
    """Groups are the roles that MLflow gave in this workspace, and its administrators are one."""
    if hasattr(auth.store, "create_role"):
        user = auth.store.get_user("con").id
        for name, workspace in (
            ("risk", "default"),
            ("ml-lead", "other"),
            ("mlflow:admin", "default"),
        ):
            role = auth.store.create_role(name, workspace=workspace)
            auth.store.assign_role_to_user(user, role.id)
        auth.store.create_registered_model_permission("credit", "con", "EDIT")

        assert groups_of(CON, "default") == ("risk",)
        assert groups_of(CON, "other") == ("ml-lead",)
    assert groups_of(Actor(ADMIN, verified=True), "default") == (ADMINISTRATORS,)


def test_groups_of_nobody(auth: Any) -> None:
    """Whom nobody authenticated is in no group, and a user who is gone is an error."""
    assert auth
    assert groups_of(Actor(ADMIN, verified=False), "default") == ()
    with pytest.raises(MlflowException, match="not found"):
        groups_of(Actor("gone", verified=True), "default")
