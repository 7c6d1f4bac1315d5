"""No secret is ever told: not by a log, an error, a traceback, a repr or the command line.

The server that refuses answers as AWS does, with the request that was signed in its body: the
session's token, the key's id and the signature come back.
"""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from mlflow.exceptions import MlflowException

from mlflow_vault.cli.main import main
from mlflow_vault.errors import VaultError
from mlflow_vault.plugin.artifact_repo import VaultArtifactRepository
from mlflow_vault.store.address import Address
from mlflow_vault.store.remote.fsspec import FsspecStore
from mlflow_vault.store.remote.retries import Patience
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.store.remote.s3_settings import read_settings
from mlflow_vault.testing.models import noise
from mlflow_vault.testing.proxy import FaultyProxy, Mishap, Trouble
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Settings = Callable[[str], dict[str, str]]

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

KEY, SECRET = "AKIADISTINCTIVEKEYID", "aDistinctiveSecret/abc+def"
TOKEN, PASSWORD = "aDistinctiveToken=", "aDistinctivePassword"
SAS: Final = "sv=2024-01-01&sig=aDistinctiveSas"
AZURE_KEY: Final = "YURpc3RpbmN0aXZlQWNjb3VudEtleQ=="
# testkey and testsecret are Ceph's; a signature is the header that it came in.
SECRETS: Final = (
    *(KEY, SECRET, TOKEN, PASSWORD, "aDistinctiveSas", AZURE_KEY, "testkey", "testsecret"),
    *("AWS4-HMAC-SHA256", "Signature="),
)
FOREVER: Final = 1_000_000  # requests
REFUSALS: Final = [
    Mishap(Trouble.REFUSED, times=FOREVER, status=403, code="SignatureDoesNotMatch"),
    Mishap(Trouble.REFUSED, times=FOREVER, status=503, code="SlowDown"),
    Mishap(Trouble.REFUSED, times=FOREVER, status=400, code="ExpiredToken"),
    Mishap(Trouble.REFUSED, times=FOREVER, status=418, code="Unheard"),
    Mishap(Trouble.LOST, times=FOREVER),
    Mishap(Trouble.TRUNCATED, times=FOREVER),
    # Within a write, whose own messages name what went wrong before.
    *(
        Mishap(Trouble.REFUSED, at=at, times=FOREVER, status=400, code="ExpiredToken")
        for at in (5, 9)
    ),
]


class Ears:
    """Everything that was told."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self._caplog, self._capfd = caplog, capfd
        self._told: list[str] = []
        self.errors = 0

    def hear(self, act: Callable[[], object]) -> None:
        """Do *act*, and note what an error of it tells to whoever looks at all that it holds."""
        try:
            self._told.append(repr(act()))
        except (VaultError, MlflowException) as error:
            self.errors += 1
            self._told += [str(error), repr(error), *traceback.format_exception(error)]
            self._told += _chained(error)

    def note(self, *things: object) -> None:
        """Note what *things* show of themselves."""
        self._told += [shown for thing in things for shown in (repr(thing), str(thing))]

    def secrets(self) -> list[str]:
        """Every line in which a secret was told."""
        shown = self._capfd.readouterr()
        formatter = logging.Formatter()  # with the tracebacks of `exc_info`
        logs = [formatter.format(record) for record in self._caplog.records]
        lines = "\n".join([*self._told, *logs, shown.out, shown.err]).splitlines()
        return [line for line in lines if any(secret in line for secret in SECRETS)]


def _chained(error: BaseException) -> list[str]:
    """What our own objects in the frames of *error*, and of what led to it, show of themselves."""
    shown: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        for frame, _ in traceback.walk_tb(seen.__traceback__):
            shown += [
                repr(value)
                for value in frame.f_locals.values()
                if type(value).__module__.startswith("mlflow_vault")
            ]
        shown.append(repr(seen))
        seen = seen.__cause__ or seen.__context__
    return shown


@pytest.fixture
def ears(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Ears:
    """Ears that hear every logger, of ours and of the libraries', from DEBUG on."""
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("mlflow_vault", "botocore", "azure", "adlfs", "fsspec", "aiohttp")):
            caplog.set_level(logging.DEBUG, name)
    return Ears(caplog, capfd)


@dataclass(frozen=True)
class Place:
    """A vault on a server that believes every key, and what is set to reach it."""

    url: str
    address: Address
    settings: Settings

    def store(self, url: str, patience: Patience) -> S3Store:
        """Return what leads there through *url*."""
        return S3Store(self.address, self.settings(url), patience)


@pytest.fixture
def place(moto: str, address: Address, settings: Settings) -> Place:
    """A vault, and distinctive keys to it."""
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    made = Place(moto, address, lambda url: settings(url) | keys)
    Vault.init_at(made.store(moto, Patience()))
    return made


@pytest.fixture(params=["ceph", "moto"])
def environment(request: pytest.FixtureRequest, settings: Settings, place: Place) -> dict[str, str]:
    """What is set for each server in turn."""
    if request.param == "ceph":
        return settings(str(request.getfixturevalue("ceph")))
    return place.settings(place.url)


