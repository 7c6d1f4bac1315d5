"""A stored file is bytes: nothing that the vault does with it makes it run.

Each model file here would leave a mark if anybody loaded it the way its framework does.
"""

from __future__ import annotations

import ast
import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow_vault
from mlflow_vault.cli.main import main
from mlflow_vault.plugin.artifact_repo import VaultArtifactRepository
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

PACKAGE: Final = Path(mlflow_vault.__file__).parent
FOLDER: Final = f"7/{'0' * 32}/artifacts"
# What runs what it reads, and what runs text.
LOADERS: Final = frozenset(
    {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle"}
    | {"joblib", "torch", "keras", "tensorflow", "jax", "skops", "xgboost", "lightgbm"}
    | {"catboost", "onnx", "onnxruntime", "h5py", "tensorstore"}
)
# Of YAML only what makes plain values, or writes them.
SAFE_YAML: Final = frozenset(
    {"SafeLoader", "SafeDumper", "dump", "load", "YAMLError", "MarkedYAMLError", "AliasEvent"}
    | {"Node", "ScalarNode", "MappingNode", "SequenceNode"}
)
RUNNERS: Final = frozenset({"eval", "exec", "compile", "__import__", "execfile"})
# The demo trains models of its own making and logs them; it loads none.
DEMO: Final = PACKAGE / "cli" / "demo"


class Payload:
    """Whoever unpickles this makes the file *mark*."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a pickle calls when it is loaded."""
        return (open, (str(self.mark), "w"))


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a zip of *members*, stored."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return body.getvalue()


def hostile(mark: Path) -> dict[str, bytes]:
    """Return model files of every kind that somebody's loader would run."""
    poison = pickle.dumps(Payload(mark), protocol=2) + bytes(range(256)) * 300
    code = f"open({str(mark)!r}, 'w')"
    schema = {"__class__": "eval", "__module__": "builtins", "__loader__": "ReduceNode"}
    layer = {"class_name": "Lambda", "config": {"function": code}}
    return {
        "model.pkl": poison,
        "model.joblib": poison,
        "legacy.pt": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03." + poison,
        "model.pt": zipped({"archive/data.pkl": poison, "archive/data/0": bytes(70_000)}),
        "model.skops": zipped({"schema.json": json.dumps(schema).encode(), "0.npy": poison}),
        "model.keras": zipped({"config.json": json.dumps(layer).encode(), "m.weights.h5": poison}),
        "objects.npy": b"\x93NUMPY\x01\x00v\x00"
        + f"{{'descr': '|O', 'fortran_order': False, 'shape': (1,), '_': {code!r}}}".encode()[:117]
        + b"\n"
        + poison,
        "MLmodel": f"flavors: !!python/object/apply:builtins.open [{str(mark)!r}, 'w']\n".encode(),
        "python_env.yaml": f"!!python/object/new:os.system [touch {mark}]\n".encode(),
        "model.py": code.encode(),
        "conftest.py": code.encode(),
    }


def test_no_file_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Logged, listed, read, downloaded, verified, estimated and exported, none has run."""
    mark = tmp_path / "mark"
    folder = tmp_path / "model"
    folder.mkdir()
    for name, body in hostile(mark).items():
        (folder / name).write_bytes(body)
    uri = f"vault-file://{tmp_path / 'vault'}"
    vault = Vault.init(uri)
    repository = VaultArtifactRepository(f"{uri}/{FOLDER}")

    for name in ("first", "second"):  # the second one is told from the first
        repository.log_artifacts(str(folder), name)
    listed = repository.list_artifacts("first")
    down = Path(repository.download_artifacts("first", str(tmp_path)))
    assert vault.verify().is_whole
    for file in folder.iterdir():
        assert (down / file.name).read_bytes() == file.read_bytes()
        assert b"".join(vault.iter_file(f"{FOLDER}/second/{file.name}")) == file.read_bytes()
    codes = [
        main(["ls", "--recursive", f"{uri}/{FOLDER}"]),
        main(["verify", uri]),
        main(["stats", uri]),
        main(["estimate", str(folder), str(folder)]),
        main(["export", uri, str(tmp_path / "out")]),
    ]
    capsys.readouterr()

    assert codes == [0] * 5
    assert len(listed) == len(hostile(mark))
    assert len(list((tmp_path / "out").rglob("model.pt"))) == 2
    assert not mark.exists()


def test_the_payload(tmp_path: Path) -> None:
    """The payload does run where somebody loads it, so the mark means something."""
    body = hostile(tmp_path / "mark")["model.pkl"]
    (tmp_path / "model.pkl").write_bytes(body)

    pickle.loads(body).close()  # noqa: S301 - what the vault must never do

    assert (tmp_path / "mark").exists()


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """Yield every module of the package, parsed."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """Return the top names of everything that a module imports, wherever it does."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
    return found


def test_no_loader_is_imported() -> None:
    """No module of the package imports what runs the files it reads."""
    found = {str(path): imported(tree) & LOADERS for path, tree in modules()}

    assert len(found) > 50
    assert {path: names for path, names in found.items() if names} == {}


def test_yaml_is_safe() -> None:
    """What reads YAML makes plain values of it: no tag of a file names what is called."""
    used: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        names = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "yaml"
        }
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "yaml"
            for alias in node.names
        }
        if names | imported:
            used[str(path)] = (names | imported) - SAFE_YAML
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "yaml.load":
                assert [ast.unparse(one.value) for one in node.keywords] == ["yaml.SafeLoader"]
    assert used
    assert not any(used.values()), used


def test_nothing_runs_text() -> None:
    """No module calls `eval` or its kin, or lets NumPy unpickle."""
    found = []
    for path, tree in modules():
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(node.func, "id", None)
            pickles = any(word.arg == "allow_pickle" for word in node.keywords)
            loads = ast.unparse(node.func) in {"np.load", "numpy.load"} and DEMO not in path.parents
            if name in RUNNERS or pickles or loads:
                found.append(f"{path}:{node.lineno}: {ast.unparse(node)}")

    assert found == []


def test_no_loader_is_loaded() -> None:
    """Neither does anything that the engine itself imports bring PyTorch or joblib in."""
    script = "import sys, mlflow_vault.vault; print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    loaded = {name.partition(".")[0] for name in ast.literal_eval(done.stdout)}
    assert loaded & (LOADERS - {"pickle", "_pickle", "marshal"}) == set()
