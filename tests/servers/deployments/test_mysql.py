"""On MariaDB, which takes texts for one that differ in case, accents or trailing spaces.

MLflow finds the alias ``production`` there under ``PRODUCTION``, and a model and a tag alike.  No
spelling is a way around.  Each test shows first that the database takes it for what is protected.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import create_engine, text

from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.testing.enforcement.users import ADMIN, PASSWORD
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    Ask = Callable[..., requests.Response]

USERS: Final = ("ann", "bob", "rel", "adm")
ROLES: Final = {
    "contributor": {"users": ["ann"]},
    "risk": {"users": ["bob"]},
    "releaser": {"users": ["rel"]},
    "admin": {"users": ["adm"]},
}
REGISTRY: Final = "/api/2.0/mlflow"
MODELS: Final = "registered-models"
VERSIONS: Final = "model-versions"
TABLES: Final = (
    "registered_models",
    "registered_model_aliases",
    "registered_model_tags",
    "model_versions",
    "model_version_tags",
)
PROMPT: Final = {"key": "mlflow.prompt.is_prompt", "value": "true"}
SPELLINGS: Final = ("PRODUCTION", "Production", "pr\u00f3duction", "produ\u010btion")


@pytest.fixture(scope="module")
def server(governing_mariadb: Any) -> Any:
    """The server, with its users; of models called credit-... one of risk has to approve."""
    for user in USERS:
        governing_mariadb.ask(
            "POST",
            f"{REGISTRY}/users/create",
            json={"username": user, "password": PASSWORD},
            auth=(ADMIN, PASSWORD),
        ).raise_for_status()
    policies = Vault.init(governing_mariadb.root).policies
    policies.apply(Roles.model_validate({"kind": "Roles", "roles": ROLES}), "operator")
    for stage, rules in (("staging", {}), ("production", {"approvals": {"roles": ["risk"]}})):
        body = {
            "metadata": {"name": f"to-{stage}", "models": ["credit-*"]},
            "transition": {"to": stage},
            **rules,
        }
        policies.apply(Policy.model_validate(body), "operator")
    return governing_mariadb


@pytest.fixture(scope="module")
def ask(server: Any) -> Ask:
    """Return what sends a request of a user to the registry."""

    def send(user: str, method: str, route: str, **body: Any) -> requests.Response:
        sent = {"params" if method == "GET" else "json": body}
        answer: requests.Response = server.ask(
            method, f"{REGISTRY}/{route}", auth=(user, PASSWORD), **sent
        )
        return answer

    return send


@pytest.fixture(scope="module")
def register(server: Any, ask: Ask) -> Callable[[str], None]:
    """Return what registers a new version of a model as ann."""

    def make(name: str) -> None:
        experiment = ask("ann", "POST", "experiments/create", name=secrets.token_hex(8)).json()
        made = ask("ann", "POST", "runs/create", **experiment).json()["run"]["info"]
        source = f"{made['artifact_uri']}/model"
        path = source.removeprefix("mlflow-artifacts:").strip("/")
        put = server.ask(
            "PUT",
            f"/api/2.0/mlflow-artifacts/artifacts/{path}/weights.txt",
            data=secrets.token_bytes(8),
            auth=("ann", PASSWORD),
        )
        assert put.status_code == 200, put.text
        wanted = {"name": name, "source": source, "run_id": made["run_id"]}
        answer = ask("ann", "POST", f"{VERSIONS}/create", **wanted)
        assert answer.status_code == 200, answer.text

    return make


@pytest.fixture(scope="module")
def name(ask: Ask, register: Callable[[str], None]) -> str:
    """A governed model; version 1 of it stands in production, and there is a second one."""
    name = f"credit-{secrets.token_hex(4)}"
    assert ask("ann", "POST", f"{MODELS}/create", name=name).status_code == 200
    register(name)
    register(name)
    for spelling in SPELLINGS[1:3]:  # nobody stands there yet
        refused(ask("rel", "POST", f"{MODELS}/alias", name=name, alias=spelling, version="2"))
    wanted = {"name": name, "alias": "production", "version": "1"}
    assert "to-production" in refused(ask("rel", "POST", f"{MODELS}/alias", **wanted))
    approve = {"key": "mlflow_vault.ask.approve", "value": '{"to": "production"}'}
    said = ask("bob", "POST", f"{VERSIONS}/set-tag", name=name, version="1", **approve)
    assert said.status_code == 200, said.text
    said = ask("rel", "POST", f"{MODELS}/alias", **wanted)
    assert said.status_code == 200, said.text
    return name


def refused(answer: requests.Response) -> str:
    """Return what a client hears who is refused."""
    assert answer.status_code == 403, f"{answer.request.body!r}: {answer.text}"
    assert answer.json()["error_code"] == "PERMISSION_DENIED"
    return str(answer.json()["message"])


@pytest.fixture(scope="module")
def rows(server: Any) -> Callable[..., list[Any]]:
    """Return what asks the database itself: a request takes long, as passwords are hashed."""
    engine = create_engine(server.database)

    def select(statement: str, **values: str) -> list[Any]:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]

    return select


@pytest.fixture
def unchanged(rows: Callable[..., list[Any]], name: str) -> Iterator[None]:
    """See that a test changes nothing of the registry."""
    before = _all(rows)
    assert name in str(before)
    yield
    assert _all(rows) == before


def _all(rows: Callable[..., list[Any]]) -> list[list[str]]:
    """Return the rows of the registry, table by table."""
    return [sorted(map(repr, rows(f"SELECT * FROM {table}"))) for table in TABLES]  # noqa: S608 - ours


def test_registered(server: Any, ask: Ask, name: str) -> None:
    """What is registered is committed, and the alias shows what the policy let pass."""
    found = ask("ann", "GET", f"{MODELS}/alias", name=name, alias="production").json()
    tags = {tag["key"]: tag["value"] for tag in found["model_version"]["tags"]}
    assert (found["model_version"]["version"], tags["mlflow_vault.stage"]) == ("1", "production")
    assert server.vault().verify(tags["mlflow_vault.digest"]).is_whole
    labels = [version.label for version in server.vault().versions(name)]
    assert sorted(labels) == [f"{name}/1", f"{name}/2"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("alias", [*SPELLINGS, "production "])
def test_aliases(ask: Ask, rows: Any, name: str, alias: str) -> None:
    """No spelling of a protected alias moves or takes away who stands there."""
    found = "SELECT version FROM registered_model_aliases WHERE name = :name AND alias = :alias"
    assert rows(found, name=name, alias=alias) == [(1,)]
    wanted = {"name": name, "alias": alias}

    refused(ask("adm", "POST", f"{MODELS}/alias", **wanted, version="2"))
    deleted = ask("adm", "DELETE", f"{MODELS}/alias", **wanted)

    if alias.endswith(" "):  # MLflow itself asks for none of these
        assert deleted.status_code == 400
    else:
        refused(deleted)


@pytest.mark.usefixtures("unchanged")
def test_names(ask: Ask, rows: Any, name: str) -> None:
    """No spelling of a governed model's name is another model."""
    found = "SELECT name FROM registered_models WHERE name = :name"
    accented = name.replace("credit", "cr\u00e9dit")
    for spelling in (name.upper(), f"{name} ", accented):
        assert rows(found, name=spelling) == [(name,)]
        version = {"name": spelling, "version": "2"}
        refused(ask("adm", "POST", f"{MODELS}/alias", **version, alias="production"))
    version = {"name": accented, "version": "2"}
    for method, route, body in (
        ("DELETE", f"{MODELS}/alias", {"name": accented, "alias": "production"}),
        ("POST", f"{MODELS}/alias", {**version, "alias": "shadow"}),
        ("POST", f"{VERSIONS}/transition-stage", {**version, "stage": "Production"}),
        ("POST", f"{VERSIONS}/set-tag", {**version, "key": "team", "value": "a"}),
        ("POST", f"{VERSIONS}/create", {"name": accented, "source": "s3://models/a"}),
        ("DELETE", f"{VERSIONS}/delete", {**version, "version": "1"}),
        ("POST", f"{MODELS}/rename", {"name": accented, "new_name": "mine"}),
        ("DELETE", f"{MODELS}/delete", {"name": accented}),
    ):
        assert f"ask for {name}" in refused(ask("adm", method, route, **body))


