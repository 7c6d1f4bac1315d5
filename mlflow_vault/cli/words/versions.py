"""The words of the commands about versions: what each takes, and what it is called in code."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    More = Callable[[argparse.ArgumentParser], None]

_REF: Final = "models:/NAME/3, models:/NAME@ALIAS, runs:/..., b3:..."
_FILTER: Final = "metrics.f1 > 0.9 AND tags.team = 'risk'"
_WHEN: Final = "what was known then, such as 2026-03-01T12:00Z"


def _versions(parser: argparse.ArgumentParser, module: str = "versions") -> None:
    parser.add_argument("--vault", metavar="URI", help="the vault, if it is not MLflow's own")
    parser.set_defaults(run=(f"mlflow_vault.cli.{module}", parser.prog.rpartition(" ")[2]))


def _reference(parser: argparse.ArgumentParser, module: str = "versions") -> None:
    parser.add_argument("reference", metavar="REF", help=_REF)
    _versions(parser, module)


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a registered model")
    _versions(parser)


def _commit(parser: argparse.ArgumentParser) -> None:
    _reference(parser)
    parser.add_argument("--name", default="", help="the registered model")
    parser.add_argument("--parent", action="append", default=[], metavar="REF", help="made from it")
    parser.add_argument(
        "--metadata",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=_pair,
        help="what to keep with it; a value is JSON, or else text",
    )


def _checkout(parser: argparse.ArgumentParser) -> None:
    _reference(parser)
    parser.add_argument(
        "--require-signature",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a public key or root certificate; a signature by one of these is required",
    )
    parser.add_argument("destination", metavar="DEST", type=Path, help="a new or empty folder")


def _sync(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="only of this model")
    _versions(parser)


def _diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="BEFORE", help=_REF)
    parser.add_argument("after", metavar="AFTER", help="another one")
    _versions(parser, "lineage")


def _asked(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help="a version, dataset, run or logged model")
    parser.add_argument("--as-of", metavar="TIME", help=_WHEN)
    _versions(parser, "lineage")


def _lineage(parser: argparse.ArgumentParser) -> None:
    _asked(parser)
    parser.add_argument("--direction", choices=("up", "down", "both"), default="both")
    parser.add_argument("--depth", type=int, metavar="N", help="steps to go at most")
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help="such as dataset version")
    parser.add_argument("--format", choices=("text", "mermaid", "dot"), default="text")


def _timeline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a registered model")
    parser.add_argument("--as-of", metavar="TIME", help=_WHEN)
    _versions(parser, "lineage")


def _search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "filter", metavar="FILTER", nargs="?", default="", help="such as " + _FILTER
    )
    parser.add_argument("--order-by", action="append", default=[], metavar="FIELD [DESC]")
    parser.add_argument("--max-results", type=int, default=100, metavar="N")
    parser.add_argument("--page-token", metavar="TOKEN", help="what the page before ended with")
    _versions(parser)


def _sign(parser: argparse.ArgumentParser) -> None:
    _reference(parser)
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="a private EC key")
    parser.add_argument("--certificate", metavar="FILE", type=Path, action="append", default=[])
    parser.add_argument("--password-file", metavar="FILE", type=Path, help="of the key")


def _describe(parser: argparse.ArgumentParser) -> None:
    _reference(parser)
    parser.add_argument(
        "--form", choices=("bom", "card"), required=True, help="CycloneDX, Markdown"
    )


def _audit(parser: argparse.ArgumentParser) -> None:
    _versions(parser, "audit")


def _trusting(parser: argparse.ArgumentParser) -> None:
    help_ = "a public key that may sign checkpoints: name+id+key"
    parser.add_argument("--trust", metavar="KEY", action="append", default=[], help=help_)
    _audit(parser)


def _audit_verify(parser: argparse.ArgumentParser) -> None:
    help_ = "a checkpoint that was kept elsewhere"
    parser.add_argument(
        "--known", metavar="FILE", type=Path, action="append", default=[], help=help_
    )
    _trusting(parser)


def _audit_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--action", help="such as commit or delete_refused")
    parser.add_argument("--actor", help="who")
    parser.add_argument("--subject", help="a model, or a version's digest")
    parser.add_argument("--since", metavar="TIME")
    parser.add_argument("--until", metavar="TIME")
    parser.add_argument("--text", help="somewhere in the entry")
    parser.add_argument("--max-results", type=int, metavar="N")
    _audit(parser)


def _audit_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--form", choices=("jsonl", "csv"), default="jsonl")
    _audit(parser)


def _audit_at(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("moment", metavar="TIME", help="such as 2026-03-01T12:00Z")
    _audit(parser)


def _audit_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="Ed25519, in PEM")
    parser.add_argument("--name", required=True, help="of the key")
    _trusting(parser)


def _audit_prove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sequence", metavar="N", type=int, help="the number of an entry")
    _trusting(parser)


def _audit_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="of the key, such as audit.example.com")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="a new file")
    _audit(parser)


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


VERSION_WORDS: Final[tuple[tuple[str, str, More], ...]] = (
    ("commit", "make an immutable version of a model", _commit),
    ("versions", "list the versions of a registered model", _name),
    ("show", "say what is known of a version", _reference),
    ("checkout", "write a version's files, each verified", _checkout),
    ("sync", "commit what was registered past the vault", _sync),
    ("diff", "say what differs between two versions", _diff),
    ("lineage", "show what something came from and what came from it", _lineage),
    ("origin", "say what something was made from", _asked),
    ("impact", "say what a dataset reached, and what to roll back to", _asked),
    ("search", "find versions by metrics, parameters, tags, data", _search),
    ("sign", "sign a version, as OpenSSF Model Signing has it", _sign),
    ("describe", "write a version's bill of materials or model card", _describe),
    ("timeline", "say what happened to a registered model", _timeline),
    ("audit verify", "read the whole audit log and compare everything", _audit_verify),
    ("audit search", "find entries of the audit log", _audit_search),
    ("audit export", "write the audit log out", _audit_export),
    ("audit at", "say which versions and aliases there were at a moment", _audit_at),
    ("audit anomalies", "say what looks odd in the audit log", _audit),
    ("audit drift", "say where MLflow differs from what was decided and logged", _audit),
    ("audit key", "make a key that signs checkpoints", _audit_key),
    ("audit checkpoint", "sign what the audit log holds", _audit_checkpoint),
    ("audit prove", "prove that an entry is in the audit log", _audit_prove),
)
