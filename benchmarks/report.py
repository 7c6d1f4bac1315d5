"""Turn measured bytes into the report that is kept: tables, verdicts, and with what.

Pure but for `machine`: numbers in, Markdown out.  A figure whose peer was not run is shown
as a dash and is no verdict.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from histories.recipe import History
    from peers import ChildBytes

# What this project promises: the vault's bytes over the peer's, at most.
AGAINST_BORG: Final = {
    "fp32": 0.54,
    "bf16": 0.33,
    "fp16": 0.40,
    "partly": 0.69,
    "optimizer": 0.79,
    "embedding": 0.27,
    "gguf-f16": 0.60,
    "gguf-q8": 0.60,
    "onnx": 0.60,
    "keras": 0.60,
    "tensorflow": 0.60,
}
AGAINST_XOR: Final = {"fp32": 0.87, "bf16": 0.79, "fp16": 0.79}
_HOW: Final = {"seed", "rate", "steps", "losses", "python"}  # not a package
AROUND: Final = 10  # steps over which a printed loss is averaged
PACKAGES: Final = ("mlflow-vault", "mlflow", "numpy", "zstandard", "blake3", "pyfastcdc")


@dataclass(frozen=True, slots=True)
class Judged:
    """The vault's bytes beside a peer's, and the share of them that it may take."""

    vault: int
    peer: int | None
    bound: float | None

    @property
    def ratio(self) -> float | None:
        """The vault's share of the peer's bytes, None if the peer was not run."""
        return self.vault / self.peer if self.peer else None

    @property
    def missed(self) -> bool:
        """Whether there is a bound and it was missed."""
        return self.ratio is not None and self.bound is not None and self.ratio > self.bound

    @property
    def cells(self) -> tuple[str, str, str]:
        """Ratio, bound and verdict, as a table shows them."""
        ratio = "-" if self.ratio is None else f"{self.ratio:.3f}"
        if self.bound is None:
            return ratio, "-", "-"
        verdict = "-" if self.ratio is None else "**missed**" if self.missed else "kept"
        return ratio, f"{self.bound:.2f}", verdict


@dataclass(frozen=True, slots=True)
class Row:
    """One history, measured."""

    history: History
    added: Sequence[int]  # by each version, to the vault
    differing: Sequence[int]  # versions that did not come back as they were
    borg: int | None = None
    restic: int | None = None
    children: Sequence[ChildBytes] = field(default=())  # of v1, v2, ...

    @property
    def judged(self) -> Judged:
        """The whole history against borg."""
        return Judged(sum(self.added), self.borg, AGAINST_BORG.get(self.history.name))

    def judged_child(self, version: int) -> Judged:
        """One child against XOR; bound is the first, whose parent both sides code against.

        A later child of the vault's is coded against an older version than the peer's,
        so that reading it takes one step: shown, not judged.
        """
        bound = AGAINST_XOR.get(self.history.name) if version == 1 else None
        return Judged(self.added[version], self.children[version - 1].planes, bound)

    @property
    def failures(self) -> list[str]:
        """What a reader has to be told first, empty if all is well."""
        name = self.history.name
        said = [f"{name} v{version} came back different" for version in self.differing]
        if self.judged.missed:
            said.append(f"{name} takes {self.judged.cells[0]} of borg's bytes")
        if self.children and self.judged_child(1).missed:
            said.append(f"{name} v1 takes {self.judged_child(1).cells[0]} of XOR's bytes")
        return said


def markdown(title: str, rows: Sequence[Row], settings: Sequence[str]) -> str:
    """Return the report over *rows*; *settings* are the peers', one a line."""
    return "\n".join(
        [
            f"# {title}",
            "",
            "Written by `python benchmarks/stored_bytes.py`, which says how it measures.",
            "Shares are of the raw bytes; lower is better.  The vault's count is every byte",
            "below its folder, a peer's every byte of its repository.",
            "",
            "## Histories, beside borg",
            "",
            *_histories(rows),
            "",
            "## What each version added to the vault",
            "",
            *_versions(rows),
            "",
            *_children(rows),
            "## With what",
            "",
            *(f"- {line}" for line in [*machine(), *settings, *_training(rows)]),
            "",
        ]
    )


def _histories(rows: Iterable[Row]) -> list[str]:
    head = [
        "history",
        "raw MB",
        "restic",
        "borg",
        "vault",
        "vault / borg",
        "at most",
        "",
        "restored",
    ]
    body = []
    for row in rows:
        raw = row.history.raw_bytes
        shares = [share(part, raw) for part in (row.restic, row.borg, sum(row.added))]
        back = "**differs**" if row.differing else "equal"
        title = row.history.recipe.title
        body.append([title, f"{raw / 1e6:.1f}", *shares, *row.judged.cells, back])
    return table(head, body)


def _versions(rows: Iterable[Row]) -> list[str]:
    body = []
    for row in rows:
        sizes = row.history.sizes
        shares = [share(added, raw) for added, raw in zip(row.added, sizes, strict=True)]
        body.append([row.history.recipe.title, *shares, *["-"] * (4 - len(shares))])
    return table(["history", "v0", "v1", "v2", "v3"], body)


def _children(rows: Iterable[Row]) -> list[str]:
    head = [
        "child",
        "XOR + zstd-3",
        "XOR + planes + zstd-1",
        "vault",
        "vault / planes",
        "at most",
        "",
    ]
    body = []
    for row in rows:
        for version, child in enumerate(row.children, start=1):
            raw = row.history.sizes[version]
            parts = (child.bitx, child.planes, row.added[version])
            shares = [share(part, raw) for part in parts]
            body.append(
                [f"{row.history.name} v{version}", *shares, *row.judged_child(version).cells]
            )
    if not body:
        return []
    return [
        "## Fine-tuned children, beside XOR with the parent",
        "",
        "Parents are the versions just before.  The first child is judged; a later one the",
        "vault codes against an anchor, so that reading it takes one step, and XOR against",
        "the version before, so that reading it takes them all.",
        "",
        *table(head, body),
        "",
    ]


def machine() -> list[str]:
    """Return what the measurement ran on and with, one fact a line."""
    model = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        lines = cpus.read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    system = f"{platform.system()} {platform.machine()}"
    return [
        f"{os.cpu_count()} cores, {model}, {system}",
        f"Python {platform.python_version()}, {versions}",
    ]


def _training(rows: Iterable[Row]) -> list[str]:
    return [f"{row.history.name}: {_made(row.history.made)}" for row in rows]


def _made(made: dict[str, object]) -> str:
    losses, steps = made.get("losses"), made.get("steps")
    if not isinstance(losses, list) or not isinstance(steps, int):
        return f"seed {made['seed']}, not trained"
    first, last = fmean(losses[:AROUND]), fmean(losses[-AROUND:])
    return (
        f"seed {made['seed']}, AdamW at {made['rate']}, "
        f"{steps} steps between versions, mean loss of the first {AROUND} steps {first:.3f} and "
        f"of the last {last:.3f} (of {len(losses)}), "
        + ", ".join(f"{name} {version}" for name, version in made.items() if name not in _HOW)
    )


def share(part: int | None, whole: int) -> str:
    """Return *part* of *whole* as a table shows it; a dash where it was not measured."""
    return "-" if part is None else f"{100 * part / whole:.1f} %"


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table whose first column is words, the others figures."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return [f"| {' | '.join(row)} |" for row in (head, rule, *body)]
