"""A one-time code counts once, in its time, for whose secret made it; secrets stay secret."""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_vault.engine.identity import make_identity
from mlflow_vault.engine.world import World
from mlflow_vault.errors import (
    DeniedError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    UnsupportedError,
    VaultError,
)
from mlflow_vault.format.governed_layout import FACTORS
from mlflow_vault.format.record import Identity
from mlflow_vault.govern.release.approving.codes_file import (
    MODE,
    _refuse_open,
    add_secret,
    read_secrets,
)
from mlflow_vault.govern.release.approving.factors import FILE_VARIABLE, Codes, enroll
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.stores import Fault, FaultKind, FaultyStore

SECRET: Final = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # of RFC 6238's tests
START: Final = 1_767_225_600.0


class Clock:
    """Two clocks that somebody turns."""

    def __init__(self) -> None:
        self.now = START
        self.monotonic = 0.0

    @property
    def world(self) -> World:
        """What is taken from the world."""
        return World(now=lambda: self.now, monotonic=lambda: self.monotonic)


@pytest.fixture
def clock() -> Clock:
    """Clocks that stand still."""
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file in which bob has a secret."""
    path = tmp_path / "codes"
    add_secret(path, "bob", SECRET)
    return path


def codes(clock: Clock, file: Path, store: Any = None) -> Codes:
    """What checks codes, as another process makes it."""
    store = store if store is not None else MemoryStore("models")
    return Codes(store, clock.world, make_identity(store, clock.world), file)


def code(at: float) -> str:
    """Bob's code at a time."""
    return pyotp.TOTP(SECRET).at(int(at))


def test_rfc(clock: Clock, file: Path) -> None:
    """Codes are those of RFC 6238, appendix B, cut to six digits."""
    for now, right in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        clock.now = float(now)
        codes(clock, file).use("bob", right)


def test_once(clock: Clock, file: Path) -> None:
    """A code counts once, whichever process asks; the next one counts again."""
    store = MemoryStore("models")
    codes(clock, file, store).use("bob", f" {code(START)[:3]} {code(START)[3:]} ")

    with pytest.raises(DeniedError, match="this one-time code of 'bob' was used"):
        codes(clock, file, store).use("bob", code(START))
    clock.now += 30
    with pytest.raises(DeniedError, match="was used"):
        codes(clock, file, store).use("bob", code(START))
    codes(clock, file, store).use("bob", code(clock.now))


def test_beside(clock: Clock, file: Path) -> None:
    """The codes of the half minutes before and after are right, those beyond are not."""
    for beside in (-30, 0, 30):
        codes(clock, file).use("bob", code(START + beside))
    for beyond in (-60, 60, 86_400):
        with pytest.raises(DeniedError, match="is wrong, or its time is over"):
            codes(clock, file).use("bob", code(START + beyond))


def test_clock_that_jumps_back(clock: Clock, file: Path) -> None:
    """A code that was used stays so when the clock goes back to its time."""
    store = MemoryStore("models")
    codes(clock, file, store).use("bob", code(START))
    clock.now += 86_400
    codes(clock, file, store).use("bob", code(clock.now))
    clock.now = START

    with pytest.raises(DeniedError, match="was used"):
        codes(clock, file, store).use("bob", code(START))


def test_race(clock: Clock, file: Path) -> None:
    """Of many who use one code at the same time one succeeds."""
    store = MemoryStore("models")
    make_identity(store, clock.world)
    start, ends = threading.Barrier(8), []

    def use() -> None:
        checker = codes(clock, file, store)
        start.wait()
        try:
            checker.use("bob", code(START))
        except DeniedError:
            ends.append("used")
        else:
            ends.append("right")

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ends) == ["right"] + ["used"] * 7


def test_guessing(clock: Clock, file: Path) -> None:
    """After five wrong codes in an hour none is looked at, right or wrong; of others it is."""
    add_secret(file, "cat", SECRET)
    store = MemoryStore("models")
    wrong = code(START - 86_400)
    for _ in range(5):
        with pytest.raises(DeniedError, match="is wrong"):
            codes(clock, file, store).use("bob", wrong)

    with pytest.raises(DeniedError, match="gave 5 wrong one-time codes: try again in 3601 seconds"):
        codes(clock, file, store).use("bob", code(START))
    codes(clock, file, store).use("cat", code(START))
    clock.monotonic += 3600
    codes(clock, file, store).use("bob", code(START))


