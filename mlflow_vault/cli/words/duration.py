"""A duration on the command line."""

from __future__ import annotations

import argparse


def seconds(text: str) -> float:
    """Return the seconds of such as ``10m``; argparse tells where it is none."""
    # Pydantic takes a while to load, and most commands have no durations.
    from mlflow_vault.decide.policy.durations import parse  # noqa: PLC0415

    try:
        found = parse(text) / 1000
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not found:
        raise argparse.ArgumentTypeError("give more than nothing")
    return found
