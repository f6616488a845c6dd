"""Users who come from outside Jupyter, by name and password."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from datarun_ext.errors import Conflict, InvalidField, NotAuthenticated, NotFound, TooManyRequests
from datarun_ext.models import User
from datarun_ext.services.database import Database, now
from datarun_ext.services.principal import LOCAL_USER, Principal

T = TypeVar("T")

REMEMBERED_S = 300.0
"""Seconds for which a password that was right is not hashed again: argon2 takes 50 ms."""
REMEMBERED_MAX = 1000
HASHERS = 2
FAILURES_MAX = 10
FAILURES_S = 60.0


class Users:
    """Adds, changes and recognises users."""

    def __init__(self, *, db: Database) -> None:
        self.db = db
        self._hasher = PasswordHasher()
        # Threads of their own: whoever tries many passwords makes only logging in slow.
        self._hashers = ThreadPoolExecutor(HASHERS, "datarun-argon2")
        # Checked for unknown names too, so that the time does not tell which names exist.
        self._nobody = self._hasher.hash(secrets.token_hex())
        self._secret = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, tuple[float, str, Principal]] = OrderedDict()
        self._failures: dict[tuple[str, str], list[float]] = {}

    async def add(
        self, *, name: str, password: str, email: str = "", is_superuser: bool = False
    ) -> User:
        """Add a user.

        Raises
        ------
        Conflict
            If there is one of that name.
        InvalidField
            If the name or the password cannot be used.
        """
        self._check(name, password)
        if len(email) > 254 or not email.isprintable():
            raise InvalidField("email", "An e-mail address has at most 254 printable characters.")
        user = User(
            name=name,
            email=email,
            is_superuser=is_superuser,
            password_hash=await self._hashing(self._hasher.hash, password),
            created=now(),
        )
        try:
            await self.db.write(lambda session: session.add(user))
        except IntegrityError as error:
            msg = f"There is a user {name!r} already: choose another name, or change its password."
            raise Conflict(msg) from error
        return user

    async def list(self) -> list[User]:
        """Return all users by name."""
        return await self.db.read(lambda s: list(s.scalars(select(User).order_by(User.name))))

    async def set_password(self, *, name: str, password: str) -> None:
        """Change a user's password. Raises NotFound for an unknown name."""
        self._check(name, password)
        password_hash = await self._hashing(self._hasher.hash, password)

        def work(session: Session) -> None:
            _user(session, name).password_hash = password_hash

        await self.db.write(work)
        self._remembered.clear()

    async def delete(self, *, name: str) -> None:
        """Delete a user; what they own stays. Raises NotFound for an unknown name."""
        await self.db.write(lambda session: session.delete(_user(session, name)))
        self._remembered.clear()

    async def authenticate(self, *, name: str, password: str, address: str) -> Principal:
        """Return who comes with this name and password.

        Raises
        ------
        NotAuthenticated
            If they are wrong; an unknown name takes as long as a wrong password.
        TooManyRequests
            After ten failures for this name from this address within a minute.
        """
        key = hmac.digest(self._secret, f"{name}\0{password}".encode(), hashlib.sha256)
        user = None
        if name.isprintable():  # PostgreSQL cannot even be asked for a name with a NUL in it
            user = await self.db.read(
                lambda s: s.scalars(select(User).where(User.name == name)).one_or_none()
            )
        known = self._remembered.get(key)
        if (
            known is not None
            and user is not None
            and known[0] > time.monotonic()
            and known[1] == user.password_hash
        ):
            return Principal(user.name, user.is_superuser)
        self._check_failures(name, address)
        # Counted before it is known to be wrong, so that many at a time are no way round the limit.
        self._failures.setdefault((name, address), []).append(time.monotonic())
        stored = user.password_hash if user is not None else self._nobody
        if not await self._hashing(self._verify, stored, password) or user is None:
            msg = "Invalid username/password."
            raise NotAuthenticated(msg)
        self._failures.pop((name, address), None)
        principal = Principal(user.name, user.is_superuser)
        self._remembered[key] = (time.monotonic() + REMEMBERED_S, user.password_hash, principal)
        while len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return principal

    async def _hashing(self, work: Callable[..., T], *args: str) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._hashers, work, *args)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerificationError:
            return False

    def _check_failures(self, name: str, address: str) -> None:
        horizon = time.monotonic() - FAILURES_S
        if len(self._failures) > REMEMBERED_MAX:
            self._failures = {k: v for k, v in self._failures.items() if v[-1] > horizon}
        recent = [at for at in self._failures.get((name, address), ()) if at > horizon]
        if len(recent) >= FAILURES_MAX:
            msg = "Too many wrong passwords for this user. Try again in a minute."
            raise TooManyRequests(msg)

    @staticmethod
    def _check(name: str, password: str) -> None:
        if not name.isprintable() or not name.strip() or ":" in name or len(name) > 150:
            raise InvalidField(
                "name", "A user name has 1 to 150 printable characters and no colon."
            )
        if name == LOCAL_USER:
            raise InvalidField("name", f"{name!r} is the name of this server's own person.")
        if len(password) < 4:
            raise InvalidField("password", "A password has at least 4 characters.")


def _user(session: Session, name: str) -> User:
    user = session.scalars(select(User).where(User.name == name)).one_or_none()
    if user is None:
        msg = f"There is no user {name!r}."
        raise NotFound(msg)
    return user
