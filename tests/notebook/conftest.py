from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from datarun_ext.cli.demo_models import iris_frame
from datarun_ext.notebook import Dataset, Session, connect
from datarun_ext.notebook import current as in_use
from tests.live.conftest import LiveServer


@pytest.fixture(scope="session")
def session(server: LiveServer) -> Iterator[Session]:
    """The session in use."""
    session = connect(server.url, token=server.token)
    yield session
    session.close()
    in_use._current = None


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return iris_frame()


@pytest.fixture(scope="session")
def iris(session: Session, frame: pd.DataFrame) -> Dataset:
    return session.upload(frame, name="iris", target="species").split(0.2, timeout=120)
