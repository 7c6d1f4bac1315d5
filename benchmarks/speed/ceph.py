"""A real S3 server for the measurement: Ceph's gateway over one OSD that keeps objects in memory.

Started bare in a folder of its own, within the network namespace that `link` made, in about
15 s.  Its programs are Debian's packages radosgw, ceph-mon, ceph-osd and ceph-common.  The
gateway's log has a line for each request, so requests are counted where they arrive.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEY, SECRET, BUCKET = "benchkey", "benchsecret", "bench"
PATIENCE: Final = 60.0  # seconds for a server to start
MONITOR, GATEWAY = 6789, 8000  # ports; the namespace has all of its own
CLUSTER: Final = "0d6b7a3c-51c2-4c54-9d5e-2f0f3f8a6c11"
OSD: Final = "7f0c6a52-2a54-4d11-8a43-4d4e24a2c0b2"
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
memstore_device_bytes = 12884901888
[client.rgw]
rgw_frontends = beast endpoint=0.0.0.0:{gateway} tcp_nodelay=1
rgw_gc_obj_min_wait = 1
rgw_gc_processor_period = 86400
debug_rgw = 1
"""
REQUEST: Final = re.compile(r'beast: .*?"([A-Z]+) /[^/? ]*/?([^? "]*)(?:[?]([^ "]*))? [^"]*" \d{3}')


class Ceph:
    """A cluster of three processes in *folder*; *inside* runs a command where it shall live."""

    def __init__(self, folder: Path, address: str, inside: Sequence[str]) -> None:
        self.url = f"http://{address}:{GATEWAY}"
        self._folder = folder
        self._inside = list(inside)
        self._read = 0  # bytes of the gateway's log
        for name in ("mon", "osd", "run"):
            (folder / name).mkdir(parents=True)
        filled = CONFIGURATION.format(fsid=CLUSTER, monitor=MONITOR, gateway=GATEWAY, folder=folder)
        (folder / "ceph.conf").write_text(filled, encoding="utf-8")

    def start(self) -> None:
        """Start it."""
        keys, names = f"{self._folder}/keyring", ("mon 'allow *'", "osd 'allow *'")
        self._keys(keys, "mon.", names[:1], new=True)
        for name in ("client.admin", "osd.0", "client.rgw"):
            self._keys(keys, name, names, new=False)
        members = f"{self._folder}/members"
        place = ("--addv", "a", f"[v2:127.0.0.1:{MONITOR}]")
        self._run("monmaptool", "--create", *place, "--fsid", CLUSTER, members)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", members, "--keyring", keys)
        self._run("ceph-mon", "-i", "a")
        self._run("ceph", "osd", "new", OSD)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", OSD)
        self._run("ceph-osd", "-i", "0")
        user = ("--uid=bench", "--display-name=bench", f"--access-key={KEY}")
        self._run("radosgw-admin", "user", "create", *user, f"--secret-key={SECRET}")
        self._run("radosgw", "-n", "client.rgw")
        self._wait()

    def stop(self) -> None:
        """Stop what was started, the gateway first."""
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # nothing of it is kept

    def forget_deleted(self) -> None:
        """Free the memory of what was deleted; the gateway would do it hours later."""
        time.sleep(1.1)
        self._run("radosgw-admin", "gc", "process", "--include-all")

    def cpu_seconds(self) -> float:
        """CPU seconds that the server has used so far."""
        ticks = 0
        for pid in self._pids():
            with suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123
                fields = stat.read().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def requests(self) -> Counter[tuple[str, str]]:
        """Return the requests since the last call, by method and key; a LIST's is its prefix."""
        time.sleep(0.3)  # until the log is written
        with (self._folder / "client.rgw.log").open("rb") as log:
            log.seek(self._read)
            said = log.read()
        self._read += len(said)
        lines = said.decode(errors="replace").splitlines()
        found = (REQUEST.search(line) for line in lines)
        return Counter(_request(*each.groups()) for each in found if each)

    def _pids(self) -> list[int]:
        pids = []
        for name in ("client.rgw", "osd.0", "mon.a"):
            with suppress(FileNotFoundError, ValueError):
                text = (self._folder / "run" / f"{name}.pid").read_text(encoding="utf-8")
                pids.append(int(text))
        return pids

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
            raise FileNotFoundError(f"{program}: install radosgw ceph-mon ceph-osd ceph-common")
        done = subprocess.run(
            [*self._inside, found, *arguments],
            env=os.environ | {"CEPH_CONF": f"{self._folder}/ceph.conf"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "errors").open("ab"),
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            said = (self._folder / "errors").read_text(encoding="utf-8")[-2000:]
            raise RuntimeError(f"{program} {' '.join(arguments)} failed:\n{said}")

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(self.url, timeout=5):  # noqa: S310 - ours
                    return
            except urllib.error.HTTPError as answer:
                answer.close()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError(f"no server at {self.url}")


def _request(method: str, key: str, query: str | None) -> tuple[str, str]:
    asked = parse_qs(query or "")
    if method == "GET" and "list-type" in asked:
        return "LIST", asked.get("prefix", [""])[0]
    return method, unquote(key)
