"""A version holds, whatever MLflow offers to change or delete what it was made of.

What would change it raises and names it; what would delete it leaves its bytes, warns once and
returns, so that `mlflow gc` goes on.  Afterwards a checkout gives every byte, and MLflow still
loads the version wherever it has not forgotten that there is one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner
from mlflow.artifacts import get_artifact_repository
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature, set_signature, update_model_requirements
from sklearn.linear_model import LogisticRegression

from mlflow_vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    Way = Callable[["Sealed", Path], object]

ROWS: Final = np.random.default_rng(7).normal(size=(60, 4))
REQUIREMENTS: Final = ["scikit-learn"]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A model that was logged, registered and committed.

    Attributes:
        vault: Which holds it, as another process would open it.
        name: Its registered model; it is the first version.
        run: That made it.
        model: MLflow's logged model; empty for one that lies in its run.
        location: Where its files are.
        files: What was logged, by path.
        predicts: What it says of `ROWS`.
    """

    vault: Vault
    name: str
    run: str
    model: str
    location: str
    files: dict[str, bytes]
    predicts: list[int]

    @property
    def uri(self) -> str:
        """The version, in MLflow's spelling."""
        return f"models:/{self.name}/1"


def fitted() -> LogisticRegression:
    """Return a small trained model."""
    return LogisticRegression().fit(ROWS, ROWS[:, 0] + ROWS[:, 1] > 0)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below *folder*, but for the one that MLflow adds to downloads."""
    found = (file for file in folder.rglob("*") if file.is_file())
    files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}
    files.pop("registered_model_meta", None)
    return files


def fresh(location: str) -> Vault:
    """Return the vault of *location* with nothing remembered."""
    found = Vault.find(location)
    if found is None:
        raise LookupError(location)
    return Vault.at(found[0].store)


def commit(run: str, model: str, source: str, location: str) -> Sealed:
    """Register and commit what lies at *source*."""
    files = contents(Path(mlflow.artifacts.download_artifacts(location)))
    name = secrets.token_hex(8)
    mlflow.register_model(source, name)
    vault = fresh(location)
    vault.commit(f"models:/{name}/1")
    predicts = fitted().predict(ROWS).tolist()
    return Sealed(vault, name, run, model, location, files, predicts)


def logged(experiment: str) -> Sealed:
    """Log a model as MLflow 3 does, beside its run, and commit it."""
    with mlflow.start_run(experiment_id=experiment) as run:
        model = mlflow.sklearn.log_model(
            fitted(), name="model", pip_requirements=REQUIREMENTS, input_example=ROWS[:2]
        )
    location = mlflow.get_logged_model(model.model_id).artifact_location
    return commit(run.info.run_id, model.model_id, model.model_uri, location)


def in_run(experiment: str, folder: Path) -> Sealed:
    """Log a model as an artifact of its run, as MLflow 2 did, and commit it."""
    mlflow.sklearn.save_model(fitted(), str(folder / "saved"), pip_requirements=REQUIREMENTS)
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_artifacts(str(folder / "saved"), "model")
        mlflow.log_text("not part of the model", "notes.txt")
    source = f"runs:/{run.info.run_id}/model"
    return commit(run.info.run_id, "", source, f"{run.info.artifact_uri}/model")


def check_holds(sealed: Sealed, folder: Path) -> None:
    """The version is what was committed: by number, by digest, and at its artifact path."""
    version = sealed.vault.version(sealed.uri)
    for number, reference in enumerate((f"{sealed.name}/1", str(version.digest))):
        Vault.at(sealed.vault.store).checkout(reference, folder / f"checkout-{number}")
        assert contents(folder / f"checkout-{number}") == sealed.files
    assert sealed.vault.verify(str(version.digest)).is_whole
    path = sealed.vault.place(sealed.location)
    assert {name.removeprefix(f"{path}/") for name in sealed.vault.walk(path)} == {*sealed.files}


def check_loads(sealed: Sealed, uri: str = "") -> None:
    """MLflow loads the version, which predicts as it did."""
    model = mlflow.pyfunc.load_model(uri or sealed.uri)
    assert np.asarray(model.predict(ROWS)).tolist() == sealed.predicts


@pytest.fixture(scope="module")
def model(vaulted: str) -> Sealed:
    """A version that nothing in this module manages to change."""
    return logged(vaulted)


@pytest.fixture
def collect(tracking: str) -> Callable[[], str]:
    """Run `mlflow gc`, which must end well, and return what it says."""
    # The module pulls in MLflow's server, whose imports warn: not while tests are collected.
    from mlflow.cli import gc  # noqa: PLC0415

    def run() -> str:
        places = ["--backend-store-uri", tracking, "--tracking-uri", tracking]
        done = CliRunner().invoke(gc, places)
        assert done.exit_code == 0, (done.output, done.exception)
        return str(done.output)

    return run


# What would change a version.


def log_artifact(sealed: Sealed, file: Path) -> None:
    """Log a file over one at the location."""
    get_artifact_repository(sealed.location).log_artifact(str(file))


def log_artifact_inside(sealed: Sealed, file: Path) -> None:
    """Log a file into a new folder of the model."""
    get_artifact_repository(sealed.location).log_artifact(str(file), "new/folder")


def log_artifacts(sealed: Sealed, file: Path) -> None:
    """Log a folder over the model."""
    get_artifact_repository(sealed.location).log_artifacts(str(file.parent))


def log_by_id(sealed: Sealed, file: Path) -> None:
    """Log a file over one of the logged model, by its address."""
    get_artifact_repository(f"models:/{sealed.model}").log_artifact(str(file))


def log_model_artifact(sealed: Sealed, file: Path) -> None:
    """Log a file over one of the logged model."""
    mlflow.MlflowClient().log_model_artifact(sealed.model, str(file))


def log_model_artifacts(sealed: Sealed, file: Path) -> None:
    """Log a folder over the logged model."""
    mlflow.MlflowClient().log_model_artifacts(sealed.model, str(file.parent))


def log_model(sealed: Sealed, file: Path) -> None:
    """Log another model as the logged model."""
    mlflow.sklearn.log_model(
        fitted(), name="model", model_id=sealed.model, pip_requirements=REQUIREMENTS
    )
    assert file


def sign(sealed: Sealed, file: Path) -> None:
    """Set the signature of the logged model."""
    set_signature(f"models:/{sealed.model}", infer_signature(ROWS, [1]))
    assert file


def sign_location(sealed: Sealed, file: Path) -> None:
    """Set the signature of what lies at the location."""
    set_signature(sealed.location, infer_signature(ROWS[:, :2]))
    assert file


def require(sealed: Sealed, file: Path) -> None:
    """Add a requirement to the logged model."""
    update_model_requirements(f"models:/{sealed.model}", "add", ["coolpackage"])
    assert file


def require_less(sealed: Sealed, file: Path) -> None:
    """Remove a requirement from what lies at the location."""
    update_model_requirements(sealed.location, "remove", ["scikit-learn"])
    assert file


def write(sealed: Sealed, file: Path) -> None:
    """Go past MLflow, with the vault itself."""
    sealed.vault.write_file(file, sealed.vault.place(f"{sealed.location}/MLmodel"))


WAYS: Final = [
    log_artifact,
    log_artifact_inside,
    log_artifacts,
    log_by_id,
    log_model_artifact,
    log_model_artifacts,
    log_model,
    sign,
    sign_location,
    require,
    require_less,
    write,
]


@pytest.mark.parametrize("way", WAYS)
def test_changes(way: Way, model: Sealed, tmp_path: Path) -> None:
    """Whatever would change a version raises, naming it, and the version is as it was."""
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "MLmodel"
    other.write_text("flavors: {}")

    with pytest.raises(Exception, match=rf"{model.name}/1 \(b3:\w+\), which is sealed") as refused:
        way(model, other)

    code = getattr(refused.value, "error_code", "PERMISSION_DENIED")
    assert code == "PERMISSION_DENIED"
    check_holds(model, tmp_path)
    check_loads(model)


def test_run(vaulted: str, tmp_path: Path) -> None:
    """A version in a run's folder holds, and the rest of that folder is still the run's."""
    sealed = in_run(vaulted, tmp_path)
    client = mlflow.MlflowClient()
    file = tmp_path / "MLmodel"
    file.write_text("flavors: {}")

    with pytest.raises(MlflowException, match=f"{sealed.name}/1 .*sealed"):
        client.log_artifact(sealed.run, str(file), "model")
    with pytest.raises(MlflowException, match=f"{sealed.name}/1 .*sealed"):
        client.log_text(sealed.run, "flavors: {}", "model/MLmodel")
    client.log_artifact(sealed.run, str(file), "models")
    client.log_text(sealed.run, "changed", "notes.txt")

    assert mlflow.artifacts.load_text(f"runs:/{sealed.run}/notes.txt") == "changed"
    check_holds(sealed, tmp_path)
    check_loads(sealed)


def test_at_once(vaulted: str, tmp_path: Path) -> None:
    """What another process sealed a moment ago is not overwritten by who knew it unsealed."""
    with mlflow.start_run(experiment_id=vaulted) as run:
        mlflow.log_text("alpha", "model/a.txt")
        mlflow.log_text("beta", "model/b.txt")
        fresh(run.info.artifact_uri).commit(f"runs:/{run.info.run_id}/model")
        with pytest.raises(MlflowException, match="sealed"):
            mlflow.log_text("other", "model/a.txt")

    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/model/a.txt") == "alpha"
    assert tmp_path.exists()


# What would delete a version.


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was warned of sealed paths."""
    return [record.message for record in caplog.records if "sealed" in record.message]


