"""The page about production runs as it stands, against a server with users on PostgreSQL.

What it proves in the end is verified once more, where neither MLflow nor the vault can be reached.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.format.log import Action
from mlflow_vault.testing.enforcement.users import ADMIN, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[list[str], dict[str, str]], str]

TESTS: Final = Path(__file__).parents[2]
PAGE: Final = TESTS.parent / "docs" / "governance.md"
PROGRAM: Final = """\
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[2])
from run_tutorial import run

run(Path(sys.argv[1]))
"""
ALONE: Final = """\
import socket
import sys

for name in ("mlflow", "sqlalchemy", "fsspec", "obstore"):
    sys.modules[name] = None


def refuse(*_):
    raise OSError("there is no network here")


socket.socket.connect = refuse
from mlflow_vault.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


def test_page(governing_alone: Any, run: Run, tmp_path: Path) -> None:
    """Every block of the page runs; the log holds what it tells, and the bundle holds alone."""
    server = governing_alone
    environment = server.environment | {
        "MLFLOW_TRACKING_URI": server.url,
        "MLFLOW_TRACKING_USERNAME": ADMIN,
        "MLFLOW_TRACKING_PASSWORD": PASSWORD,
        "MLFLOW_VAULT_URI": server.root,
        "PATH": f"{Path(sys.executable).parent}:{server.environment['PATH']}",
    }
    work = tmp_path / "work"
    work.mkdir()

    run(inside(work, [sys.executable, "-c", PROGRAM, str(PAGE), str(TESTS)]), environment)

    vault = server.vault()
    done = [entry for entry in vault.audit.search() if entry.subject.name == "credit"]
    actions = [entry.action for entry in done]
    assert actions.count(Action.COMMIT) == 2
    assert actions.count(Action.APPROVE) == 4
    assert actions.count(Action.PROMOTE) == 4
    assert actions.count(Action.ROLL_BACK) == 1
    moved = [entry for entry in done if entry.action in {Action.PROMOTE, Action.ROLL_BACK}]
    assert {entry.actor.name for entry in moved} == {"dan", "monitor"}
    assert all(entry.actor.verified for entry in moved)
    assert "Traceback" not in server.log.read_text()
    shutil.copytree(work / "elsewhere", tmp_path / "alone")
    shutil.rmtree(server.root.removeprefix("vault-file://"))
    trust = (work / "trust").read_text().strip()
    verify = ["bundle", "verify", "promotion.bundle.json", "--log-key", trust, "--json"]
    verify += [f"--approver={name}={name}.pub.pem" for name in ("bob", "cat")]

    said = run(inside(tmp_path / "alone", [sys.executable, "-c", ALONE, *verify]), {})

    told = json.loads(said.splitlines()[-1])
    assert told["holds"], said


def inside(folder: Path, program: list[str]) -> list[str]:
    """Return what runs *program* in *folder*."""
    return ["sh", "-c", f"cd '{folder}' && exec \"$@\"", "sh", *program]