def test_guessing_at_once(clock: Clock, file: Path) -> None:
    """Of wrong codes that come all at once five are looked at, too."""
    store = MemoryStore("models")
    identity = make_identity(store, clock.world)
    start, ends = threading.Barrier(24), []

    def slow() -> float:
        time.sleep(0.05)  # so that all are looked at while the first is
        return START

    def guess() -> None:
        checker = Codes(store, World(now=slow), identity, file)
        start.wait()
        with pytest.raises(DeniedError) as caught:
            checker.use("bob", code(START - 86_400))
        ends.append("is wrong" in str(caught.value))

    threads = [threading.Thread(target=guess) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ends) == [False] * 19 + [True] * 5


def test_forgotten(clock: Clock, file: Path) -> None:
    """A right code makes wrong ones before it forgotten."""
    store = MemoryStore("models")
    for begin in (START, START + 30):
        clock.now = begin
        for _ in range(4):
            with pytest.raises(DeniedError, match="is wrong"):
                codes(clock, file, store).use("bob", code(START - 86_400))
        codes(clock, file, store).use("bob", code(begin))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=8))
def test_no_code(text: str) -> None:
    """What is not six digits is refused before anything is asked, and not repeated."""
    checker = Codes(MemoryStore("x"), World(), Identity(id="0" * 32), Path("/nowhere"))
    bare = "".join(text.split())
    if len(bare) == 6 and bare.isascii() and bare.isdigit():
        return
    with pytest.raises(InvalidInputError) as caught:
        checker.use("bob", text)
    assert str(caught.value) == "a one-time code is 6 digits"


def test_others(clock: Clock, file: Path) -> None:
    """A code is one user's, letter for letter."""
    for name in ("cat", "Bob", "bob ", ""):
        with pytest.raises(DeniedError, match="has no one-time codes"):
            codes(clock, file).use(name, code(START))


@pytest.mark.parametrize("kind", list(FaultKind)[:2])
def test_lost_answer(clock: Clock, file: Path, kind: FaultKind) -> None:
    """Whatever fails while a code is used up, it counts at most once."""
    store = MemoryStore("models")
    make_identity(store, clock.world)
    faulty = FaultyStore(store, [Fault(kind, operation="create")])
    counted = 0
    for tried in (faulty, store, store):
        try:
            codes(clock, file, tried).use("bob", code(START))
        except (DeniedError, StorageError):
            continue
        counted += 1

    assert counted == 1


def test_store_without_conditional_create(clock: Clock, file: Path) -> None:
    """Where a second create wins, a code could count twice, so none does."""
    identity = Identity(id="0" * 32, conditional_create=False)
    with pytest.raises(UnsupportedError, match="a code could count twice there"):
        Codes(MemoryStore("x"), clock.world, identity, file).use("bob", code(START))


def test_from_environment(clock: Clock, file: Path) -> None:
    """The file is named by the environment; without one no code can be checked."""
    store = MemoryStore("models")
    identity = make_identity(store, clock.world)

    made = Codes.from_environment(store, clock.world, identity, {FILE_VARIABLE: str(file)})
    made.use("bob", code(START))

    with pytest.raises(InvalidInputError, match="MLFLOW_VAULT_TOTP_FILE names no file"):
        Codes.from_environment(store, clock.world, identity, {})


def test_enroll(clock: Clock, tmp_path: Path) -> None:
    """Who enrolls gets a URI whose codes count; the file is for its owner alone."""
    path = tmp_path / "new"
    before = os.umask(0)
    try:
        uri = urlsplit(enroll(path, "bob@acme.example", issuer="acme models"))
    finally:
        os.umask(before)

    asked = parse_qs(uri.query)
    assert (uri.scheme, uri.netloc, uri.path) == (
        "otpauth",
        "totp",
        "/acme%20models:bob%40acme.example",
    )
    assert asked["issuer"] == ["acme models"]
    assert len(asked["secret"][0]) == 32
    assert path.stat().st_mode & 0o777 == MODE
    codes(clock, path).use("bob@acme.example", pyotp.TOTP(asked["secret"][0]).at(int(START)))


def test_enroll_again(file: Path) -> None:
    """Who is enrolled keeps their secret, unless it is to be replaced; others keep theirs."""
    with pytest.raises(InvalidInputError, match="'bob' is enrolled already; --replace"):
        enroll(file, "bob")
    enroll(file, "cat")
    assert read_secrets(file)["bob"] == SECRET

    enroll(file, "bob", replace=True)

    assert read_secrets(file).keys() == {"bob", "cat"}
    assert read_secrets(file)["bob"] != SECRET
    assert [one.name for one in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("name", ["", " bob", "bob\n", "b\x1b"])
def test_odd_names(file: Path, name: str) -> None:
    """Nobody is enrolled by a name that no roles can have."""
    with pytest.raises(InvalidInputError, match="is no name of a user"):
        enroll(file, name)


def test_enroll_at_once(file: Path) -> None:
    """While somebody enrolls nobody else does, so that nobody is lost."""
    beside = file.with_name("codes.new")
    beside.touch()

    with pytest.raises(InvalidInputError, match="somebody else enrolls now, or died doing so"):
        enroll(file, "cat")

    beside.unlink()
    enroll(file, "cat")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o777])
