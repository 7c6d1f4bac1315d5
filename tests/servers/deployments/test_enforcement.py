"""Stock clients against a server with users and workspaces: what moves, moves as policies allow.

The matrix of `docs/enforcement.md` tries every call in one process; here MLflow's own client and
plain HTTP try those that matter against `mlflow server --app-name basic-auth` on PostgreSQL.
"""

from __future__ import annotations

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

import mlflow_vault
from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.errors import WaitingError
from mlflow_vault.format.log import Action
from mlflow_vault.testing.enforcement.users import ADMIN, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USERS: Final = ("ann", "bob", "cat", "rel", "adm")
ASK: Final = "mlflow_vault.ask."
ROLES: Final = {
    "contributor": {"users": ["ann"]},
    "risk": {"users": ["bob"], "groups": ["risk"]},
    "releaser": {"users": ["rel"]},
    "admin": {"users": ["adm"], "groups": ["mlflow:admin"]},
}
APPROVED: Final = {"min": 2, "roles": ["risk"]}


@contextmanager
def being(user: str, workspace: str = "") -> Iterator[None]:
    """Let clients of the block be *user*."""
    told = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    told |= {"MLFLOW_WORKSPACE": workspace} if workspace else {}
    with mock.patch.dict(os.environ, told):
        yield


def refused(call: Callable[[], object]) -> str:
    """Return what a client hears who is refused."""
    with pytest.raises(MlflowException) as raised:
        call()
    assert raised.value.error_code == "PERMISSION_DENIED", raised.value
    return str(raised.value.message)


@pytest.fixture(scope="module")
def server(governing: Any) -> Any:
    """The server, with its users, and roles in force; cat is of MLflow's role risk."""

    def ask(route: str, body: dict[str, Any]) -> Any:
        answer = governing.ask("POST", route, json=body, auth=(ADMIN, PASSWORD))
        assert answer.status_code == 200, answer.text
        return answer.json()

    for user in USERS:
        ask("/api/2.0/mlflow/users/create", {"username": user, "password": PASSWORD})
    made = ask("/api/3.0/mlflow/roles/create", {"name": "risk", "workspace": "default"})
    wanted = {"username": "cat", "role_id": made["role"]["id"]}
    ask("/api/3.0/mlflow/roles/assign", wanted)
    return governing


@pytest.fixture(scope="module")
def client(server: Any) -> MlflowClient:
    """MLflow's client; whose, each test says."""
    return MlflowClient(server.url, server.url)


@pytest.fixture(scope="module")
def source(client: MlflowClient, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Any]:
    """Return what logs a model as some user, and returns where it is and its run."""

    def make(workspace: str = "", user: str = "ann") -> tuple[str, str]:
        folder = tmp_path_factory.mktemp("model")
        (folder / "weights.txt").write_text(secrets.token_hex(8))
        with (
            being(user, workspace),
            mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": client.tracking_uri}),
        ):
            experiment = client.create_experiment(secrets.token_hex(8))
            run = client.create_run(experiment)
            client.log_artifact(run.info.run_id, str(folder / "weights.txt"), "model")
        return f"{run.info.artifact_uri}/model", str(run.info.run_id)

    return make


@pytest.fixture
def name(server: Any, client: MlflowClient, source: Any) -> str:
    """A governed model with two versions of ann's; two of risk have to approve for production."""
    name = f"credit-{secrets.token_hex(4)}"
    with being("ann"):
        client.create_registered_model(name)
        for _ in range(2):
            client.create_model_version(name, *source())
    vault = server.vault()
    vault.policies.apply(Roles.model_validate({"kind": "Roles", "roles": ROLES}), "operator")
    for stage, rules in (
        ("staging", {}),
        ("production", {"approvals": APPROVED}),
        ("archived", {}),
    ):
        body = {
            "metadata": {"name": f"to-{stage}", "models": ["credit-*"]},
            "transition": {"to": stage},
            **rules,
        }
        vault.policies.apply(Policy.model_validate(body), "operator")
    back = {"metadata": {"name": "back", "models": ["credit-*"]}}
    back |= {"transition": {"to": "production", "kind": "rollback"}}
    vault.policies.apply(Policy.model_validate(back), "operator")
    return name


