"""One place has one address, and no address climbs."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.store.address import Address

if TYPE_CHECKING:
    from pathlib import Path

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
odd_names = st.sampled_from(
    ["a b", "100%", "%41", "a#b", "a?b", "ä", "...", "..a", "%", "a\\b", ";", "+"]
)
paths = st.lists(names | odd_names, min_size=1, max_size=5).map(lambda each: "/" + "/".join(each))


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    """Draw any address that can be."""
    scheme = draw(st.sampled_from(["file", "memory", "s3"]))
    authority = (
        "" if scheme == "file" else draw(st.from_regex(r"[A-Za-z0-9._-]{0,8}", fullmatch=True))
    )
    path = draw(paths | st.just("") if authority else paths)
    try:
        return Address(scheme, authority, path)
    except InvalidInputError:
        reject()


@given(addresses())
def test_round_trip(address: Address) -> None:
    """What `str` wrote is parsed to the same address."""
    assert Address.parse(str(address)) == address


@given(addresses())
def test_canonical(address: Address) -> None:
    """The canonical form is ASCII that survives URI parsers: a hyphen scheme, no bare marks."""
    assert re.fullmatch(r"vault-[a-z0-9]+:[A-Za-z0-9._~%/-]*", str(address))


@given(addresses())
def test_parents(address: Address) -> None:
    """Parents lead to the top one component at a time, and joining leads back."""
    chain = (address, *address.parents())

    assert chain[-1].parent() is None
    for below, above in pairwise(chain):
        assert below.parent() == above
        assert above.joined(below.path.removeprefix(above.path + "/")) == below
        assert address.path.startswith(above.path)


@pytest.mark.parametrize(
    "uri",
    [
        "vault-file:///srv/my%20models",
        "vault-file:/srv/my%20models",
        "vault+file:///srv/my%20models",
        "vault+file:/srv/my models/",
        "VAULT-FILE://localhost/srv//my%20models//",
        "vault-file:////srv/my%20models",
        "vault-file:/srv%2Fmy%20models",
    ],
)
def test_spellings(uri: str) -> None:
    """MLflow's rewritings of a URI, and aliases, are the same address."""
    address = Address.parse(uri)

    assert address == Address("file", "", "/srv/my models")
    assert str(address) == "vault-file:///srv/my%20models"


def test_memory() -> None:
    """A memory store has a name, or a path, or both."""
    assert Address.parse("vault-memory://name") == Address("memory", "name", "")
    assert Address.parse("vault-memory://name/") == Address("memory", "name", "")
    assert Address.parse("vault+memory://name/p/") == Address("memory", "name", "/p")
    assert Address.parse("vault-memory:///p") == Address.parse("vault-memory:/p")
    assert str(Address.parse("vault-memory:///p")) == "vault-memory:/p"
    assert Address.parse("vault-memory://name/p").parents() == (Address("memory", "name", ""),)
    assert Address.parse("vault-memory:/p").parents() == ()


def test_decoded_once() -> None:
    """A percent sign in a name is written ``%25``; decoding stops there."""
    assert Address.parse("vault-file:///a%2541").path == "/a%41"
    assert Address.parse("vault-file:///100%/a").path == "/100%/a"


@given(
    levels=st.integers(0, 12),
    climb=st.sampled_from(["..", ".", "../..", "..\\..", "a/..", "./a", "\\..\\"]),
    before=st.sampled_from(["/", "/a/", "/a/b/"]),
    after=st.sampled_from(["", "/", "/etc/passwd"]),
)
def test_climbing(levels: int, climb: str, before: str, after: str) -> None:
    """A ``.`` or ``..`` component is refused, however often it is percent-encoded."""
    for _ in range(levels):
        climb = (
            "".join(f"%{ord(c):02x}" for c in climb) if len(climb) < 99 else quote(climb, safe="")
        )

    with pytest.raises(InvalidInputError):
        Address.parse(f"vault-file://{before}{climb}{after}")
    with pytest.raises(InvalidInputError):
        Address.parse("vault-file:///root").joined(f"{before[1:]}{climb}{after}")


