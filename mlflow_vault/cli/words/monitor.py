"""The words of the monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.cli.words.duration import seconds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    More = Callable[[argparse.ArgumentParser], None]


def _monitor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="", help="only this registered model")
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--once", action="store_true", help="look once, as it does without --every")
    help_ = "look again and again, such as 1m, until told to stop"
    often.add_argument("--every", metavar="TIME", type=seconds, help=help_)
    parser.add_argument("--vault", metavar="URI", help="the vault, if it is not MLflow's own")
    parser.set_defaults(run=("mlflow_vault.cli.monitor", "monitor"))


MONITOR_WORDS: Final[tuple[tuple[str, str, More], ...]] = (
    ("monitor", "see whether what stands in a stage is healthy; act if it is not", _monitor),
)
