"""The commands of what is in force, and of those who approve, as people type them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from mlflow_vault.decide.policy.roles import roles_schema
from mlflow_vault.govern.committing import user
from mlflow_vault.govern.release.approving.codes_file import read_secrets
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

POLICY: Final = """
metadata: {name: credit, models: credit-*}
transition: {to: production}
metrics: {f1: {threshold: 0.9, greater_is_better: true}}
examples: [{name: good, given: {candidate: {metrics: {f1: 0.95}}}, expect: passed}]
"""
ROLES: Final = "kind: Roles\nroles: {risk: {users: [bob, cat]}, admin: {groups: 'mlflow:admin'}}\n"


@pytest.fixture
def type_(tmp_path: Path, run: Callable[..., Any]) -> Callable[..., Any]:
    """Type a command about an empty vault, with a policy and roles beside it."""
    uri = Vault.init(f"vault-file://{tmp_path}/vault").uri
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "r.yaml").write_text(ROLES)
    (tmp_path / "bad.yaml").write_text(POLICY.replace("0.95", "0.5"))

    def type_(*words: str) -> Any:
        named = (str(tmp_path / one) if one.endswith(".yaml") else one for one in words)
        return run("policy", *named, "--vault", uri)

    return type_


def test_apply(type_: Callable[..., Any]) -> None:
    """What is applied is in force, can be shown, and withdrawn; each deed says who is noted."""
    told = type_("apply", "p.yaml", "r.yaml")

    assert told.code == 0
    assert f"; noted as by {user()!r} (unverified)" in told.out.splitlines()[0]
    assert type_("apply", "p.yaml").out == "credit stays as it is\n"
    listed = type_("list").out.splitlines()
    assert "credit-*: promotion to production" in listed[1]
    assert "roles: admin, risk" in listed[2]
    assert [one.split()[0] for one in type_("list", "--model", "fraud").out.splitlines()] == [
        "name",
        "roles",
    ]
    shown = type_("show", "credit").out
    assert shown.startswith("# 0: b3:")
    assert "threshold: 0.9" in shown
    assert type_("withdraw", "credit").out.startswith("credit is withdrawn; noted as by")
    assert type_("withdraw", "credit").out == "credit stays as it is: withdrawn\n"
    assert type_("show", "credit").out.splitlines()[-1] == "# 1: withdrawn, now"
    assert type_("withdraw", "roles").code == 0
    assert type_("list").out == "nothing is in force\n"


def test_json(type_: Callable[..., Any]) -> None:
    """The same as JSON."""
    (applied,) = type_("apply", "p.yaml", "--json").values["applied"]
    assert (applied["name"], applied["number"], applied["changed"]) == ("credit", 0, True)
    assert type_("list", "--json").values["documents"][0]["digest"] == applied["digest"]
    assert type_("show", "credit", "--json").values["history"][0]["digest"] == applied["digest"]
    assert type_("withdraw", "credit", "--json").values["digest"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("apply", "r.yaml", "bad.yaml"), "1 of its 1 examples fail: 'good': expected passed"),
        (("apply", "p.yaml", "p.yaml"), "two of these files are called 'credit'"),
        (("apply", "p.yaml", "missing.yaml"), "there is no policy at"),
        (("withdraw", "credit"), "nothing was ever applied under the name 'credit'"),
        (("show", "credit"), "nothing was ever applied under the name 'credit'"),
        (("backtest", "r.yaml"), "these are roles, and a policy is asked for"),
        (("backtest", "p.yaml", "--model", "fraud"), "credit is not for the model 'fraud'"),
        (("judge", "r.yaml", "b3:00"), "these are roles"),
    ],
)
def test_bad_input(type_: Callable[..., Any], words: tuple[str, ...], said: str) -> None:
    """What makes no sense is refused with 2, and nothing is in force then."""
    told = type_(*words)

    assert told.code == 2
    assert said in told.err
    assert type_("list").out == "nothing is in force\n"


def test_backtest_of_nothing(type_: Callable[..., Any]) -> None:
    """Where nothing was decided, no decision would have been another."""
    told = type_("backtest", "p.yaml")

    assert told.code == 0
    assert "0 decisions" in told.out


def test_check(tmp_path: Path, run: Callable[..., Any]) -> None:
    """Roles are checked as policies are, and editors get their schema, too."""
    file = tmp_path / "r.yaml"
    file.write_text(ROLES)

    assert run("policy", "check", file).out.startswith("roles is roles: b3:")
    assert run("policy", "check", file, "--json").values["roles"] == "roles"
    assert json.loads(run("policy", "schema", "--of", "roles").out) == roles_schema()
    assert run("policy", "test", file).code == 2
    file.write_text(ROLES.replace("users", "user"))
    told = run("policy", "check", file)
    assert told.code == 2
    assert "r.yaml:2:16: roles.risk.user: there is no such key; did you mean users?" in told.err


def test_roles_in_python(tmp_path: Path, run: Callable[..., Any]) -> None:
    """A file of Python may leave roles, too; both at once make no sense."""
    file = tmp_path / "r.py"
    lines = [
        "from mlflow_vault.decide.policy.roles import Role, Roles",
        "from mlflow_vault.decide.policy.schema import Metadata, Policy, Transition",
        "roles = Roles(kind='Roles', roles={'risk': Role(users=('bob',))})",
    ]
    file.write_text("\n".join(lines))
    assert run("policy", "check", file).out.startswith("roles is roles: b3:")

    lines.append(
        "policy = Policy(metadata=Metadata(name='p'), transition=Transition(to='staging'))"
    )
    file.write_text("\n".join(lines))
    assert "or both" in run("policy", "check", file).err
    file.write_text(lines[0] + "\nroles = Roles(kind='Roles', roles={'risk': Role()})")
    assert "r.py:2: nobody has it" in run("policy", "check", file).err


def test_enroll(tmp_path: Path, run: Callable[..., Any]) -> None:
    """The secret is shown once, and is what codes are made from."""
    file = tmp_path / "codes"

    told = run("approver", "enroll", "bob", "--file", file)

    secret = read_secrets(file)["bob"]
    assert told.code == 0
    assert f"otpauth://totp/mlflow-vault:bob?secret={secret}&" in told.out
    again = run("approver", "enroll", "bob", "--file", file)
    assert (again.code, secret in again.err + again.out) == (2, False)
    values = run("approver", "enroll", "bob", "--file", file, "--replace", "--json").values
    assert values["uri"].startswith("otpauth://")
    assert secret not in values["uri"]
