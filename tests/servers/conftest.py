"""Real object stores on this machine: one Ceph, with its S3 gateway, and one moto.

Ceph is started bare: a monitor, one OSD that keeps objects in memory, and the gateway, in a
folder of their own and on free ports, in about 15 s.  Its programs come from
``install-debian.sh`` beside this file.  moto knows AWS's own semantics and checks no signatures.

Every test has a bucket's prefix of its own.  Servers are stopped by the process ids that they had.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import pytest
from botocore.config import Config

from mlflow_vault.store.address import Address
from mlflow_vault.store.remote.retries import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest.register_assert_rewrite(
    "mlflow_vault.testing.contract",
    "mlflow_vault.testing.objects_contract",
    "mlflow_vault.testing.listings_contract",
)

KEY, SECRET = "testkey", "testsecret"
BUCKET = "vaults"
PATIENCE: Final = 60.0  # seconds for a server to start

CLUSTER: Final = "5b1f4c2e-7a1d-4a53-9f0e-3a1c9d1e0b77"
CONFIGURATION: Final = """
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = [v2:127.0.0.1:{monitor}]
auth_allow_insecure_global_id_reclaim = false
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
ms_bind_msgr1 = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = -1
run_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
log_file = {folder}/$name.log
pid_file = {folder}/run/$name.pid
crash_dir = {folder}
keyring = {folder}/keyring
mon_data = {folder}/mon
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
rgw_dns_name = localhost
"""


def _free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, alive: Callable[[], bool]) -> None:
    """Wait until *url* answers anything."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and alive():
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - ours
                return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"no server at {url}")


def make_bucket(url: str) -> str:
    """Make the tests' bucket at *url* and return *url*."""
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket=BUCKET)
    client.close()
    return url


class Ceph:
    """A cluster of three processes in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.monitor = _free_port(), _free_port()
        for name in ("mon", "osd", "run"):
            (folder / name).mkdir()
        (folder / "ceph.conf").write_text(
            CONFIGURATION.format(
                fsid=CLUSTER, monitor=self.monitor, gateway=self.port, folder=folder
            )
        )

    def start(self) -> str:
        """Start it; return the gateway's URL."""
        keys, names = f"{self.folder}/keyring", ("mon 'allow *'", "osd 'allow *'")
        self._keys(keys, "mon.", names[:1], new=True)
        for name in ("client.admin", "osd.0", "client.rgw"):
            self._keys(keys, name, names, new=False)
        members = f"{self.folder}/members"
        place = ("--addv", "a", f"[v2:127.0.0.1:{self.monitor}]")
        self._run("monmaptool", "--create", *place, "--fsid", CLUSTER, members)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", members, "--keyring", keys)
        self._run("ceph-mon", "-i", "a")
        identity = "9c6f3a52-6a54-4d11-8a43-4d4e24a2c0a1"
        self._run("ceph", "osd", "new", identity)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        self._run("ceph-osd", "-i", "0")
        user = ("--uid=test", "--display-name=test", f"--access-key={KEY}")
        may = "--caps=users=*;user-policy=*"  # make users, and say what they may
        self._run("radosgw-admin", "user", "create", *user, f"--secret-key={SECRET}", may)
        self._run("radosgw", "-n", "client.rgw")
        url = f"http://127.0.0.1:{self.port}"
        _wait_for(url, lambda: True)
        return url

    def stop(self) -> None:
        """Stop what was started, the gateway first."""
        pids = []
        for name in ("client.rgw", "osd.0", "mon.a"):
            with suppress(FileNotFoundError, ValueError):
                pids.append(int((self.folder / "run" / f"{name}.pid").read_text()))
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # nothing of it is kept

    def _keys(self, path: str, name: str, capabilities: tuple[str, ...], *, new: bool) -> None:
        command = ["ceph-authtool", path, "--gen-key", "-n", name]
        command += ["--create-keyring"] if new else []
        for capability in capabilities:
            service, _, allowed = capability.partition(" ")
            command += ["--cap", service, allowed.strip("'")]
        self._run(*command)

    def _run(self, program: str, *arguments: str) -> None:
        found = shutil.which(program)
        if found is None:
            pytest.fail(f"there is no {program}: run {Path(__file__).parent}/install-debian.sh")
        with (self.folder / "errors").open("ab") as errors:
            done = subprocess.run(
                [found, *arguments],
                env=os.environ | {"CEPH_CONF": f"{self.folder}/ceph.conf"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=PATIENCE,
                check=False,
            )
        if done.returncode:
            said = (self.folder / "errors").read_text()[-3000:]
            pytest.fail(f"{program} {' '.join(arguments)} failed:\n{said}")


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Ceph's S3 gateway, with a bucket; its URL."""
    cluster = Ceph(tmp_path_factory.mktemp("ceph"))
    try:
        yield make_bucket(cluster.start())
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A moto server, with a bucket; its URL."""
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, lambda: process.poll() is None)
        yield make_bucket(url)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return what finds a port that nobody listens on."""
    return _free_port


@pytest.fixture(scope="session")
def wait_for() -> Callable[[str, Callable[[], bool]], None]:
    """Return what waits until a URL answers."""
    return _wait_for


@pytest.fixture
def address() -> Address:
    """Where nothing is yet; the prefix has what URLs are sensitive to."""
    return Address("s3", BUCKET, f"/{secrets.token_hex(6)}/é %41+b")


@pytest.fixture(scope="session")
def settings() -> Callable[[str], dict[str, str]]:
    """Return what a user sets for the server at a URL."""
    return lambda url: {
        "MLFLOW_S3_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture
def hasty() -> Patience:
    """Return the default's tries, without its waits."""
    return Patience(first_wait=0.001, longest_wait=0.01, request=3, silence=1)
