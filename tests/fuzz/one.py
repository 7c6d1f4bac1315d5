"""Fuzz one target in this process: ``python one.py <target> <arguments of libFuzzer>``."""

from __future__ import annotations

import resource
import shlex
import sys
from pathlib import Path
from typing import Final

import atheris

# Atheris 3.0 leaks what this module reads, 130 KB each time; uninstrumented it holds nothing.
_LEAKING: Final = ["mlflow_vault.format.tensors.sampled.binary"]

with atheris.instrument_imports(include=["mlflow_vault"], exclude=_LEAKING):
    from doors import TARGETS

_ROOM: Final = 512 << 20  # bytes that a target may ask for, touched or not


def _limit_memory() -> None:
    """Make an allocation that is too large fail at once: libFuzzer looks once a second only."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + _ROOM
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]  # as it is, for processes that this starts
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    script, name, *arguments = sys.argv
    _limit_memory()
    # To merge, libFuzzer starts itself again, by a shell and what it takes for its own name.
    itself = shlex.join([sys.executable, script, name])
    atheris.Setup([itself, *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
