"""MLflow's own pages in a real browser: they show what is refused, and move what may move.

The pages know nothing of this project: what they say of a refusal is what the server answered.
Chromium is Debian's and reaches this machine alone; a page is awaited by what it shows.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from mlflow.tracking import MlflowClient
from playwright.sync_api import Page, expect, sync_playwright

from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.format.log import Action
from mlflow_vault.testing.enforcement.users import ADMIN, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Locator

    Visit = Callable[[str, str], Page]

AUTHOR, REVIEWER, RELEASER = "pam", "pat", "pia"
PATIENCE: Final = 60_000.0  # milliseconds for a page to show something, on two busy cores
OPTIONS: Final = (
    "--no-sandbox",  # which root has none of
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
ROLES: Final = {
    "contributor": {"users": [AUTHOR]},
    "risk": {"users": [REVIEWER]},
    "releaser": {"users": [RELEASER]},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail(f"there is no chromium: run {Path(__file__).parents[1]}/install-debian.sh")
    expect.set_options(timeout=PATIENCE)
    with (
        sync_playwright() as play,
        play.chromium.launch(executable_path=program, args=OPTIONS) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def server(governing: Any) -> Any:
    """The server, with its users."""
    for user in (AUTHOR, REVIEWER, RELEASER):
        wanted = {"username": user, "password": PASSWORD}
        route = "/api/2.0/mlflow/users/create"
        governing.ask("POST", route, json=wanted, auth=(ADMIN, PASSWORD)).raise_for_status()
    return governing


@pytest.fixture
def client(server: Any, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """MLflow's client, of the author."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", AUTHOR)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    return MlflowClient(server.url, server.url)


@pytest.fixture
def name(server: Any, client: MlflowClient, tmp_path: Path) -> str:
    """A governed model with a version; one of risk has to approve for production."""
    name = f"page-{secrets.token_hex(4)}"
    (tmp_path / "weights.txt").write_text(name)
    run = client.create_run(client.create_experiment(name))
    client.log_artifact(run.info.run_id, str(tmp_path / "weights.txt"), "model")
    client.create_registered_model(name)
    client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
    policy = {
        "metadata": {"name": "page-production", "models": ["page-*"]},
        "transition": {"to": "production"},
        "approvals": {"min": 1, "roles": ["risk"]},
    }
    policies = server.vault().policies
    policies.apply(Roles.model_validate({"kind": "Roles", "roles": ROLES}), "operator")
    policies.apply(Policy.model_validate(policy), "operator")
    return name


@pytest.fixture
def visit(server: Any, browser: Browser) -> Iterator[Visit]:
    """Return what opens a page of the server as some user; what it opened is closed."""
    contexts = []

    def open_as(user: str, path: str) -> Page:
        known: Any = {"username": user, "password": PASSWORD}
        context = browser.new_context(http_credentials=known, locale="en-US")
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(f"{server.url}/#{path}?workspace=default")
        return page

    yield open_as
    for context in contexts:
        context.close()


def test_author(server: Any, client: MlflowClient, name: str, visit: Visit) -> None:
    """Who may not release is told so by the page, and nothing moves."""
    page = visit(AUTHOR, f"/models/{name}")

    dialog = set_alias(page, "production")

    alert = dialog.get_by_role("alert")
    expect(alert).to_contain_text(f"{name}/1 to be promoted to production")
    expect(alert).to_contain_text(f"needs the right to release, which '{AUTHOR}'")
    nobody_stands(server, client, name)
    assert done(server, name, Action.DENY) == [(AUTHOR, True)]


def test_release(server: Any, client: MlflowClient, name: str, visit: Visit) -> None:
    """Who may release is told which rule waits; once it is met, the same click moves."""
    page = visit(RELEASER, f"/models/{name}")
    dialog = set_alias(page, "production")
    expect(dialog.get_by_role("alert")).to_contain_text("page-production, approvals: 0 of 1")
    nobody_stands(server, client, name)

    approve(visit(REVIEWER, f"/models/{name}/versions/1"), "looked at the errors, all fine")

    said = server.vault().releases.around.statements.all(name)
    approvals = [one for one in said if one.kind == "approval"]
    assert [(one.actor.name, one.actor.verified, one.roles) for one in approvals] == [
        (REVIEWER, True, ("risk",))
    ]
    assert approvals[0].reason == "looked at the errors, all fine"
    assert done(server, name, Action.APPROVE) == [(REVIEWER, True)]
    assert client.get_model_version(name, "1").tags.keys() == {"mlflow_vault.digest"}
    nobody_stands(server, client, name)

    dialog.get_by_role("button", name="Save aliases").click()

    expect(dialog).to_be_hidden()
    page.reload()  # by itself, MLflow's list does not ask again
    expect(row(page).get_by_role("status", name="production")).to_be_visible()
    assert str(client.get_model_version_by_alias(name, "production").version) == "1"
    assert server.vault().releases.standing(name)["production"].number == 1
    assert done(server, name, Action.PROMOTE) == [(RELEASER, True)]


def row(page: Page) -> Locator:
    """Return where the model's page shows its version."""
    link = page.get_by_role("link", name="Version 1", exact=True)
    return page.get_by_role("row").filter(has=link)


def set_alias(page: Page, alias: str) -> Locator:
    """Set an alias of the version as people do, and return the dialog in which they did it."""
    # In the model's page: a version's may open the dialog before it knows of which model it is.
    row(page).get_by_role("button", name="Add", exact=True).click()
    dialog = page.get_by_role("dialog")
    box = dialog.get_by_role("combobox")
    box.fill(alias)
    box.press("Enter")
    expect(dialog.get_by_role("status", name=alias)).to_be_visible()
    dialog.get_by_role("button", name="Save aliases").click()
    return dialog


def approve(page: Page, reason: str) -> None:
    """Approve of the version in its page, by the tag; the page has then emptied its fields."""
    expect(page.get_by_text("mlflow_vault.digest")).to_be_visible()
    key = page.get_by_placeholder("Name", exact=True)
    key.fill("mlflow_vault.ask.approve")
    page.get_by_placeholder("Value", exact=True).fill(reason)
    page.get_by_role("main").get_by_role("button", name="Add", exact=True).last.click()
    expect(key).to_have_value("")
    expect(page.get_by_text("mlflow_vault.ask")).to_have_count(0)


def nobody_stands(server: Any, client: MlflowClient, name: str) -> None:
    """Neither the registry nor the vault has anybody in a stage."""
    assert client.get_registered_model(name).aliases == {}
    assert server.vault().releases.standing(name) == {}


def done(server: Any, name: str, action: Action) -> list[tuple[str, bool]]:
    """Return who did *action* to the model, and whether somebody authenticated them."""
    entries = [one for one in server.vault().audit.search() if one.subject.name == name]
    return [(one.actor.name, one.actor.verified) for one in entries if one.action == action]
