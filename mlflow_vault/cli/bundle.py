"""The commands of bundles: make one from a vault; verify one without any."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.cli.answer import Answer, shown
from mlflow_vault.errors import InvalidInputError, NotFoundError, StorageError
from mlflow_vault.govern.bundle.bundle import LARGEST
from mlflow_vault.govern.bundle.verifying import verify_bundle

if TYPE_CHECKING:
    from argparse import Namespace

    from mlflow_vault.govern.signing.trust import Trust

_LARGEST_KEY: Final = 1 << 16  # bytes


def make(arguments: Namespace) -> Answer:
    """Write the file that proves by which decision a version stands where it does."""
    # What verifies a bundle loads neither MLflow nor a store.
    from mlflow_vault.cli.versions import vault_for  # noqa: PLC0415
    from mlflow_vault.govern.policies import check  # noqa: PLC0415

    if arguments.out.exists():
        raise InvalidInputError(f"{arguments.out} is there already; name a new file")
    vault = vault_for(arguments, f"models:/{arguments.name}/latest")
    number = arguments.decision
    stage = arguments.stage or ("production" if number is None else "")
    policies = [check(path) for path in arguments.policy]
    made = vault.bundle(arguments.name, stage=stage, decision=number, policies=policies)
    stored = made.to_bytes()
    part = arguments.out.with_name(f"{arguments.out.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:  # whoever else may write there planted no link
            file.write(stored)
        part.replace(arguments.out)
    except OSError as cause:
        raise StorageError(f"{arguments.out} cannot be written: {cause.strerror}") from cause
    finally:
        part.unlink(missing_ok=True)
    line = f"Wrote {arguments.out}, {len(stored)} bytes. Who verifies it needs the log's public key"
    return Answer({"file": str(arguments.out), "size": len(stored)}, [shown(line)])


def verify(arguments: Namespace) -> Answer:
    """Say what a bundle proves; 4 if it is false, 1 if something is missing."""
    if not arguments.log_key:
        raise InvalidInputError("give the key that signs the audit log's checkpoints: --log-key")
    approvers: dict[str, list[str]] = {}
    for one in arguments.approver:
        user, equals, path = one.rpartition("=")
        if not equals or not user:
            raise InvalidInputError(f"{one!r} is not USER=FILE")
        pem = _read(Path(path), _LARGEST_KEY).decode("utf-8", "replace")
        approvers.setdefault(user, []).append(pem)
    proof = verify_bundle(
        _read(arguments.file, LARGEST + 1),
        arguments.log_key,
        trust=_trust(arguments.trust),
        approvers=approvers,
        files=arguments.files,
        policies=arguments.policy,
    )
    return Answer(proof.to_dict(), str(proof).splitlines(), code=proof.exit_code)


def _trust(paths: list[Path]) -> Trust | None:
    if not paths:
        return None
    from mlflow_vault.govern.signing.trust import Trust  # noqa: PLC0415 - an extra

    return Trust.from_files(*paths)


def _read(path: Path, largest: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(largest)
    except FileNotFoundError as cause:
        raise NotFoundError(f"there is no file {path}") from cause
    except OSError as cause:
        raise InvalidInputError(f"{path} cannot be read: {cause.strerror}") from cause
