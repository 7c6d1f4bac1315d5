"""A governing registry lets a model move as its policies allow, and tells why where they do not."""

from __future__ import annotations

import secrets
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.tracking._model_registry.utils import _get_store

from mlflow_vault.errors import StorageError
from mlflow_vault.format.log import Action, Actor
from mlflow_vault.plugin.governing.showing import ShowingHost
from mlflow_vault.plugin.guard import ROOT_VARIABLE
from mlflow_vault.plugin.host import MlflowHost
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.enforcement import matrix
from mlflow_vault.testing.enforcement.states import enter, policies, roles
from mlflow_vault.testing.enforcement.users import asking, authenticating
from mlflow_vault.testing.enforcement.world import World, outcome, populate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow_vault.decide.policy import Policy

PAGE: Final = Path(__file__).parents[2] / "docs" / "enforcement.md"
OPERATOR: Final = Actor("operator", verified=False)
ASK: Final = "mlflow_vault.ask."


def test_matrix(tmp_path: Path) -> None:
    """Every call, as every role, in every state of policies, ends as `docs/enforcement.md` says.

    What is refused changes nothing and is in the audit log.  The page is written by
    ``python -m mlflow_vault.testing.enforcement.matrix docs/enforcement.md``.
    """
    cells = matrix.try_all(tmp_path)

    page = PAGE.read_text(encoding="utf-8")
    assert matrix.replaced(page, matrix.table(cells)) == page


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world of the matrix, with roles and policies that let pass."""
    folder = tmp_path_factory.mktemp("world")
    made = World(folder, secrets.token_hex(8))
    patch = pytest.MonkeyPatch()
    with patch.context() as inside, authenticating(folder):
        for name, text in made.environment.items():
            inside.setenv(name, text)
        populate(made)
        made.keep()
        yield made
    made.close()


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The same, of which whatever a test does is taken back."""
    yield shared
    shared.restore()


def refused(call: Callable[[], object]) -> str:
    """Return what is said who is refused."""
    code, said = outcome(call)
    assert code == "PERMISSION_DENIED", (code, said)
    return said


# What is said.


@pytest.mark.parametrize(("state", "rule"), [("waits", "approvals"), ("denies", "metrics.f1")])
def test_why(world: World, state: str, rule: str) -> None:
    """A refusal names the policy, the rule and what was missing, whichever way is tried."""
    enter(world.vault, state, OPERATOR)
    ask = ModelVersionTag(f"{ASK}promote", '{"to": "production"}')
    with asking("rel"):
        said = [
            refused(lambda: world.store.set_registered_model_alias("credit", "production", "3")),
            refused(
                lambda: world.store.transition_model_version_stage(
                    "credit",
                    "3",
                    "Production",
                    False,  # noqa: FBT003
                )
            ),
            refused(lambda: world.store.set_model_version_tag("credit", "3", ask)),
        ]

    assert all(f"to-production, {rule}: " in one for one in said)


def test_who(world: World) -> None:
    """Whoever lacks a right is told which, and the log has who that was."""
    with asking("con"):
        said = refused(lambda: world.store.delete_model_version("credit", "3"))

    assert "needs the right to administer, which 'con' (roles: contributor) has not" in said
    assert "governed by roll-back, to-archive" in said
    last = list(world.vault.audit.search())[-1]
    assert (last.action, last.actor) == (Action.DENY, Actor("con", verified=True))
    assert last.after["call"] == "delete_model_version"


def test_nobody(world: World) -> None:
    """Without auth nobody has a right that others have not, whoever they say they are."""
    said = refused(lambda: world.store.set_registered_model_alias("credit", "production", "3"))

    assert "needs the right to release, which somebody (unverified) has not" in said


# What is done.


def test_promoted(world: World) -> None:
    """An alias is a decision: of who asked, in the ledger, in the log, and then in MLflow."""
    with asking("rel"):
        world.store.set_registered_model_alias("credit", "production", "2")
        found = world.store.get_registered_model("credit")

    assert found.aliases == {"production": 2, "champion": 1}  # it left staging
    assert world.store.get_model_version("credit", "2").tags["mlflow_vault.stage"] == "production"
    assert "mlflow_vault.stage" not in world.store.get_model_version("credit", "1").tags
    last = list(world.vault.audit.search())[-1]
    assert (last.action, last.actor) == (Action.PROMOTE, Actor("rel", verified=True))


