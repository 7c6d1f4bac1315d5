"""A bundle proves what was decided, to whoever brings nothing but public keys."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from promoted import (
    APPROVERS,
    FILES,
    MODEL,
    Promoted,
    decide,
    keys,
    log_signer,
    promoted,
    public_pem,
    trust,
)

import mlflow_vault
from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.format.canonical import read, spell
from mlflow_vault.govern.audit.keys import Signer
from mlflow_vault.govern.bundle.bundle import Bundle
from mlflow_vault.govern.bundle.claims import Proof, Standing
from mlflow_vault.govern.bundle.making import make
from mlflow_vault.govern.bundle.verifying import verify_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.format.checkpoint import PublicKey

# Refuses MLflow, every store, the network, and the vault's folder.
_ALONE: Final = """
import sys
from pathlib import Path

vault, bundle, log_key, model_key, *approvers = sys.argv[1:]
refused = ("mlflow", "fsspec", "obstore", "boto3", "mlflow_vault.store", "mlflow_vault.engine")

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in refused or name.startswith(tuple(f"{one}." for one in refused)):
            raise AssertionError(f"{name} is imported")

def watch(event, arguments):
    if event.startswith("socket."):
        raise AssertionError(f"the network is asked: {event}")
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith(vault):
        raise AssertionError(f"the vault is asked: {arguments[0]}")

sys.meta_path.insert(0, Refuse())
sys.addaudithook(watch)
from mlflow_vault.cli.main import main

sys.exit(main(["bundle", "verify", bundle, "--log-key", log_key, "--trust", model_key, *approvers]))
"""


def _whole(stored: bytes) -> Proof:
    return verify_bundle(stored, [log_signer().public], trust=trust(), approvers=keys())


def _standing(proof: Proof, about: str) -> Standing:
    found = proof.about(about)
    assert found is not None, str(proof)
    return found.standing


def test_proven(stored: bytes) -> None:
    """With the keys of the log, of models and of approvers all of it is proven or told."""
    proof = _whole(stored)

    assert proof.holds, str(proof)
    assert {claim.about for claim in proof.claims if claim.standing is Standing.PROVEN} == {
        *("checkpoint", "entry", "decision", "version", "signature"),
        *("policy credit-production", "approvals credit-production"),
    }
    assert {claim.about for claim in proof.claims if claim.standing is Standing.TOLD} == {
        *("verdict credit-production", "evidence holdout")
    }


def test_only_the_log(stored: bytes) -> None:
    """With the log's key alone the decision is proven, and who approved is told."""
    proof = mlflow_vault.verify_bundle(stored, [str(log_signer().public)])

    assert proof.holds
    assert _standing(proof, "decision") is Standing.PROVEN
    assert _standing(proof, "signature") is Standing.TOLD
    assert _standing(proof, "approvals credit-production") is Standing.TOLD


@pytest.mark.parametrize("trusted", [[], [Signer.generate("audit.example.com").public]])
def test_unknown_log(stored: bytes, trusted: list[PublicKey]) -> None:
    """Where the log's key is not trusted, nothing that hangs from it is proven."""
    proof = verify_bundle(stored, trusted, trust=trust(), approvers=keys())

    assert proof.exit_code == 1
    assert _standing(proof, "checkpoint") is Standing.MISSING
    for about in ("entry", "decision", "version", "policy credit-production"):
        assert _standing(proof, about) is Standing.TOLD


def test_somebody_elses_approvals(stored: bytes) -> None:
    """Approvals that other keys signed than those that are trusted are not enough."""
    swapped = {"bob": [public_pem("cat").decode()], "cat": [public_pem("bob").decode()]}

    proof = verify_bundle(stored, [log_signer().public], approvers=swapped)

    assert proof.exit_code == 1
    assert _standing(proof, "approvals credit-production") is Standing.MISSING


def test_unsigned_approvals() -> None:
    """Approvals that nobody signed are told; they are missing for who asks for signatures."""
    made = promoted(signed=False).bundle().to_bytes()

    assert verify_bundle(made, [log_signer().public]).holds
    assert _whole(made).exit_code == 1


def test_files(stored: bytes, tmp_path: Path) -> None:
    """Files are compared byte by byte; one changed, missing or added is false."""
    for path, plain in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(plain)

    def found() -> Proof:
        return verify_bundle(stored, [log_signer().public], files=tmp_path)

    assert _standing(found(), "files") is Standing.PROVEN
    (tmp_path / "added").touch()
    assert found().exit_code == 4
    (tmp_path / "added").unlink()
    (tmp_path / "MLmodel").write_bytes(b"flavors: []\n")
    assert found().exit_code == 4
    (tmp_path / "MLmodel").unlink()
    (tmp_path / "MLmodel").symlink_to(tmp_path / "model/weights.bin")
    assert found().exit_code == 4


