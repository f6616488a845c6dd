"""Submissions that are broken, clumsy or hostile, and how each must end."""

# ruff: noqa: E501
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from datarun_ext.protocol import Reason

R = Reason
ANY_END = tuple(Reason)


@dataclass(frozen=True)
class Case:
    name: str
    code: str
    reasons: tuple[Reason | None, ...]
    limits: dict[str, Any] = field(default_factory=dict)
    says: str = ""
    """Part of the verdict's detail, or of its traceback."""
    only_full: bool = False


def case(name: str, code: str, *reasons: Reason | None, **more: Any) -> Case:
    limits = {key: more.pop(key) for key in list(more) if key.endswith(("_s", "_mb", "processes"))}
    lines = "\n".join("    " + line for line in code.strip("\n").splitlines())
    head = "import os, sys, time, signal, threading, subprocess, ctypes\n"
    return Case(name, f"{head}def main(context):\n{lines}\n", reasons or (None,), limits, **more)


TIMEOUTS = (R.SOFT_TIMEOUT, R.HARD_TIMEOUT)

CASES = [
    case("well behaved", "return {'sum': 1 + 1}"),
    # -- broken
    case("raises", "raise ValueError('no')", R.USER_ERROR, says="ValueError: no"),
    case("raises without text", "raise KeyError", R.USER_ERROR, says="KeyError"),
    case(
        "bad exception",
        """
class Bad(Exception):
    def __str__(self): raise RuntimeError('nested')
raise Bad
""",
        R.USER_ERROR,
        says="Bad",
    ),
    case(
        "exception whose text exits",
        """
class Bad(Exception):
    def __str__(self): os._exit(0)
raise Bad
""",
        R.NO_RESULT,
    ),
    case("huge message", "raise ValueError('x' * 50_000_000)", R.USER_ERROR),
    case(
        "deep recursion",
        """
def f(): return f()
f()
""",
        R.USER_ERROR,
        says="RecursionError",
    ),
    case(
        "chain of causes",
        """
try:
    1 / 0
except ZeroDivisionError as error:
    raise ValueError('wrapped') from error
""",
        R.USER_ERROR,
        says="ZeroDivisionError",
    ),
    case("keyboard interrupt", "raise KeyboardInterrupt", R.USER_ERROR),
    case(
        "missing package",
        "import no_such_package_at_all",
        R.MISSING_PACKAGE,
        says="no_such_package_at_all",
    ),
    case("missing module of a package", "import sklearn.no_such", R.MISSING_PACKAGE, R.USER_ERROR),
    case("sys.exit", "sys.exit(0)", R.NO_RESULT, says="sys.exit"),
    case("sys.exit with text", "sys.exit('bye')", R.NO_RESULT),
    case("_exit(0)", "os._exit(0)", R.NO_RESULT, says="exit code 0"),
    case("_exit(7)", "os._exit(7)", R.NO_RESULT, says="exit code 7"),
    case(
        "_exit from a thread",
        """
threading.Thread(target=os._exit, args=(0,)).start()
time.sleep(5)
""",
        R.NO_RESULT,
    ),
    case(
        "array that exits",
        """
class Array:
    def __array__(self, *a, **k): os._exit(0)
import numpy
numpy.asarray(Array())
""",
        R.NO_RESULT,
    ),
    case("exec another program", "os.execv('/bin/true', ['true'])", R.NO_RESULT, R.USER_ERROR),
    case("returns no json", "return object()", R.USER_ERROR),
    case("segfault", "ctypes.string_at(0)", R.CRASHED, says="SIGSEGV"),
    case("abort", "os.abort()", R.CRASHED, says="SIGABRT"),
    case("kills itself", "os.kill(os.getpid(), signal.SIGKILL)", R.CRASHED, says="SIGKILL"),
    case("terminates itself", "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(5)", R.CRASHED),
    case("stops itself", "os.kill(os.getpid(), signal.SIGSTOP)", R.HARD_TIMEOUT),
    # -- time
    case("endless loop", "while True: pass", R.SOFT_TIMEOUT, says="Soft Time Limit Exceeded"),
    case("sleeps", "time.sleep(60)", R.SOFT_TIMEOUT),
    case(
        "swallows the soft limit",
        """
while True:
    try: sum(range(1000))
    except BaseException: pass
""",
        R.HARD_TIMEOUT,
        says="line",
    ),
    case(
        "ignores all signals",
        """
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: time.sleep(60)
""",
        R.HARD_TIMEOUT,
    ),
    case(
        "blocks all signals",
        """
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
while True: time.sleep(60)
""",
        R.HARD_TIMEOUT,
    ),
    case("hangs in C", "ctypes.PyDLL(None).pause()\nctypes.PyDLL(None).sleep(60)", *TIMEOUTS),
    case(
        "hangs in a destructor",
        """
class Bad:
    def __del__(self):
        while True: pass
bad = Bad()
del bad
""",
        None,
        *TIMEOUTS,
    ),
    # -- memory
    case(
        "allocates too much",
        "import numpy\nnumpy.ones(100_000_000)",
        R.OUT_OF_MEMORY,
        says="256 MB",
    ),
    case(
        "list without end",
        "x = []\nwhile True: x.append('y' * 1000)",
        R.OUT_OF_MEMORY,
        soft_s=4.0,
        hard_s=5.0,
    ),
    case(
        "memory in children",
        """
import numpy
children = []
for _ in range(8):
    pid = os.fork()
    if not pid:
        try:
            x = numpy.ones(12_000_000); time.sleep(60)
        finally:
            os._exit(0)
time.sleep(60)
""",
        R.OUT_OF_MEMORY,
        soft_s=4.0,
        hard_s=5.0,
    ),
    case(
        "memory in /dev/shm",
        """
with open('/dev/shm/fill', 'wb') as file:
    while True: file.write(bytes(1 << 20))
""",
        R.LIMIT_DISK,
        R.OUT_OF_MEMORY,
    ),
    case("memfd", "os.memfd_create('x')", R.USER_ERROR, says="PermissionError"),
    case(
        "anonymous shared memory",
        """
import mmap
kept = []
for _ in range(64):
    kept.append(mmap.mmap(-1, 16 << 20))
    kept[-1].write(b'x' * (16 << 20))
""",
        R.OUT_OF_MEMORY,
        soft_s=4.0,
        hard_s=5.0,
    ),
    # -- processes
    case(
        "fork bomb",
        """
while True:
    try: os.fork()
    except OSError: pass
""",
        R.LIMIT_PROCESSES,
        *TIMEOUTS,
    ),
    case(
        "fork until refused",
        "while True:\n    if not os.fork(): time.sleep(60)",
        R.LIMIT_PROCESSES,
        soft_s=8.0,
        hard_s=9.0,
    ),
    case(
        "thread bomb",
        """
while True: threading.Thread(target=time.sleep, args=(60,)).start()
""",
        R.LIMIT_PROCESSES,
        R.OUT_OF_MEMORY,
    ),
    case(
        "daemonised grandchildren",
        """
for _ in range(5):
    if not os.fork():
        os.setsid()
        if os.fork(): os._exit(0)
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
return 'left'
""",
    ),
    case(
        "storm of daemons",
        """
def storm():
    while True:
        try:
            if not os.fork():
                os.setsid()
                if os.fork(): os._exit(0)
        except OSError: pass
if not os.fork(): storm()
time.sleep(0.3)
os._exit(0)
""",
        R.NO_RESULT,
        R.LIMIT_PROCESSES,
        # Its own storm, and whatever else runs beside it, may keep it from its end for long.
        soft_s=8,
        hard_s=9,
    ),
    case("exec'ed child left", "subprocess.Popen(['sleep', '600'])\nreturn 'left'"),
    case(
        "threads left",
        """
for _ in range(5): threading.Thread(target=time.sleep, args=(600,)).start()
return 'left'
""",
    ),
    case("atexit sleeps", "import atexit\natexit.register(time.sleep, 600)\nreturn 'left'"),
    case(
        "loky left",
        """
from joblib import Parallel, delayed
return Parallel(n_jobs=2, backend='loky')(delayed(abs)(-i) for i in range(4))
""",
        soft_s=30.0,
        hard_s=40.0,
        memory_mb=1500,
    ),
    case(
        "child kills its parent",
        """
pid = os.getpid()
if not os.fork():
    os.kill(pid, signal.SIGKILL); os._exit(0)
time.sleep(60)
""",
        R.CRASHED,
        says="SIGKILL",
    ),
    # -- disk
    case(
        "one large file",
        """
with open('big', 'wb') as file:
    while True: file.write(bytes(1 << 20))
""",
        R.LIMIT_DISK,
        says="20 MB",
    ),
    case(
        "many files of 1 MB",
        """
for i in range(400):
    with open(f'f{i}', 'wb') as file: file.write(bytes(1_000_000))
time.sleep(60)
""",
        R.LIMIT_DISK,
    ),
    case(
        "many small files",
        """
for i in range(100_000):
    with open(f'f{i}', 'wb') as file: file.write(b'x')
time.sleep(60)
""",
        R.LIMIT_DISK,
        *TIMEOUTS,
    ),
    case(
        "sparse file",
        """
with open('sparse', 'wb') as file: file.truncate(10**12)
""",
        R.LIMIT_DISK,
    ),
    case(
        "fills /tmp",
        """
import tempfile
with tempfile.TemporaryFile() as file:
    while True: file.write(bytes(1 << 20))
""",
        R.LIMIT_DISK,
    ),
    case(
        "folder without rights",
        """
os.makedirs('a/b/c')
open('a/b/c/file', 'w').close()
os.chmod('a/b', 0)
return 'left'
""",
    ),
    case(
        "deep folders",
        """
for _ in range(2000):
    os.mkdir('d'); os.chdir('d')
return 'left'
""",
        soft_s=15.0,
        hard_s=20.0,
    ),
    case(
        "symbolic links out",
        """
os.symlink('/', 'root'); os.symlink('loop', 'loop')
os.makedirs('x'); os.symlink('../x', 'x/again')
return 'left'
""",
    ),
    # -- the harness
    case(
        "fake result and exit",
        """
import struct
os.write(3, b'D' + struct.pack('>I', 0))
os._exit(0)
""",
        None,
        R.NO_RESULT,
    ),
    case("half a frame and exit", "os.write(3, b'D\\0')\nos._exit(0)", R.NO_RESULT),
    case(
        "garbage on every descriptor",
        """
for number in range(3, 100):
    try: os.write(number, b'\\xff' * 1000)
    except OSError: pass
time.sleep(60)
""",
        R.BAD_OUTPUT,
        *TIMEOUTS,
    ),
    case(
        "closes every descriptor",
        "os.closerange(0, 1000)\nreturn 1",
        R.NO_RESULT,
        R.CRASHED,
        R.USER_ERROR,
        *TIMEOUTS,
    ),
    case(
        "claims a huge frame", "os.write(3, b'O\\xff\\xff\\xff\\xff')\ntime.sleep(60)", R.BAD_OUTPUT
    ),
    case(
        "claims a huge output",
        """
context.output('x', b'')
import json, struct
head = json.dumps({'name': 'x', 'size': 10**15, 'meta': {}}).encode()
os.write(3, b'O' + struct.pack('>I', len(head)) + head)
time.sleep(60)
""",
        R.BAD_OUTPUT,
        says="larger",
    ),
    case(
        "negative output",
        """
import json, struct
head = json.dumps({'name': 'x', 'size': -5, 'meta': {}}).encode()
os.write(3, b'O' + struct.pack('>I', len(head)) + head)
time.sleep(60)
""",
        R.BAD_OUTPUT,
    ),
    case("too much output", "context.output('x', bytes(20_000_000))", R.BAD_OUTPUT, says="larger"),
    case(
        "deeply nested frame",
        """
import struct
body = b'[' * 200_000
os.write(3, b'X' + struct.pack('>I', len(body)) + body)
time.sleep(60)
""",
        R.BAD_OUTPUT,
    ),
    case("phase twice", "context.begin('train')", R.BAD_OUTPUT, R.USER_ERROR),
    case("unknown phase", "context.begin('dessert')\ntime.sleep(60)", R.BAD_OUTPUT),
    case(
        "monkeypatched harness",
        """
import json
os.write = os.read = lambda *a: 1 / 0
json.dumps = json.loads = lambda *a, **k: 1 / 0
sys.modules.clear()
raise ValueError('patched')
""",
        R.USER_ERROR,
        R.NO_RESULT,
        R.BAD_OUTPUT,
    ),
    case(
        "tracing hooks",
        """
sys.setprofile(lambda *a: time.sleep(0.001))
sys.settrace(lambda *a: None)
sys.excepthook = lambda *a: os._exit(0)
raise ValueError('hooked')
""",
        R.USER_ERROR,
    ),
    case(
        "prints 200 MB",
        """
line = 'x' * 99 + '\\n'
block = line * 10_000
for _ in range(200): sys.stdout.write(block)
return 'printed'
""",
        soft_s=20.0,
        hard_s=25.0,
    ),
    case("terminal escapes", "print('\\x1b[31mred\\x1b[0m \\x07\\x1b]0;title\\x07 \\u202etxt')"),
    case("binary noise", "os.write(1, bytes(range(256)) * 100)"),
    case(
        "daemon holds the log open",
        """
if not os.fork():
    os.setsid()
    while True:
        print('still here', flush=True); time.sleep(0.01)
return 'left'
""",
    ),
    # -- others
    case(
        "signals everybody",
        "os.kill(-1, signal.SIGKILL)\nreturn 'sent'",
        None,
        R.USER_ERROR,
        R.CRASHED,
        only_full=False,
    ),
    case(
        "signals its parent",
        "os.kill(os.getppid(), signal.SIGKILL)",
        R.USER_ERROR,
        R.CRASHED,
        only_full=True,
    ),
    case(
        "signals process 1",
        "os.kill(1, signal.SIGKILL)\nreturn 1",
        None,
        R.USER_ERROR,
        only_full=True,
    ),
    case("tries to be root", "os.setuid(0)", R.USER_ERROR, says="OSError", only_full=True),
    case(
        "network",
        """
import socket
socket.create_connection(('127.0.0.1', 6379), 1)
""",
        R.USER_ERROR,
        says="PermissionError",
    ),
    case(
        "deletes its own files",
        """
import shutil
shutil.rmtree(context.path('/job/sub'))
""",
        R.USER_ERROR,
        says="Error",
        only_full=True,
    ),
    case(
        "changes the data",
        """
with open(context.path('/job/data') + '/X.npy', 'r+b') as file: file.write(b'spoiled')
""",
        R.USER_ERROR,
        says="Error",
        only_full=True,
    ),
]
