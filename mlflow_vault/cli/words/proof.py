"""The words of the commands about proofs of promotions, and about rights at the object store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    More = Callable[[argparse.ArgumentParser], None]

_LOG_KEY: Final = "who may sign checkpoints of the audit log: name+id+key"
_ROLES: Final = ("viewer", "contributor", "approver", "releaser", "admin")


def _bundle_make(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a registered model")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stage", default="", help="where it stands; production if not said")
    which.add_argument("--decision", type=int, metavar="N", help="or a decision by its number")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="a new file")
    help_ = "a policy that it was judged by and that never was in force"
    parser.add_argument(
        "--policy", metavar="FILE", type=Path, action="append", default=[], help=help_
    )
    parser.add_argument("--vault", metavar="URI", help="the vault, if it is not MLflow's own")
    parser.set_defaults(run=("mlflow_vault.cli.bundle", "make"))


def _bundle_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="a bundle")
    parser.add_argument("--log-key", metavar="KEY", action="append", default=[], help=_LOG_KEY)
    help_ = "a public key or root certificate whose signatures of models count"
    parser.add_argument(
        "--trust", metavar="FILE", type=Path, action="append", default=[], help=help_
    )
    help_ = "whose signatures of approvals count, and the file of the public key"
    parser.add_argument("--approver", metavar="USER=FILE", action="append", default=[], help=help_)
    help_ = "a policy that has to have been asked, by its digest"
    parser.add_argument("--policy", metavar="b3:...", action="append", default=[], help=help_)
    parser.add_argument("--files", metavar="DIR", type=Path, help="the model's files, to compare")
    parser.set_defaults(run=("mlflow_vault.cli.bundle", "verify"))


def _access_policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--provider", choices=("aws", "gcp", "azure"), required=True)
    parser.add_argument("--role", choices=_ROLES, required=True)
    parser.add_argument("--vault", metavar="URI", required=True, help="such as vault-s3://bucket/a")
    parser.set_defaults(run=("mlflow_vault.cli.access", "policy"))


PROOF_WORDS: Final[tuple[tuple[str, str, More], ...]] = (
    ("bundle make", "write the file that proves a promotion", _bundle_make),
    ("bundle verify", "say what such a file proves; asks no vault and no network", _bundle_verify),
    ("access policy", "print what a role has to be allowed at the object store", _access_policy),
)
