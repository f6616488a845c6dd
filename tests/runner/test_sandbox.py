"""The parts of the sandbox, each by itself, in processes that are thrown away."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celery_app.canary import run_canary
from celery_app.logs import LogKeeper, clean
from celery_app.sandbox import cgroup, landlock, layout, libc, mounts, seccomp
from celery_app.zygote import wire
from celery_app.zygote.client import Zygote
from celery_app.zygote.folders import folder_bytes, remove_tree
from celery_app.zygote.frames import Corrupt, FrameReader, TooMuch
from datarun_ext.protocol import LOG_KEPT, SandboxLevel

from .zygote_support import public_folder

ROOT = Path(__file__).parents[2]


def in_child(work: Callable[[], object]) -> str:
    """Run `work` in a forked process and return what it returned, as text."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, str(work()).encode())
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


def filtered(call: Callable[[], object]) -> str:
    def work() -> object:
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.install(seccomp.build(kill_all=False))
        return call()

    return in_child(work)


@pytest.mark.parametrize(
    "call",
    [
        lambda: socket.socket(),
        lambda: socket.socket(socket.AF_UNIX),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        lambda: os.memfd_create("x"),
        lambda: libc.unshare(libc.CLONE_NEWUSER),
        lambda: libc.mount("none", "/mnt", "tmpfs"),
        lambda: os.kill(-1, 0),
        lambda: libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 0),
        lambda: libc.fork_into(libc.CLONE_NEWPID),
    ],
)
def test_filter_refuses(call: Callable[[], object]) -> None:
    assert filtered(call).startswith("PermissionError")


@pytest.mark.parametrize(
    "call",
    [
        lambda: bool(socket.socketpair()),
        lambda: bool(os.pipe()),
        lambda: os.kill(os.getpid(), 0) is None,
        lambda: subprocess.run(["true"], check=True).returncode == 0,
        lambda: libc.prctl(libc.PR_SET_DUMPABLE, 1) == 0,
    ],
)
def test_filter_lets_ordinary_calls_pass(call: Callable[[], object]) -> None:
    assert filtered(call) == "True"


def test_landlock_allows_what_was_named(tmp_path: Path) -> None:
    version = landlock.abi()
    assert version > 0
    for name in ("read", "write", "other", "shared"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)

    def attempt(work: Callable[[], object]) -> str:
        def locked() -> object:
            rules = landlock.Rules(version)
            rules.allow(
                readable=[str(tmp_path / "read"), str(tmp_path / "missing")],
                writable=[str(tmp_path / "write")],
                shared=[str(tmp_path / "shared")],
            )
            rules.restrict()
            return work()

        return in_child(locked)

    assert attempt((tmp_path / "read" / "file").read_text) == "read"
    assert attempt(lambda: (tmp_path / "write" / "new").write_text("x")) == "1"
    assert attempt(lambda: (tmp_path / "shared" / "new").write_text("x")) == "1"
    assert attempt((tmp_path / "other" / "file").read_text).startswith("PermissionError")
    assert attempt(lambda: (tmp_path / "read" / "file").write_text("x")).startswith("Permission")
    assert attempt(lambda: os.listdir(tmp_path / "shared")).startswith("PermissionError")
    assert attempt(lambda: os.listdir(tmp_path)).startswith("PermissionError")


def test_capabilities_are_gone_for_good() -> None:
    privileged = os.geteuid() == 0

    def work() -> object:
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        libc.drop_capabilities()
        status = Path("/proc/self/status").read_text()
        # Only a privileged process can empty the bounding set, and only for one it matters.
        kinds = ("CapInh", "CapPrm", "CapEff", "CapAmb", *(["CapBnd"] if privileged else []))
        return {line.split()[1] for line in status.splitlines() if line.startswith(kinds)}

    assert in_child(work) == "{'0000000000000000'}"


def test_a_source_tree_is_shown_by_its_packages_only() -> None:
    paths = layout.python_paths()
    assert not any(path == str(ROOT) for path in paths)
    assert any(path.endswith("celery_app") or "site-packages" in path for path in paths)


