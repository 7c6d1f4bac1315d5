"""Every check of the project, each in an environment of its own.

- ``nox``: lint, types, tests, docs: what has to pass.
- ``nox -s oldest``: the plugin against the oldest MLflow we claim.
- ``nox -s servers``: real object stores, databases and tracking servers; installs them, as root.
- ``nox -s fuzz``: what parses bytes, fed by a fuzzer; Linux, takes twenty minutes.
- ``nox -s bench``: stored bytes, speed and growth, against peers; takes hours, some of it as root.
- ``nox -s flavours``: what each MLflow flavour costs; takes gigabytes and 15 minutes.
- ``nox -s sanitize``: the compiled loops, watched for accesses out of bounds and what C leaves
  undefined; Linux with gcc.
- ``nox -s build``: wheel and sdist, looked at.
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "docs"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "uv|virtualenv"
nox.needs_version = ">=2024.4.15"

OLDEST_MLFLOW = "3.10.0"
AZURITE = "azurite@3.37.0"
CODE = ("mlflow_vault", "tests", "benchmarks", "noxfile.py", "setup.py")
WATCHED = """
from pathlib import Path
from mlflow_vault.format.coding.kernels import _numbers, _planes
assert all(b"__asan_report_store" in Path(one.__file__).read_bytes() for one in (_numbers, _planes))
"""
BUILT = """
from pathlib import Path
from zipfile import ZipFile
newest = max(Path("dist").glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime)
modules = {Path(name).name.split(".")[0] for name in ZipFile(newest).namelist()}
assert {"_numbers", "_planes"} <= modules, f"{newest} has no compiled loops"
"""


def _groups(session: nox.Session, *groups: str) -> None:
    wanted = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), *groups)
    session.install(*wanted)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and which floor may import which."""
    _groups(session, "lint")
    session.install("-e", ".")
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)
    session.run("lint-imports")
    sources = Path("mlflow_vault/format/coding/kernels/source").iterdir()
    session.run("clang-format", "--dry-run", "--Werror", *map(str, sorted(sources)))


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    _groups(session, "types")
    session.install("-e", ".[server,s3,sign,mfa]")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, with the newest MLflow."""
    _groups(session, "test")
    session.install("-e", ".[server,s3]")
    elsewhere = "--ignore=tests/servers"
    session.run("pytest", "-n", "2", "--dist", "loadfile", elsewhere, "tests", *session.posargs)


@nox.session
def servers(session: nox.Session) -> None:
    """What needs more than a disk: object stores, databases and tracking servers of its own."""
    session.run_install("sh", "tests/servers/install-debian.sh", external=True)
    _groups(session, "test", "servers")
    session.install("-e", ".[server,s3,az]")
    here = session.virtualenv.location
    if not Path(session.bin, "azurite-blob").exists():
        npm = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--global")
        session.run_install(*npm, "--prefix", here, AZURITE)
    # Interrupted, pytest stops the servers; nox waits for that.
    # They wait more than they work, so two files go at once, each with servers of its own.
    session.run(
        "pytest",
        "-n",
        "2",
        "--dist",
        "loadfile",
        *(session.posargs or ["tests/servers"]),
        interrupt_timeout=60.0,
        terminate_timeout=30.0,
    )


@nox.session
def oldest(session: nox.Session) -> None:
    """What touches MLflow, with the oldest one we claim; installing us must not change it."""
    _groups(session, "test")
    session.install(f"mlflow=={OLDEST_MLFLOW}")
    session.install("-e", ".[s3]")
    found = session.run("python", "-c", "import mlflow; print(mlflow.__version__)", silent=True)
    if str(found).strip().splitlines()[-1] != OLDEST_MLFLOW:
        session.error(f"installing mlflow-vault changed MLflow to {found}")
    where = ("tests/plugin", "tests/mlflow", "tests/tracking")
    session.run("pytest", "-n", "2", "--dist", "loadfile", *where, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Every example in docstrings and docs runs."""
    _groups(session, "test")
    session.install("-e", ".[server,s3]")
    session.run("pytest", "--doctest-modules", "mlflow_vault")
    session.run("pytest", "--doctest-glob=*.md", "docs", "README.md")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Inputs that a fuzzer makes up, a minute for each parser; ``-- --seconds 5 --only entry``."""
    _groups(session, "fuzz")
    session.install("-e", ".")
    session.run("python", "tests/fuzz/run.py", *session.posargs)


@nox.session
def sanitize(session: nox.Session) -> None:
    """What codes chunks, with AddressSanitizer and UndefinedBehaviorSanitizer in the loops."""
    session.install("pytest", "hypothesis")
    watch = "-fsanitize=address,undefined -fno-sanitize-recover=undefined"
    apart = Path(session.create_tmp(), "build.cfg")  # or later wheels would hold what is built here
    apart.write_text(f"[build]\nbuild_base = {apart.parent.resolve()}\n", encoding="utf-8")
    session.install(".", env={"CFLAGS": watch, "DIST_EXTRA_CONFIG": str(apart.resolve())})
    found = [
        str(session.run("gcc", f"-print-file-name={name}.so", external=True, silent=True)).strip()
        for name in ("libasan", "libubsan")
    ]
    # What Python itself leaves until its end is not looked at.
    watched = {"LD_PRELOAD": ":".join(found), "ASAN_OPTIONS": "detect_leaks=0"}
    session.run("python", "-P", "-c", WATCHED, env=watched)
    session.run("python", "-P", "-m", "pytest", "-q", "tests/format/coding", env=watched)


@nox.session
def bench(session: nox.Session) -> None:
    """What is stored, how fast, and how cost grows, beside peers; ``-- speed`` for one of them."""
    _groups(session, "bench")
    session.install("-e", ".[server,s3]")
    wanted, *options = session.posargs or ["all"]
    for program in ("stored_bytes.py", "codecs", "speed", "growth"):
        if wanted in {"all", program.removesuffix(".py")}:
            session.run("python", f"benchmarks/{program}", *options)


@nox.session
def flavours(session: nox.Session) -> None:
    """Every flavour of MLflow that installs here, three versions each; writes docs/flavours.md."""
    session.install("-e", ".[server]")
    session.run("python", "benchmarks/flavours", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and sdist."""
    session.install("build", "twine")
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", "dist/*", external=False)
    session.run("python", "-c", BUILT)
