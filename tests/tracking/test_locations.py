"""A server that is told, in every way its API has, that something lies outside its roots.

For each location it is planted wherever MLflow remembers one (`doors.toml`), and then every
door that would open it is tried.  Next to the server's roots lies a vault, ``other``, whose
files have the names that the doors ask for: would a server open it, an answer held `CANARY`.
"""

from __future__ import annotations

import importlib.util
import secrets
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCATION: Final = "vault-file://{other}"  # the plainest attack, with which all is tried
OUTSIDE: Final = (
    "vault-file:///etc",
    "vault-file:///etc/passwd",
    "vault-file:///",
    "vault-file:///{folder}",
    "vault-file://{other}",
    "vault-file:{other}",
    "vault-file:///{other}/",
    "vault-file://localhost{other}",
    "vault-file://LOCALHOST{other}",
    "vault-file://127.0.0.1{other}",
    "vault-file://evil{other}",
    "vault-file://user:pass@evil{other}",
    "VAULT-FILE://{other}",
    "Vault-File://{other}",
    "vault+file://{other}",
    "VAULT+FILE://{other}",
    "vault-file://{link}",
    "vault-file://{linked_root}",
    "vault-file://{root}/../other",
    "vault-file://{root}/%2e%2e/other",
    "vault-file://{root}/%2E%2E/other",
    "vault-file://{root}/.%2e/other",
    "vault-file://{root}/%252e%252e/other",
    "vault-file://{root}/%25252e%25252e/other",
    "vault-file://{root}/%2525252525252525252e%2525252525252525252e/other",
    "vault-file://{root}/..%2fother",
    "vault-file://{root}%2f..%2fother",
    "vault-file://{root}/..\\other",
    "vault-file://{root}/..%5cother",
    "vault-file://{root}\\..\\other",
    "vault-file://{root}/./../other",
    "vault-file://{root}/%c0%ae%c0%ae/other",
    "vault-file://{root}%00/../other",
    "vault-file://{other}%00{root}",
    "vault-file://{root}/a\0b",
    "vault-file://{root}x",
    "vault-file://{root}.",
    "vault-file://{root}\uff0fother",
    "vault-file://{root}\u2215..\u2215other",
    "vault-file://{other}?root={root}",
    "vault-file://{other}#{root}",
    "vault-file://{root}/../other?x=1",
    "vault-file:other",
    "vault-file:./other",
    "vault-file:../other",
    "vault-file:",
    "vault-files://{other}",
    " vault-file://{other}",
    "vault-memory://name",
    "vault-memory:{other}",
    "vault-memory:",
    "vault+http://{trap}/x",
    "vault-https://{trap}/x",
    "vault+ftp://{trap}/x",
    "vault-mlflow-artifacts://{trap}/x",
    "vault-file+s3://bucket/x",
    "vault-s3://bucket",
    "vault-s3://bucket/models",
    "vault-s3://allowed",
    "vault-s3://allowed/teamx",
    "vault-s3://allowed/team/../x",
    "vault-s3://allowed/team/%2e%2e/x",
    "vault-s3://key:secret@{trap}/x",
    "vault+s3://bucket/x",
    "VAULT-S3://bucket/x",
    "vault-gs://bucket/x",
    "vault-az://container/x",
    "vault-abfs://container/x",
    "vault-s3:///x",
    "vault-file://{other}/{long}",
    "vault-s3://bucket/{long}",
    "models:/{fresh}/1",
    "models:/m-{fresh}",
    "runs:/{fresh}/model",
)
# A spelling of the server's own root is no attack; it is opened, or refused, but nothing else.
OWN: Final = (
    "vault-file://{encoded}",
    "vault-file:{root}",
    "vault-file://{root}//a//",
    "vault-file://localhost{root}",
    "vault+file://{root}",
    "vault-file://{root}/" + "a/" * 150,
    "vault-file://{root}/%e2%80%ae/x",
    "vault-file://{root}/..;/other",
    "vault-file://{root}/tree",
    "vault-file://{root}/packs/../tree",
)


@pytest.fixture
def unseen(trap: Any) -> Iterator[None]:
    """No object store is asked for anything during the test."""
    before = len(trap.seen)
    yield
    assert trap.seen[before:] == []