def test_old_stages(world: World) -> None:
    """MLflow's old stages show what was decided, and go along with a rollback."""
    with asking("rel"):
        for number in ("3", "2"):
            made = world.store.transition_model_version_stage(
                "credit",
                number,
                "production",
                True,  # noqa: FBT003
            )
            assert made.current_stage == "Production"
        world.store.set_model_version_tag(
            "credit", "2", ModelVersionTag(f"{ASK}rollback", '{"reason": "it fails"}')
        )
        latest = world.store.get_latest_versions("credit", ["Production"])
        alias = world.store.get_model_version_by_alias("credit", "production")

    assert [one.version for one in latest] == [alias.version] == [3]
    assert world.store.get_model_version("credit", "2").current_stage == "None"


def test_again(world: World) -> None:
    """Setting an alias to whom it has decides nothing, so a client may try again."""
    before = world.dump(), len(list(world.vault.audit.search()))
    with asking("rel"):
        world.store.set_registered_model_alias("credit", "production", 1)

    assert (world.dump(), len(list(world.vault.audit.search()))) == before


def test_author(world: World) -> None:
    """Who registers a version is its author, verified, in the vault and in its log."""
    with asking("con"):
        number = world.register("credit", 99)

    version = world.vault.version(f"models:/credit/{number}")
    assert version.author == "con"
    last = list(world.vault.audit.search())[-1]
    assert (last.action, last.actor) == (Action.COMMIT, Actor("con", verified=True))


def test_new_rules_hold_at_once(world: World) -> None:
    """What another process applies is heeded by the next call, and so is its withdrawal."""
    with asking("rel"):
        world.store.set_registered_model_alias("other", "production", "1")
        for one in policies("denies"):
            metadata = one.metadata.model_copy(
                update={"name": f"o-{one.name}", "models": ("oth*",)}
            )
            world.vault.policies.apply(one.model_copy(update={"metadata": metadata}), OPERATOR)
        refused(lambda: world.store.set_registered_model_alias("other", "production", "2"))
        for one in policies("denies"):
            world.vault.policies.withdraw(f"o-{one.name}", OPERATOR)
        world.store.set_registered_model_alias("other", "production", "2")


def test_nothing_leaks_in(world: World) -> None:
    """A model does not come under a governed name with what it could not get there."""
    with asking("adm"):
        world.vault.policies.withdraw("to-staging", OPERATOR)
        for seed, name in enumerate(("debit", "riskless"), 50):
            world.store.create_registered_model(name)
            world.register(name, seed)
        world.store.set_registered_model_alias("debit", "production", "1")
        world.store.transition_model_version_stage("riskless", "1", "Production", False)  # noqa: FBT003
        world.store.delete_registered_model_tag("credit", "team")
        enter(world.vault, "passes", OPERATOR)
        apply_to(world, "debit-*", "riskless-*")
        for name in ("debit", "riskless"):
            said = refused(partial(world.store.rename_registered_model, name, f"{name}-2"))
            assert "version 1 stands in" in said


def renamed(policy: Policy, *models: str) -> Policy:
    """Return *policy* for other models, under another name."""
    metadata = policy.metadata.model_copy(update={"models": models, "name": f"x-{policy.name}"})
    return policy.model_copy(update={"metadata": metadata})


def apply_to(world: World, *models: str) -> None:
    """Let the policies that let pass be for other models."""
    for one in policies("passes"):
        world.vault.policies.apply(renamed(one, *models), OPERATOR)


def test_deleting(world: World) -> None:
    """What stands in no stage an administrator deletes and renames, and the log has it."""
    apply_to(world, "debit")
    with asking("con"):
        world.store.create_registered_model("debit")
        world.register("debit", 70)
    with asking("adm"):
        world.store.delete_model_version("debit", "1")
        world.store.rename_registered_model("debit", "debit-2")
        world.store.rename_registered_model("debit-2", "debit")
        world.store.delete_registered_model("debit")

    said = [str(one.action) for one in world.vault.audit.search() if one.subject.name == "debit"]
    assert said == ["commit", "delete", "rename", "rename", "delete"]


