"""The words of the commands: what each takes, and what it is called in code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.cli.words.monitor import MONITOR_WORDS
from mlflow_vault.cli.words.policy import POLICY_WORDS
from mlflow_vault.cli.words.proof import PROOF_WORDS
from mlflow_vault.cli.words.release import RELEASE_WORDS
from mlflow_vault.cli.words.triggers import TRIGGER_WORDS
from mlflow_vault.cli.words.versions import VERSION_WORDS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    More = Callable[[argparse.ArgumentParser], None]

WORDS: Final[tuple[tuple[str, str, More], ...]] = (
    *VERSION_WORDS,
    *RELEASE_WORDS,
    *POLICY_WORDS,
    *TRIGGER_WORDS,
    *MONITOR_WORDS,
    *PROOF_WORDS,
)