def test_new_names(ask: Ask, register: Callable[[str], None]) -> None:
    """A model that a governed name would find is governed, however its maker spells it."""
    name = f"credit-{secrets.token_hex(4)}"
    own = secrets.token_hex(4)
    refused(ask("bob", "POST", f"{MODELS}/create", name=name.replace("credit", "cr\u00e9dit")))
    assert ask("bob", "POST", f"{MODELS}/create", name=own).status_code == 200
    refused(ask("bob", "POST", f"{MODELS}/rename", name=own, new_name=name.upper()))
    assert ask("ann", "POST", f"{MODELS}/create", name=name.upper()).status_code == 200
    register(name.upper())
    wanted = {"name": name.upper(), "alias": "staging", "version": "1"}
    assert "to-staging" in refused(ask("rel", "POST", f"{MODELS}/alias", **wanted))


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "key", ["MLFLOW_VAULT.digest", "mlflow_v\u00e0ult.digest", "mlflow_vault.digest "]
)
def test_tags(ask: Ask, rows: Any, name: str, key: str) -> None:
    """No spelling of a reserved tag changes it, or takes it away."""
    found = "SELECT version FROM model_version_tags WHERE name = :name AND `key` = :key"
    assert len(rows(found, name=name, key=key)) == 2
    version = {"name": name, "version": "1", "key": key}

    refused(ask("adm", "POST", f"{VERSIONS}/set-tag", **version, value="b3:0"))
    refused(ask("adm", "DELETE", f"{VERSIONS}/delete-tag", **version))
    refused(ask("adm", "POST", f"{MODELS}/set-tag", name=name, key=key, value="b3:0"))


@pytest.mark.usefixtures("unchanged")
def test_deleting(ask: Ask, name: str) -> None:
    """Nobody deletes what stands in a stage."""
    for method, route, body in (
        ("DELETE", f"{VERSIONS}/delete", {"name": name, "version": "1"}),
        ("DELETE", f"{MODELS}/delete", {"name": name}),
        ("DELETE", f"{MODELS}/alias", {"name": name, "alias": "production"}),
    ):
        refused(ask("adm", method, route, **body))


def test_prompts(ask: Ask) -> None:
    """A prompt passes, also under a name that a policy is for."""
    prompt = f"credit-{secrets.token_hex(4)}"
    version = {"name": prompt, "version": "1"}
    for method, route, body in (
        ("POST", f"{MODELS}/create", {"name": prompt, "tags": [PROMPT]}),
        (
            "POST",
            f"{VERSIONS}/create",
            {"name": prompt, "source": "dummy-source", "tags": [PROMPT]},
        ),
        ("POST", f"{MODELS}/alias", {**version, "alias": "production"}),
        ("DELETE", f"{MODELS}/alias", {"name": prompt, "alias": "production"}),
        ("DELETE", f"{VERSIONS}/delete", version),
        ("DELETE", f"{MODELS}/delete", {"name": prompt}),
    ):
        answer = ask("bob", method, route, **body)
        assert answer.status_code == 200, answer.text
