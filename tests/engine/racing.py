"""Races between real processes, some of which are killed; a script for `test_concurrency`.

    python racing.py <scenario> <uri of a vault> ...      prints what happened, as JSON

A script of its own, because a test runner has threads, and who forks with threads may hang.
Every content says who wrote it, so that what is read can be compared with what was written.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.errors import NotFoundError
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkContext, SpawnContext
    from multiprocessing.process import BaseProcess

RUN: Final = f"7/{'0' * 32}/artifacts"
WRITERS: Final = 8
WRITES: Final = 50
MAKERS: Final = 5
SHARED: Final = 4  # paths of each kind that all writers write
KINDS: Final = ("inline", "chunked", "delta")
WEIGHTS: Final = np.random.default_rng(1).standard_normal(75_000, dtype=np.float32)


def content(kind: str, writer: int, number: int) -> bytes:
    """What *writer* writes the *number*-th time; anyone can make it again."""
    signed = np.array([writer, number], dtype=np.float32)
    if kind == "inline":
        return signed.tobytes() * (1 + number)
    noise = np.random.default_rng([writer, number])
    if kind == "chunked":
        return signed.tobytes() + noise.bytes(270_000 + 1000 * writer + number)
    weights = WEIGHTS * np.float32(1 + 1e-4 * noise.random())
    weights[:2] = signed
    file = io.BytesIO()
    np.save(file, weights)
    return file.getvalue()


def author(kind: str, stored: bytes) -> tuple[int, int]:
    """Who wrote *stored*, and when: the inverse of `content` as far as its signature goes."""
    start = 128 if kind == "delta" else 0  # behind the header of an .npy
    writer, number = np.frombuffer(stored[start : start + 8], dtype=np.float32)
    return int(writer), int(number)


def kind_of(path: str) -> str:
    """Of what kind the content of *path* is."""
    return path.removeprefix(f"{RUN}/").partition("/")[0]


def path_of(kind: str, writer: int, number: int) -> str:
    """Where it goes: every third time to a path of the writer's own, else to a shared one."""
    owner = f"of-{writer}" if number % 3 == 0 else f"shared-{number % SHARED}"
    return f"{RUN}/{kind}/{owner}.npy"


def is_whole(path: str, stored: bytes) -> bool:
    """Whether *stored* is just what some writer wrote to *path*."""
    kind = kind_of(path)
    try:
        writer, number = author(kind, stored)
    except ValueError:
        return False
    return path_of(kind, writer, number) == path and stored == content(kind, writer, number)


def write_one(vault: Vault, folder: Path, writer: int, number: int) -> None:
    """Write one file, or one of each kind together."""
    kinds = KINDS if number % 10 == 0 else [KINDS[number % len(KINDS)]]
    for kind in kinds:
        name = path_of(kind, writer, number).removeprefix(f"{RUN}/")
        file = folder / f"{writer}" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content(kind, writer, number))
        if len(kinds) == 1:
            vault.write_file(file, f"{RUN}/{name}")
    if len(kinds) > 1:
        vault.write_folder(folder / f"{writer}", RUN)
    for kind in kinds:
        (folder / f"{writer}" / path_of(kind, writer, number).removeprefix(f"{RUN}/")).unlink()


def write_all(uri: str, folder: Path, writer: int, writes: int) -> None:
    """Write until *writes* are done, beginning after those that a killed predecessor finished."""
    vault = Vault.open(uri)
    done = folder / f"{writer}.done"
    start = int(done.read_text()) if done.exists() else 0
    for number in range(start, writes):
        write_one(vault, folder, writer, number)
        finished = done.with_suffix(f".{os.getpid()}")
        finished.write_text(str(number + 1))
        finished.replace(done)


def read_all(vault: Vault) -> dict[str, bytes]:
    """Everything that is listed."""
    return {path: b"".join(vault.iter_file(path)) for path in vault.walk(RUN)}


def findings(vault: Vault, writes: int) -> dict[str, Any]:
    """What is in the vault after all writers are done."""
    held = read_all(vault)
    last = {
        path_of(kind, writer, number): content(kind, writer, number)
        for writer in range(WRITERS)
        for number in range(writes)
        for kind in (KINDS if number % 10 == 0 else [KINDS[number % len(KINDS)]])
        if number % 3 == 0
    }
    verified = vault.verify()
    return {
        "files": len(held),
        "broken": [path for path, stored in held.items() if not is_whole(path, stored)],
        "lost": [path for path, stored in last.items() if held.get(path) != stored],
        "damaged": [str(damage) for damage in verified.damaged],
    }


def race(uri: str, method: str) -> dict[str, Any]:
    """All writers at once, unharmed, started by fork or spawn."""
    context = _context(method)
    vault = Vault.init(uri)
    writes = 12
    with TemporaryDirectory() as folder:
        writers = [
            context.Process(target=write_all, args=(uri, Path(folder), writer, writes))
            for writer in range(WRITERS)
        ]
        _start_and_join(writers)
    codes = [writer.exitcode for writer in writers]
    return {**findings(vault, writes), "failed": [code for code in codes if code]}


