"""Feed every target with inputs that a fuzzer makes up, and fail on what it finds.

    python tests/fuzz/run.py                             every target, a minute each
    python tests/fuzz/run.py --seconds 5 --only entry    some of them, shortly
    python tests/fuzz/run.py --seconds 600 --grow        and keep what reached new code

Each target runs in a process of its own, with little memory: what asks for more dies of it.  What
was found lies in the folder named at the end; once it is mended, copy it to ``corpora/<target>``.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
CORPORA: Final = HERE / "corpora"
_LIMITS: Final = ("-rss_limit_mb=512", "-timeout=10", "-print_final_stats=1")
_LONGEST: Final = 16 << 10  # bytes of one input; longer ones only cost time
_KEPT: Final = 2 << 10  # bytes of one input that is kept
_MOST: Final = 20  # inputs kept of one target
_NAME: Final = 16  # hexadecimal digits that name a kept input


def fuzz_all(names: list[str], seconds: int, found: Path, *, grow: bool) -> list[str]:
    """Fuzz the targets *names*; return those in which something was found."""
    failed = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            begin, new = Path(folder, "seeds"), Path(folder, "new")
            new.mkdir()
            _write_seeds(name, begin)
            kept = CORPORA / name
            folders = [str(one) for one in (new, begin, kept) if one.is_dir()]
            limits = [*_LIMITS, f"-max_total_time={seconds}", f"-max_len={_LONGEST}"]
            artifacts = f"-artifact_prefix={found / name}-"
            if _fuzz(name, *limits, artifacts, *folders):
                failed.append(name)
            if grow:
                _keep(name, folders, kept)
    return failed


def _fuzz(name: str, *arguments: str) -> int:
    command = [sys.executable, str(HERE / "one.py"), name, *arguments]
    return subprocess.run(command, check=False).returncode


def _write_seeds(name: str, folder: Path) -> None:
    from seeds import seeds  # noqa: PLC0415 - reads the golden files, which --help need not

    folder.mkdir()
    for index, fed in enumerate(seeds()[name]):
        (folder / f"seed-{index}").write_bytes(fed)


def _keep(name: str, folders: list[str], kept: Path) -> None:
    """Make the smallest inputs that reach all code the new corpus, as many as are kept."""
    with tempfile.TemporaryDirectory() as merged:
        _fuzz(name, "-merge=1", *_LIMITS, f"-max_len={_LONGEST}", merged, *folders)
        inputs = sorted((one.read_bytes() for one in Path(merged).iterdir()), key=len)
    kept.mkdir(parents=True, exist_ok=True)
    for one in kept.glob("[0-9a-f]" * _NAME):  # what has a name of its own stays
        one.unlink()
    few = [fed for fed in inputs if len(fed) <= _KEPT]
    # Evenly from short to long: the shortest alone would all be refused at once.
    for fed in few[:: max(1, -(-len(few) // _MOST))]:
        (kept / hashlib.sha256(fed).hexdigest()[:_NAME]).write_bytes(fed)


def main() -> int:
    """Read the command line and fuzz; 1 where something was found."""
    from doors import TARGETS  # noqa: PLC0415 - imports the project, which --help need not

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--only", action="append", choices=sorted(TARGETS), help="may be repeated")
    parser.add_argument("--grow", action="store_true", help="keep inputs that reach new code")
    parser.add_argument("--found", type=Path, help="where inputs that fail are put")
    wanted = parser.parse_args()
    found = wanted.found or Path(tempfile.mkdtemp(prefix="found-"))
    found.mkdir(parents=True, exist_ok=True)
    failed = fuzz_all(wanted.only or list(TARGETS), wanted.seconds, found, grow=wanted.grow)
    verdict = f"{', '.join(failed)} failed; the inputs lie in {found}" if failed else "all well"
    sys.stdout.write(f"{verdict}\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