def test_another_vaults_log(stored: bytes) -> None:
    """A decision of one vault is not proven by a log of another, whoever signed it."""
    body, other = read(stored), read(_other().bundle().to_bytes())

    assert _whole(spell({**body, "log": other["log"]})).exit_code == 4


def test_checkpoint_of_another_log(stored: bytes) -> None:
    """A trusted signature under the same tree of hashes, but of another log, proves nothing."""
    bundle = Bundle.from_bytes(stored)
    head = bundle.log.signed.checkpoint
    moved = log_signer().sign(replace(head, origin=f"mlflow-vault/{'0' * 32}"))

    proof = _whole(replace(bundle, log=replace(bundle.log, signed=moved)).to_bytes())

    assert proof.exit_code == 4
    assert _standing(proof, "entry") is Standing.FALSE


@pytest.mark.parametrize("part", ["decision", "files", "log", "policies", "statements"])
def test_parts_of_another_bundle(stored: bytes, part: str) -> None:
    """No part of one true bundle fits into another."""
    other = read(_other().bundle().to_bytes())
    body = read(stored)
    assert body[part] != other[part]

    assert _whole(spell({**body, part: other[part]})).exit_code == 4


def _other() -> Promoted:
    return promoted(seed=1)


def test_again(promotion: Promoted) -> None:
    """The same vault makes the same bundle, by stage and by number."""
    assert make(promotion.ground, MODEL, decision=0) == promotion.bundle()
    assert Bundle.from_bytes(promotion.bundle().to_bytes()) == promotion.bundle()


def test_nothing_to_prove(promotion: Promoted) -> None:
    """Who asks for what was not decided is told."""
    with pytest.raises(NotFoundError, match="staging"):
        make(promotion.ground, MODEL, stage="staging")
    with pytest.raises(NotFoundError, match="decision 7"):
        make(promotion.ground, MODEL, decision=7)
    with pytest.raises(InvalidInputError, match="name a stage"):
        make(promotion.ground, MODEL)


def test_no_checkpoint() -> None:
    """What no checkpoint covers yet cannot be proven, and the message says what to do."""
    made = promoted(checkpoint=False)

    with pytest.raises(InvalidInputError, match="audit checkpoint"):
        made.bundle()


def test_alone(stored: bytes, tmp_path: Path) -> None:
    """Verifying loads no MLflow and no store, asks no network, and reads nothing of the vault."""
    (tmp_path / "b.json").write_bytes(stored)
    (tmp_path / "models.pem").write_bytes(trust().keys[0])
    (tmp_path / "vault").mkdir()
    approvers = []
    for user in APPROVERS:
        (tmp_path / f"{user}.pem").write_bytes(public_pem(user))
        approvers += ["--approver", f"{user}={tmp_path}/{user}.pem"]
    words = [f"{tmp_path}/vault", f"{tmp_path}/b.json", str(log_signer().public)]

    done = subprocess.run(
        [sys.executable, "-c", _ALONE, *words, f"{tmp_path}/models.pem", *approvers, "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["decision"]["model"] == MODEL


def test_forged_decisions() -> None:
    """Who writes decisions past the library is found out: what is said has to follow."""
    made = promoted()
    (verdict,) = read(made.bundle().decision.encode())["verdicts"]
    nobody = {**verdict, "asked": {**verdict["asked"], "approvals": []}}
    lax = {**verdict, "results": [one for one in verdict["results"] if one["rule"] != "approvals"]}
    mode = {**verdict, "mode": "dry_run", "blocks": False}

    found = {}
    for name, verdicts in {"none": (), "nobody": (nobody,), "lax": (lax,), "mode": (mode,)}.items():
        decide(made, *verdicts)
        made.vault.audit.checkpoint(log_signer())
        found[name] = _whole(made.bundle().to_bytes()).exit_code

    assert found == {"none": 1, "nobody": 4, "lax": 4, "mode": 4}


def test_expected_policy(stored: bytes) -> None:
    """Which policy had to be asked is for whoever verifies to say."""
    digest = read(read(stored)["decision"].encode())["verdicts"][0]["policy_digest"]

    def code(policy: str) -> int:
        return verify_bundle(stored, [log_signer().public], policies=[policy]).exit_code

    assert code(digest) == 0
    assert code("b3:" + "0" * 64) == 1