def make(uri: str, method: str) -> dict[str, Any]:
    """Several first makers of one vault."""
    context = _context(method)
    with TemporaryDirectory() as folder:
        makers = [
            context.Process(target=_make_one, args=(uri, Path(folder), maker))
            for maker in range(MAKERS)
        ]
        _start_and_join(makers)
        made = {file.read_text() for file in Path(folder).iterdir()}
    return {"failed": [maker.exitcode for maker in makers if maker.exitcode], "made": sorted(made)}


def _make_one(uri: str, folder: Path, maker: int) -> None:
    (folder / f"{maker}").write_text(Vault.init(uri).identity.id)


def _context(method: str) -> ForkContext | SpawnContext:
    if method == "fork":
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context("spawn")


def _start_and_join(processes: list[Any]) -> None:
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def fork(uri: str) -> dict[str, Any]:
    """Fork again and again while threads use a vault; each child uses it too."""
    sys.setswitchinterval(1e-6)  # seconds: threads are interrupted in the oddest places
    vault = Vault.init(uri)
    stop = threading.Event()

    def keep_writing(source: Path, name: str) -> None:
        while not stop.is_set():
            with suppress(NotFoundError):  # a missing file is refused after a look at the seals
                vault.write_file(source, f"{RUN}/{name}")

    with TemporaryDirectory() as folder:
        missing, small, large = (Path(folder) / name for name in ("missing", "small", "large"))
        small.write_bytes(content("inline", 0, 0))
        large.write_bytes(content("chunked", 0, 0))
        threads = [
            threading.Thread(target=keep_writing, args=(source, f"{source.name}-{number}"))
            for number, source in enumerate([missing, missing, small, large])
        ]
        for thread in threads:
            thread.start()
        codes = [_in_fork(lambda: _write_and_read(vault, large)) for _ in range(40)]
        stop.set()
        for thread in threads:
            thread.join()
    return {"failed": [code for code in codes if code]}


def _write_and_read(vault: Vault, source: Path) -> None:
    path = f"{RUN}/of-{os.getpid()}"
    vault.write_file(source, path)
    assert b"".join(vault.iter_file(path)) == source.read_bytes()


def _in_fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        signal.alarm(10)  # seconds; who hangs is killed
        work()
    except BaseException:  # noqa: BLE001 - a child may not return into its parent's frames
        os._exit(1)
    os._exit(0)


def kill(uri: str, seconds: float, seed: int) -> dict[str, Any]:
    """All writers at once, killed at random moments for *seconds* and started again until done."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    context = multiprocessing.get_context("fork")
    vault = Vault.init(uri)
    killed = 0
    unread: list[str] = []
    with TemporaryDirectory() as folder:
        writers = [_writer(context, uri, Path(folder), writer) for writer in range(WRITERS)]
        end = time.monotonic() + seconds
        while any(writer.is_alive() for writer in writers) and time.monotonic() < end:
            time.sleep(chance.uniform(0, 0.05))
            victim = chance.randrange(WRITERS)
            writers[victim].kill()
            writers[victim].join()
            if writers[victim].exitcode == -signal.SIGKILL:
                killed += 1
                writers[victim] = _writer(context, uri, Path(folder), victim)
            unread += _read_one(vault, chance)
        for writer in writers:
            writer.join()
        failed = [writer.exitcode for writer in writers if writer.exitcode]
        found = findings(vault, WRITES)
        write_one(vault, Path(folder), 0, 0)
    after = is_whole(path_of("delta", 0, 0), vault.read_span(path_of("delta", 0, 0), 0, 1 << 30))
    return {**found, "killed": killed, "failed": failed, "unread": unread, "next": after}


def _writer(context: ForkContext, uri: str, folder: Path, writer: int) -> BaseProcess:
    process = context.Process(target=write_all, args=(uri, folder, writer, WRITES))
    process.start()
    return process


def _read_one(vault: Vault, chance: random.Random) -> list[str]:
    """Read something that is listed at this moment; return its path if it is not whole."""
    paths = [*vault.walk(RUN)]
    if not paths:
        return []
    path = chance.choice(paths)
    return [] if is_whole(path, vault.read_span(path, 0, 1 << 30)) else [path]


def main(scenario: str, uri: str, *arguments: str) -> None:
    """Run a scenario and print what happened."""
    match scenario, arguments:
        case "make", (method,):
            happened = make(uri, method)
        case "race", (method,):
            happened = race(uri, method)
        case "fork", ():
            happened = fork(uri)
        case "kill", (seconds, seed):
            happened = kill(uri, float(seconds), int(seed))
        case _:
            sys.exit(f"no scenario {scenario} takes {arguments}")
    sys.stdout.write(json.dumps(happened))


if __name__ == "__main__":
    main(*sys.argv[1:])
