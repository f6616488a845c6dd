"""Passwords: hashed, limited, and no way to find out who exists."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from datarun_ext.errors import Conflict, InvalidField, NotAuthenticated, NotFound, TooManyRequests
from datarun_ext.models import User
from datarun_ext.services import users as module
from datarun_ext.services.database import Database
from datarun_ext.services.users import FAILURES_MAX, Users

GOOD = "correct horse"


@pytest.fixture(autouse=True)
def light_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about who is let in: argon2, but not its 64 MB and three passes."""
    light = partial(PasswordHasher, time_cost=1, memory_cost=64)
    monkeypatch.setattr(module, "PasswordHasher", light)


@pytest.fixture
def users(database: Database) -> Users:
    return Users(db=database)


def test_how_hard_a_hash_is(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PasswordHasher", PasswordHasher)
    hasher = Users(db=database)._hasher
    # At least what OWASP asks of argon2id.
    assert hasher.memory_cost >= 19 * 1024
    assert hasher.memory_cost * hasher.time_cost >= 38 * 1024


async def login(users: Users, name: str, password: str, address: str = "::1") -> Any:
    return await users.authenticate(name=name, password=password, address=address)


async def test_right_and_wrong(users: Users, database: Database) -> None:
    await users.add(name="alice", password=GOOD, email="a@b.c", is_superuser=True)
    stored = await database.read(lambda s: s.scalars(select(User.password_hash)).one())
    assert stored.startswith("$argon2id$")
    assert GOOD not in stored
    for _ in range(2):  # hashed, then remembered
        who = await login(users, "alice", GOOD)
        assert (who.name, who.is_superuser) == ("alice", True)
    messages = set()
    for name, password in (("alice", "wrong"), ("nobody", GOOD), ("a\0", GOOD), ("", "")):
        with pytest.raises(NotAuthenticated) as refused:
            await login(users, name, password)
        messages.add(str(refused.value))
    assert messages == {"Invalid username/password."}


async def test_an_unknown_name_costs_as_much(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    verify = users._verify

    def watch(stored: str, password: str) -> bool:
        hashed.append(stored)
        return verify(stored, password)

    monkeypatch.setattr(users, "_verify", watch)
    await users.add(name="alice", password=GOOD)
    for name in ("alice", "nobody"):
        with pytest.raises(NotAuthenticated):
            await login(users, name, "wrong")
    parameters = {stored.rsplit("$", 2)[0] for stored in hashed}
    assert len(hashed) == 2
    assert len(parameters) == 1


async def test_a_changed_password_counts_at_once(users: Users) -> None:
    await users.add(name="alice", password=GOOD)
    await login(users, "alice", GOOD)
    await users.set_password(name="alice", password="another one")
    with pytest.raises(NotAuthenticated):
        await login(users, "alice", GOOD)
    await login(users, "alice", "another one")
    await users.delete(name="alice")
    with pytest.raises(NotAuthenticated):
        await login(users, "alice", "another one")


async def test_another_process_changes_a_password(users: Users, database: Database) -> None:
    await users.add(name="alice", password=GOOD)
    await login(users, "alice", GOOD)
    await Users(db=database).set_password(name="alice", password="another one")
    with pytest.raises(NotAuthenticated):
        await login(users, "alice", GOOD)


async def test_the_limit(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    await users.add(name="alice", password=GOOD)
    # All at once: they are counted before they are known to be wrong.
    tries = [login(users, "alice", f"guess {number}") for number in range(FAILURES_MAX + 10)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(error) for error in found].count(NotAuthenticated) == FAILURES_MAX
    assert [type(error) for error in found].count(TooManyRequests) == 10
    with pytest.raises(TooManyRequests):
        await login(users, "alice", GOOD)
    await login(users, "alice", GOOD, address="192.0.2.1")
    later = module.time.monotonic() + 61
    monkeypatch.setattr(module.time, "monotonic", lambda: later)
    await login(users, "alice", GOOD)
    with pytest.raises(NotAuthenticated):  # and the count begins anew
        await login(users, "alice", "wrong")


@pytest.mark.parametrize("name", ["", " ", "a:b", "a\nb", "a\0b", "x" * 151])
async def test_names_that_cannot_be_used(users: Users, name: str) -> None:
    with pytest.raises(InvalidField):
        await users.add(name=name, password=GOOD)


async def test_other_mistakes(users: Users) -> None:
    await users.add(name="alice", password=GOOD)
    with pytest.raises(Conflict, match="alice"):
        await users.add(name="alice", password=GOOD)
    with pytest.raises(InvalidField):
        await users.add(name="bob", password="abc")
    with pytest.raises(InvalidField):
        await users.add(name="bob", password=GOOD, email="x" * 255)
    for work in (users.delete(name="bob"), users.set_password(name="bob", password=GOOD)):
        with pytest.raises(NotFound, match="bob"):
            await work
    assert [user.name for user in await users.list()] == ["alice"]
