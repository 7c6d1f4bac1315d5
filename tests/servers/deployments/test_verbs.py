"""What each deployment answers to a client that speaks HTTP."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.store.address import Address
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
BODY: Final = bytes(range(256)) * 4000


def test_proxy(server: Any) -> None:
    """A proxy takes, gives, lists and deletes, and a direct server has none."""
    route = f"{ARTIFACTS}/verbs/a/b.bin"
    put = server.ask("PUT", route, data=BODY)
    if server.deployment.artifacts == "direct":
        assert put.status_code == 503
        return
    got = server.ask("GET", route)
    part = server.ask("GET", route, headers={"Range": "bytes=300-1299"})
    listed = server.ask("GET", ARTIFACTS, params={"path": "verbs/a"}).json()

    assert (put.status_code, got.status_code) == (200, 200)
    assert got.content == BODY
    assert listed == {"files": [{"path": "b.bin", "is_dir": False, "file_size": len(BODY)}]}
    # MLflow's own server knows ranges under gunicorn alone, where it cuts them from a whole copy.
    expected = (200, BODY) if server.deployment.web == "uvicorn" else (206, BODY[300:1300])
    assert (part.status_code, part.content) == expected
    assert server.ask("GET", f"{ARTIFACTS}/verbs/a").status_code == 400
    assert server.ask("GET", f"{ARTIFACTS}/verbs/missing").status_code == 404
    assert server.ask("DELETE", f"{ARTIFACTS}/verbs/a").status_code == 200
    assert server.ask("GET", route).status_code == 404


def test_other_vaults(server: Any, tmp_path: Path) -> None:
    """No deployment opens a vault beside its own, however well it could."""
    if server.deployment.store == "s3":
        beside = server.root.replace("/root", "/beside")
        vault = Vault.init_at(S3Store(Address.parse(beside), server.environment))
    else:
        beside = f"vault-file://{tmp_path}/beside"
        vault = Vault.init(beside)
    write(vault, f"{'0' * 32}/artifacts/MLmodel", b"secret")
    name, call = secrets.token_hex(8), "/api/2.0/mlflow"
    server.ask("POST", f"{call}/registered-models/create", json={"name": name})
    source = f"{beside}/{'0' * 32}/artifacts"

    server.ask("POST", f"{call}/model-versions/create", json={"name": name, "source": source})
    asked = {"name": name, "version": "1", "path": "MLmodel"}
    got = server.ask("GET", "/model-versions/get-artifact", params=asked)

    assert got.status_code in {400, 404}, got.text
    assert "secret" not in got.text
