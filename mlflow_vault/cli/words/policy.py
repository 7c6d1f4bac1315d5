"""The words of policies and of those who approve by them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    More = Callable[[argparse.ArgumentParser], None]

_REF: Final = "models:/NAME/3, models:/NAME@ALIAS, runs:/..., b3:..."


def _run(parser: argparse.ArgumentParser, module: str, function: str = "") -> None:
    name = function or parser.prog.rpartition(" ")[2]
    parser.set_defaults(run=(f"mlflow_vault.cli.{module}", name))


def _vault(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vault", metavar="URI", help="the vault, if it is not MLflow's own")


def _policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="YAML, or Python")
    _vault(parser)
    _run(parser, "policy")


def _judge(parser: argparse.ArgumentParser) -> None:
    _policy(parser)
    parser.add_argument("reference", metavar="REF", help=_REF)
    parser.add_argument("--baseline", metavar="REF", default="", help="instead of the policy's own")


def _schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--of", choices=("policy", "roles"), default="policy")
    _run(parser, "policy")


def _backtest(parser: argparse.ArgumentParser) -> None:
    _policy(parser)
    parser.add_argument("--model", metavar="NAME", default="", help="only of this registered model")
    _run(parser, "in_force")


def _apply(parser: argparse.ArgumentParser) -> None:
    help_ = "policies or roles: YAML, or Python, which is run"
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help=help_)
    _vault(parser)
    _run(parser, "in_force")


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="NAME", default="", help="only for this registered model"
    )
    _vault(parser)
    _run(parser, "in_force", "listed")


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of a policy, or of roles")
    _vault(parser)
    _run(parser, "in_force")


def _enroll(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="USER", help="as the roles call them")
    help_ = "of secrets, made if there is none; MLFLOW_VAULT_TOTP_FILE names it where codes count"
    parser.add_argument("--file", metavar="FILE", type=Path, required=True, help=help_)
    parser.add_argument("--issuer", default="mlflow-vault", help="what authenticator apps show")
    parser.add_argument("--replace", action="store_true", help="make a new secret")
    _run(parser, "approver")


POLICY_WORDS: Final[tuple[tuple[str, str, More], ...]] = (
    ("policy check", "say whether a file is a policy, or roles", _policy),
    ("policy test", "try the examples that a policy carries", _policy),
    ("policy judge", "judge a version by a policy; nothing is moved", _judge),
    ("policy backtest", "say what a policy would have said of past promotions", _backtest),
    ("policy apply", "let policies or roles be in force from now on", _apply),
    ("policy withdraw", "let a policy, or roles, be in force no longer", _named),
    ("policy list", "list what is in force", _list),
    ("policy show", "show what is in force under a name, and what was", _named),
    ("policy schema", "write the JSON Schema of policies or roles, for editors", _schema),
    ("approver enroll", "make a secret for one-time codes; shows it once", _enroll),
)
