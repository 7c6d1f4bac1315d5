"""What the library's verbs do at a store, each tried once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy import Policy
from mlflow_vault.errors import DeniedError, PermissionDeniedError
from mlflow_vault.format import governed_layout
from mlflow_vault.format.log import Action, Subject
from mlflow_vault.testing.models import noise
from mlflow_vault.testing.rights.site import CALLER, LARGE, Site, say
from mlflow_vault.testing.vaults import read, write

if TYPE_CHECKING:
    from collections.abc import Callable

_MANY: Final = 20  # files; enough for a hint of their sizes


def _load(site: Site) -> None:
    with TemporaryDirectory() as folder:
        site.vault.checkout(site.standing.label, Path(folder) / "files")
    assert read(site.vault, f"{site.standing.origin.path}/MLmodel")


def _verify(site: Site) -> None:
    assert site.vault.verify(str(site.standing.digest)).is_whole
    assert site.vault.audit.verify().is_whole


def _log(site: Site) -> None:
    number = next(site.numbers)
    write(site.vault, f"1/{number:032x}/artifacts/w.bin", noise(number, LARGE))
    write(site.vault, f"1/{number:032x}/artifacts/w.bin", b"again")
    with TemporaryDirectory() as folder:
        for at in range(_MANY):
            (Path(folder) / f"{at}.txt").write_bytes(b"%d" % at)
        site.vault.write_folder(Path(folder), f"1/{number:032x}/artifacts/many")


def _delete_artifact(site: Site) -> None:
    path = f"1/{next(site.numbers):032x}/artifacts/a"
    write(site.admins, path, b"to go")
    site.vault.delete(path)
    assert path not in site.admins.walk(path)


def _commit(site: Site) -> None:
    site.vault.commit(site.logged(), name=f"model-{next(site.numbers)}")


def _sign(site: Site) -> None:
    site.vault.sign(site.standing.label, site.key)


def _evidence(site: Site) -> None:
    say(site.vault, site.standing)


def _approve(site: Site) -> None:
    site.vault.releases.approve(site.standing.label, to="production", caller=CALLER)


def _code(site: Site) -> None:
    """What is left of a one-time code that was used."""
    site.store.create(governed_layout.factor_key("bob", next(site.numbers)), b"{}")


def _promote(site: Site) -> None:
    site.vault.releases.promote(site.version().label, to="staging", caller=CALLER)


def _refuse(site: Site) -> None:
    """A promotion that a policy refuses is kept and logged, too."""
    version = site.version()
    kept = len(site.admins.releases.around.statements.of(version.name, version.digest))
    with suppress(DeniedError):
        site.vault.releases.promote(version.label, to="production", caller=CALLER)
    now = len(site.admins.releases.around.statements.of(version.name, version.digest))
    if now == kept:
        raise PermissionDeniedError("why it was refused was not kept")


def _archive(site: Site) -> None:
    site.vault.releases.archive(site.staged().label, reason="old", caller=CALLER)


def _apply(site: Site) -> None:
    name = f"policy-{next(site.numbers)}"
    whole: dict[str, Any] = {
        "kind": "PromotionPolicy",
        "metadata": {"name": name, "models": [name]},
        "transition": {"to": "staging"},
    }
    site.vault.policies.apply(Policy.model_validate(whole), "somebody")


def _checkpoint(site: Site) -> None:
    site.admins.audit.note(Action.COMMIT, Subject("path", "a"), "admin")
    site.vault.audit.checkpoint(site.signer)


VERBS: Final[dict[str, Callable[[Site], None]]] = {
    "load a model": _load,
    "verify a version and the audit log": _verify,
    "log a model": _log,
    "delete an artifact": _delete_artifact,
    "commit a version": _commit,
    "sign a version": _sign,
    "add evidence": _evidence,
    "approve": _approve,
    "use up a one-time code": _code,
    "promote": _promote,
    "be refused a promotion, with the reason kept": _refuse,
    "archive": _archive,
    "apply a policy": _apply,
    "sign a checkpoint of the audit log": _checkpoint,
}