def work(store: S3Store, folder: Path, ears: Ears) -> None:
    """Do what a user does, on a vault that is there."""
    (folder / "large").write_bytes(noise(1, 300_000))
    vault = Vault(store, Vault.init("vault-memory://for-an-identity").identity)
    for act in (
        lambda: Vault.init_at(store),
        lambda: vault.write_file(folder / "large", "large"),
        lambda: write(vault, "small", b"small"),
        vault.list,
        lambda: vault.read_file("large", folder / "read"),
        vault.verify,
        lambda: vault.export("", folder / "exported"),
        vault.stats,
        lambda: vault.delete("small"),
    ):
        ears.hear(act)
    ears.note(vault, store, store._buckets, store._buckets.get("look"), Patience())


def test_work(address: Address, environment: dict[str, str], tmp_path: Path, ears: Ears) -> None:
    """What succeeds tells nothing."""
    work(S3Store(address, environment), tmp_path, ears)

    found = read_settings(environment, "vaults")
    ears.note(address, found, found.credentials)
    assert ears.errors == 0
    assert ears.secrets() == []


@pytest.mark.parametrize(
    "refusal", REFUSALS, ids=lambda each: f"{each.trouble.name}-{each.code}-{each.at}"
)
def test_failures(
    place: Place, hasty: Patience, tmp_path: Path, ears: Ears, refusal: Mishap
) -> None:
    """What fails tells nothing, though the server repeats what it was told."""
    with FaultyProxy(place.url, [refusal]) as proxy:
        work(place.store(proxy.url, hasty), tmp_path, ears)

    assert ears.errors
    assert ears.secrets() == []


ADDRESSES: Final = (
    f"vault+https://user:{PASSWORD}@host/vault",
    f"vault-s3://user:{PASSWORD}@bucket/vault",
    f"vault-s3://user:half/{PASSWORD}@bucket/vault?x",
    f"vault-s3://user:half/{PASSWORD}@bucket/vault",
    f"vault-s3://user:{PASSWORD}@bucket/a/../b",
    f"vault-s3://user:{PASSWORD}@bucket/%FF",
    f"vault-az://container/vault?{SAS}",
    f"vault-az://container/vault#{SAS}",
    f"https://user:{PASSWORD}@host/vault?{SAS}",
    f"file://user:{PASSWORD}@host/vault",
)


@pytest.mark.parametrize("uri", ADDRESSES)
def test_addresses(uri: str, ears: Ears) -> None:
    """Credentials in an address are refused and not repeated."""
    for act in (
        lambda: Address.parse(uri),
        lambda: Address.of_path(uri),
        lambda: Vault.open(uri),
        lambda: VaultArtifactRepository(uri),
    ):
        ears.hear(act)
    codes = [main(["ls", *words, uri]) for words in ([], ["--debug"], ["--json"])]

    assert codes == [2, 2, 2]
    assert ears.errors == 4
    assert ears.secrets() == []


def test_repository(ears: Ears) -> None:
    """MLflow's repository shows where it is, and not how its server is reached."""
    server = f"https://user:{PASSWORD}@tracking"

    ears.note(VaultArtifactRepository("vault-memory://a/b", server, server))

    assert ears.secrets() == []


@pytest.mark.parametrize("code", ["", "SignatureDoesNotMatch", "ExpiredToken"])
def test_command_line(place: Place, monkeypatch: pytest.MonkeyPatch, ears: Ears, code: str) -> None:
    """The command line tells nothing either, asked for as much as it can tell."""
    plan = [Mishap(Trouble.REFUSED, times=FOREVER, status=403, code=code)] if code else []
    with FaultyProxy(place.url, plan) as proxy:
        for name, value in place.settings(proxy.url).items():
            monkeypatch.setenv(name, value)
        words = ("init", "ls", "verify", "stats")
        ran = [main([word, "--debug", "--json", str(place.address)]) for word in words]

    assert [bool(found) for found in ran] == [bool(code)] * len(words)
    assert ears.secrets() == []


AZURE: Final = {
    "token": f"BlobEndpoint={{url}}/account;SharedAccessSignature={SAS}",
    "key": f"AccountName=account;AccountKey={AZURE_KEY};BlobEndpoint={{url}}/account",
    "malformed": f"AccountName=account;AccountKey={AZURE_KEY};;=x",
}


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.SILENT], ids=lambda each: each.name)
@pytest.mark.parametrize("name", AZURE)
def test_azure(moto: str, ears: Ears, name: str, trouble: Trouble) -> None:
    """Nor are a token or a key of Azure's told when Azure refuses them or says nothing."""
    plan = [Mishap(trouble, times=FOREVER, status=403, code="AuthenticationFailed")]
    with FaultyProxy(moto, plan) as proxy:
        options = {"connection_string": AZURE[name].format(url=proxy.url)}
        store = FsspecStore(
            Address("az", "container", "/p"), {}, options, Patience(tries=1, request=1)
        )
        for act in (lambda: store.get("a"), lambda: store.put("a", b""), lambda: store.stat("a")):
            ears.hear(act)
        ears.note(store, store._opened)

    assert ears.errors == 3
    assert ears.secrets() == []
