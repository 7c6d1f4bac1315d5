"""The loops that a compiler makes; all else is said in pyproject.toml.

Where there is no compiler they are left out, and numpy does the same.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

HERE = Path(__file__).parent
KERNELS = Path("mlflow_vault", "format", "coding", "kernels")
STABLE = not sysconfig.get_config_var(
    "Py_GIL_DISABLED"
)  # one wheel is for all Pythons from 3.11 on


def extension(name: str) -> Extension:
    """Return the module that ``source/<name>.c`` makes."""
    headers = sorted(HERE.glob(f"{KERNELS}/source/*.h"))
    return Extension(
        ".".join([*KERNELS.parts, f"_{name}"]),
        [str(KERNELS / "source" / f"{name}.c")],
        depends=[str(header.relative_to(HERE)) for header in headers],
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if STABLE else [],
        extra_compile_args=["/std:c11"] if sys.platform == "win32" else ["-O3", "-g0", "-std=c11"],
        py_limited_api=STABLE,
        optional=True,
    )


setup(
    ext_modules=[extension("numbers"), extension("planes")],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE else {},
)
