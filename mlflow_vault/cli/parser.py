"""The words of the command line, and what each command is called in code.

Commands are named, not imported: `main` loads the one that was typed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.cli.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPILOG: Final = """\
WHERE is a vault, or anything below one: a URI (vault-file:///srv/models/1) or a plain path.

exit codes: 0 fine; 1 damage was found, denied, or the operation failed; 2 wrong usage or bad
input; 3 waits for people or time; 4 what is to be moved is damaged; 130 interrupted.  Errors are
one line on standard error.
"""
_ESTIMATE: Final = """\
Say what a vault would store of your own files, by writing them into a temporary one, which is
removed whatever happens.  Nothing is sent anywhere and your files are only read.

  estimate v1/ v2/ v3/        folders or files: versions of one thing, oldest first
  estimate mlruns/            one folder: existing artifacts, each at its own path, so that
                              versions find each other as they would have

The temporary vault needs as much room as the estimate says is stored: at most about the size of
your files.  It is made in --tmp, by default the system's temporary folder.
"""
_DEMO: Final = """\
Train scikit-learn models on the bundled digits over several versions, log them with MLflow to a
local vault, load each back, and compare every byte and every prediction.

Needs the extra: pip install 'mlflow-vault[demo]'.  Uses a temporary folder, and sends nothing.
"""
_LEAST_VERSIONS: Final = 2


class _Version(argparse.Action):
    """Prints the version."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms of every start

        print(f"mlflow-vault {version('mlflow-vault')}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """Make the parser.  What it returns has `run`, the module and function of the command."""
    parser = argparse.ArgumentParser(
        prog="mlflow-vault",
        description="MLflow artifacts that store less: look at, check and leave vaults.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    init = _add(commands, "init", "make a vault, or say that there is one")
    init.add_argument("where", metavar="WHERE", help="a new or empty folder, or a URI")

    ls = _add(commands, "ls", "list files and folders")
    _add_where(ls)
    ls.add_argument("-r", "--recursive", action="store_true", help="all files below")
    ls.add_argument("-l", "--long", action="store_true", help="with sizes")

    stats = _add(commands, "stats", "say what a vault holds and what it costs")
    _add_where(stats)

    verify = _add(commands, "verify", "read every file and compare it with its digests")
    verify.add_argument("where", metavar="WHERE", help="a place in a vault, or a version: b3:...")

    export = _add(commands, "export", "write plain files back, each verified")
    _add_where(export)
    export.add_argument("destination", metavar="DEST", type=Path, help="a folder, made if missing")
    export.add_argument("--force", action="store_true", help="replace files that differ")

    groups: dict[str, Any] = {"": commands}
    for words, help_, more in WORDS:
        group, _, name = words.rpartition(" ")
        if group not in groups:
            grouped = commands.add_parser(group, help=f"what {group} can do: {group} --help")
            groups[group] = grouped.add_subparsers(metavar="COMMAND", required=True)
        more(_add(groups[group], name, help_))

    estimate = _add(commands, "estimate", "say what a vault would save on your files", _ESTIMATE)
    estimate.set_defaults(run=("mlflow_vault.cli.estimate", "estimate"))
    estimate.add_argument("paths", metavar="PATH", type=Path, nargs="+")
    estimate.add_argument("--tmp", metavar="DIR", type=Path, help="where to make it")

    demo = _add(commands, "demo", "train, log and compare: see what is saved", _DEMO)
    demo.set_defaults(run=("mlflow_vault.cli.demo.command", "demo"))
    demo.add_argument("--keep", metavar="DIR", type=Path, help="a new folder, kept to look at")
    demo.add_argument("--versions", metavar="N", type=_versions, default=4, help="of each model")
    return parser


def _add(commands: Any, name: str, help_: str, description: str = "") -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_,
        description=description or f"{help_[0].upper()}{help_[1:]}.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.add_argument("--json", action="store_true", help="one JSON object on standard output")
    added.add_argument("--no-progress", action="store_true", help="no bar, even on a terminal")
    added.add_argument("--debug", action="store_true", help="errors with their traceback")
    added.set_defaults(run=("mlflow_vault.cli.commands", name))
    return added


def _add_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("where", metavar="WHERE", help="a vault or something below one")


def _versions(text: str) -> int:
    if not text.isdecimal() or int(text) < _LEAST_VERSIONS:
        raise argparse.ArgumentTypeError(f"give a number from {_LEAST_VERSIONS}")
    return int(text)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read *words*, None for the process's own.

    Raises:
        SystemExit: They make no sense (2), or asked for help (0).
    """
    return make_parser().parse_args(words)
