"""Turn what was measured into the report that is kept; pure but for the machine's name."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Final

from report import machine, table

from speed.cases import CASES, COLD, HASH, IDLE
from speed.link import LINKS
from speed.targets import Verdict, split_requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from speed.cases import Series

TITLES: Final = {
    "log": "Logging a new version",
    "again": "Logging the same content again, as a new run",
    "load": "Loading a version that is coded as differences",
}
WORDS: Final = {
    "log": "The third version of a history whose first two are there.",
    "again": "The third version once more, under another run.  restic, borg and DVC see a file "
    "that was touched, as a new run writes a new one.",
    "load": "The third version, into an empty folder; what the system holds of the store's files "
    "in memory stays there.  DVC pulls into a project that holds neither file nor cache.",
}
METHOD: Final = """\
- The vault and MLflow's own repositories: a fresh Python process for each operation.  `wall s` and
  the first `CPU s` are of `log_artifact` or `download_artifacts` alone, after everything was
  imported.
- restic, borg and DVC are programs: all columns are of the whole program.  Beside each stands what
  it takes when started for nothing, which the verdicts subtract.
- `peak MB` is the highest VmHWM of any repetition, imports included: Python with MLflow imported
  takes 175 MB before it does anything.
- `of BLAKE3` is the speed beside reading the file and hashing it on one core, in the same
  repetitions.  What the verdicts say is per core is divided by the machine's cores.
- `vault` is with the compiled loops, `numpy` as it is where installing found no compiler.
  On S3 the cache of chunks is empty unless said; filling it is part of the time.
- The server shares the machine's cores with the subjects.
- After each operation everything is put back as it was, and all that was written is synced before
  the next one.  Loaded files are compared with those logged.""".splitlines()
HEAD: Final = (
    "subject",
    "MB/s",
    "wall s",
    "min - max",
    "of BLAKE3",
    "CPU s",
    "process: wall s",
    "CPU s",
    "peak MB",
)
OVER: Final = ("sent MB", "received MB", "server CPU s", "requests")


def markdown(
    series: Sequence[Series], verdicts: Iterable[Verdict], notes: Mapping[str, Any]
) -> str:
    """Return the report; *notes* are settings, throughputs and what the small measurements saw."""
    return "\n".join(
        [
            "# Speed",
            "",
            "Written by `python benchmarks/speed`.  Medians over repetitions; in each all is",
            "done once, one after another; lower seconds and higher MB/s are better.",
            "",
            "## What is promised",
            "",
            *table(
                ["promise", "of", "seen", ""],
                [[one.promise, one.subject, one.seen, _kept(one)] for one in verdicts],
            ),
            "",
            *(line for case in CASES for line in _case(case, series)),
            *_asked(series),
            *_throughputs(notes),
            *_small(notes),
            "## How it is measured",
            "",
            *METHOD,
            "",
            "## With what",
            "",
            *(f"- {line}" for line in [*machine(), *notes["settings"]]),
            "",
        ]
    )


def _kept(verdict: Verdict) -> str:
    return "-" if verdict.kept is None else "kept" if verdict.kept else "**missed**"


def _case(case: str, series: Sequence[Series]) -> list[str]:
    chosen = [one for one in series if one.case == case]
    if not chosen:
        return []
    lines = [f"## {TITLES[case]}", "", WORDS[case], ""]
    for history, link in dict.fromkeys((one.history, one.link) for one in chosen):
        rows = [one for one in chosen if (one.history, one.link) == (history, link)]
        unit = next(one for one in chosen if one.history == history and one.subject == HASH)
        where = f"S3, {LINKS[link].title}" if link else "local disk"
        count = len(rows[0].costs)
        size = f"{rows[0].size / 1e6:.1f} MB"
        lines += [f"### {history} ({size}), {where}, {count} repetitions", ""]
        head = [*HEAD, *(OVER if link else ())]
        lines += [*table(head, [_row(one, unit) for one in rows]), ""]
    lines += [f"![{TITLES[case]}](speed-{case}.svg)", ""]
    return lines


def _row(one: Series, unit: Series) -> list[str]:
    walls = [cost.wall for cost in one.costs]
    wall = median(walls)
    share = median(cost.wall for cost in unit.costs) / wall
    idle = one.subject.endswith(IDLE)
    cells = [
        one.subject,
        "-" if idle else f"{one.size / wall / 1e6:.0f}",
        f"{wall:.3f}",
        f"{min(walls):.3f} - {max(walls):.3f}",
        "-" if idle else f"{share:.3f}",
        _median(one, "cpu", "{:.2f}"),
        _median(one, "whole_wall", "{:.2f}"),
        _median(one, "whole_cpu", "{:.2f}"),
        f"{max(cost.peak for cost in one.costs) / 1e6:.0f}",
    ]
    if one.link:
        cells += [
            f"{median(cost.sent for cost in one.costs) / 1e6:.1f}",
            f"{median(cost.received for cost in one.costs) / 1e6:.1f}",
            _median(one, "server_cpu", "{:.2f}"),
            _requests(one),
        ]
    return cells


def _median(one: Series, figure: str, shape: str) -> str:
    return shape.format(median(getattr(cost, figure) for cost in one.costs))


def _requests(one: Series) -> str:
    requests = one.costs[0].requests
    total = sum(requests.values())
    if not one.subject.startswith(COLD):
        return str(total)
    rest, hints, packs = split_requests(requests)
    found = total - rest - hints - packs
    return f"{total}: {packs} packs, {hints} hints, {found} finding the vault, {rest} else"


def _asked(series: Sequence[Series]) -> list[str]:
    """The requests of the vault's operations, by method and what lies at the key."""
    rows: dict[tuple[str, str, str], Mapping[str, int]] = {}
    for one in series:
        if one.link and one.subject.startswith(COLD):
            rows.setdefault((one.case, one.history, one.subject), one.costs[0].requests)
    if not rows:
        return []
    body = [
        [", ".join(names), ", ".join(f"{count} {name}" for name, count in sorted(asked.items()))]
        for names, asked in rows.items()
    ]
    return ["## Requests of the vault", "", *table(["operation", "requests"], body), ""]


