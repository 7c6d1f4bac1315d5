"""How the audit log calls what deeds are done to.

Apart from `govern.audit.audit`, which reads and proves the log: most who name something in it never
do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.format.log import Subject

if TYPE_CHECKING:
    from mlflow_vault.format.version import Version


def subject_of(version: Version) -> Subject:
    """How the log calls a version."""
    return Subject("version", version.name, version.digest)