@pytest.mark.parametrize("path", [None, "MLmodel"])
def test_delete_artifacts(
    path: str | None, vaulted: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Deleting through the repository keeps every byte, warns once and returns."""
    sealed = logged(vaulted)

    get_artifact_repository(sealed.location).delete_artifacts(path)

    assert len(warned(caplog)) == 1
    check_holds(sealed, tmp_path)
    check_loads(sealed)


def test_delete_vault(vaulted: str, tmp_path: Path) -> None:
    """Deleting through the vault itself keeps every byte and says because of what."""
    sealed = logged(vaulted)
    path = sealed.vault.place(sealed.location)

    kept = sealed.vault.delete(path.rpartition("/")[0])

    assert kept == (path,)
    check_holds(sealed, tmp_path)


def test_delete_logged_model(
    vaulted: str, collect: Callable[[], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A logged model that is deleted and collected is gone for MLflow; its version is not."""
    sealed = logged(vaulted)
    mlflow.MlflowClient().delete_logged_model(sealed.model)

    said = collect()

    assert f"{sealed.model} has been permanently deleted" in said
    assert len(warned(caplog)) == 1
    with pytest.raises(MlflowException, match="not found"):
        mlflow.get_logged_model(sealed.model)
    check_holds(sealed, tmp_path)
    check_loads(sealed)
    version = sealed.vault.version(f"models:/{sealed.model}")
    assert version == sealed.vault.version(sealed.uri)


def test_delete_run(
    vaulted: str, collect: Callable[[], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a run that is deleted and collected what is sealed stays, and nothing else."""
    sealed = in_run(vaulted, tmp_path)
    root = sealed.vault.place(sealed.location).rpartition("/")[0]
    mlflow.delete_run(sealed.run)

    said = collect()

    assert f"{sealed.run} has been permanently deleted" in said
    assert len(warned(caplog)) == 1
    assert f"{root}/notes.txt" not in sealed.vault.walk(root)
    check_holds(sealed, tmp_path)
    check_loads(sealed)
    version = sealed.vault.version(f"runs:/{sealed.run}/model")
    assert version == sealed.vault.version(sealed.uri)


def test_delete_experiment(vaulted: str, collect: Callable[[], str], tmp_path: Path) -> None:
    """An experiment that is deleted and collected takes its runs and models, and no version."""
    above = mlflow.get_experiment(vaulted).artifact_location
    experiment = mlflow.create_experiment(secrets.token_hex(8), f"{above}/{secrets.token_hex(8)}")
    sealed, other = logged(experiment), in_run(experiment, tmp_path)
    mlflow.delete_experiment(experiment)

    said = collect()

    assert f"Experiment with ID {experiment} has been permanently deleted" in said
    for number, each in enumerate((sealed, other)):
        with pytest.raises(MlflowException, match="not found"):
            mlflow.get_run(each.run)
        check_holds(each, tmp_path / str(number))
        check_loads(each)


def test_again(vaulted: str, collect: Callable[[], str], tmp_path: Path) -> None:
    """What is collected later is collected, whatever versions were kept before."""
    sealed = logged(vaulted)
    with mlflow.start_run(experiment_id=vaulted) as run:
        mlflow.log_text("alpha", "a.txt")
    client = mlflow.MlflowClient()
    client.delete_logged_model(sealed.model)
    client.delete_run(sealed.run)
    client.delete_run(run.info.run_id)

    said = collect()

    assert f"{run.info.run_id} has been permanently deleted" in said
    assert not any(sealed.vault.walk(sealed.vault.place(run.info.artifact_uri)))
    check_holds(sealed, tmp_path)
    check_loads(sealed)


# What would make the registry forget a version.


def test_rename(vaulted: str, tmp_path: Path) -> None:
    """A registered model that is renamed loads under its new name; its version keeps the old."""
    sealed = logged(vaulted)

    mlflow.MlflowClient().rename_registered_model(sealed.name, f"{sealed.name}-new")

    check_holds(sealed, tmp_path)
    check_loads(sealed, f"models:/{sealed.name}-new/1")
    renamed = sealed.vault.commit(f"models:/{sealed.name}-new/1")
    assert renamed.digest == sealed.vault.version(sealed.uri).digest
    assert sealed.vault.version(f"{sealed.name}-new/1") == renamed


@pytest.mark.parametrize("whole", [False, True], ids=["version", "model"])
def test_unregister(
    whole: bool,  # noqa: FBT001 - pytest's
    vaulted: str,
    collect: Callable[[], str],
    tmp_path: Path,
) -> None:
    """A version whose registration is deleted is found by its number and by its digest."""
    sealed = logged(vaulted)
    client = mlflow.MlflowClient()
    client.delete_logged_model(sealed.model)
    client.delete_run(sealed.run)
    if whole:
        client.delete_registered_model(sealed.name)
    else:
        client.delete_model_version(sealed.name, "1")
    collect()

    with pytest.raises(MlflowException, match="not found"):
        mlflow.pyfunc.load_model(sealed.uri)
    check_holds(sealed, tmp_path)


def test_counted_anew(vaulted: str, tmp_path: Path) -> None:
    """Where numbers started again, a number is what MLflow says, and digests are what they were."""
    sealed = logged(vaulted)
    digest = sealed.vault.version(sealed.uri).digest
    client = mlflow.MlflowClient()
    client.delete_registered_model(sealed.name)
    other = in_run(vaulted, tmp_path)
    mlflow.register_model(f"runs:/{other.run}/model", sealed.name)

    made = sealed.vault.commit(sealed.uri)

    assert sealed.vault.version(sealed.uri) == made
    assert made.digest == sealed.vault.version(other.uri).digest != digest
    sealed.vault.checkout(digest, tmp_path / "old")
    assert contents(tmp_path / "old") == sealed.files
    client.delete_registered_model(sealed.name)
    with pytest.raises(ValueError, match="ambiguous"):
        sealed.vault.version(sealed.uri)


def test_registry_moved(vaulted: str, tmp_path: Path) -> None:
    """A version's description, tags, aliases and stage change as ever, and its bytes do not."""
    sealed = logged(vaulted)
    client = mlflow.MlflowClient()

    client.update_model_version(sealed.name, "1", "another description")
    client.set_model_version_tag(sealed.name, "1", "team", "risk")
    client.set_registered_model_alias(sealed.name, "champion", "1")
    client.transition_model_version_stage(sealed.name, "1", "Archived")
    client.copy_model_version(sealed.uri, f"{sealed.name}-copy")

    for uri in (f"models:/{sealed.name}@champion", f"models:/{sealed.name}-copy/1"):
        check_loads(sealed, uri)
    check_holds(sealed, tmp_path)
