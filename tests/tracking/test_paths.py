"""A server that is given, at every door, a path that would leave what the door opens.

The things behind the doors are harmless: runs, models, versions and traces of an experiment in
the server's own root, and of one whose artifacts go through the server.  `test_locations` has
the other half: harmless paths in locations that are not.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

CLIMBING: Final = (
    "../../../../../other/MLmodel",
    "..",
    "a/../../../../../../canary",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/other/MLmodel",
    "%2E%2E%2F%2E%2E%2F%2E%2E%2Fcanary",
    ".%2e/.%2e/.%2e/canary",
    "%252e%252e/%252e%252e/%252e%252e/canary",
    "%25252e%25252e%25252f%25252e%25252e%25252fcanary",
    "..\\..\\..\\canary",
    "..%5c..%5c..%5ccanary",
    "..%255c..%255ccanary",
    "{folder}/canary",
    "/{folder}/canary",
    "%2f{folder}/canary",
    "%252f{folder}/canary",
    "file://{folder}/canary",
    "file:{folder}/canary",
    "vault-file://{folder}/other/MLmodel",
    "vault-file:{folder}/other/MLmodel",
    "C:\\canary",
    "..;/..;/..;/canary",
    "..%00/canary",
    "a%00/../../canary",
    "%c0%ae%c0%ae/%c0%ae%c0%ae/canary",
    "%uff0e%uff0e/canary",
    "\uff0e\uff0e\uff0f\uff0e\uff0e\uff0fcanary",
    "..\u2215..\u2215canary",
    ".../.../canary",
    "../",
    "./../canary",
    "a/./../../canary",
    "a//..//..//canary",
    "../canary.",
    "../canary%20",
    "..\t/canary",
    "..%0a/canary",
    "../" * 300 + "canary",
    "a/" * 500 + "MLmodel",
    "x" * 250,
)


@pytest.mark.parametrize("path", CLIMBING)
@pytest.mark.parametrize("way", ["straight", "proxied"])
def test_path(server: Any, doors: Any, attack: Any, way: str, path: str) -> None:
    """No door leads out of the server's own roots, or says where they are."""
    if way == "straight" and "streaming" in str(server.folder):
        return  # what streams differs for what goes through the server only
    things = attack.kept_things(server, way)
    path = path.format(folder=server.folder)
    before = attack.outside(server)

    for door in doors["door"]:
        if "field" not in door or (door["opens"] == "proxy") != (way == "proxied"):
            continue
        answer = attack.knock(server, door, **things, path=path)
        attack.judge(server, answer, path + things["location"], refused=False)

    assert attack.outside(server) == before


@pytest.mark.parametrize("path", CLIMBING[:20])
def test_pages(server: Any, attack: Any, path: str) -> None:
    """The pages that MLflow itself has on disk are no way to other files."""
    for folder in ("/static-files/", "/build/"):
        door = {"route": f"GET {folder}{{raw}}"}
        answer = attack.knock(server, door, path=path.format(folder=server.folder))
        attack.judge(server, answer, path, refused=False)
        assert answer.status_code in {308, 400, 404}  # where two slashes meet, to one of them


def test_messages(server: Any, attack: Any) -> None:
    """What a client of a proxy is told of a missing or damaged artifact says not where it lies."""
    things = attack.kept_things(server, "proxied")
    run, trace = things["run"], things["trace"]
    folder = f"{things['location'].partition(':/')[2]}/{run}/artifacts"
    server.artifact("PUT", f"{folder}/damaged", data=b"x")
    tree = server.folder / "destination" / "tree"
    damaged = next(path for path in tree.rglob("damaged!") if path.is_file())
    damaged.chmod(0o644)
    damaged.write_bytes(b"not an entry")
    attachment = "00000000-0000-4000-8000-000000000000"

    answers = [
        server.artifact("GET", f"{folder}/damaged"),
        server.artifact("GET", f"{folder}/missing"),
        server.artifact("GET", folder),
        server.ask("GET", f"/get-artifact?run_uuid={run}&path=damaged"),
        server.ask("GET", f"/get-artifact?run_uuid={run}&path=missing"),
        server.ask(
            "GET", f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace}&path={attachment}"
        ),
    ]

    assert {answer.status_code for answer in answers} <= {400, 404, 500}
    assert [answer.text for answer in answers if str(server.folder) in answer.text] == []
    assert [answer.text for answer in answers if "Traceback" in answer.text] == []