def test_control_group_where_the_runner_may_make_one() -> None:
    parent = cgroup.find(f"{cgroup.PREFIX}{os.getpid()}")
    if parent is None:
        # Nothing may be left behind by a runner that must do without.
        assert os.geteuid() != 0 or not os.access("/sys/fs/cgroup/memory", os.W_OK)
        return
    group = parent.make("one")
    doors = group.doors()
    code = (
        "import sys; from celery_app.sandbox import cgroup;"
        "cgroup.join([int(door) for door in sys.argv[1:]]);"
        "x = b'x' * 50_000_000; print('in', flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, doors)],
        stdin=-1,
        stdout=-1,
        pass_fds=doors,
    )
    for door in doors:
        os.close(door)
    try:
        assert child.stdout.readline() == b"in\n"  # type: ignore[union-attr]
        assert group.processes() == [child.pid]
        assert (group.memory() or 0) > 50_000_000
        group.limit(memory=1 << 30, processes=10)
        assert group.oom_kills() == 0
        assert (group.cpu_s() or 0) > 0
    finally:
        child.kill()
        child.wait()
        child.stdin.close()  # type: ignore[union-attr]
        child.stdout.close()  # type: ignore[union-attr]
    assert group.remove()
    parent.remove()
    assert not any(os.path.exists(folder) for folder in parent.folders.values())


def test_a_mount_is_sealed_once_nobody_writes_to_it() -> None:
    tries: list[int] = []

    def seal(number: int, busy: int) -> None:
        tries.append(number)
        if len(tries) <= busy:
            raise OSError(number, os.strerror(number))

    mounts._once_idle(lambda: seal(errno.EBUSY, busy=3))
    assert tries == [errno.EBUSY] * 4
    with pytest.raises(PermissionError):
        mounts._once_idle(lambda: seal(errno.EPERM, busy=99))
    assert len(tries) == 5
    tries.clear()
    with pytest.raises(OSError, match="busy"):
        mounts._once_idle(lambda: seal(errno.EBUSY, busy=10_000))


# -- frames


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return wire.FRAME.pack(kind, len(body)) + body


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_frames_may_be_cut_anywhere(piece: int) -> None:
    heard: list[tuple[bytes, object]] = []
    reader = FrameReader(1000, lambda kind, body: heard.append((kind, body)))
    head = b'{"name": "x", "size": 5, "meta": {"a": 1}}'
    stream = frame(wire.READY) + frame(wire.BEGIN, b"train") + frame(wire.OUTPUT, head) + b"12345"
    stream += frame(wire.OUTPUT, b'{"name": "y", "size": 0, "meta": {}}') + frame(wire.DONE)
    for start in range(0, len(stream), piece):
        reader.feed(stream[start : start + piece])
    assert [kind for kind, _ in heard] == [wire.READY, wire.BEGIN, wire.DONE]
    assert [(output.name, output.data) for output in reader.outputs] == [
        ("x", b"12345"),
        ("y", b""),
    ]


@pytest.mark.parametrize(
    "stream",
    [
        b"\xff" * 5,
        frame(b"Z"),
        frame(wire.BEGIN, b"dessert"),
        frame(wire.BEGIN, b"\xff\xfe"),
        frame(wire.DONE, b"x"),
        frame(wire.OUTPUT, b"[]"),
        frame(wire.OUTPUT, b"not json"),
        frame(wire.OUTPUT, b'{"name": 1, "size": 1, "meta": {}}'),
        frame(wire.OUTPUT, b'{"name": "x", "size": -1, "meta": {}}'),
        frame(wire.OUTPUT, b'{"name": "x", "size": true, "meta": {}}'),
        frame(wire.OUTPUT, b'{"name": "x", "size": 1.5, "meta": {}}'),
        frame(wire.OUTPUT, b'{"name": "x", "size": 1}'),
        frame(wire.ERROR, b"[" * 100_000),
        wire.FRAME.pack(wire.ERROR, 0xFFFFFFFF),
    ],
)
def test_corrupt_frames_are_refused(stream: bytes) -> None:
    reader = FrameReader(1000, lambda _kind, _body: None)
    with pytest.raises(Corrupt):
        reader.feed(stream)


def test_outputs_are_bounded_together() -> None:
    reader = FrameReader(120, lambda _kind, _body: None)
    output = frame(wire.OUTPUT, b'{"name": "x", "size": 10, "meta": {}}') + b"0123456789"
    reader.feed(output)
    reader.feed(output)
    with pytest.raises(TooMuch):
        reader.feed(output)


