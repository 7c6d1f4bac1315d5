"""Measure how fast versions are logged and loaded, write results/speed.md, judge the promises.

    python benchmarks/speed                        # everything; an hour or two
    python benchmarks/speed --size small           # the 90 MB histories alone
    python benchmarks/speed --only fp32 --case log --links 1g

What was measured is kept in results/speed.json: a run of some of it replaces that and leaves the
rest, and the report is of all.  Exit code 1 when a promise is missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

BENCHMARKS: Final = Path(__file__).resolve().parents[1]
sys.path[0] = str(BENCHMARKS)

from histories.catalogue import ensure  # noqa: E402 - after the path
from histories.recipe import DEFAULT_CACHE, Workshop  # noqa: E402

from speed import link as links  # noqa: E402
from speed import page, plots, small  # noqa: E402
from speed.cases import CASES, Measurement, Plan  # noqa: E402
from speed.kept import Kept  # noqa: E402
from speed.server import Server  # noqa: E402
from speed.settings import settings  # noqa: E402
from speed.targets import judge, judge_small  # noqa: E402

RESULTS: Final = BENCHMARKS / "results"
SIZES: Final = {
    "small": ("fp32", "bf16"),
    "medium": ("medium-fp32", "medium-bf16"),
    "large": ("large-fp32", "large-bf16"),
}
SMALL: Final = "small-things"  # starts, codec calls, requests of an inlined file
PEERS: Final = ("restic", "borg", "dvc")


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [name for group in SIZES.values() for name in group]
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="of the histories")
    parser.add_argument("--model", type=Path, help="a folder of all-MiniLM-L6-v2")
    parser.add_argument(
        "--size", choices=SIZES, action="append", help="small and large unless said"
    )
    parser.add_argument("--only", choices=[*names, SMALL], action="append", metavar="HISTORY")
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--links", choices=links.LINKS, action="append")
    parser.add_argument("--local", action="store_true", help="no S3: needs neither root nor Ceph")
    parser.add_argument("--without", choices=PEERS, action="append", default=[])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder of the report")
    parser.add_argument("--report", action="store_true", help="write the report again, no more")
    return parser.parse_args(words)


def measure(arguments: argparse.Namespace, kept: Kept) -> None:
    """Measure what *arguments* ask for and keep it."""
    sizes = arguments.size or ("small", "large")
    wanted = arguments.only or [name for size in sizes for name in SIZES[size]] + [SMALL]
    workshop = Workshop(arguments.cache, arguments.model)
    histories = {name: ensure(name, workshop) for name in wanted if name != SMALL}
    dvc = _dvc()
    there = [peer for peer in PEERS if (dvc if peer == "dvc" else shutil.which(peer))]
    plan = Plan(
        cases=tuple(arguments.case or CASES),
        links=() if arguments.local else tuple(arguments.links or links.LINKS),
        repetitions=arguments.repetitions,
        peers=tuple(peer for peer in there if peer not in arguments.without),
        dvc=dvc or "dvc",
    )
    kept.notes["settings"] = settings(plan)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="speed-")))
        server = None
        if plan.links:
            if not links.possible():
                sys.exit("links need root and Linux; --local measures the rest")
            server = stack.enter_context(Server(folder / "ceph"))
            os.environ.update(server.environment)
            for each in plan.links:
                server.set_link(each)
                kept.notes.setdefault("throughput", {})[each] = server.throughput()
            kept.notes["delayed"] = server.delayed
            server.set_link("free")
        if SMALL in wanted:
            kept.notes["starts"] = small.starts(4 * arguments.repetitions)
            coded = {name: ensure(name, workshop) for name in SIZES["small"]}
            kept.notes["calls"] = small.codec(coded, arguments.repetitions)
            if server:
                kept.notes["inlined"] = small.inlined(server, folder / "inlined")
            kept.save()
        for name, history in histories.items():
            kept.add(Measurement(history, plan, folder / name, server).run())
            kept.save()
            shutil.rmtree(folder / name)


def main(words: list[str] | None = None) -> int:
    """Measure, report, and return 1 if a promise was missed."""
    arguments = parse(words)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    arguments.out.mkdir(parents=True, exist_ok=True)
    kept = Kept(arguments.out / "speed.json")
    if not arguments.report:
        measure(arguments, kept)
    verdicts = [*judge(kept.series), *judge_small(kept.notes)]
    report = page.markdown(kept.series, verdicts, kept.notes)
    (arguments.out / "speed.md").write_text(report, encoding="utf-8")
    plots.draw(kept.series, arguments.out)
    print(report)
    return 1 if any(verdict.kept is False for verdict in verdicts) else 0


def _dvc() -> str | None:
    beside = Path(sys.executable).parent / "dvc"
    return str(beside) if beside.exists() else shutil.which("dvc")


if __name__ == "__main__":
    sys.exit(main())
