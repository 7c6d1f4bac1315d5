"""Tracking servers as people run them, each on a database of its own.

A deployment is a database, a web server, a way of artifacts and what holds the vault:

    sqlite         uvicorn                     direct:  clients open the vault themselves
    postgresql     gunicorn, two workers       proxied: clients know the server alone
                   streaming (--app-name vault)                     file, or s3: Ceph's gateway
                   auth (--app-name basic-auth, with workspaces)

`DEPLOYMENTS` has every pair of these in one server at least, and the triples that matter most.
`COMMITTING` are servers whose registry commits what is registered, ``vault-postgresql:``.
Migrating a database takes MLflow up to 18 s: each kind is migrated once, then copied; but that of
`MARIADB`, on which one server runs.

What is started is a process group of its own and is stopped as such.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pymysql
import pytest
import requests

from mlflow_vault.store.address import Address
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.testing.enforcement.users import PASSWORD
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Databases = Callable[[str, Path], str]
    Serve = Callable[["Deployment"], AbstractContextManager["Server"]]

PATIENCE: Final = 120.0  # seconds for anything to start, on two busy cores
PACKAGES: Final = Path("/usr/lib/postgresql")
# What MLflow and the programs under it need of this process; the rest would be chance.
KEPT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")
QUIET: Final = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """One way to run `mlflow server`; its words are those of the picture above."""

    database: str
    web: str
    artifacts: str
    store: str
    commits: bool = field(default=False, kw_only=True)

    def __str__(self) -> str:
        return f"{self.database}-{self.web}-{self.artifacts}-{self.store}"

    def options(self, root: str) -> list[str]:
        """Return what `mlflow server` is told, to keep artifacts at *root*."""
        webs = {
            "uvicorn": ["--workers", "1"],
            "gunicorn": ["--workers", "2", "--gunicorn-opts", "--timeout 120"],
            "streaming": ["--workers", "1", "--app-name", "vault"],
            "auth": ["--workers", "2", "--app-name", "basic-auth", "--enable-workspaces"],
        }
        if self.artifacts == "direct":
            return [*webs[self.web], "--default-artifact-root", root, "--no-serve-artifacts"]
        return [*webs[self.web], "--artifacts-destination", root]


DEPLOYMENTS: Final = [
    Deployment(*words.split())
    for words in (
        "sqlite uvicorn direct file",
        "sqlite uvicorn direct s3",
        "sqlite gunicorn proxied s3",
        "sqlite streaming proxied file",
        "postgresql uvicorn proxied s3",
        "postgresql gunicorn direct file",
        "postgresql streaming direct s3",
        "postgresql streaming proxied s3",
    )
]
COMMITTING: Final = [
    Deployment(*words.split(), commits=True)
    for words in (
        "postgresql uvicorn direct file",
        "postgresql gunicorn proxied file",
        "postgresql streaming proxied s3",
    )
]


GOVERNING: Final = Deployment(*["postgresql", "auth", "proxied", "file"], commits=True)
MARIADB: Final = Deployment(*["mariadb", "auth", "proxied", "file"], commits=True)
# Whoever MLflow's own permissions would stop, they let pass: what stops them is ours.
AUTH: Final = """
[mlflow]
default_permission = MANAGE
grant_default_workspace_access = true
database_uri = sqlite:///{folder}/auth.db
admin_username = root
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running tracking server.

    Attributes:
        deployment: How it was started.
        url: Where it listens.
        root: The vault's URI.
        database: Its backend store's URI.
        environment: What it, and whoever opens the vault, needs to be told.
        log: What it says.
    """

    deployment: Deployment
    url: str
    root: str
    database: str
    environment: dict[str, str]
    log: Path

    def vault(self) -> Vault:
        """Open the vault as another process would."""
        if self.deployment.store == "file":
            return Vault.open(self.root)
        return Vault.at(S3Store(Address.parse(self.root), self.environment))

    def ask(self, method: str, route: str, **kwargs: Any) -> requests.Response:
        """Send one request."""
        return requests.request(method, f"{self.url}{route}", timeout=60, **kwargs)

    def collect(self) -> str:
        """Run `mlflow gc` as its operator would; return what that printed."""
        command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", self.database]
        command += ["--tracking-uri", self.url]
        if self.deployment.artifacts == "proxied":
            command += ["--artifacts-destination", self.root]
        return _run(command, self.environment)


def _kept_environment() -> dict[str, str]:
    """Return as much of this process's environment as any program needs."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | QUIET


