"""Shows how far long work has come, on a terminal and in a notebook.

    with progress_bar("verifying") as progress:
        vault.verify(progress=progress)

Whatever takes a `progress` is told bytes as they are done, so one bar fits all of it.
Nothing is shown where nobody looks: in a log, a pipe or a job.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def is_watched() -> bool:
    """Whether somebody looks: standard error is a terminal, or this is a notebook."""
    return sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)


@contextmanager
def progress_bar(
    title: str, total: int | None = None, *, unit: str = "B", visible: bool | None = None
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs; yield what to tell it bytes with.

    Args:
        title: What is being done.
        total: Bytes in all; None shows bytes and speed only.
        unit: What is counted, if not bytes.
        visible: Whether to show it; None asks `is_watched`.
    """
    if not (is_watched() if visible is None else visible):
        yield lambda _: None
        return
    with tqdm(desc=title, total=total, unit=unit, unit_scale=unit == "B", leave=False) as bar:
        yield bar.update
