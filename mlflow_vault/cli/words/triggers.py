"""The words of what sets promotions off: listening to webhooks, validating a version."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.cli.words.duration import seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    More = Callable[[argparse.ArgumentParser], None]

VARIABLE: Final = "MLFLOW_VAULT_WEBHOOK_SECRET"
_LAST_PORT: Final = 0xFFFF


def automatic(parser: argparse.ArgumentParser) -> None:
    """Add what `promote` takes for a round over all candidates."""
    parser.add_argument(
        "--auto", action="store_true", help="move what passes, by policies that are automatic"
    )
    parser.add_argument("--name", default="", help="with --auto: only of this registered model")


def _vault(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vault", metavar="URI", help="the vault, if it is not MLflow's own")


def _listen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=_port, default=8765, help="0 takes one that is free")
    parser.add_argument("--name", default="", help="only of this registered model")
    parser.add_argument(
        "--secret-file",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help=f"with the webhook's secret, instead of ${VARIABLE}; two while it changes",
    )
    help_ = "look without being told, too: when soaking ends, no webhook comes"
    parser.add_argument("--every", metavar="TIME", type=seconds, default=600.0, help=help_)
    _vault(parser)
    parser.set_defaults(run=("mlflow_vault.cli.listen", "listen"))


def _validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reference", metavar="REF", help="models:/NAME/3, NAME/3, models:/NAME@ALIAS"
    )
    parser.add_argument(
        "--tests", metavar="PATH", type=Path, help="the project's tests, for pytest"
    )
    parser.add_argument("--data", metavar="FILE", type=Path, help="CSV, .parquet or .jsonl")
    parser.add_argument("--targets", metavar="COLUMN", default="", help="the truth in --data")
    parser.add_argument("--model-type", default="", help="such as classifier or regressor")
    parser.add_argument("--evidence", metavar="NAME", default="", help="what to call the evidence")
    parser.add_argument("--env", choices=("clean", "current"), default="clean")
    parser.add_argument(
        "--with",
        dest="packages",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="needed, too",
    )
    help_ = "an environment variable that tests may see"
    parser.add_argument("--pass-env", metavar="NAME", action="append", default=[], help=help_)
    help_ = "for making the environment, and for each trial"
    parser.add_argument("--timeout", metavar="TIME", type=seconds, default=1800.0, help=help_)
    _vault(parser)
    parser.set_defaults(run=("mlflow_vault.cli.validate", "validate"))


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError("give a port: 0 to 65535")
    return int(text)


TRIGGER_WORDS: Final[tuple[tuple[str, str, More], ...]] = (
    ("listen", "take MLflow's webhooks, and promote what passes when they come", _listen),
    ("validate", "try a version in a clean environment; what comes out is evidence", _validate),
)