@example("vault-file:///a/%252e%252e/b")
@example("vault-file:///%00")
@example("vault-file:///%ff")
@example("vault-file://host/a")
@given(st.text() | st.text("/.%2e5c0f:#?a\\").map("vault-file:/{}".format))
def test_any_text(uri: str) -> None:
    """Any text is a harmless address or refused."""
    try:
        path = Address.parse(uri).path
    except InvalidInputError:
        return

    for _ in range(20):
        assert not {"", ".", ".."} & set(path[1:].split("/"))
        assert "\0" not in path
        path = unquote(path)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "no vault's address"),
        ("/srv/models", "no vault's address"),
        ("file:///srv/models", "no vault's address"),
        ("s3://bucket/models", "no vault's address"),
        ("vault-file", "no vault's address"),
        ("vault-file:", "needs a path"),
        ("vault-file://", "needs a path"),
        ("vault-file:///", "needs a path"),
        ("vault-memory:", "needs a path"),
        ("vault-file:srv/models", "relative"),
        ("vault-file://host/srv", "no host"),
        ("vault-file://host", "no host"),
        ("vault-file:///a/b#c", "%23"),
        ("vault-file:///a/b?c", "%3F"),
        ("vault-memory://name?c", "%3F"),
        ("vault-file:///a%00b", "NUL"),
        ("vault-file:///a%2500b", "NUL"),
        ("vault-file:///%ff", "UTF-8"),
        ("vault-file:///\udc80", "UTF-8"),
        ("vault-memory://a b/c", "plain name"),
    ],
)
def test_refused(uri: str, reason: str) -> None:
    """What is no address is refused, with the reason."""
    with pytest.raises(InvalidInputError, match=re.escape(reason)):
        Address.parse(uri)


@pytest.mark.parametrize("uri", ["vault-s3://user:secret@bucket/p", "vault-s3://u:secret@b/p#x"])
def test_secrets(uri: str) -> None:
    """Credentials in a URI are refused, and do not get into the message."""
    with pytest.raises(InvalidInputError) as caught:
        Address.parse(uri)

    assert "secret" not in str(caught.value)


def test_much_encoded() -> None:
    """A hostile number of encodings is refused at once, and shown in short."""
    with pytest.raises(InvalidInputError, match="more than 8 times") as caught:
        Address.parse("vault-file:///" + "%25" * 100_000 + "/%" + "25" * 100_000 + "2e")

    assert len(str(caught.value)) < 1000


def test_of_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local path is taken as it is, marks and percent signs too; `..` is resolved."""
    monkeypatch.chdir(tmp_path)

    assert Address.of_path("/srv/100%#?/a b").path == "/srv/100%#?/a b"
    assert Address.of_path(tmp_path / "models") == Address.of_path("x/../models/")
    assert Address.of_path("models").path == f"{tmp_path}/models"
    assert Address.parse(str(Address.of_path("/srv/%41#"))).path == "/srv/%41#"


@pytest.mark.parametrize(
    "path", ["", "/", "vault-file:///a", "s3://b/c", "file:/a", "a\udc80", "a\0"]
)
def test_no_path(path: str) -> None:
    """A URI, the root and what is no UTF-8 are no folder for a vault."""
    with pytest.raises(InvalidInputError):
        Address.of_path(path)


@pytest.mark.parametrize("path", ["/a", "a/", "a//b", "..", "a/../b", "./a", "%2e%2e", "a\0"])
def test_joined_refuses(path: str) -> None:
    """Joining takes normal relative paths only."""
    with pytest.raises(InvalidInputError):
        Address.parse("vault-file:///root").joined(path)


def test_joined() -> None:
    """Joining takes names as they are, and nothing leads nowhere."""
    root = Address.parse("vault-file:///root")

    assert root.joined("a b/c#d").path == "/root/a b/c#d"
    assert root.joined("100%").path == "/root/100%"
    assert root.joined("") == root
    assert str(Address.parse("vault-memory://name").joined("p")) == "vault-memory://name/p"


def test_bucket() -> None:
    """A bucket's address ends above at the bucket, which is an address itself."""
    address = Address.parse("vault+s3://bucket//a/b/")

    assert str(address) == "vault-s3://bucket/a/b"
    assert [str(above) for above in address.parents()] == [
        "vault-s3://bucket/a",
        "vault-s3://bucket",
    ]


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "abfs"])
def test_no_bucket(scheme: str) -> None:
    """An address without its bucket is refused, and the message says how to write one."""
    with pytest.raises(InvalidInputError, match=f"vault-{scheme}://bucket/path"):
        Address.parse(f"vault-{scheme}:/a/b")


def test_bucket_with_password() -> None:
    """Credentials have no place in an address, and are not repeated."""
    with pytest.raises(InvalidInputError) as caught:
        Address.parse("vault-s3://key:hidden@bucket/a")

    assert "hidden" not in str(caught.value)
