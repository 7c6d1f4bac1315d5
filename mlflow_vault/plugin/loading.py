"""Loads a model from a folder that is there for it alone, and goes when the model does."""

from __future__ import annotations

import shutil
import weakref
from typing import TYPE_CHECKING, Any

import mlflow

if TYPE_CHECKING:
    from pathlib import Path


def load_folder(folder: Path, **options: Any) -> Any:
    """Load the model in *folder* as `mlflow.pyfunc.load_model` does; *folder* goes with it.

    Some flavors read on after loading, so the folder stays until the model is no longer used.
    """
    try:
        model = mlflow.pyfunc.load_model(str(folder), **options)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)
    return model
