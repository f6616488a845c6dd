"""Control groups, where the runner may make them: exact memory and CPU figures, exact limits."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

PREFIX = "datarun-"
"""Begins the name of a runner's groups; the pid of its warden follows."""
_V1 = ("memory", "cpuacct", "pids")


@dataclass(slots=True)
class Group:
    """The control group of one fold: a folder per controller (version 1), or one (version 2)."""

    folders: dict[str, str]
    unified: bool
    _peak: int | None = field(default=None)

    def doors(self) -> list[int]:
        """Open what a process gives to `join`; the caller closes it.

        With version 1 a process that moves itself, as the single thread it is, is moved at once.
        To move another one the kernel stops every fork, end and new thread of the machine for
        about 10 ms.
        """
        name = "cgroup.procs" if self.unified else "tasks"
        opened: list[int] = []
        try:
            for folder in set(self.folders.values()):
                opened.append(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CLOEXEC))
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        return opened

    def limit(self, *, memory: int, processes: int) -> None:
        """Set the most that the group may use."""
        if "memory" in self.folders:
            folder = self.folders["memory"]
            _write(f"{folder}/memory.{'max' if self.unified else 'limit_in_bytes'}", str(memory))
            _try_write(f"{folder}/memory.{'swap.max' if self.unified else 'swappiness'}", "0")
            if self.unified:
                _try_write(f"{folder}/memory.oom.group", "1")
        if "pids" in self.folders:
            _try_write(f"{self.folders['pids']}/pids.max", str(processes))

    def cpu_s(self) -> float | None:
        """Return the CPU time used so far by everything in the group."""
        if self.unified:
            usage = _fields(f"{self.folders['memory']}/cpu.stat").get("usage_usec")
            return None if usage is None else usage / 1e6
        folder = self.folders.get("cpuacct")
        return None if folder is None else int(_read(f"{folder}/cpuacct.usage")) / 1e9

    def memory(self) -> int | None:
        """Return the bytes of private and shared memory in use now, without the file cache."""
        folder = self.folders.get("memory")
        if folder is None:
            return None
        stat = _fields(f"{folder}/memory.stat")
        if self.unified:
            return stat.get("anon", 0) + stat.get("shmem", 0)
        return stat.get("rss", 0) + stat.get("shmem", 0) + stat.get("swap", 0)

    @property
    def measures_peak(self) -> bool:
        """Whether `peak` is exact: the kernel can forget an earlier one."""
        return not self.unified or self._peak is not None

    def restart_peak(self) -> None:
        """Forget the highest usage so far."""
        folder = self.folders.get("memory")
        if folder is None:
            return
        if not self.unified:
            _try_write(f"{folder}/memory.max_usage_in_bytes", "0")
            return
        # Since Linux 6.12 a write resets the peak, for readers of this descriptor only.
        self.close()
        try:
            self._peak = os.open(f"{folder}/memory.peak", os.O_RDWR | os.O_CLOEXEC)
            os.write(self._peak, b"reset")
        except OSError:
            self.close()

    def peak(self) -> int | None:
        """Return the highest usage since `restart_peak`, less the file cache that is left."""
        folder = self.folders.get("memory")
        if folder is None:
            return None
        stat = _fields(f"{folder}/memory.stat")
        if self.unified:
            if self._peak is None:
                return None
            highest = int(os.pread(self._peak, 32, 0))
            rest = stat.get("file", 0) - stat.get("shmem", 0) + stat.get("kernel", 0)
        else:
            highest = int(_read(f"{folder}/memory.max_usage_in_bytes"))
            used = int(_read(f"{folder}/memory.usage_in_bytes"))
            # Whatever is neither private nor shared memory: page cache, kernel memory.
            rest = used - stat.get("rss", 0) - stat.get("shmem", 0)
        return max(0, highest - max(0, rest))

    def oom_kills(self) -> int:
        """Return how many processes the kernel killed for lack of memory in the group."""
        folder = self.folders.get("memory")
        if folder is None:
            return 0
        name = "memory.events" if self.unified else "memory.oom_control"
        return _fields(f"{folder}/{name}").get("oom_kill", 0)

    def refused_processes(self) -> int:
        """Return how often a fork was refused because of the limit on processes."""
        folder = self.folders.get("pids")
        return 0 if folder is None else _fields(f"{folder}/pids.events").get("max", 0)

    def processes(self) -> list[int]:
        """Return every process in the group."""
        folder = self.folders.get("memory") or next(iter(self.folders.values()))
        return [int(pid) for pid in _read(f"{folder}/cgroup.procs").split()]

    def close(self) -> None:
        """Give back what `restart_peak` opened."""
        if self._peak is not None:
            os.close(self._peak)
            self._peak = None

    def remove(self) -> bool:
        """Remove the empty group; says whether it is gone."""
        gone = True
        for folder in set(self.folders.values()):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                continue
            except OSError:
                gone = False
        return gone


