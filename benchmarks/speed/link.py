"""A network of our own: a namespace for the server, and a link to it whose speed is set.

    this namespace  10.77.0.1 ====veth==== 10.77.0.2  the server's namespace
                      tbf -->                <-- tbf

Both ends shape what they send with a token bucket, so that uploads and downloads are slowed
alike.  Where the kernel has netem, half a millisecond is added each way.  Needs root.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SERVER: Final = "10.77.0.2"
CLIENT: Final = "10.77.0.1"
BURST: Final = "256kb"  # larger than the largest segment that the kernel hands over in one piece
QUEUE: Final = "50ms"  # what a bucket holds back before it drops
DELAY: Final = "0.5ms"
PROBE: Final = 64  # MiB of a plain transfer
PROBE_PORT: Final = 9009

# Reads until the sender is done, then sends as much back, and says how long that took.
_ECHO: Final = """
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    print("ready", flush=True)
    peer, _ = server.accept()
    with peer:
        count = 0
        while piece := peer.recv(1 << 20):
            count += len(piece)
        peer.sendall(b"!")
        peer.sendall(bytes(count))
"""
_SEND = """
import json, socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as peer:
    size = int(sys.argv[3]) << 20
    started = time.perf_counter()
    peer.sendall(bytes(size))
    peer.shutdown(socket.SHUT_WR)
    peer.recv(1)
    middle = time.perf_counter()
    count = 0
    while piece := peer.recv(1 << 20):
        count += len(piece)
    ended = time.perf_counter()
print(json.dumps([size / (middle - started), count / (ended - middle)]))
"""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a link is; None is as fast as the machine moves bytes."""

    title: str
    rate: str | None


LINKS: Final = {
    "free": Speed("unthrottled", None),
    "1g": Speed("1 Gbit/s", "1gbit"),
    "250m": Speed("250 Mbit/s", "250mbit"),
}


class Link:
    """A namespace for a server, and the way to it.  Use it as a context."""

    def __init__(self) -> None:
        self.name = f"speed{os.getpid()}"
        self._ours, self._theirs = f"sp{os.getpid()}a", f"sp{os.getpid()}b"
        self.inside = ["ip", "netns", "exec", self.name]
        self.delayed = True

    def __enter__(self) -> Self:
        _run("ip", "netns", "add", self.name)
        try:
            ours, theirs = self._ours, self._theirs
            _run("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs)
            _run("ip", "link", "set", theirs, "netns", self.name)
            _run("ip", "addr", "add", f"{CLIENT}/24", "dev", ours)
            _run("ip", "link", "set", ours, "up")
            _run(*self.inside, "ip", "addr", "add", f"{SERVER}/24", "dev", theirs)
            _run(*self.inside, "ip", "link", "set", theirs, "up")
            _run(*self.inside, "ip", "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        delete = ["ip", "netns", "del", self.name]
        subprocess.run(delete, check=False)

    def set(self, link: str) -> None:
        """Make it as fast as *link* of `LINKS`."""
        rate = LINKS[link].rate
        for inside, device in (([], self._ours), (self.inside, self._theirs)):
            tc = [*inside, "tc", "qdisc"]
            subprocess.run([*tc, "del", "dev", device, "root"], check=False, capture_output=True)
            if rate is None:
                continue
            bucket = ("tbf", "rate", rate, "burst", BURST, "latency", QUEUE)
            _run(*tc, "add", "dev", device, "root", "handle", "1:", *bucket)
            delay = ("handle", "10:", "netem", "delay", DELAY, "limit", "10000")
            done = subprocess.run(
                [*tc, "add", "dev", device, "parent", "1:1", *delay],
                check=False,
                capture_output=True,
            )
            self.delayed = done.returncode == 0

    def moved(self) -> tuple[int, int]:
        """Bytes sent to the server and received from it so far, headers included."""
        counters = Path("/sys/class/net", self._ours, "statistics")
        sent, received = (
            int((counters / name).read_text(encoding="ascii")) for name in ("tx_bytes", "rx_bytes")
        )
        return sent, received

    def probe(self) -> tuple[float, float]:
        """Bytes a second that a plain transfer moves to the server and back."""
        place = [SERVER, str(PROBE_PORT)]
        with subprocess.Popen(
            [*self.inside, sys.executable, "-c", _ECHO, *place], stdout=subprocess.PIPE
        ) as echo:
            assert echo.stdout is not None
            echo.stdout.readline()
            done = subprocess.run(
                [sys.executable, "-c", _SEND, *place, str(PROBE)],
                check=True,
                capture_output=True,
            )
        up, down = json.loads(done.stdout)
        return float(up), float(down)


def possible() -> bool:
    """Whether this machine lets us make namespaces."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and sys.platform == "linux"


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}")