def test_a_life(server: Any, client: MlflowClient, name: str) -> None:
    """By tags and aliases: stage, be refused, have two people approve, promote."""
    with being("rel"):
        client.set_registered_model_alias(name, "staging", "1")
        said = refused(lambda: client.set_registered_model_alias(name, "production", "1"))
    assert "to-production" in said
    assert "approvals" in said
    with being("ann"):  # of her own
        refused(lambda: client.set_model_version_tag(name, "1", f"{ASK}approve", "fine"))
    for user in ("bob", "cat"):
        with being(user):
            client.set_model_version_tag(name, "1", f"{ASK}approve", '{"to": "production"}')
            refused(lambda: client.set_registered_model_alias(name, "production", "1"))
    with being("rel"):
        client.set_registered_model_alias(name, "production", "1")
        found = client.get_model_version_by_alias(name, "production")
        assert (found.version, found.tags["mlflow_vault.stage"]) in {
            ("1", "production"),
            (1, "production"),
        }
        with pytest.raises(MlflowException):
            client.get_model_version_by_alias(name, "staging")
    vault = server.vault()
    promoted = [one for one in vault.audit.search() if one.action == Action.PROMOTE][-1]
    assert (promoted.actor.name, promoted.actor.verified) == ("rel", True)
    commits = [one for one in vault.audit.search() if one.action == Action.COMMIT]
    assert (commits[-1].actor.name, commits[-1].actor.verified) == ("ann", True)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_going_around(client: MlflowClient, name: str) -> None:
    """Deleting, renaming, relabelling and old stages are no way around; nor is being no admin."""
    with being("rel"):
        client.set_registered_model_alias(name, "staging", "1")
    with being("adm"):
        said = refused(lambda: client.delete_model_version(name, "1"))
        assert "stands in staging" in said
        refused(lambda: client.delete_registered_model(name))
        refused(lambda: client.rename_registered_model(name, f"other-{name}"))
        refused(lambda: client.delete_registered_model_alias(name, "staging"))
        refused(lambda: client.transition_model_version_stage(name, "2", "Production"))
        refused(lambda: client.set_model_version_tag(name, "2", "mlflow_vault.stage", "production"))
        refused(lambda: client.set_registered_model_tag(name, "mlflow_vault.governed", "false"))
        refused(lambda: client.set_registered_model_tag(name, "mlflow.prompt.is_prompt", "true"))
    with being("ann"):
        refused(lambda: client.delete_model_version(name, "2"))
        refused(
            lambda: client.set_registered_model_tag(name, "mlflow_vault.required_metadata", "{}")
        )
        client.set_model_version_tag(name, "2", "team", "a")
        client.set_registered_model_alias(name, "shadow", "2")
        assert client.get_registered_model(name).aliases.keys() == {"staging", "shadow"}
        assert client.get_registered_model(name).tags == {"mlflow_vault.governed": "true"}


def test_pages_and_rest(server: Any, name: str) -> None:
    """What MLflow's pages ask by, and plain HTTP, is refused alike; without a password all is."""
    body = {"name": name, "alias": "production", "version": "2"}
    answers = {
        path: requests.post(f"{server.url}{path}", json=body, auth=("rel", PASSWORD), timeout=60)
        for path in (
            "/api/2.0/mlflow/registered-models/alias",
            "/ajax-api/2.0/mlflow/registered-models/alias",
        )
    }
    for answer in answers.values():
        assert answer.status_code == 403, answer.text
        assert answer.json()["error_code"] == "PERMISSION_DENIED"
        assert "to-production, approvals" in answer.json()["message"]
    path = next(iter(answers))
    assert requests.post(f"{server.url}{path}", json=body, timeout=60).status_code == 401


def test_two_at_once(client: MlflowClient, name: str) -> None:
    """Of two who promote two versions at the same time, both workers end showing the same one."""
    with being("rel"), ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(client.set_registered_model_alias, name, "staging", number)
            for number in ("1", "2")
        ]
        errors = [call.exception() for call in calls]
        shown = client.get_registered_model(name).aliases["staging"]
        tags = [client.get_model_version(name, one).tags for one in ("1", "2")]

    assert errors.count(None) >= 1
    assert all(
        error.error_code == "RESOURCE_CONFLICT"
        for error in errors
        if isinstance(error, MlflowException)
    )
    stages = [one.get("mlflow_vault.stage") for one in tags]
    assert stages[int(shown) - 1] == "staging"
    assert stages.count("staging") == 1


def test_prompts(client: MlflowClient, name: str) -> None:
    """A prompt passes, also under a name that a policy is for."""
    assert name
    prompt = f"credit-{secrets.token_hex(4)}"
    with being("bob"):
        registry = client._get_registry_client()
        registry.create_prompt(prompt)
        registry.create_prompt_version(prompt, "Say {{word}}")
        registry.set_prompt_alias(prompt, "production", 1)
        registry.delete_prompt_alias(prompt, "production")
        registry.delete_prompt_version(prompt, "1")


def test_sdk(server: Any, name: str) -> None:
    """The verbs of the SDK ask the server, as whom it authenticates, and tell all it saw."""
    vault = mlflow_vault.Vault.open(server.root)
    with being("rel"), mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": server.url}):
        made = vault.releases.promote(f"models:/{name}/1", to="staging", reason="try it")
        with pytest.raises(WaitingError) as raised:
            vault.releases.promote(f"models:/{name}/1", to="production")
    with being("bob"), mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": server.url}):
        said = vault.releases.approve(f"models:/{name}/1", reason="fine")

    assert made.decision is not None
    assert (made.decision.actor.name, made.decision.actor.verified) == ("rel", True)
    assert [one.policy for one in raised.value.verdicts] == ["to-production"]
    assert (said.actor.name, said.actor.verified, said.roles) == ("bob", True, ("risk",))


def test_workspaces(server: Any, client: MlflowClient, source: Any, name: str) -> None:
    """A model of the same name in another workspace stands by itself, and is governed, too."""
    with being(ADMIN):
        client.create_workspace("team")
    with being(ADMIN, "team"):
        client.create_registered_model(name)
        made = client.create_model_version(name, *source("team", ADMIN))
        client.set_registered_model_alias(name, "staging", made.version)
        refused(lambda: client.set_registered_model_alias(name, "production", made.version))
    with being("rel"):
        assert "staging" not in client.get_registered_model(name).aliases
        client.set_registered_model_alias(name, "staging", "2")
    with being(ADMIN, "team"):
        assert client.get_registered_model(name).aliases == {"staging": made.version}
    labels = {version.label for version in server.vault().versions(f"team:{name}")}
    assert labels == {f"team:{name}/1"}