# -- logs


def test_log_keeps_both_ends_and_says_what_is_gone() -> None:
    keeper = LogKeeper()
    keeper.add(b"first\n" + b"x" * LOG_KEPT)
    for _ in range(1000):
        keeper.add(b"middle " * 1000)
    keeper.add(b"y" * LOG_KEPT + b"\nlast")
    text = keeper.text()
    assert text.startswith("first\n")
    assert text.endswith("y\nlast")
    kept = text.replace("\n[", "[").split("[…")
    assert len(kept) == 2
    assert f"{keeper.dropped} bytes dropped" in text
    assert keeper.received - keeper.dropped == 2 * LOG_KEPT
    assert len(text) < 2 * LOG_KEPT + 100


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07text", "text"),
        (b"a\x00b\x08c\x7f", "abc"),
        (b"10%\r20%\r\n", "10%\n20%\n"),
        (b"tab\there\n", "tab\there\n"),
        ("é\u202eevil\u2066".encode(), "éevil"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_text_is_harmless(raw: bytes, shown: str) -> None:
    assert clean(raw) == shown


def test_news_wait_for_the_rest_of_a_character() -> None:
    keeper = LogKeeper()
    keeper.add("caf\u00e9"[:3].encode() + b"\xc3")
    assert keeper.news() == "caf"
    keeper.add(b"\xa9\x1b[3")
    assert keeper.news() == "é"
    keeper.add(b"1mred")
    assert keeper.news() == "red"
    assert keeper.news() == ""


# -- folders


@pytest.fixture
def hostile_folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "hostile"
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    written = os.open("big", os.O_CREAT | os.O_WRONLY, dir_fd=here)
    os.write(written, bytes(2_000_000))
    os.close(written)
    os.close(here)
    (folder / "closed" / "inner").mkdir(parents=True)
    (folder / "closed" / "inner" / "file").write_text("x")
    (folder / "closed" / "inner").chmod(0)
    (folder / "closed").chmod(0)
    (folder / "out").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("kept")
    yield folder
    remove_tree(str(folder))


def test_hostile_folder_is_counted_and_removed(hostile_folder: Path, tmp_path: Path) -> None:
    assert folder_bytes(str(hostile_folder), 10**9) >= 2_000_000
    remove_tree(str(hostile_folder))
    assert not hostile_folder.exists()
    assert (tmp_path / "kept" / "file").read_text() == "kept"


# -- the canary


def test_canary_gets_nothing_at_full() -> None:
    folder = public_folder()
    with Zygote.start(cache_dir=folder, minimum_level=SandboxLevel.FULL) as zygote:
        report = run_canary(zygote)
        assert zygote.degraded == {}
    shutil.rmtree(folder)
    assert report.level is SandboxLevel.FULL
    assert len(report.attempts) > 30
    assert report.holes == ()


def test_canary_sings_where_there_is_no_sandbox() -> None:
    folder = public_folder()
    with Zygote.start(cache_dir=folder, level=SandboxLevel.LIMITS) as zygote:
        names = {hole.name for hole in run_canary(zygote).holes}
    shutil.rmtree(folder)
    assert {"read_test_labels", "read_another_submission"} <= names
    assert not names & {"connect_tcp", "become_root"}


def test_canary_reaches_no_labels_and_no_submission_under_landlock() -> None:
    folder = public_folder()
    with Zygote.start(cache_dir=folder, level=SandboxLevel.LANDLOCK) as zygote:
        names = {hole.name for hole in run_canary(zygote).holes}
    shutil.rmtree(folder)
    assert not names & {
        "read_test_labels",
        "read_test_labels_through_proc",
        "read_test_labels_through_a_link",
        "read_another_submission",
        "read_credential",
        "read_credential_in_environment",
        "connect_tcp",
        "send_udp",
        "connect_unix_path",
        "write_outside",
        "signal_other_processes",
        "trace_processes",
        "become_root",
        "seen_network",
    }


def test_errors_of_the_kernel_are_named() -> None:
    with pytest.raises(OSError, match="mount tmpfs /nowhere") as caught:
        libc.mount("none", "/nowhere", "tmpfs")
    assert caught.value.errno in (errno.ENOENT, errno.EPERM)
