"""A store on Azure keeps the contract, on Azurite."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import adlfs
import pytest

from mlflow_vault.errors import ConflictError, PermissionDeniedError, StorageError
from mlflow_vault.store.address import Address
from mlflow_vault.store.remote.fsspec import FsspecStore
from mlflow_vault.testing.contract import StoreContract
from mlflow_vault.testing.proxy import FaultyProxy, Mishap, Trouble
from mlflow_vault.testing.vaults import contents, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow_vault.store.remote.retries import Patience

# aiohttp's advice to adlfs.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
# Azurite's own account and key, which its documentation names.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "vaults"


def connection(url: str, key: str = KEY) -> str:
    """Return the connection string for Azurite at *url*."""
    return f"AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={url}/{ACCOUNT};"


@pytest.fixture(scope="module")
def azurite(
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    wait_for: Callable[[str, Callable[[], bool]], None],
) -> Iterator[str]:
    """Azurite, with a container; its URL."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.fail("there is no azurite-blob: use `nox -s servers`, or npm install -g azurite")
    folder, port = tmp_path_factory.mktemp("azurite"), free_port()
    command = [program, "--silent", "--location", str(folder), "--skipApiVersionCheck"]
    command += ["--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    with (folder / "log").open("wb") as log:
        # A group, as what is on PATH may be a script that starts the server.
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, lambda: process.poll() is None)
        adlfs.AzureBlobFileSystem(connection_string=connection(url)).mkdir(CONTAINER)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # nothing of it is kept
        process.wait(20)


@pytest.fixture
def place() -> Address:
    """Where nothing is yet."""
    return Address("az", CONTAINER, f"/{secrets.token_hex(6)}/p")


class TestAzurite(StoreContract):
    """The contract."""

    @pytest.fixture
    def store(self, azurite: str, place: Address) -> FsspecStore:
        """Return an empty store."""
        return FsspecStore(place, {}, {"connection_string": connection(azurite)})


def test_vault(azurite: str, place: Address) -> None:
    """A vault there knows that a second create fails, and holds files."""
    vault = Vault.init_at(FsspecStore(place, {}, {"connection_string": connection(azurite)}))
    files = {"a/small.txt": b"small", "a/large.bin": bytes(range(256)) * 20_000}

    for path, plain in files.items():
        write(vault, path, plain)

    assert vault.identity.conditional_create
    assert contents(vault) == files


def test_too_many(azurite: str, place: Address, hasty: Patience) -> None:
    """A 429, which Azure's library takes for final, is tried again."""
    plan = [Mishap(Trouble.REFUSED, status=429, method="GET")]
    clean = FsspecStore(place, {}, {"connection_string": connection(azurite)})
    clean.put("a", b"body")

    with FaultyProxy(azurite, plan) as proxy:
        string = connection(proxy.url)
        store = FsspecStore(place, {}, {"connection_string": string}, hasty)

        assert store.get("a") == b"body"
        assert proxy.struck


def test_wrong_key(azurite: str, place: Address, hasty: Patience) -> None:
    """Wrong credentials are an error of permission."""
    wrong = connection(azurite, KEY[::-1].replace("=", "A")[:86] + "==")
    store = FsspecStore(place, {}, {"connection_string": wrong}, hasty)

    with pytest.raises(PermissionDeniedError, match="cannot put"):
        store.put("a", b"")


def test_no_container(azurite: str, hasty: Patience) -> None:
    """Where no container is, a put does not pass for done."""
    string = connection(azurite)
    store = FsspecStore(Address("az", "missing", "/p"), {}, {"connection_string": string}, hasty)

    with pytest.raises(StorageError, match="no bucket missing"):
        store.put("a", b"")


def test_empty_create(azurite: str, place: Address) -> None:
    """An empty object, too, is created once."""
    store = FsspecStore(place, {}, {"connection_string": connection(azurite)})
    store.create("outcomes/x", b"")

    with pytest.raises(ConflictError):
        store.create("outcomes/x", b"")


def test_object_and_folder(azurite: str, place: Address) -> None:
    """An object that is called as a folder hides nothing in it from a listing."""
    store = FsspecStore(place, {}, {"connection_string": connection(azurite)})
    store.put("tree/a", b"")
    store.put("tree/a/b", b"")

    assert [found.key for found in store.list("tree/a/")] == ["tree/a/b"]
    assert [found.key for found in store.list("")] == ["tree/a", "tree/a/b"]
