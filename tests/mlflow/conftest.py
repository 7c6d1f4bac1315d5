"""Stories told twice: once to MLflow's local repository, once to a vault.

A story is a function of an experiment's id; what it returns - paths, sizes, contents,
error codes, nothing that is random - must be the same in both experiments.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact import artifact_repo

from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Story = Callable[[str], object]

# What the MLflow that is installed cannot do, there is no story of.
collect_ignore = [
    file
    for file, name in (
        ("test_attachments.py", "ArtifactRepository.upload_attachment"),  # 3.11
        ("test_streams.py", "StreamUploadMixin.log_artifact_from_stream"),  # 3.15
    )
    if not hasattr(getattr(artifact_repo, name.split(".")[0], None), name.split(".")[1])
]

# MLflow and the frameworks it drives warn about their own future; what is ours still raises.
FOREIGN = (
    "ignore::FutureWarning",
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::UserWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the warnings of MLflow and of the frameworks to them."""
    for item in items:
        for rule in FOREIGN:
            item.add_marker(pytest.mark.filterwarnings(rule))


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Keep runs in a database of this session's own."""
    folder = tmp_path_factory.mktemp("tracking")
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    before = mlflow.get_tracking_uri()
    uri = f"sqlite:///{folder}/mlflow.db"
    logging.getLogger("alembic").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    yield uri
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)


@pytest.fixture(scope="session")
def ordinary(tracking: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An experiment whose artifacts are plain files."""
    assert tracking
    return str(mlflow.create_experiment("ordinary", str(tmp_path_factory.mktemp("ordinary"))))


@pytest.fixture(scope="session", params=["vault-file", "vault-memory"])
def vaulted(
    request: pytest.FixtureRequest, tracking: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """An experiment whose artifacts are in a vault."""
    assert tracking
    folder = tmp_path_factory.mktemp("vaulted")  # numbered, as this may be made more than once
    uri = f"{request.param}://{folder}"
    Vault.init(uri)
    return str(mlflow.create_experiment(f"{request.param} {folder.name}", uri))


@pytest.fixture
def places(ordinary: str, vaulted: str) -> tuple[str, str]:
    """Both experiments, MLflow's own first."""
    return ordinary, vaulted


@pytest.fixture
def tell(places: tuple[str, str]) -> Callable[[Story], Any]:
    """Tell a story to both; return how it went, which must be the same."""

    def both(story: Story) -> Any:
        theirs, ours = map(story, places)
        assert ours == theirs
        return ours

    return both


@pytest.fixture
def outcome() -> Callable[[Callable[[], object]], str]:
    """Return the error a call ends with, by MLflow's code or Python's name."""

    def of(call: Callable[[], object]) -> str:
        try:
            call()
        except MlflowException as error:
            return str(error.error_code)
        except OSError as error:
            return type(error).__name__
        return "no error"

    return of


@pytest.fixture
def seen() -> Callable[[str], dict[str, int | None]]:
    """Return all that is listed at and below a location: paths and sizes, None for folders."""

    def of(uri: str) -> dict[str, int | None]:
        repository = mlflow.artifacts.get_artifact_repository(uri)
        found: dict[str, int | None] = {}
        ahead: list[str | None] = [None]
        while ahead:
            listed = repository.list_artifacts(ahead.pop())
            assert [item.path for item in listed] == sorted(item.path for item in listed)
            found |= {item.path: item.file_size for item in listed}
            ahead += [item.path for item in listed if item.is_dir]
        return dict(sorted(found.items()))

    return of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of files: some nested, one empty, one with an odd name."""
    root = tmp_path / "things"
    (root / "inner" / "deep").mkdir(parents=True)
    (root / "a.txt").write_text("alpha")
    (root / "empty").touch()
    (root / "inner" / "b b é.txt").write_text("beta")
    (root / "inner" / "deep" / "c.bin").write_bytes(bytes(range(256)) * 40)
    return root