def spelled(server: Any, trap: Any, location: str) -> str:
    """Fill what a location may refer to into it."""
    folder = str(server.folder)
    root = f"{folder}/destination"
    return location.format(
        folder=folder,
        root=root,
        other=f"{folder}/other",
        link=f"{folder}/link",
        linked_root=f"{folder}/linked_root",
        encoded="".join(f"%{byte:02x}" if chr(byte) != "/" else "/" for byte in root.encode()),
        trap=trap.url.removeprefix("http://"),
        long="x" * 5000,
        fresh=secrets.token_hex(16),
    )


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize("location", OUTSIDE)
def test_outside(server: Any, trap: Any, doors: Any, attack: Any, location: str) -> None:
    """Whatever remembers the location, no door opens it, and each says so properly."""
    if location not in {LOCATION, *OUTSIDE[::7]} and "streaming" in str(server.folder):
        return  # the guard is the same one: what streams differs after it
    uri, quick = spelled(server, trap, location), location != LOCATION
    things = attack.made(server, uri)
    if things is not None:
        attack.lay_canaries(server, things, server.folder / "canary")
    before = attack.outside(server)

    if things is not None:
        attack.try_doors(
            server, doors, things, "run model trace", uri=uri, refused=True, quick=quick
        )
    safe = attack.kept_things(server, "straight")
    for plant in [plant for plant in doors["plant"] if not (quick and plant.get("slow"))]:
        fresh = f"tr-{secrets.token_hex(16)}"
        answer = attack.knock(server, plant, **safe, uri=uri, fresh=fresh)
        attack.judge(server, answer, uri, refused=False)
        planted = dict(safe)
        if answer.ok and plant.get("plants") == "version":
            planted["version"] = answer.json()["model_version"]["version"]
            attack.try_doors(server, doors, planted, "version", uri=uri, refused=True)
        elif answer.ok and "{fresh}" in str(plant.get("json")) and plant["plants"] == "trace":
            planted["trace"] = fresh
            attack.try_doors(server, doors, planted, "trace", uri=uri, refused=True)
    attack.try_doors(server, doors, safe, "trace", uri=uri, refused=True)

    assert attack.outside(server) == before


@pytest.mark.parametrize("scheme", ["models", "runs"])
def test_chains(server: Any, trap: Any, doors: Any, attack: Any, scheme: str) -> None:
    """A version whose source is a model or a run that lies outside leads there no more."""
    uri = spelled(server, trap, LOCATION)
    things = attack.made(server, uri)
    attack.lay_canaries(server, things, server.folder / "canary")
    before = attack.outside(server)

    kept = {"models": ("model_id", things["model"]), "runs": ("run_id", things["run"])}[scheme]
    source = f"{scheme}:/{kept[1]}" + ("" if scheme == "models" else "/MLmodel")
    created = server.call(
        "model-versions/create", name=things["name"], source=source, **dict([kept])
    )
    attack.judge(server, created, uri, refused=False)
    if created.ok:
        again = server.call(
            "model-versions/create", name=things["name"], source=f"models:/{things['name']}/1"
        )
        attack.judge(server, again, uri, refused=False)
        for version in ("1", "2"):
            planted = things | {"version": version}
            attack.try_doors(server, doors, planted, "version", uri=uri, refused=True)

    assert attack.outside(server) == before


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize("location", OWN)
def test_own(server: Any, trap: Any, doors: Any, attack: Any, location: str) -> None:
    """Another spelling of the server's own root is answered, and is the server's own root."""
    uri = spelled(server, trap, location)
    before = attack.outside(server)

    things = attack.made(server, uri)
    if things is not None:
        attack.try_doors(
            server, doors, things, "run model trace", uri=uri, refused=False, quick=True
        )

    assert attack.outside(server) == before


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize("location", ["vault-file://{other}", "vault-s3://bucket/x"])
def test_kept(server: Any, trap: Any, doors: Any, attack: Any, location: str) -> None:
    """What only looks like a location is never opened."""
    uri = spelled(server, trap, location)
    safe = attack.kept_things(server, "straight")
    before = attack.outside(server)

    for kept in doors["kept"]:
        fresh = secrets.token_hex(8)
        answer = attack.knock(server, kept, **safe, uri=uri, fresh=fresh, short=uri[:30], path=uri)
        attack.judge(server, answer, uri, refused=False)

    assert attack.outside(server) == before


def test_the_trap(server: Any, trap: Any, doors: Any, attack: Any) -> None:
    """A bucket that the operator allowed is asked, so the trap sees what it is for."""
    before = len(trap.seen)
    things = attack.made(server, "vault-s3://allowed/team")
    assert things is not None

    attack.try_doors(server, doors, things, "run", uri="vault-s3://allowed/team", refused=False)

    installed = importlib.util.find_spec("obstore") is not None
    assert (len(trap.seen) > before) == installed
