"""What tests of faults share: deeds, a judge of messages, a clock that lets nothing hang."""

from __future__ import annotations

import os
import random
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from mlflow_vault.plugin.artifact_repo import VaultArtifactRepository
from mlflow_vault.store.remote.retries import Patience
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.testing.models import noise, npy, trained, weights
from mlflow_vault.testing.proxy import FaultyProxy, Mishap
from mlflow_vault.testing.vaults import read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mlflow_vault.store.address import Address

    Settings = Callable[[str], dict[str, str]]

_NAMES: Final = re.compile(r"vault-[a-z0-9]+://|https?://|/artifacts/|packs/|tree/|outcomes/")
_ADVICE: Final = re.compile(
    r"(?i)\b(try(ing)? again|look at|make (it|one|room)|set \w+|get new|give|it needs|ask who|"
    r"read it|write (it )?again|write http|restore|name its|start workers)\b"
)
_SECRETS: Final = re.compile(
    r"(?i)testsecret|testkey|x-amz-(signature|credential|security)|aws4-hmac"
)
RUN: Final = f"7/{'0' * 32}/artifacts"
WEIGHTS: Final = weights(1, 80_000)
BASE: Final = {
    f"{RUN}/base/w.npy": npy(WEIGHTS),
    f"{RUN}/base/blob": noise(2, 270_000),
    f"{RUN}/base/small": b"small",
}


@dataclass
class Ground:
    """Where deeds are done: a vault, near or through a bad network.

    Attributes:
        folder: For files.
        store: Leads to the vault's place, over the network of the moment.
        clean: Leads there, too, over a good one.
    """

    folder: Path
    store: S3Store
    clean: S3Store

    @property
    def vault(self) -> Vault:
        """The vault over the network of the moment, opened anew."""
        return Vault.at(self.store)

    def repository(self) -> VaultArtifactRepository:
        """MLflow's artifact repository of one run, in that vault."""
        repository = VaultArtifactRepository(f"{self.store.uri}/{RUN}")
        repository._found = os.getpid(), self.vault, RUN
        return repository

    def file(self, name: str, body: bytes) -> Path:
        """A file with such content."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return path

    def fresh(self, name: str) -> Path:
        """A path at which nothing is."""
        return self.folder / f"{name}-{random.randbytes(8).hex()}"  # noqa: S311 - no secret


def model_of(number: int) -> dict[str, bytes]:
    """A small folder's files."""
    small = {f"{name}": f"{name} {number}".encode() for name in ("MLmodel", "conda.yaml")}
    return {**small, "w.npy": npy(trained(WEIGHTS, 100 + number))}


