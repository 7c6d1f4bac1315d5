"""The words of releases: what moves versions, and what is said of them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.cli.words.triggers import automatic

if TYPE_CHECKING:
    from collections.abc import Callable

    More = Callable[[argparse.ArgumentParser], None]

_REF: Final = "models:/NAME/3, NAME/3, NAME@ALIAS, b3:..."
_STAGES: Final = ("staging", "production", "archived")


def _command(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vault", metavar="URI", help="the vault, if it is not MLflow's own")
    name = parser.prog.rpartition(" ")[2]
    parser.set_defaults(run=("mlflow_vault.cli.release", name))


def _reference(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help=_REF)
    parser.add_argument("--reason", default="", help="why, in words")
    _command(parser)


def _promote(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", nargs="?", default="", help=_REF)
    parser.add_argument("--to", choices=_STAGES, help="the stage")
    parser.add_argument("--policy", metavar="FILE", help="asked besides those that are in force")
    parser.add_argument("--reason", default="", help="why, in words")
    automatic(parser)
    _command(parser)


def _vote(parser: argparse.ArgumentParser) -> None:
    _reference(parser)
    parser.add_argument("--to", choices=_STAGES, default="", help="the stage, if there are several")
    parser.add_argument("--code", default="", metavar="123456", help="a one-time code")
    parser.add_argument(
        "--key", metavar="FILE", type=Path, help="your private key, to sign it with"
    )
    parser.add_argument("--password-file", metavar="FILE", type=Path, help="of the key")


def _evidence(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help=_REF)
    parser.add_argument("--type", required=True, help="what kind of result, such as test-result")
    parser.add_argument("--name", required=True, help="which one, such as holdout")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--passed", dest="passed", action="store_true", default=None)
    how.add_argument("--failed", dest="passed", action="store_false", default=None)
    parser.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=_pair,
        help="what came out; a value is JSON, or else text",
    )
    _command(parser)


def _archive(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help=_REF)
    parser.add_argument("--reason", required=True, help="why, in words")
    _command(parser)


def _rollback(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a registered model")
    parser.add_argument("--reason", required=True, help="why, in words")
    parser.add_argument("--to", metavar="REF", default="", help="another version that stood there")
    _command(parser)


def _status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a registered model")
    _command(parser)


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


RELEASE_WORDS: Final[tuple[tuple[str, str, More], ...]] = (
    ("promote", "move a version to a stage, if the policies in force allow it", _promote),
    ("approve", "say yes to a version", _vote),
    ("reject", "say no to a version, until you say yes", _vote),
    ("evidence", "keep a result of a test beside a version", _evidence),
    ("archive", "take a version out of service; its bytes stay", _archive),
    ("rollback", "put the last healthy version back into production", _rollback),
    ("status", "say who stands where, what waits for whom, and what differs", _status),
)