def _run(command: list[str], environment: dict[str, str]) -> str:
    """Run *command* to its end, which must be a good one, and return what it printed."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=5 * PATIENCE,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout


@contextmanager
def started(
    command: list[str], log: Path, ready: Callable[[], object], **how: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run *command*, from when *ready* raises no more, until the end of the block."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            **how,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                ready()
                break
            except (
                requests.RequestException,
                psycopg.OperationalError,
                pymysql.err.OperationalError,
            ) as error:
                if time.monotonic() > deadline or process.poll() is not None:
                    text = log.read_text(errors="replace")[-4000:]
                    pytest.fail(f"{command[0]} did not start ({error}); it said:\n{text}")
            time.sleep(0.1)
        yield process
    finally:
        # Interrupted, gunicorn and PostgreSQL wait for no client.  Who is left is killed.
        for number in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)


@pytest.fixture(scope="session")
def run() -> Callable[[list[str], dict[str, str]], str]:
    """Return what runs a command to its good end and returns its output."""
    return _run


@pytest.fixture(scope="session")
def postgresql(free_port: Callable[[], int]) -> Iterator[str]:
    """PostgreSQL, Debian's newest, with nothing in it; the URI of its server.

    It does not run as root, who therefore starts it as the user that its package makes, in a
    folder that this user can get at.
    """
    programs = sorted(PACKAGES.glob("*/bin"), key=lambda found: float(found.parent.name))
    if not programs:
        installer = Path(__file__).parents[1] / "install-debian.sh"
        pytest.fail(f"there is no PostgreSQL in {PACKAGES}: run {installer}")
    how: dict[str, Any] = {"env": {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}, "cwd": "/"}
    password, port = secrets.token_hex(16), free_port()
    with TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        secret = folder / "password"
        secret.write_text(password)
        if os.geteuid() == 0:
            how |= {"user": "postgres", "group": "postgres", "extra_groups": ()}
            for path in (folder, secret):
                shutil.chown(path, "postgres", "postgres")
        initialize = [f"{programs[-1]}/initdb", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        initialize += ["-D", f"{folder}/cluster", "-U", "mlflow", "--auth=scram-sha-256"]
        subprocess.run(
            [*initialize, f"--pwfile={secret}"], check=True, stdout=subprocess.DEVNULL, **how
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",  # nothing of it is kept
            "max_connections": "200",
        }
        command = [f"{programs[-1]}/postgres", "-D", f"{folder}/cluster"]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        server = f"postgresql://mlflow:{password}@127.0.0.1:{port}"

        def ready() -> None:
            psycopg.connect(f"{server}/postgres").close()

        with started(command, folder / "log", ready, **how):
            yield server


@dataclass(frozen=True, slots=True)
class MariaDB:
    """A running MariaDB server.

    Attributes:
        port: Where it listens.
        password: That of its user mlflow, who may do everything.
    """

    port: int
    password: str

    @property
    def uri(self) -> str:
        """What MLflow calls it; a database's name follows."""
        return f"mysql+pymysql://mlflow:{self.password}@127.0.0.1:{self.port}"

    def connect(self) -> pymysql.connections.Connection[Any]:
        """Connect to it, to no database."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="mlflow", password=self.password, autocommit=True
        )


@pytest.fixture(scope="session")
def mariadb(free_port: Callable[[], int]) -> Iterator[MariaDB]:
    """MariaDB, Debian's, with nothing in it and set up as it comes: texts compare loosely.

    Root starts it as nobody, in a folder of theirs.
    """
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    initialize, daemon = (
        shutil.which(one, path=path) for one in ("mariadb-install-db", "mariadbd")
    )
    if initialize is None or daemon is None:
        installer = Path(__file__).parents[1] / "install-debian.sh"
        pytest.fail(f"there is no MariaDB in {path}: run {installer}")
    how: dict[str, Any] = {"env": {"LC_ALL": "C.UTF-8", "PATH": path}, "cwd": "/"}
    server = MariaDB(free_port(), secrets.token_hex(16))
    with TemporaryDirectory(prefix="mariadb-") as name:
        folder = Path(name)
        first = folder / "first.sql"
        first.touch(0o600)
        first.write_text(
            f"CREATE USER mlflow@'127.0.0.1' IDENTIFIED BY '{server.password}';\n"
            "GRANT ALL ON *.* TO mlflow@'127.0.0.1';\n"
        )
        if os.geteuid() == 0:
            how |= {"user": "nobody", "group": "nogroup", "extra_groups": ()}
            for made in (folder, first):
                shutil.chown(made, "nobody", "nogroup")
        # Root is let in by the socket alone, in the folder, as the user of that name.
        options = [f"--datadir={folder}/cluster", "--skip-name-resolve"]
        told = ["--no-defaults", "--auth-root-authentication-method=socket", "--skip-test-db"]
        subprocess.run([initialize, *told, *options], check=True, stdout=subprocess.DEVNULL, **how)
        options += ["--bind-address=127.0.0.1", f"--port={server.port}", f"--init-file={first}"]
        options += [f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
        options += ["--character-set-server=utf8mb4"]  # as Debian's package of the server has it
        options += ["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"]

        def ready() -> None:
            server.connect().close()

        command = [daemon, "--no-defaults", *options]
        with started(command, folder / "log", ready, **how) as running:
            yield server
            running.terminate()  # it takes no notice of being interrupted
            running.wait(20)


@pytest.fixture(scope="session")
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Return what makes a migrated database of a kind, in a folder if it is a file."""
    patterns: dict[str, str] = {}

    def migrate(uri: str) -> str:
        _run([sys.executable, "-m", "mlflow", "db", "upgrade", uri], _kept_environment())
        return uri

    def in_mariadb() -> str:
        server = request.getfixturevalue("mariadb")
        name = f"mlflow_{secrets.token_hex(4)}"
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        return migrate(f"{server.uri}/{name}")

    def on_server(server: str, statement: str) -> None:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def make(kind: str, folder: Path) -> str:
        if kind == "sqlite":
            if kind not in patterns:
                pattern = tmp_path_factory.mktemp("sqlite") / "pattern.db"
                patterns[kind] = migrate(f"sqlite:///{pattern}")
            shutil.copy(patterns[kind].removeprefix("sqlite:///"), folder / "mlflow.db")
            return f"sqlite:///{folder}/mlflow.db"
        if kind == "mariadb":
            return in_mariadb()
        server = request.getfixturevalue("postgresql")
        if kind not in patterns:
            on_server(server, "CREATE DATABASE pattern")
            patterns[kind] = migrate(f"{server}/pattern")
        name = f"mlflow_{secrets.token_hex(4)}"
        on_server(server, f"CREATE DATABASE {name} TEMPLATE pattern")
        return f"{server}/{name}"

    return make


