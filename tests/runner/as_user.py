"""Start a command where everybody can reach this interpreter, wherever root keeps it.

Run as root: ``python -m tests.runner.as_user user|root COMMAND...``; ``user`` becomes an ordinary
one. In a mount namespace of its own, every folder on
the way to the interpreter that others may not enter is covered by an empty one that shows only
what is needed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from celery_app.sandbox import layout, libc

USER = 12345


def main() -> None:
    root = Path(__file__).parents[2]
    needed = [*layout.python_paths(), str(root)]
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("none", "/", flags=libc.MS_REC | libc.MS_PRIVATE)
    closed = {
        str(parent)
        for path in needed
        for parent in Path(os.path.realpath(path)).parents
        if not parent.stat().st_mode & 0o001
    }
    for folder in sorted(closed, key=len):
        inner = [path for path in needed if path.startswith(folder + "/")]
        held = {path: os.open(path, os.O_PATH) for path in inner}
        libc.mount("none", folder, "tmpfs", data="mode=755")
        for path, descriptor in held.items():
            os.makedirs(path, exist_ok=True)
            libc.bind(f"/proc/self/fd/{descriptor}", path)
            os.close(descriptor)
    if sys.argv[1] == "user":
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        libc.prctl(libc.PR_SET_DUMPABLE, 1)
    environment = {key: value for key, value in os.environ.items() if key != "XDG_RUNTIME_DIR"}
    environment["HOME"] = "/tmp"
    os.execve(sys.argv[2], sys.argv[2:], environment)


if __name__ == "__main__":
    main()
