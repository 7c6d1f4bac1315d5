"""The words of the monitor."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    More = Callable[[argparse.ArgumentParser], None]


def _monitor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="", help="only this registered model")
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--once", action="store_true", help="look once, as it does without --every")
    help_ = "look again and again, such as 1m, until told to stop"
    often.add_argument("--every", metavar="TIME", type=_seconds, help=help_)
    parser.add_argument("--vault", metavar="URI", help="the vault, if it is not MLflow's own")
    parser.set_defaults(run=("mlflow_vault.cli.monitor", "monitor"))


def _seconds(text: str) -> float:
    # Pydantic takes a while to load, and most commands have no durations.
    from mlflow_vault.decide.policy.durations import parse  # noqa: PLC0415

    try:
        found = parse(text) / 1000
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not found:
        raise argparse.ArgumentTypeError("give more than nothing")
    return found


MONITOR_WORDS: Final[tuple[tuple[str, str, More], ...]] = (
    ("monitor", "see whether what stands in a stage is healthy; act if it is not", _monitor),
)
