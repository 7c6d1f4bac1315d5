"""Run a command in a fresh process and say what it cost.

Two kinds.  A worker (`speed.worker`) times its operation itself, once everything is imported.  A
program such as restic is timed from its start to its end, as that is how it is used; its peak is
the largest of any process below it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from speed.worker import peak_memory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BENCHMARKS: Final = Path(__file__).parents[1]
LOOK: Final = 0.02  # seconds between two looks at a program's memory


@dataclass(slots=True)
class Cost:
    """What one operation took.

    Attributes:
        wall: Seconds of the operation; a program's is the whole of it.
        cpu: CPU seconds of the operation, all threads.
        whole_wall: Seconds of the process, its start and its imports included.
        whole_cpu: CPU seconds of the process.
        peak: Bytes, the most that were resident at once.
        sent: Bytes to the server, headers included.
        received: Bytes from the server.
        server_cpu: CPU seconds that the server used meanwhile, on the same machine.
        requests: By method and kind of key, such as ``PUT packs``.
    """

    wall: float
    cpu: float
    whole_wall: float
    whole_cpu: float
    peak: int
    sent: int = 0
    received: int = 0
    server_cpu: float = 0.0
    requests: dict[str, int] = field(default_factory=dict)


def module_path() -> str:
    """Where a process of ours finds its modules: where it would look anyway, and here."""
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(BENCHMARKS)]))


def worker(order: Mapping[str, Any], environment: Mapping[str, str]) -> Cost:
    """Do *order* in a worker."""
    world = {**os.environ, **environment, "PYTHONPATH": module_path()}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "speed.worker", json.dumps(order)],
        env=world,
        capture_output=True,
        text=True,
        check=False,
    )
    whole = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{order} failed: {done.stderr[-3000:]}")
    spent = json.loads(done.stdout.splitlines()[-1])
    return Cost(spent["wall"], spent["cpu"], whole, spent["whole_cpu"], int(spent["peak"]))


def program(
    commands: Sequence[Sequence[str]], folder: Path, environment: Mapping[str, str]
) -> Cost:
    """Run *commands* one after another in *folder*."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    peaks = [0]
    started = time.perf_counter()
    for command in commands:
        with subprocess.Popen(
            list(command),
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as running:
            ended = threading.Event()
            watch = threading.Thread(target=_watch, args=(running.pid, peaks, ended))
            watch.start()
            _, said = running.communicate()
            ended.set()
            watch.join()
        if running.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {said.decode()[-3000:]}")
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, wall, cpu, max(peaks))


def _watch(pid: int, peaks: list[int], ended: threading.Event) -> None:
    while not ended.wait(LOOK):
        for each in _tree(pid):
            with suppress(OSError, ValueError):
                peaks.append(peak_memory(each))
        peaks[:] = [max(peaks)]


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        with suppress(OSError):
            text = Path(f"/proc/{each}/task/{each}/children").read_text(encoding="ascii")
            found.extend(int(child) for child in text.split())
    return found