@pytest.fixture(scope="session")
def serve(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    migrated: Databases,
    free_port: Callable[[], int],
    settings: Callable[[str], dict[str, str]],
) -> Serve:
    """Return what starts a deployment for the length of a block; there is no vault yet."""

    @contextmanager
    def start(deployment: Deployment) -> Iterator[Server]:
        folder = tmp_path_factory.mktemp(str(deployment))
        environment, root = _kept_environment(), f"vault-file://{folder}/root"
        environment["HOME"] = str(folder)  # where gunicorn keeps a socket
        if deployment.web == "auth":
            (folder / "auth.ini").write_text(AUTH.format(folder=folder))
            environment["MLFLOW_AUTH_CONFIG_PATH"] = str(folder / "auth.ini")
            environment["MLFLOW_AUTH_ADMIN_PASSWORD"] = PASSWORD
            environment["MLFLOW_VAULT_TOTP_FILE"] = str(folder / "totp")
            environment["MLFLOW_FLASK_SERVER_SECRET_KEY"] = secrets.token_hex(16)
        if deployment.store == "s3":
            environment |= settings(request.getfixturevalue("ceph"))
            root = f"vault-s3://vaults/{secrets.token_hex(6)}/root"
        database, port = migrated(deployment.database, folder), free_port()
        made = Server(
            deployment, f"http://127.0.0.1:{port}", root, database, environment, folder / "log"
        )
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--backend-store-uri", database]
        command += ["--registry-store-uri", f"vault-{database}"] if deployment.commits else []

        def ready() -> None:
            made.ask("GET", "/health").raise_for_status()

        how: dict[str, Any] = {"env": environment, "cwd": folder}
        with started([*command, *deployment.options(root)], made.log, ready, **how):
            yield made

    return start


@pytest.fixture(scope="session", params=DEPLOYMENTS, ids=str)
def server(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Server]:
    """Each deployment in turn, up."""
    with serve(request.param) as made:
        yield made


@pytest.fixture(scope="session", params=COMMITTING, ids=str)
def committing(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Server]:
    """Each deployment whose registry commits, up."""
    with serve(request.param) as made:
        yield made


@pytest.fixture(scope="session")
def governing(serve: Serve) -> Iterator[Server]:
    """A server whose registry governs, and that knows its users; up."""
    with serve(GOVERNING) as made:
        yield made


@pytest.fixture(scope="module")
def governing_alone(serve: Serve) -> Iterator[Server]:
    """Another such server, for whoever says who may do what there; up."""
    with serve(GOVERNING) as made:
        yield made


@pytest.fixture(scope="module")
def governing_mariadb(serve: Serve) -> Iterator[Server]:
    """A server whose registry governs, on MariaDB; up."""
    with serve(MARIADB) as made:
        yield made
