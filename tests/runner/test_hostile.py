"""Every kind of bad submission ends with its reason, leaves nothing, and harms no other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from celery_app.zygote.client import Zygote
from datarun_ext.protocol import Reason, SandboxLevel

from .hostile import CASES, Case
from .zygote_support import Bench, public_folder, tree

SUBSET = {
    "well behaved", "raises", "_exit(0)", "segfault", "endless loop", "swallows the soft limit",
    "allocates too much", "fork bomb", "daemonised grandchildren", "storm of daemons",
    "one large file", "many files of 1 MB", "garbage on every descriptor", "network",
    "folder without rights", "kills itself", "signals everybody", "deep folders",
}  # fmt: skip


def _benches() -> list[tuple[SandboxLevel, Case]]:
    return [
        (level, case)
        for level in SandboxLevel
        for case in CASES
        if level is SandboxLevel.FULL or (case.name in SUBSET and not case.only_full)
    ]


@pytest.fixture(scope="module")
def benches() -> Iterator[dict[SandboxLevel, Bench]]:
    made: dict[SandboxLevel, Bench] = {}
    yield made
    for bench in made.values():
        bench.zygote.close()
        shutil.rmtree(bench.folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("level", "case"), _benches(), ids=lambda value: getattr(value, "name", str(value))
)
def test_hostile(level: SandboxLevel, case: Case, benches: dict[SandboxLevel, Bench]) -> None:
    if level not in benches:
        folder = public_folder()
        benches[level] = Bench(Zygote.start(cache_dir=folder, level=level), folder)
    bench = benches[level]
    before = tree(bench.data)

    verdict = bench.run(case.code, **case.limits)

    assert verdict.reason in case.reasons, verdict
    assert case.says in verdict.detail + verdict.traceback, verdict
    if verdict.reason is not None:
        assert verdict.reason is not Reason.PLATFORM
        assert len(verdict.detail) > 5
    assert "\x1b" not in verdict.log + verdict.detail + verdict.traceback
    assert bench.survivors() == []
    assert tree(bench.data) == before
    assert bench.run("def main(context): return 5").reason is None, "the next run is harmed"