def test_one_refusal_one_entry(world: World) -> None:
    """Also where two models are asked about."""
    apply_to(world, "debit")
    before = world.refusals()
    with asking("con"):
        refused(lambda: world.store.rename_registered_model("credit", "debit"))

    assert world.refusals() == before + 1


def test_no_prompt(world: World) -> None:
    """A model in a prompt's clothes is governed: its version could be loaded."""
    plain = _get_store(world.uri)
    plain.create_registered_model("riskless", [RegisteredModelTag(IS_PROMPT_TAG_KEY, "true")])
    plain.create_model_version("riskless", "file:///a/model")
    with asking("con"):
        world.store.create_prompt_version("riskless", "Say {{it}}")
        apply_to(world, "riskless*")

        assert outcome(lambda: world.register("riskless", 60))[0] != "done"
        refused(lambda: world.store.set_registered_model_alias("riskless", "production", "1"))
        refused(lambda: world.store.delete_model_version("riskless", "1"))
        world.store.set_registered_model_alias("riskless", "production", "2")
        refused(lambda: world.store.rename_registered_model("riskless", "riskless-2"))
        refused(lambda: world.store.delete_registered_model("riskless"))


def test_other_spellings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a database finds a model by another spelling of its name, that is governed, too."""
    below: Any = type(world.store).__bases__[-1]
    plain = below.get_registered_model
    monkeypatch.setattr(
        below, "get_registered_model", lambda self, name: plain(self, name.lower().strip())
    )
    with asking("con"):
        for name in ("CREDIT", "credit "):
            said = refused(partial(world.store.set_registered_model_alias, name, "production", "3"))
            assert "credit" in said


# What only looks like something else.


@pytest.mark.parametrize(
    "alias", ["pr\u00f3duction", "\uff50roduction", "PRODUCTION", "pro\u0111uction"]
)
def test_spellings_of_stages(world: World, alias: str) -> None:
    """No alias is set that a database may take for a stage: MySQL finds it under that."""
    with asking("con"):
        said = refused(lambda: world.store.set_registered_model_alias("credit", alias, "3"))

    assert "is no alias of its: ask for production" in said


def test_spellings_of_tags(world: World) -> None:
    """No tag is set that a database may take for one of the vault's."""
    with asking("adm"):
        for key in ("mlflow_v\u00e0ult.digest", "m\u0142flow_vault.stage"):
            tag = ModelVersionTag(key, "x")
            refused(partial(world.store.set_model_version_tag, "credit", "3", tag))
            made = world.store.create_registered_model(f"other {key[:8]}", [tag])
            assert made.tags == {}


def test_no_version_becomes_a_prompt(world: World) -> None:
    """Who may not release takes no version away from MLflow's clients, who find no prompts."""
    with asking("con"):
        for number in ("1", "4"):
            tag = ModelVersionTag(IS_PROMPT_TAG_KEY, "true")
            refused(partial(world.store.set_model_version_tag, "credit", number, tag))
    with asking("rel"):
        ask = ModelVersionTag(f"{ASK}rollback", "it fails")
        world.store.set_model_version_tag("credit", "1", ask)
        assert world.store.get_model_version_by_alias("credit", "production").version == 4


def test_no_prompt_in_a_model(world: World) -> None:
    """What is made in a governed model takes a right, whatever it says that it is."""
    apply_to(world, "new-*")
    said = RegisteredModelTag(IS_PROMPT_TAG_KEY, "false")
    marked = [ModelVersionTag(IS_PROMPT_TAG_KEY, "true")]
    with asking("vic"):
        refused(lambda: world.store.create_registered_model("new-1", [said]))
        refused(lambda: world.store.create_model_version("credit", "dummy-source", None, marked))
        for key in (IS_PROMPT_TAG_KEY, IS_PROMPT_TAG_KEY.upper(), "mlflow_vault.required_metadata"):
            refused(partial(world.store.delete_registered_model_tag, "greeting", key))
            tag = RegisteredModelTag(key, "{}")
            refused(partial(world.store.set_registered_model_tag, "greeting", tag))