def test_open_file(clock: Clock, file: Path, mode: int) -> None:
    """A file that others may read, write or enter is refused, to check codes and to enroll."""
    file.chmod(mode)

    with pytest.raises(DeniedError, match="cannot be checked here now"):
        codes(clock, file).use("bob", code(START))
    with pytest.raises(InvalidInputError, match=f"is open to others .mode {mode:04o}.*chmod 600"):
        read_secrets(file)
    with pytest.raises(InvalidInputError, match="is open to others"):
        enroll(file, "cat")
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_file_of_somebody_else(file: Path) -> None:
    """A file of another user than who checks codes is refused, unless it is root's."""
    own = os.geteuid()
    for owner, refused in ((own, False), (0, False), (own + 1, True)):
        found = os.stat_result((stat.S_IFREG | MODE, 0, 0, 1, owner, 0, 0, 0, 0, 0))
        with (
            pytest.raises(InvalidInputError, match="belongs to somebody else")
            if refused
            else (nullcontext())
        ):
            _refuse_open(file, found)


def test_link(clock: Clock, file: Path) -> None:
    """A link is refused: who can turn it would choose the secrets."""
    link = file.with_name("link")
    link.symlink_to(file)

    with pytest.raises(DeniedError, match="cannot be checked here now"):
        codes(clock, link).use("bob", code(START))
    with pytest.raises(InvalidInputError, match="link cannot be read: it is a link"):
        read_secrets(link)
    with pytest.raises(InvalidInputError, match="it is a link"):
        enroll(link, "cat")
    assert link.is_symlink()


def test_no_file(clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Folders, pipes and what is not there are refused, without waiting; the log says where."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, kind in (("", InvalidInputError), ("pipe", InvalidInputError), ("x", NotFoundError)):
        with pytest.raises(kind):
            read_secrets(tmp_path / name)
        with pytest.raises(DeniedError) as caught:
            codes(clock, tmp_path / name).use("bob", code(START))
        assert str(tmp_path) not in str(caught.value)
        assert str(tmp_path) in caplog.messages[-1]


BAD: Final = {
    "": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a secret that is none": b'{"bob": 7}',
    "no base32": b'{"bob": "1!"}',
    "too short": b'{"bob": "GEZDGNBV"}',
    "twice": f'{{"bob": "{SECRET}", "bob": "{SECRET}"}}'.encode(),
    "too large": b" " * (2 << 20),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file(clock: Clock, file: Path, name: str) -> None:
    """What a file that is none holds is in no message."""
    file.write_bytes(BAD[name])

    with pytest.raises(DeniedError, match="cannot be checked here now"):
        codes(clock, file).use("bob", code(START))
    with pytest.raises(InvalidInputError, match="is no file of secrets: expected") as caught:
        read_secrets(file)

    assert caught.value.__cause__ is None
    assert SECRET not in str(caught.value)


def test_without_the_extra(
    clock: Clock, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pyotp is not installed the message names the extra; nobody is enrolled by halves."""
    monkeypatch.setitem(sys.modules, "pyotp", None)

    with pytest.raises(UnsupportedError, match=r"mlflow-vault\[mfa\]"):
        codes(clock, file).use("bob", code(START))
    with pytest.raises(UnsupportedError, match=r"mlflow-vault\[mfa\]"):
        enroll(tmp_path / "new", "bob")
    assert not (tmp_path / "new").exists()


def test_never_told(clock: Clock, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither secrets nor codes are in messages, logs, or the vault."""
    caplog.set_level(logging.DEBUG)
    store = MemoryStore("models")
    checker = codes(clock, file, store)
    said = [repr(checker)]
    checker.use("bob", code(START))
    for name, tried in (("bob", code(START)), ("bob", "000001"), ("cat", code(START))):
        with pytest.raises(VaultError) as caught:
            checker.use(name, tried)
        said.append(str(caught.value))
    kept = {stat.key: store.get(stat.key) for stat in store.list("")}

    assert len([key for key in kept if key.startswith(FACTORS)]) == 1
    for text in (*said, caplog.text, json.dumps({key: repr(one) for key, one in kept.items()})):
        assert SECRET not in text
        assert code(START) not in text
