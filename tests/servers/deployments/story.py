"""What a data scientist does with a tracking server, in MLflow's words; knows of no vault.

    python story.py tell  <url> <folder>     logs, registers, loads; deletes the older half
    python story.py after <url> <folder>     after `mlflow gc`: the newer half is as it was

A script, because the environment that it runs in is part of the story: one has the plugin,
another MLflow alone.  What is logged is made in *folder* and compared with it, byte for byte;
what both parts and the test need to know is in its ``told.json``.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import mlflow
import mlflow.sklearn
import numpy as np
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LogisticRegression

ROWS: Final = np.random.default_rng(7).normal(size=(60, 4))
NAME: Final = "scorer"


def make_files(folder: Path, seed: int) -> Path:
    """Make a folder as projects have it: nested, of all sizes, oddly named.

    As oddly as MLflow's client can name to a proxy: it does not quote ``%``, ``#`` and ``?``.
    """
    # The second one's weights are the first one's, trained a little.
    weights = np.random.default_rng(1).normal(size=3_000_000).astype(np.float32)
    weights *= np.float32(1 + seed * 1e-4)
    (folder / "inner" / "deep").mkdir(parents=True)
    np.save(folder / "weights.npy", weights)
    (folder / "large.bin").write_bytes(np.random.default_rng(seed).bytes(32 << 20))
    (folder / "inner" / "ünï códe + b.txt").write_text(f"zweite Zeile {seed}")
    (folder / "inner" / "deep" / "empty").touch()
    for number in range(40):
        (folder / "inner" / f"{number}.json").write_text(json.dumps([number, seed] * 300))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """Return what lies below *folder*."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def check_equal(came: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Both are the same files, byte for byte."""
    assert came.keys() == expected.keys(), came.keys() ^ expected.keys()
    differing = {name: body[:2000] for name, body in came.items() if body != expected[name]}
    assert not differing, differing


def download(uri: str) -> Path:
    """Download what MLflow knows by *uri*."""
    return Path(mlflow.artifacts.download_artifacts(uri))


def listed(run_id: str, path: str) -> set[str]:
    """Return every file that MLflow lists below *path*, from there."""
    found: set[str] = set()
    for item in mlflow.MlflowClient().list_artifacts(run_id, path):
        below = listed(run_id, item.path) if item.is_dir else {item.path}
        found |= below
    return found


def log(experiment: str, folder: Path, seed: int) -> dict[str, Any]:
    """Log a run with its files and a model; return what can be asked of it later."""
    things = make_files(folder / f"things-{seed}", seed)
    (folder / "note.txt").write_text(f"run {seed}")
    model = LogisticRegression().fit(ROWS, ROWS[:, seed] > 0)
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_artifact(str(folder / "note.txt"), "notes")
        mlflow.log_artifacts(str(things), "things")
        logged = mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
    return {
        "run": run.info.run_id,
        "artifacts": run.info.artifact_uri,
        "model": logged.model_id,
        "model_artifacts": mlflow.get_logged_model(logged.model_id).artifact_location,
        "things": str(things),
        "predicts": model.predict(ROWS).tolist(),
    }


def check_run(told: dict[str, Any]) -> None:
    """All that was logged is listed, comes back, and works."""
    things, run = Path(told["things"]), told["run"]
    found = listed(run, "things") ^ {f"things/{name}" for name in files(things)}
    assert not found, found
    sizes = {item.path: item.file_size for item in mlflow.MlflowClient().list_artifacts(run)}
    assert sizes.keys() == {"notes", "things"}, sizes
    check_equal(files(download(f"runs:/{run}/things")), files(things))
    large = download(f"runs:/{run}/things/large.bin")
    assert large.read_bytes() == (things / "large.bin").read_bytes()
    check_model(f"models:/{told['model']}", told)


def check_model(uri: str, told: dict[str, Any]) -> None:
    """The model at *uri* predicts what the one that was logged did."""
    assert mlflow.sklearn.load_model(uri).predict(ROWS).tolist() == told["predicts"], uri


def check_gone(what: str, call: Any) -> None:
    """Whatever asks for it is told that it is not there."""
    code = "it is there"
    try:
        call()
    except MlflowException as error:
        code = error.error_code
    # What a proxy answers 404 for, MLflow's client calls an internal error.
    assert code in {"RESOURCE_DOES_NOT_EXIST", "INTERNAL_ERROR"}, (what, code)


def check_at_once(experiment: str) -> None:
    """Several threads log to a new run at once; the first time, that makes the vault."""
    client = mlflow.MlflowClient()
    run = client.create_run(experiment).info.run_id
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: client.log_text(run, f"text {n}", f"{n}/a.txt"), range(16)))
    assert listed(run, "") == {f"{number}/a.txt" for number in range(16)}


def tell(folder: Path) -> dict[str, Any]:
    """Tell the first part."""
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("story")
    check_at_once(experiment)
    first = log(experiment, folder, 0)
    second = log(experiment, folder, 1)
    for told in (first, second):
        check_run(told)

    # Registered by its run, and by its own name.
    mlflow.register_model(f"runs:/{first['run']}/model", NAME)
    mlflow.register_model(f"models:/{second['model']}", NAME)
    for number, told in (("1", first), ("2", second)):
        assert client.get_model_version(NAME, number).status == "READY"
        client.set_registered_model_alias(NAME, "champion", number)
        for uri in (f"models:/{NAME}/{number}", f"models:/{NAME}@champion"):
            check_model(uri, told)
        came, logged = (
            files(download(f"models:/{x}")) for x in (f"{NAME}/{number}", told["model"])
        )
        # MLflow notes there what it downloaded a model as; nobody logged that.
        assert came.pop("registered_model_meta") != logged.pop("registered_model_meta")
        check_equal(came, logged)

    client.delete_model_version(NAME, "1")
    client.delete_logged_model(first["model"])
    client.delete_run(first["run"])
    check_gone("version", lambda: mlflow.sklearn.load_model(f"models:/{NAME}/1"))
    return {"first": first, "second": second, "plugin": has_plugin()}


def after(told: dict[str, Any]) -> None:
    """Tell the second part."""
    first, second = told["first"], told["second"]
    client = mlflow.MlflowClient()
    check_gone("run", lambda: client.get_run(first["run"]))
    check_gone("model", lambda: client.get_logged_model(first["model"]))
    check_gone("file", lambda: mlflow.artifacts.load_text(f"{first['artifacts']}/notes/note.txt"))
    assert [each.version for each in client.search_model_versions(f"name='{NAME}'")] == ["2"]
    check_run(second)
    check_model(f"models:/{NAME}@champion", second)


def has_plugin() -> bool:
    """Return whether this environment has anything of ours."""
    groups = entry_points(group="mlflow.artifact_repository")
    found = importlib.util.find_spec("mlflow_vault") is not None
    return found or any(each.name.startswith("vault") for each in groups)


def main() -> None:
    """Tell the part that is asked for."""
    part, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    mlflow.set_tracking_uri(url)
    path = folder / "told.json"
    if part == "tell":
        path.write_text(json.dumps(tell(folder)))
    else:
        after(json.loads(path.read_text()))


main()