def _throughputs(notes: Mapping[str, Any]) -> list[str]:
    found = notes.get("throughput", {})
    if not found:
        return []
    body = [
        [LINKS[link].title, *(f"{rates[name] / 1e6:.0f}" for name in ("up", "down", "put", "get"))]
        for link, rates in found.items()
    ]
    head = ["link", "plain up", "plain down", "one PUT of 64 MiB", "one GET"]
    said = (
        "with half a millisecond each way"
        if notes["delayed"]
        else ("without a delay, as this kernel has no netem")
    )
    return [
        "## The link and the server",
        "",
        f"MB/s; a plain transfer between two sockets, and boto3 with one request; {said}.",
        "",
        *table(head, body),
        "",
    ]


def _small(notes: Mapping[str, Any]) -> list[str]:
    lines = []
    if notes.get("starts"):
        body = [
            [name, f"{median(walls) * 1e3:.1f}", f"{min(walls) * 1e3:.1f} - {max(walls) * 1e3:.1f}"]
            for name, walls in notes["starts"].items()
        ]
        lines += ["## Starting", "", *table(["what", "median ms", "min - max"], body), ""]
    if notes.get("calls"):
        body = [
            [
                name,
                f"{median(figures['blake3']) / 1e6:.0f}",
                f"{median(figures['encode']):.3f}",
                f"{median(figures['decode']):.3f}",
                f"{100 * median(figures['stored']):.1f} %",
            ]
            for name, figures in notes["calls"].items()
        ]
        head = ["v1 against v0", "BLAKE3 MB/s", "encode", "decode", "stored"]
        lines += ["## One codec call on 1 MiB, on one core", "", *table(head, body), ""]
    return lines
