"""Stamping runs with what made them: the code, the command and the machine.

MLflow asks this door for tags whenever a run starts, in every process that has the package:

    mlflow.start_run()  -->  VaultRunContext.tags()  -->  mlflow_vault.git.commit = 1f3a...
                                                          mlflow_vault.command = train.py --lr 0.1

A run must never fail, wait or leak because of it: nothing here raises, git has two seconds,
what is found out is kept for a minute, and secrets are masked before anything is kept (`masking`).
Packages are not listed here, as that takes longer than all else together; a model says them.

``MLFLOW_VAULT_CAPTURE=0`` turns it off.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlflow.tracking.context.abstract_context import RunContextProvider

from mlflow_vault.plugin.capturing.masking import masked_command, without_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_logger = logging.getLogger(__name__)

VARIABLE: Final = "MLFLOW_VAULT_CAPTURE"
PREFIX: Final = "mlflow_vault."
LONGEST: Final = 4000  # bytes of a tag; MLflow keeps 5,000 characters, 8,000 since 2.7
_OFF: Final = frozenset({"0", "false", "no", "off"})
_PATIENCE: Final = 2.0  # seconds that git may take
_FRESH: Final = 60.0  # seconds for which an answer holds; notebooks live for days


class VaultRunContext(RunContextProvider):  # type: ignore[misc]
    """Tells MLflow what to stamp a run with."""

    def in_context(self) -> bool:
        """Whether runs are to be stamped at all."""
        return os.environ.get(VARIABLE, "").strip().lower() not in _OFF

    def tags(self) -> dict[str, str]:
        """Return the tags; what cannot be found out is left out."""
        try:
            age = int(time.monotonic() / _FRESH)
            folder = code_folder(getattr(sys.modules.get("__main__"), "__file__", None))
            found = {**machine(os.getpid()), **git(folder, age)}
            found["command"] = masked_command(command(sys.orig_argv))
        except Exception:  # a run matters more than its tags
            _logger.debug("This run goes without tags of the vault", exc_info=True)
            return {}
        return {PREFIX + name: shortened(text) for name, text in found.items() if text}


def shortened(text: str) -> str:
    """Return *text*, cut to what MLflow keeps of a tag.

    >>> len(shortened("e" * 5000))
    4000
    """
    raw = text.encode("utf-8", "replace")
    if len(raw) <= LONGEST:
        return raw.decode()
    return raw[: LONGEST - 3].decode("utf-8", "ignore") + "..."


def command(arguments: Sequence[str]) -> list[str]:
    """Return what was run; of a ``-c`` that is code, not arguments, only that it was.

    >>> command(["/usr/bin/python3", "-m", "train", "--lr", "1"])
    ['python3', '-m', 'train', '--lr', '1']
    """
    if not arguments:
        return []
    kept = [Path(arguments[0]).name, *arguments[1:]]
    at = 1
    while at < len(kept) and kept[at].startswith("-"):
        if kept[at] == "-c":
            kept[at + 1 : at + 2] = ["..."]
            break
        at += 2 if kept[at] in {"-W", "-X"} else 1
    return kept


def code_folder(main: str | None) -> str:
    """Return the folder whose repository the code is from.

    That of the script; where an installed tool runs code (a notebook, a test), or none is known,
    the folder it runs in.
    """
    if main:
        path = Path(main).absolute()
        inside = path.is_relative_to(sys.prefix) or "site-packages" in path.parts
        if path.is_file() and not inside:
            return str(path.parent)
    return str(Path.cwd())


@lru_cache(maxsize=2)
def git(folder: str, age: int) -> dict[str, str]:
    """Return commit, branch, state and address of the repository around *folder*.

    Args:
        folder: Any folder; outside every repository nothing is returned.
        age: Another number asks git again.
    """
    del age
    told = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    if told is None:
        return {}
    lines = told.splitlines()
    head = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    if head.get("branch.oid", "(initial)").startswith("("):
        return {}
    branch = head.get("branch.head", "")
    remotes = _git(folder, "config", "--get-regexp", r"^remote\..*\.url$") or ""
    urls = dict(line.split(" ", 1) for line in remotes.splitlines() if " " in line)
    url = urls.get("remote.origin.url") or next(iter(urls.values()), "")
    dirty = any(not line.startswith("#") for line in lines)
    return {
        "git.commit": head["branch.oid"],
        "git.branch": "" if branch.startswith("(") else branch,
        "git.dirty": str(dirty).lower(),
        "git.url": without_credentials(url),
    }


def _git(folder: str, *arguments: str) -> str | None:
    """Ask git; None if it knows nothing or takes too long."""
    # A repository must not name programs that run because of us, and ours changes nothing in it.
    guarded = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", folder]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and every argument is ours
            [*guarded, *arguments],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


@lru_cache(maxsize=1)
def machine(process: int) -> dict[str, str]:
    """Return what *process*, this one, runs on."""
    del process
    system = os.uname()
    cards = gpus(Path("/"))
    return {
        "python": platform.python_version(),
        "platform": f"{system.sysname} {system.release} {system.machine}",
        "cpu": f"{os.cpu_count()} x {cpu(Path('/proc/cpuinfo')) or system.machine}",
        "memory": str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        "gpus": json.dumps(cards) if cards else "",
    }


def cpu(listed: Path) -> str:
    """Return the name of the processor that Linux lists; empty where it does not."""
    try:
        with listed.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return value.strip()
    except OSError:
        pass
    return ""


def gpus(root: Path) -> list[str]:
    """Return the names of the graphics cards that Linux's drivers list, without asking them."""
    found: list[str] = []
    for pattern, key in (
        ("proc/driver/nvidia/gpus/*/information", "Model"),
        ("sys/class/drm/card[0-9]*/device/product_name", ""),
    ):
        for file in sorted(root.glob(pattern)):
            try:
                told = _fields(file.read_text(encoding="utf-8", errors="replace"))
            except OSError:
                continue
            if told.get(key):
                found.append(told[key])
    return found


def _fields(text: str) -> Mapping[str, str]:
    """Read ``Model: X`` lines; a line without a name goes by the empty one."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {
        (name if colon else "").strip(): (value if colon else name).strip()
        for name, colon, value in pairs
    }


def machine_of(tags: Mapping[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    """Return what the model *asked* for, on the machine that a run was stamped with."""
    found = dict(asked)
    for name in ("python", "platform", "cpu"):
        if tags.get(PREFIX + name):
            found.setdefault(name, tags[PREFIX + name])
    if tags.get(PREFIX + "memory", "").isdecimal():
        found["memory"] = int(tags[PREFIX + "memory"][:18])
    with suppress(ValueError, RecursionError):
        cards = json.loads(tags.get(PREFIX + "gpus", "[]"))
        if isinstance(cards, list) and cards:
            found["gpus"] = [str(card) for card in cards]
    return found


def code_of(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return where the code was: what a run was stamped with, else what MLflow did."""
    commit = tags.get(PREFIX + "git.commit", "")
    ours, theirs = PREFIX + "git.", "mlflow.source.git."
    found: dict[str, Any] = {
        "commit": commit or tags.get(theirs + "commit", ""),
        "branch": tags.get(ours + "branch", "") if commit else tags.get(theirs + "branch", ""),
        "url": without_credentials(
            tags.get(ours + "url", "") if commit else tags.get(theirs + "repoURL", "")
        ),
    }
    if commit and ours + "dirty" in tags:
        found["dirty"] = tags[ours + "dirty"] == "true"
    return {name: value for name, value in found.items() if value != ""}
