"""What the vault decides, MLflow shows in all ways it has; workspaces are told apart."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from mlflow.tracking._model_registry.utils import _get_store
from mlflow.utils import workspace_context

from mlflow_vault.errors import NotFoundError
from mlflow_vault.plugin.governing.scoped_host import ScopedHost, active_workspace
from mlflow_vault.plugin.governing.showing import ShowingHost


@pytest.fixture
def store(tracking: str, ordinary: str) -> Any:
    """MLflow's own registry."""
    assert ordinary  # the database is there
    return _get_store(tracking)


@pytest.fixture
def name(store: Any) -> str:
    """A model with three versions."""
    name = secrets.token_hex(8)
    store.create_registered_model(name)
    for _ in range(3):
        store.create_model_version(name, "file:///a/model")
    return name


def stages(store: Any, name: str) -> list[str]:
    """Return MLflow's stage of each version."""
    return [store.get_model_version(name, str(one)).current_stage for one in (1, 2, 3)]


def test_stages_follow(store: Any, name: str, tracking: str) -> None:
    """Whoever an alias displaces leaves MLflow's stage; whoever takes its place enters it."""
    host = ShowingHost(None, tracking)
    for number in ("2", "3"):
        store.transition_model_version_stage(name, number, "Production", False)  # noqa: FBT003

    host.set_alias(name, "production", 1)

    assert stages(store, name) == ["Production", "None", "None"]
    assert host.aliases(name) == {"production": 1}
    host.delete_alias(name, "production")
    assert stages(store, name) == ["None"] * 3


def test_stages_that_nobody_uses(store: Any, name: str, tracking: str) -> None:
    """A model without MLflow's stages gets none; other aliases move no stage."""
    host = ShowingHost(None, tracking)
    store.transition_model_version_stage(name, "2", "Staging", False)  # noqa: FBT003

    host.set_alias(name, "production", 1)
    host.set_alias(name, "champion", 1)

    assert stages(store, name) == ["None", "Staging", "None"]


def test_scoped(store: Any, name: str, tracking: str) -> None:
    """A vault calls the models of a workspace by both names, and asks for them by either."""
    host = ScopedHost(None, tracking, "risk")

    assert {held.name for held in host.registered(name)} == {f"risk:{name}"}
    assert host.resolve(f"models:/risk:{name}/2").uri == f"models:/risk:{name}/2"
    assert host.resolve(f"models:/{name}/2").name == f"risk:{name}"
    host.set_alias(f"risk:{name}", "champion", 2)
    assert host.resolve(f"models:/risk:{name}@champion").number == 2
    held = host.resolve(f"models:/risk:{name}@champion")
    host.tag(held, {"team": "a"})
    assert store.get_model_version(name, "2").tags == {"team": "a"}
    with pytest.raises(NotFoundError, match="another workspace"):
        host.aliases(f"fraud:{name}")
    with pytest.raises(NotFoundError, match=f"the one of this is risk:{name}"):
        host.set_alias(name, "champion", 1)


def test_default_workspace(name: str, tracking: str) -> None:
    """Models of the default workspace keep their names, and others are none of its business."""
    host = ScopedHost(None, tracking)

    assert {held.name for held in host.registered(name)} == {name}
    assert host.located(host.resolve(f"models:/{name}/1")).name == name
    with pytest.raises(NotFoundError, match="another workspace"):
        host.resolve(f"models:/risk:{name}/1")


def test_active_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace is that of the request, where MLflow has any."""
    seen = [active_workspace()]
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    seen.append(active_workspace())
    workspace_context.set_server_request_workspace("risk")
    try:
        seen.append(active_workspace())
    finally:
        workspace_context.clear_server_request_workspace()

    assert seen == ["default", "default", "risk"]
