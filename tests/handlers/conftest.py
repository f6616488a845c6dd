from __future__ import annotations

import pytest

from datarun_ext.services.master import Master
from tests.conftest import Api
from tests.handlers.over_http import HttpRunner


@pytest.fixture
def runner(api: Api, master: Master) -> HttpRunner:
    """A runner that is not registered yet."""
    return HttpRunner.of(api, master)