def _prefixed(prefix: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{RUN}/{prefix}/{name}": body for name, body in files.items()}


def _init(ground: Ground, _: int) -> dict[str, bytes]:
    vault = Vault.init_at(ground.store)
    assert vault.identity.conditional_create
    return {}


def _inline(ground: Ground, number: int) -> dict[str, bytes]:
    body = f"inline {number}".encode()
    ground.vault.write_file(ground.file("inline", body), f"{RUN}/inline/{number}")
    return {f"{RUN}/inline/{number}": body}


def _chunked(ground: Ground, number: int) -> dict[str, bytes]:
    body = noise(1000 + number, 270_000)
    ground.vault.write_file(ground.file("chunked", body), f"{RUN}/chunked/{number}")
    return {f"{RUN}/chunked/{number}": body}


def _delta(ground: Ground, number: int) -> dict[str, bytes]:
    body = npy(trained(WEIGHTS, number))
    ground.vault.write_file(ground.file("w.npy", body), f"{RUN}/delta/{number}/w.npy")
    return {f"{RUN}/delta/{number}/w.npy": body}


def _folder(ground: Ground, number: int) -> dict[str, bytes]:
    files = model_of(number)
    for name, body in files.items():
        ground.file(f"folder-{number}/{name}", body)
    ground.vault.write_folder(ground.folder / f"folder-{number}", f"{RUN}/folder/{number}")
    return _prefixed(f"folder/{number}", files)


def _list(ground: Ground, _: int) -> dict[str, bytes]:
    found = {item.path: item.size for item in ground.vault.list(f"{RUN}/base")}
    assert found == {path: len(body) for path, body in BASE.items()}
    return {}


def _read(ground: Ground, _: int) -> dict[str, bytes]:
    target = ground.fresh("read")
    ground.vault.read_file(f"{RUN}/base/w.npy", target)
    assert target.read_bytes() == BASE[f"{RUN}/base/w.npy"]
    return {}


def _span(ground: Ground, _: int) -> dict[str, bytes]:
    found = ground.vault.read_span(f"{RUN}/base/blob", 1000, 200_000)
    assert found == BASE[f"{RUN}/base/blob"][1000:200_000]
    return {}


def _verify(ground: Ground, _: int) -> dict[str, bytes]:
    verified = ground.vault.verify(f"{RUN}/base")
    assert (verified.files, verified.damaged) == (3, ())
    return {}


def _export(ground: Ground, _: int) -> dict[str, bytes]:
    target = ground.fresh("export")
    exported = ground.vault.export(f"{RUN}/base", target)
    assert (exported.files, exported.damaged) == (3, ())
    for path, body in BASE.items():
        assert (target / path.rpartition("/")[2]).read_bytes() == body
    return {}


def _delete(ground: Ground, number: int) -> dict[str, bytes]:
    vault = Vault.at(ground.clean)
    for name in "ab":
        write(vault, f"{RUN}/deleted/{number}/{name}", b"to go")
    assert ground.vault.delete(f"{RUN}/deleted/{number}") == ()
    assert list(vault.walk(f"{RUN}/deleted/{number}")) == []
    return {}


def _log_artifact(ground: Ground, number: int) -> dict[str, bytes]:
    body = noise(2000 + number, 270_000)
    ground.repository().log_artifact(ground.file("logged", body), f"one/{number}")
    return {f"{RUN}/one/{number}/logged": body}


def _log_artifacts(ground: Ground, number: int) -> dict[str, bytes]:
    files = model_of(1000 + number)
    for name, body in files.items():
        ground.file(f"logged-{number}/{name}", body)
    ground.repository().log_artifacts(ground.folder / f"logged-{number}", f"many/{number}")
    return _prefixed(f"many/{number}", files)


def _list_artifacts(ground: Ground, _: int) -> dict[str, bytes]:
    found = [(item.path, item.file_size) for item in ground.repository().list_artifacts("base")]
    assert dict(found) == {path.removeprefix(f"{RUN}/"): len(b) for path, b in BASE.items()}
    return {}


def _download(ground: Ground, _: int) -> dict[str, bytes]:
    target = ground.fresh("download")
    target.mkdir()
    ground.repository().download_artifacts("base", str(target))
    for path, body in BASE.items():
        assert (target / path.removeprefix(f"{RUN}/")).read_bytes() == body
    return {}


DEEDS: Final[dict[str, Callable[[Ground, int], dict[str, bytes]]]] = {
    deed.__name__[1:]: deed
    for deed in (
        *(_init, _inline, _chunked, _delta, _folder),
        *(_list, _read, _span, _verify, _export, _delete),
        *(_log_artifact, _log_artifacts, _list_artifacts, _download),
    )
}


class Lab:
    """Does deeds on a vault, by their names, through proxies that fail as planned.

    A deed has a number, so that each time it writes something new.
    """

    deeds = tuple(DEEDS)

    def __init__(self, url: str, address: Address, settings: Settings, folder: Path) -> None:
        self._url, self._address, self._settings, self._folder = url, address, settings, folder
        self._patience = Patience(first_wait=0.001, longest_wait=0.004, request=5, silence=5)
        self.vault = Vault.init_at(self._ground(url, address).clean)
        for path, body in BASE.items():
            write(self.vault, path, body)

    def through(
        self, plan: Iterable[Mishap], deed: str, number: int
    ) -> tuple[dict[str, bytes], FaultyProxy]:
        """Do *deed* over a network that fails by *plan*; return what is in the vault then."""
        with FaultyProxy(self._url, plan) as proxy:
            return self._do(proxy.url, deed, number), proxy

    def again(self, deed: str, number: int) -> dict[str, bytes]:
        """Do *deed* over a good network; return what is in the vault then."""
        return self._do(self._url, deed, number)

    def check(self, expected: dict[str, bytes]) -> None:
        """What is *expected* is there, and what was there before, and all of it is whole."""
        for path, body in {**expected, **BASE}.items():
            assert read(self.vault, path) == body
        assert self.vault.verify().is_whole

    def _do(self, url: str, deed: str, number: int) -> dict[str, bytes]:
        place = f"init/{number}" if deed == "init" else ""
        return DEEDS[deed](self._ground(url, self._address.joined(place)), number)

    def _ground(self, url: str, address: Address) -> Ground:
        clean = S3Store(address, self._settings(self._url), self._patience)
        return Ground(self._folder, S3Store(address, self._settings(url), self._patience), clean)


@pytest.fixture
def lab(ceph: str, address: Address, settings: Settings, tmp_path: Path) -> Lab:
    """A vault with some files."""
    return Lab(ceph, address, settings, tmp_path)


class Watch:
    """Over what is said, and how long it takes."""

    def complaints(self, error: BaseException) -> list[str]:
        """What is wrong with an error: it names a place, says what to do and tells no secret."""
        said = str(error)
        found = [] if _NAMES.search(said) else ["it names no place"]
        found += [] if _ADVICE.search(said) else ["it does not say what to do"]
        found += ["it tells a secret"] if _SECRETS.search(said) else []
        return [f"{complaint}: {said}" for complaint in found]

    def within(self, seconds: float, act: Callable[[], Any]) -> Any:
        """Return what *act* returns, or fail the test when it is not done in *seconds*."""
        ended: dict[str, Any] = {}

        def run() -> None:
            try:
                ended["returned"] = act()
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                ended["raised"] = error

        thread = threading.Thread(target=run, name="within", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            pytest.fail(f"it hangs: not done in {seconds} s")
        if "raised" in ended:
            raise ended["raised"]
        return ended["returned"]


@pytest.fixture(scope="session")
def watch() -> Watch:
    """Return what watches messages and times."""
    return Watch()
