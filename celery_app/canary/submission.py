"""What the canary tries. Runs inside a sandbox, where nothing of datarun may be imported.

Each attempt returns what it got when it succeeds, and raises or returns None when it was refused.
"""

from __future__ import annotations

import ctypes
import glob
import os
import signal
import socket
import subprocess
import sys
from typing import Any

ATTEMPTS: list[Any] = []
LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(function: Any) -> Any:
    """Register an attempt."""
    ATTEMPTS.append(function)
    return function


def attack(context: Any) -> dict[str, list[Any]]:
    """Try everything; returns name -> [succeeded, detail]."""
    results = {}
    for function in ATTEMPTS:
        try:
            got = function(context, context.arguments)
        except BaseException as error:
            results[function.__name__] = [False, f"{type(error).__name__}: {error}"]
        else:
            results[function.__name__] = [got is not None and got is not False, repr(got)[:200]]
    return results


def _read(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(1 << 20).decode("utf-8", "replace")


def _syscall(number: int, *arguments: Any) -> int:
    result: int = LIBC.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


@attempt
def read_test_labels(_context: Any, facts: dict[str, Any]) -> Any:
    """Open the labels by their path on the machine."""
    return facts["secret"] in _read(facts["labels"]) or None


@attempt
def read_test_labels_beside_the_data(context: Any, facts: dict[str, Any]) -> Any:
    """Go up from the folder that may be read."""
    data = context.path(facts["data"])
    found = [*glob.glob(f"{data}/../*"), *glob.glob(f"{data}/../../*/*")]
    return [path for path in found if "y_test" in path] or None


@attempt
def read_test_labels_through_proc(_context: Any, facts: dict[str, Any]) -> Any:
    """Go through the root and working directory of every process that can be seen."""
    for pid in os.listdir("/proc"):
        for link in ("root", "cwd"):
            if not pid.isdigit():
                continue
            try:
                if facts["secret"] in _read(f"/proc/{pid}/{link}{facts['labels']}"):
                    return f"/proc/{pid}/{link}"
            except OSError:
                continue
    return None


@attempt
def read_test_labels_through_a_link(_context: Any, facts: dict[str, Any]) -> Any:
    """Make symbolic and hard links to them."""
    os.symlink(facts["labels"], "soft")
    try:
        return facts["secret"] in _read("soft") or None
    except OSError:
        os.link(facts["labels"], "hard")
        return facts["secret"] in _read("hard") or None


@attempt
def find_secret_in_memory(_context: Any, facts: dict[str, Any]) -> Any:
    """Look for labels in the memory that was inherited from the zygote."""
    needles = [f"{kind} {facts['secret']}".encode() for kind in ("labels", "credential")]
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            edges, rights = line.split()[:2]
            low, high = (int(edge, 16) for edge in edges.split("-"))
            if rights[0] != "r" or high - low > 1 << 28:
                continue
            try:
                memory.seek(low)
                held = memory.read(high - low)
            except (OSError, ValueError, OverflowError):
                continue
            # Its own needles lie here too: only text that was not composed in this frame counts.
            for needle in needles:
                if held.count(needle) > 4:
                    return hex(low)
    return None


@attempt
def read_another_submission(_context: Any, facts: dict[str, Any]) -> Any:
    """Open another submission's file by its path."""
    return facts["secret"] in _read(facts["other"]) or None


@attempt
def read_credential(_context: Any, facts: dict[str, Any]) -> Any:
    """Open a file with a token."""
    return facts["secret"] in _read(facts["token"]) or None


@attempt
def read_credential_in_environment(_context: Any, _facts: dict[str, Any]) -> Any:
    """Look at the environments of all processes for what looks like a secret."""
    held = [*os.environ]
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            held += [part.split("=")[0] for part in _read(path).split("\0")]
        except OSError:
            continue
    words = ("TOKEN", "PASSWORD", "SECRET", "BROKER", "DATABASE", "API_KEY")
    return [name for name in held if any(word in name.upper() for word in words)] or None


@attempt
def read_password_file(_context: Any, _facts: dict[str, Any]) -> Any:
    """Learn the machine's users."""
    for path in ("/etc/shadow", "/etc/gshadow"):
        try:
            return _read(path)[:20]
        except OSError:
            continue
    users = [line for line in _read("/etc/passwd").splitlines() if line]
    return len(users) if len(users) > 2 else None


@attempt
def list_home_folders(_context: Any, _facts: dict[str, Any]) -> Any:
    """Look for keys in the home folders."""
    found = []
    for home in ("/root", *glob.glob("/home/*")):
        for name in (".ssh", ".netrc", ".pypirc", ".aws", ".gitconfig", ".bashrc", ".jupyter"):
            if os.path.exists(f"{home}/{name}"):
                found.append(f"{home}/{name}")
    return found or None


def _connect(kind: int, family: int, address: Any) -> str:
    with socket.socket(family, kind) as client:
        client.settimeout(2)
        client.connect(address)
        client.send(b"canary")
    return str(address)


@attempt
def connect_tcp(_context: Any, facts: dict[str, Any]) -> Any:
    """Reach a server on this machine."""
    return _connect(socket.SOCK_STREAM, socket.AF_INET, ("127.0.0.1", facts["tcp_port"]))


@attempt
def connect_outside(_context: Any, _facts: dict[str, Any]) -> Any:
    """Reach a server elsewhere."""
    return _connect(socket.SOCK_STREAM, socket.AF_INET, ("192.0.2.1", 80))


@attempt
def send_udp(_context: Any, facts: dict[str, Any]) -> Any:
    """Send a datagram."""
    return _connect(socket.SOCK_DGRAM, socket.AF_INET, ("127.0.0.1", facts["udp_port"]))


@attempt
def listen_tcp(_context: Any, _facts: dict[str, Any]) -> Any:
    """Open a port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname())


@attempt
def connect_unix_path(_context: Any, facts: dict[str, Any]) -> Any:
    """Reach a unix socket by its path."""
    return _connect(socket.SOCK_STREAM, socket.AF_UNIX, facts["socket"])


@attempt
def connect_unix_abstract(_context: Any, facts: dict[str, Any]) -> Any:
    """Reach a unix socket by its abstract name."""
    return _connect(socket.SOCK_STREAM, socket.AF_UNIX, "\0" + facts["abstract"])


@attempt
def open_raw_sockets(_context: Any, _facts: dict[str, Any]) -> Any:
    """Open the kinds of socket that talk to the kernel or the wire."""
    for family, kind in ((17, 3), (16, 3), (38, 5), (40, 1), (2, 3)):
        try:
            socket.socket(family, kind).close()
        except OSError:
            continue
        return family
    return None


@attempt
def write_outside(context: Any, facts: dict[str, Any]) -> Any:
    """Write wherever it can."""
    folder = os.path.dirname(facts["labels"])
    places = [folder, context.path(facts["data"]), "/", "/usr", "/etc", "/var/tmp", "/run"]
    places += [sys.prefix, *sys.path]
    written = []
    for place in places:
        try:
            with open(f"{place}/canary-was-here", "x"):
                written.append(place)
        except OSError:
            continue
        os.unlink(f"{place}/canary-was-here")
    return written or None


@attempt
def change_inputs(context: Any, facts: dict[str, Any]) -> Any:
    """Change, touch, rename or re-mode what it may only read."""
    path = context.path(facts["data"]) + "/X_train.npy"
    done = []
    changes: list[tuple[str, Any]] = [
        ("append", lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND))),
        ("truncate", lambda: os.truncate(path, 1)),
        ("mode", lambda: os.chmod(path, 0o777)),
        ("times", lambda: os.utime(path, (1, 1))),
        ("attribute", lambda: os.setxattr(path, "user.canary", b"1")),
        ("rename", lambda: os.rename(path, path + "x")),
        ("remove", lambda: os.unlink(path)),
    ]
    for name, change in changes:
        try:
            change()
        except OSError:
            continue
        done.append(name)
    return done or None


@attempt
def see_other_processes(_context: Any, facts: dict[str, Any]) -> Any:
    """Find the runner's process."""
    if os.path.exists(f"/proc/{facts['runner_pid']}/cmdline"):
        return _read(f"/proc/{facts['runner_pid']}/cmdline")[:50]
    return None


@attempt
def signal_other_processes(_context: Any, facts: dict[str, Any]) -> Any:
    """Signal the runner, the zygote and process 1, harmlessly."""
    reached = []
    for pid in (facts["runner_pid"], os.getppid()):
        try:
            if pid > 1:
                os.kill(pid, 0)
                reached.append(pid)
        except OSError:
            continue
    return reached or None


@attempt
def trace_processes(_context: Any, facts: dict[str, Any]) -> Any:
    """Attach to another process, or read its memory."""
    for pid in (1, os.getppid(), facts["runner_pid"]):
        if LIBC.ptrace(16, pid, 0, 0) == 0:
            return pid
        try:
            with open(f"/proc/{pid}/mem", "rb"):
                return pid
        except OSError:
            continue
    return None


@attempt
def become_root(_context: Any, _facts: dict[str, Any]) -> Any:
    """Take a privileged user, or a capability."""
    takes: list[Any] = [lambda: os.setresuid(0, 0, 0), lambda: os.setgroups([0])]
    for take in takes:
        try:
            take()
        except OSError:
            continue
        if any(line.startswith("CapEff") and int(line.split()[1], 16) for line in
               _read("/proc/self/status").splitlines()):  # fmt: skip
            return "root"
    status = dict(line.split(":", 1) for line in _read("/proc/self/status").splitlines())
    held = [name for name in ("CapEff", "CapPrm", "CapInh", "CapAmb") if int(status[name], 16)]
    return held or None


@attempt
def gain_privileges_by_exec(_context: Any, _facts: dict[str, Any]) -> Any:
    """Run a set-user-ID program."""
    status = dict(line.split(":", 1) for line in _read("/proc/self/status").splitlines())
    if int(status["NoNewPrivs"]) != 1:
        return "no_new_privs is not set"
    answer = subprocess.run(
        ["su", "-c", "id"], capture_output=True, check=False, timeout=5, stdin=subprocess.DEVNULL
    )
    return answer.returncode == 0 or None


@attempt
def make_namespaces(_context: Any, _facts: dict[str, Any]) -> Any:
    """Make namespaces in which it would be root."""
    for flags in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x2000000):
        if LIBC.unshare(flags) == 0:
            return hex(flags)
    pid = LIBC.syscall(ctypes.c_long(56), ctypes.c_ulong(0x10000000 | signal.SIGCHLD), 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return "clone" if pid > 0 else None


@attempt
def mount_something(_context: Any, _facts: dict[str, Any]) -> Any:
    """Mount, unmount, change the root."""
    if LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0:
        return "mount"
    if LIBC.umount2(b"/job", 2) == 0:
        return "umount"
    if LIBC.chroot(b".") == 0:
        return "chroot"
    return None


@attempt
def use_dangerous_calls(_context: Any, _facts: dict[str, Any]) -> Any:
    """Use calls that have a history of holes in the kernel, or that evade a limit."""
    x86 = os.uname().machine == "x86_64"
    calls: dict[str, tuple[Any, ...]] = {
        "memfd_create": (319 if x86 else 279, b"x", 0),
        "bpf": (321 if x86 else 280, 0, None, 0),
        "userfaultfd": (323 if x86 else 282, 1),
        "perf_event_open": (298 if x86 else 241, None, 0, -1, -1, 0),
        "io_uring_setup": (425, 1, None),
        "keyctl": (250 if x86 else 219, 0, -3, 0),
        "add_key": (248 if x86 else 217, b"user", b"x", b"y", 1, -3),
        "kexec_load": (246 if x86 else 104, 0, 0, None, 0),
        "open_by_handle_at": (304 if x86 else 265, -100, None, 0),
        "fsopen": (430, b"tmpfs", 0),
        "shmget": (29 if x86 else 194, 1234, 4096, 0o1666),
    }
    allowed = []
    for name, (number, *arguments) in calls.items():
        result = LIBC.syscall(ctypes.c_long(number), *arguments)
        # EFAULT and EINVAL would mean that the kernel has looked at the arguments.
        if result >= 0 or ctypes.get_errno() not in (1, 13, 38):
            allowed.append(name)
    return allowed or None


@attempt
def use_32_bit_calls(_context: Any, _facts: dict[str, Any]) -> Any:
    """Go round the filter by the x32 table."""
    if os.uname().machine != "x86_64":
        return None
    result = LIBC.syscall(ctypes.c_long(0x40000000 | 39))
    return result if result > 0 else None


@attempt
def raise_limits(_context: Any, _facts: dict[str, Any]) -> Any:
    """Raise its own limits."""
    import resource

    raised = []
    for kind in (resource.RLIMIT_DATA, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
        soft, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY:
            raised.append(kind)
            continue
        try:
            resource.setrlimit(kind, (soft, hard + 1))
        except (OSError, ValueError):
            continue
        raised.append(kind)
    return raised or None


@attempt
def escape_control_group(_context: Any, _facts: dict[str, Any]) -> Any:
    """Move itself to another control group."""
    for path in glob.glob("/sys/fs/cgroup/**/cgroup.procs", recursive=True)[:50]:
        try:
            with open(path, "w") as file:
                file.write(str(os.getpid()))
        except OSError:
            continue
        return path
    return None


@attempt
def use_devices(_context: Any, _facts: dict[str, Any]) -> Any:
    """Open devices, or make one."""
    wanted = ("sd", "vd", "nvme", "mem", "kmem", "kvm", "fuse", "tty", "ptmx", "kmsg", "net")
    opened = []
    for name in os.listdir("/dev"):
        if name.startswith(wanted):
            try:
                os.close(os.open(f"/dev/{name}", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
            except OSError:
                continue
            opened.append(name)
    try:
        os.mknod("device", 0o60600, os.makedev(254, 0))
    except OSError:
        return opened or None
    return [*opened, "mknod"]


@attempt
def keep_descriptors(_context: Any, _facts: dict[str, Any]) -> Any:
    """Find descriptors that were left open by the zygote."""
    spare = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if int(name) > 4 and not target.startswith("/proc"):
            spare.append(target)
    return spare or None
