"""What attacks a server: each try is a line of `doors.toml`, sent and judged.

Next to a server's roots lies a vault, ``other``, whose files have the names that doors ask for:
would the server open it, an answer held `CANARY`.  Loaded by `conftest`, for several modules.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from mlflow.store.artifact import artifact_repo

from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    import socket

CANARY: Final = "this-must-not-be-seen"
# What MLflow itself answers with a status above 499, and our part in it is none.
MLFLOWS: Final = (
    "Trace data not stored in tracking store",
    "Could not find a registered artifact repository for: vault",
    "Not a proper models:/ URI",
    "without workspaces support",
    "load is not supported for the current artifact repository",
)
PATHS: Final = ("MLmodel", "attachments/00000000-0000-4000-8000-000000000000", "traces.json")

# MLflow before 3.15 turns some refusals into errors of its own.
OLD: Final = not hasattr(artifact_repo, "StreamUploadMixin")


def filled(template: Any, values: dict[str, str]) -> Any:
    """Fill *values* into every text of *template*."""
    if isinstance(template, dict):
        return {key: filled(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, values) for value in template]
    return template.format_map(values) if isinstance(template, str) else template


@dataclass
class Trap:
    """A listener that finds nothing, whatever it is asked, and remembers who asked.

    Attributes:
        url: Where it listens.
        seen: How each connection began.
    """

    url: str = ""
    seen: list[bytes] = field(default_factory=list)

    def listen(self, listener: socket.socket) -> None:
        """Answer until *listener* is closed."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    self.seen.append(connection.recv(200))
                    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    self.seen.append(b"silent")

    def settings(self) -> dict[str, str]:
        """Return what makes every object store's client come here, with credentials."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_S3": self.url,
            "MLFLOW_S3_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "STORAGE_EMULATOR_HOST": self.url,
            "AZURE_STORAGE_CONNECTION_STRING": "DefaultEndpointsProtocol=http;AccountName=a;"
            f"AccountKey=c2VjcmV0;BlobEndpoint={self.url}/a;",
        }


def knock(server: Any, door: dict[str, Any], **values: str) -> Any:
    """Send what *door* says with *values* filled in."""
    values["raw"] = quote(values.get("path", ""), safe="/%\\~;:@&=+$,!'()*")
    method, _, route = door["route"].partition(" ")
    path = str(filled(door.get("url", route), values))
    if path.startswith("/mlflow"):
        path = f"/{'ajax-api' if 'ajax' in door else 'api'}/{door.get('version', '2.0')}{path}"
    if "query" in door:
        path += "?" + urlencode(filled(door["query"], values))
    return server.ask(method, path, json=filled(door.get("json"), values), data=door.get("body"))


def surround(server: Any) -> None:
    """Put beside the roots of *server* what it must not open."""
    other, secret = Path(server.folder, "other"), Path(server.folder, "canary")
    if secret.exists():
        return
    secret.write_text(CANARY)
    for path in PATHS:
        Vault.init(server.vault("other")).write_file(secret, path)
        (other / path).parent.mkdir(exist_ok=True)
        (other / path).write_text(CANARY)
    (server.folder / "link").symlink_to(other)
    (server.folder / "linked_root").symlink_to(server.folder / "root")


def outside(server: Any) -> dict[str, tuple[int, bytes]]:
    """Return all that lies in the server's folder and is none of its own."""
    own = {"root", "destination", "allowed", "tmp", "log"}
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for top in server.folder.iterdir()
        if top.name not in own and not top.name.startswith("mlflow.db")
        for path in (top, *top.rglob("*"))
    }


def made(server: Any, location: str) -> dict[str, str] | None:
    """Make an experiment at *location*, and one of each thing in it; None if it is refused."""
    answer = server.call(
        "experiments/create", name=secrets.token_hex(8), artifact_location=location
    )
    judge(server, answer, location, refused=False)
    if not answer.ok:
        return None
    experiment = answer.json()["experiment_id"]
    run = server.call("runs/create", experiment_id=experiment).json()["run"]["info"]["run_id"]
    found = {"experiment": experiment, "run": run, "name": secrets.token_hex(8), "version": "1"}
    model = server.call("logged-models", experiment_id=experiment, source_run_id=run).json()
    found["model"] = model["model"]["info"]["model_id"]
    found["trace"] = f"tr-{secrets.token_hex(16)}"
    info = {
        "trace_id": found["trace"],
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": experiment},
        },
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
    }
    body = {"trace": {"trace_info": info}}
    assert server.ask("POST", "/api/3.0/mlflow/traces", json=body).ok
    assert server.call("registered-models/create", name=found["name"]).ok
    return found


_kept: dict[tuple[str, str], dict[str, str]] = {}


def kept_things(server: Any, way: str) -> dict[str, str]:
    """Return one of each thing below the server's own root, and its ``location``."""
    key = server.url, way
    if key not in _kept:
        proxied = way == "proxied"
        location = "mlflow-artifacts:/kept" if proxied else server.vault("destination/safe")
        _kept[key] = (made(server, location) or {}) | {"location": location}
        source = f"{location}/{_kept[key]['run']}/artifacts"
        answer = server.call(
            "model-versions/create",
            name=_kept[key]["name"],
            source=source,
            run_id=_kept[key]["run"],
        )
        assert answer.ok, answer.text
    return dict(_kept[key])


def judge(server: Any, answer: Any, uri: str, *, refused: bool) -> None:
    """Compare an *answer* with what a server may say to a client that sent *uri*."""
    text = answer.text
    assert CANARY not in text
    assert "root:x:" not in text
    strange = answer.status_code >= 500 and not any(sentence in text for sentence in MLFLOWS)
    assert not strange or (OLD and answer.status_code == 500), f"{answer.request.url}: {text}"
    assert not refused or answer.status_code >= 400, f"{answer.request.url}: {text}"
    assert "Traceback" not in text, text
    assert ".py" not in text, text
    assert "secret" not in text.replace(uri, ""), text
    known = answer.request.url + str(answer.request.body) + uri
    for name in ("root", "destination", "allowed", "tmp"):
        assert (
            f"{server.folder}/{name}" not in text.replace(f"{server.folder}/destination/safe", "")
            or name in known
        ), text


def lay_canaries(server: Any, things: dict[str, str], secret: Path) -> None:
    """Put the canary into the other vault where an experiment there would have it."""
    vault = Vault.open(server.vault("other"))
    for thing in (things["run"], f"models/{things['model']}", f"traces/{things['trace']}"):
        for path in PATHS:
            vault.write_file(secret, f"{thing}/artifacts/{path}")


def try_doors(server: Any, doors: Any, things: dict[str, str], kinds: str, **more: Any) -> None:
    """Try all doors that open one of *kinds*."""
    for door in doors["door"]:
        skipped = more.get("quick") and door.get("slow")
        if door["opens"] in kinds.split() and not skipped:
            path = PATHS[1].rpartition("/")[2] if door["opens"] == "trace" else PATHS[0]
            answer = knock(server, door, **things, path=path)
            refused = more["refused"] and not door.get("mild")
            judge(server, answer, more["uri"], refused=refused)
