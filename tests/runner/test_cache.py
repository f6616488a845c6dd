from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from celery_app import cache as cache_module
from celery_app.cache import Cache


def nothing() -> None:
    pass


def writer(size: int, log: Path | None = None, pause: float = 0.0) -> object:
    def make(part: Path) -> None:
        if log is not None:
            with log.open("a") as file:
                file.write("made\n")
        time.sleep(pause)
        part.write_bytes(b"x" * size)

    return make


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setattr(cache_module, "COLLECT_EVERY_S", 0)
    return Cache(tmp_path / "cache", 1000)


def keys(cache: Cache) -> set[str]:
    return {path.name for path in (cache.folder / "entries").glob("*/*")}


def put(cache: Cache, key: str, size: int, *, age: float = 0.0) -> None:
    with cache.entry("files", key, writer(size), nothing) as path:  # type: ignore[arg-type]
        assert path.stat().st_size == size
    if age:
        os.utime(path, (time.time() - age, time.time() - age))


def test_the_oldest_go_first_and_use_makes_young(cache: Cache) -> None:
    put(cache, "aa", 400, age=300)
    put(cache, "bb", 400, age=200)
    put(cache, "aa", 400)
    put(cache, "cc", 400)
    assert keys(cache) == {"aa", "cc"}


def test_what_is_in_use_stays(cache: Cache) -> None:
    put(cache, "aa", 900, age=300)
    with cache.entry("files", "aa", writer(1), nothing) as path:  # type: ignore[arg-type]
        os.utime(path, (1, 1))
        put(cache, "bb", 900)
        assert path.read_bytes() == b"x" * 900
        assert "aa" in keys(cache)
    cache.collect()
    assert keys(cache) == {"bb"}


def test_folders_are_entries_too(cache: Cache) -> None:
    def make(part: Path) -> None:
        (part / "inside").mkdir(parents=True)
        (part / "inside" / "file").write_bytes(b"x" * 700)
        (part / "link").symlink_to("/")

    with cache.entry("folders", "ff", make, nothing) as path:
        assert (path / "inside" / "file").exists()
    os.utime(path, (1, 1))
    put(cache, "aa", 700)
    assert keys(cache) == {"aa"}
    assert not list((cache.folder / "parts").iterdir())


def test_a_failure_leaves_nothing(cache: Cache) -> None:
    def fail(part: Path) -> None:
        part.write_bytes(b"half")
        raise RuntimeError

    with (
        pytest.raises(RuntimeError),
        cache.entry("files", "aa", fail, nothing),
    ):
        pass
    assert not keys(cache)
    assert not list((cache.folder / "parts").iterdir())
    put(cache, "aa", 3)


def test_leftovers_of_a_crash_are_collected(cache: Cache) -> None:
    old, new = cache.folder / "parts" / "old.part", cache.folder / "parts" / "new.part"
    old.mkdir()
    (old / "locked").mkdir()
    (old / "locked" / "file").write_bytes(b"x")
    (old / "locked").chmod(0)
    os.utime(old, (1, 1))
    new.write_bytes(b"x")
    cache.collect()
    assert not old.exists()
    assert new.exists()


def _use(folder: Path, log: Path) -> None:
    with Cache(folder, 10**6).entry("files", "aa", writer(5, log, 0.3), nothing) as path:  # type: ignore[arg-type]
        assert path.read_bytes() == b"xxxxx"


def test_many_processes_make_an_entry_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    processes = [context.Process(target=_use, args=(tmp_path / "cache", log)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert log.read_text() == "made\n"


def _die_while_making(folder: Path) -> None:
    def make(part: Path) -> None:
        part.write_bytes(b"half")
        os._exit(9)

    with Cache(folder, 10**6).entry("files", "aa", make, nothing):
        pass


def test_a_crash_while_making_does_not_block_the_next(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=_die_while_making, args=(tmp_path / "cache",)
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    put(Cache(tmp_path / "cache", 10**6), "aa", 3)


def test_waiting_may_give_up(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    folder, log = tmp_path / "cache", tmp_path / "log"
    process = context.Process(target=_use, args=(folder, log))
    process.start()
    while not log.exists():
        time.sleep(0.005)

    def give_up() -> None:
        raise TimeoutError

    with (
        pytest.raises(TimeoutError),
        Cache(folder, 10**6).entry("files", "aa", writer(1), give_up),  # type: ignore[arg-type]
    ):
        pass
    process.join()
