"""Loading the registry's door costs nothing, and its addresses are those of MLflow's databases."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from types import SimpleNamespace

import pytest
from mlflow.store.db.db_types import DATABASE_ENGINES

from mlflow_vault.plugin.governing.prompts import is_prompt_version


def test_spellings() -> None:
    """There is an entry point for every database that MLflow knows, and they lead to one place."""
    points = entry_points(group="mlflow.model_registry_store")
    ours = {point.name: point for point in points if point.name.startswith("vault-")}

    assert {f"vault-{engine}" for engine in DATABASE_ENGINES} <= set(ours)
    assert {point.value for point in ours.values()} == {
        "mlflow_vault.plugin.registry_store:open_store"
    }
    kinds = {name.removeprefix("vault-").partition("+")[0] for name in ours}
    assert kinds == set(DATABASE_ENGINES)


def test_light() -> None:
    """A client that has no SQLAlchemy can load every door."""
    script = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from importlib.metadata import entry_points\n"
        "for group in ('mlflow.model_registry_store', 'mlflow.run_context_provider'):\n"
        "    for point in entry_points(group=group):\n"
        "        if 'vault' in point.name: point.load()\n"
        "print('loaded')\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False
    )

    assert done.stdout.strip() == "loaded", done.stderr


@pytest.mark.parametrize(
    ("source", "value", "prompt"),
    [
        ("prompt-template", "true", True),
        ("prompt-template", "True", True),
        ("prompt-template", "false", False),
        ("dummy-source", "true", True),
        ("vault-file:/a", "true", False),
        ("folder", "true", False),
        ("models:/m-1", "true", False),
    ],
)
def test_prompts(source: str, value: str, prompt: bool) -> None:  # noqa: FBT001
    """A prompt says that it is one, and has nothing to load."""
    tags = [SimpleNamespace(key="mlflow.prompt.is_prompt", value=value)]

    assert is_prompt_version(source, tags) is prompt
    assert is_prompt_version(source, {"mlflow.prompt.is_prompt": value}) is prompt
    assert not is_prompt_version(source, [])
