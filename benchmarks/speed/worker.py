"""One operation in a process of its own: does it, and says what it cost.

    python -m speed.worker '{"deed": "log", "uri": ..., "file": ..., "kernels": "compiled"}'

Everything is imported first: `wall` and `cpu` are the operation's own, from the first call to
the last byte; `peak` is the process' highest resident memory, imports included.
"""

from __future__ import annotations

import filecmp
import json
import resource
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

READ: Final = 4 << 20  # bytes at a time for the plain hash
FOLDER: Final = "model"  # the artifact path that everything is logged under


def peak_memory(pid: int | str = "self") -> int:
    """Return the highest resident memory of a process so far, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def cpu_seconds() -> float:
    """CPU seconds of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(call: Any) -> dict[str, float]:
    """Call *call*; return its wall and CPU seconds."""
    cpu, started = cpu_seconds(), time.perf_counter()
    call()
    return {"wall": time.perf_counter() - started, "cpu": cpu_seconds() - cpu}


def hash_file(order: dict[str, Any]) -> dict[str, float]:
    """Read a file and hash it on one core."""

    def read_and_hash() -> None:
        digest, buffer = blake3(max_threads=1), memoryview(bytearray(READ))
        with Path(order["file"]).open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
        digest.digest()

    return timed(read_and_hash)


def repository(order: dict[str, Any]) -> Any:
    """Return MLflow's repository for the location, with all that it will import imported."""
    from mlflow.store.artifact.artifact_repository_registry import (  # noqa: PLC0415 - see above
        get_artifact_repository,
    )

    if "vault" in order["uri"]:
        from mlflow_vault import vault  # noqa: F401, PLC0415 - the engine, which it loads late
        from mlflow_vault.engine.write import content  # noqa: F401, PLC0415 - and this, later yet
    if "s3:" in order["uri"]:
        import boto3  # noqa: F401, PLC0415 - MLflow's own needs it
        import obstore  # noqa: F401, PLC0415 - and the vault this
        from botocore.session import Session  # noqa: PLC0415

        if "vault" in order["uri"]:
            from mlflow_vault.store.remote import s3  # noqa: F401, PLC0415
        else:
            Session().get_service_model("s3")
    return get_artifact_repository(order["uri"])


def log(order: dict[str, Any]) -> dict[str, float]:
    """Log a file."""
    found = repository(order)
    return timed(lambda: found.log_artifact(order["file"], FOLDER))


def load(order: dict[str, Any]) -> dict[str, float]:
    """Load a file into an empty folder, and compare it with what it should be, untimed."""
    found = repository(order)
    folder = Path(order["into"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    name = f"{FOLDER}/{Path(order['file']).name}"
    spent = timed(lambda: found.download_artifacts(name, str(folder)))
    spent["peak"] = peak_memory()
    if not filecmp.cmp(folder / name, order["file"], shallow=False):
        raise ValueError(f"{order['uri']} came back different")
    shutil.rmtree(folder)
    return spent


def init(order: dict[str, Any]) -> dict[str, float]:
    """Make a vault."""
    from mlflow_vault.vault import Vault  # noqa: PLC0415 - only this deed needs it

    return timed(lambda: Vault.init(order["uri"]))


DEEDS: Final = {"hash": hash_file, "log": log, "load": load, "init": init}


def main() -> None:
    """Do what the first argument orders and print its cost as JSON."""
    order = json.loads(sys.argv[1])
    with ExitStack() as stack:
        if order.get("kernels") == "numpy":
            from mlflow_vault.format.coding.kernels import choice, plain  # noqa: PLC0415

            stack.enter_context(choice.using(plain))
        spent = DEEDS[order["deed"]](order)
    spent.setdefault("peak", peak_memory())
    print(json.dumps({**spent, "whole_cpu": cpu_seconds()}))


if __name__ == "__main__":
    main()
