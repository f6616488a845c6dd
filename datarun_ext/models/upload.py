"""Big files on their way in."""

from __future__ import annotations

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from datarun_ext.models.base import Base


class Upload(Base):
    """A file that is sent in pieces; its bytes so far stand in `<data>/uploads/<id>.part`."""

    __tablename__ = "upload"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(150))
    name: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    """Of the whole file: as promised by the client, then as found."""
    complete: Mapped[bool] = mapped_column(default=False)
    created: Mapped[float]
