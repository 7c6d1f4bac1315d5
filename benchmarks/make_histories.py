"""Make the histories that the storage benchmarks measure, all or those named, and keep them."""

from __future__ import annotations

import argparse
from pathlib import Path

from histories.catalogue import RECIPES, ensure
from histories.recipe import DEFAULT_CACHE, Workshop


def main() -> None:
    """Make every history, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="where they are kept")
    parser.add_argument("--model", type=Path, help="a folder of all-MiniLM-L6-v2")
    parser.add_argument("--only", choices=sorted(RECIPES), action="append")
    arguments = parser.parse_args()
    for name in arguments.only or RECIPES:
        history = ensure(name, Workshop(arguments.cache, arguments.model))
        print(f"{name}: {history.raw_bytes / 1e6:.0f} MB in {arguments.cache / name}")


if __name__ == "__main__":
    main()