def join(doors: list[int]) -> None:
    """Move the calling process, which has one thread, into the group of these doors."""
    for descriptor in doors:
        os.write(descriptor, b"0")


@dataclass(frozen=True, slots=True)
class Parent:
    """Where the groups of a runner's folds are made."""

    folders: dict[str, str]
    unified: bool

    def make(self, name: str) -> Group:
        """Make the group of one fold."""
        made = {kind: f"{folder}/{name}" for kind, folder in self.folders.items()}
        for folder in set(made.values()):
            os.mkdir(folder)
        return Group(made, self.unified)

    def remove(self) -> None:
        """Remove the folders, and those of folds whose keeper was killed."""
        for folder in set(self.folders.values()):
            try:
                for entry in os.scandir(folder):
                    if entry.is_dir():
                        _try_rmdir(entry.path)
            except OSError:
                continue
            _try_rmdir(folder)


def find(name: str) -> Parent | None:
    """Make a folder of that name in the runner's own groups; None where it must not."""
    own = _own_groups()
    for place in set(own.values()):
        _remove_stale(place)
    folders: dict[str, str] = {}
    for kind in _V1:
        if kind in own:
            folder = f"{own[kind]}/{name}"
            if _usable(folder):
                folders[kind] = folder
    if "memory" in folders and _joinable(parent := Parent(folders, unified=False)):
        return parent
    for folder in folders.values():
        _try_rmdir(folder)
    if "" in own and {"memory", "pids"} <= set(
        _read_or(f"{own['']}/cgroup.subtree_control").split()
    ):
        folder = f"{own['']}/{name}"
        if _usable(folder):
            _try_write(f"{folder}/cgroup.subtree_control", "+memory +pids")
            _try_write(f"{folder}/cgroup.subtree_control", "+cpu")
            if _joinable(parent := Parent({"memory": folder, "pids": folder}, unified=True)):
                return parent
            parent.remove()
    return None


def _joinable(parent: Parent) -> bool:
    """Try it: what can be made and opened may still refuse to be joined."""
    try:
        group = parent.make("probe")
        doors = group.doors()
    except OSError:
        return False
    pid = os.fork()
    if pid == 0:
        try:
            join(doors)
            os._exit(0)
        finally:
            os._exit(1)
    for descriptor in doors:
        os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    return group.remove() and status == 0


def _remove_stale(place: str) -> None:
    """Remove what a runner left that was killed together with its warden."""
    try:
        names = [entry.name for entry in os.scandir(place) if entry.name.startswith(PREFIX)]
    except OSError:
        return
    for name in names:
        if not os.path.exists(f"/proc/{name[len(PREFIX) :]}"):
            Parent({"": f"{place}/{name}"}, unified=False).remove()


def _own_groups() -> dict[str, str]:
    mounts: dict[str, str] = {}
    for line in _read_or("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        place = before.split()[4]
        if kind == "cgroup2":
            mounts[""] = place
        elif kind == "cgroup":
            mounts.update({name: place for name in options.split()[-1].split(",") if name in _V1})
    own: dict[str, str] = {}
    for line in _read_or("/proc/self/cgroup").splitlines():
        _, kinds, path = line.split(":", 2)
        for kind in kinds.split(","):
            if kind in mounts:
                folder = mounts[kind] + path.rstrip("/")
                own[kind] = folder if os.path.isdir(folder) else mounts[kind]
    return own


def _usable(folder: str) -> bool:
    try:
        os.mkdir(folder)
    except OSError:
        return False
    if os.access(f"{folder}/cgroup.procs", os.W_OK):
        return True
    _try_rmdir(folder)
    return False


def _read(path: str) -> str:
    # A tenth of a run's overhead is reading here: half as long without the layers of `open`.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = list(iter(lambda: os.read(descriptor, 1 << 16), b""))
    finally:
        os.close(descriptor)
    return b"".join(pieces).decode()


def _read_or(path: str) -> str:
    try:
        return _read(path)
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _try_write(path: str, text: str) -> None:
    try:
        _write(path, text)
    except OSError:
        pass


def _try_rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        pass


def _fields(path: str) -> dict[str, int]:
    pairs = (line.split() for line in _read_or(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
