"""Versions of the subjects, and how each was set."""

from __future__ import annotations

import importlib.metadata
import subprocess
from typing import TYPE_CHECKING, Final

from peers import tool_version

if TYPE_CHECKING:
    from speed.cases import Plan

PACKAGES: Final = ("boto3", "obstore", "s3transfer")


def settings(plan: Plan) -> list[str]:
    """Return the version of each subject and how it was set, one a line."""
    packages = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    lines = [", ".join(packages)]
    if "restic" in plan.peers:
        lines.append(
            f"{tool_version('restic')}, repository format 2, default compression, local repository"
        )
    if "borg" in plan.peers:
        lines.append(f"{tool_version('borg')}, `init -e none`, `create --compression zstd,3`")
    if "dvc" in plan.peers:
        told = subprocess.run([plan.dvc, "--version"], check=True, capture_output=True, text=True)
        lines.append(
            f"DVC {told.stdout.strip()}, `dvc add` and `dvc push` to a folder, no git, "
            "`cache.type reflink,hardlink,copy`"
        )
    if plan.links:
        ceph = tool_version("ceph").split("(")[0].strip()
        lines.append(
            f"S3: {ceph}, one gateway (beast, `tcp_nodelay=1`) over one OSD in memory, in a "
            "network namespace of its own; token buckets at both ends of the link"
        )
    lines.append(
        "MLflow's own: `get_artifact_repository` of a folder and of `s3://` (boto3, its defaults)"
    )
    return lines