def test_no_log_of_what_mlflow_refuses(world: World) -> None:
    """What MLflow refuses to set as an alias is not in the log as if it were set."""
    before = len(list(world.vault.audit.search()))
    with asking("con"):
        for alias in ("latest", "v7", "a b", "", None):
            code, _ = outcome(partial(world.store.set_registered_model_alias, "credit", alias, "3"))
            assert code == "INVALID_PARAMETER_VALUE"
        code, _ = outcome(lambda: world.store.set_registered_model_alias(None, "production", "3"))

    assert code == "INVALID_PARAMETER_VALUE"
    assert len(list(world.vault.audit.search())) == before


@pytest.mark.parametrize("then", ["another", "nobody"])
def test_overtaken(world: World, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    """A transition that somebody overtook leaves MLflow's old stage to whom it belongs."""
    below: Any = type(world.store).__bases__[-1]
    plain = below.transition_model_version_stage

    def late(self: Any, *arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(below, "transition_model_version_stage", plain)
        if then == "another":
            self.transition_model_version_stage("credit", "2", "Production", False)  # noqa: FBT003
        else:
            self.set_model_version_tag("credit", "3", ModelVersionTag(f"{ASK}archive", "no more"))
        return plain(self, *arguments, **named)

    with asking("rel"):
        monkeypatch.setattr(below, "transition_model_version_stage", late)
        world.store.transition_model_version_stage("credit", "3", "Production", False)  # noqa: FBT003

        latest = world.store.get_latest_versions("credit", ["Production"])
        aliases = world.store.get_registered_model("credit").aliases

    stands = [2] if then == "another" else []
    assert [int(one.version) for one in latest] == stands
    assert [aliases[one] for one in aliases if one == "production"] == stands


# What fails.


def test_unreadable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the vault cannot be read nothing that could be protected changes, and reads go on."""
    before = world.dump()

    def away(*_: object, **__: object) -> Any:
        raise StorageError("the store is away")

    monkeypatch.setattr(MemoryStore, "list", away)
    with asking("adm"):
        for call in (
            lambda: world.store.set_registered_model_alias("credit", "production", "3"),
            lambda: world.store.set_registered_model_alias("other", "production", "3"),
            lambda: world.store.delete_model_version("credit", "3"),
        ):
            code, said = outcome(call)
            assert code == "TEMPORARILY_UNAVAILABLE"
            assert "store is away" not in said
        assert world.store.get_model_version_by_alias("credit", "production").version == 1
        assert world.store.get_registered_model("credit").name == "credit"
    monkeypatch.undo()
    assert world.dump() == before


def test_damaged(world: World) -> None:
    """A policy that cannot be read may be the one that forbids."""
    world.vault.store.put("policies/x!/00000000000000000000", b"{}")
    with asking("adm"):
        said = refused(lambda: world.store.set_registered_model_alias("other", "shadow", "3"))

    assert "cannot be read" in said


def test_place_unknown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server MLflow tells where the vault is: if it does not, all is refused."""

    def away(_: object) -> str:
        raise StorageError("MLflow is away")

    monkeypatch.delenv(ROOT_VARIABLE)
    monkeypatch.setattr(MlflowHost, "default_location", away)

    code, _ = outcome(lambda: world.store.set_registered_model_alias("other", "production", "3"))

    assert code == "TEMPORARILY_UNAVAILABLE"


def test_dies_in_between(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was decided and not shown is shown by the next who asks, and decided once."""
    plain = ShowingHost.set_alias

    def away(*_: object) -> None:
        raise StorageError("the database is away")

    monkeypatch.setattr(ShowingHost, "set_alias", away)
    with asking("rel"):
        code, _ = outcome(
            lambda: world.store.set_registered_model_alias("credit", "production", "3")
        )
        assert code == "TEMPORARILY_UNAVAILABLE"
        assert world.store.get_model_version_by_alias("credit", "production").version == 1
        monkeypatch.setattr(ShowingHost, "set_alias", plain)
        world.store.set_registered_model_alias("credit", "production", "3")
        assert world.store.get_model_version_by_alias("credit", "production").version == 3

    moves = [one for one in world.vault.audit.search() if one.action == Action.PROMOTE]
    assert [one.after["version"] for one in moves].count(3) == 1


@pytest.mark.parametrize(
    ("verb", "text", "why"),
    [
        ("promte", "x", "know approve, archive"),
        ("promote", '{"to": ', "is no JSON"),
        ("promote", '{"to": "moon"}', "moon"),
        ("promote", '{"to": 3}', "to should be str"),
        ("promote", '{"caller": "adm"}', "and no 'caller'"),
        ("promote", "x", "say to which stage"),
        ("evidence", '{"name": "a"}', "needs type and passed"),
        ("archive", "", "needs reason"),
        ("approve", "x" * 300_000, "letters"),
    ],
)
def test_questions_that_make_no_sense(world: World, verb: str, text: str, why: str) -> None:
    """A question that cannot be understood is answered so, and does nothing."""
    before = world.dump()
    with asking("adm"):
        code, said = outcome(
            lambda: world.store.set_model_version_tag(
                "credit", "3", ModelVersionTag(f"{ASK}{verb}", text)
            )
        )

    assert (code, why in said) == ("INVALID_PARAMETER_VALUE", True), said
    assert world.dump() == before


def test_questions_about_others(world: World) -> None:
    """What no policy is for is not asked about, nor is what is not there."""
    ask = ModelVersionTag(f"{ASK}approve", "fine")
    with asking("adm"):
        assert "no policy in force is for it" in refused(
            lambda: world.store.set_model_version_tag("other", "1", ask)
        )
        code, _ = outcome(lambda: world.store.set_model_version_tag("credit", "77", ask))

    assert code == "RESOURCE_DOES_NOT_EXIST"


def test_what_is_not_in_the_vault(world: World, tmp_path: Path) -> None:
    """A version outside the vault stands nowhere: no policy could judge it."""
    with asking("rel"):
        made = world.store.create_model_version("credit", tmp_path.as_uri())

        said = refused(
            lambda: world.store.set_registered_model_alias("credit", "staging", made.version)
        )

    assert "is no version of this vault" in said


# What it costs.


def test_cost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call about a model that nobody governs costs one listing; reads cost none for seconds."""
    asked = count()

    def counting(name: str) -> Any:
        plain = getattr(MemoryStore, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            next(asked)
            return plain(*args, **kwargs)

        return counted

    world.store.get_registered_model("other")
    for name in ("get", "list", "stat", "put", "create"):
        monkeypatch.setattr(MemoryStore, name, counting(name))
    with asking("con"):
        for _ in range(5):
            world.store.get_registered_model("other")
        read = next(asked)
        world.store.set_registered_model_alias("other", "shadow", "1")

    assert (read, next(asked) - read - 1) == (0, 1)


def test_roles(world: World) -> None:
    """Without a document of roles everybody may what needs a right, and policies still hold."""
    world.vault.policies.withdraw(roles().name, OPERATOR)
    enter(world.vault, "denies", OPERATOR)

    world.store.update_registered_model("credit", "by nobody")
    world.store.delete_model_version("credit", "3")
    refused(lambda: world.store.set_registered_model_alias("credit", "production", "4"))
    refused(lambda: world.store.delete_model_version("credit", "1"))


def test_errors_of_mlflow(world: World) -> None:
    """What MLflow itself says of a call, it goes on saying."""
    with asking("adm"):
        codes = {
            outcome(call)[0]
            for call in (
                lambda: world.store.delete_model_version("credit", "77"),
                lambda: world.store.delete_registered_model("nothing"),
                lambda: world.store.set_registered_model_alias("credit", "shadow", "77"),
                lambda: world.store.update_model_version("nothing", "1", "x"),
            )
        }
        with pytest.raises(MlflowException, match="version"):
            world.store.set_registered_model_alias("credit", "production", "x")

    assert codes == {"RESOURCE_DOES_NOT_EXIST"}
