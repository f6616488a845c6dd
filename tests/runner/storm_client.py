"""Run as a program by `test_zygote_lifetime`: a client, or a starter, that will be killed."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from celery_app.zygote.client import Zygote
from datarun_ext.protocol import SandboxLevel
from tests.runner.zygote_support import Bench, ignore

STORM = """
import os, signal, subprocess, sys, time
def main(context):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    subprocess.Popen(["sleep", "98765.4"], start_new_session=True)
    if not os.fork():
        while True:
            try:
                if not os.fork():
                    os.setsid()
                    if os.fork(): os._exit(0)
            except OSError: time.sleep(0.001)
    time.sleep(0.2)
    print("storm", flush=True)
    time.sleep(600)
"""


def main() -> None:
    role, target, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if role == "start":
        zygote = Zygote.start(cache_dir=folder, level=SandboxLevel(target))
    else:
        zygote = Zygote.connect(target)
    bench = Bench(zygote, folder)
    order = bench.order(STORM, soft_s=500.0, hard_s=600.0, memory_mb=2000)

    def on_sign(sign: object) -> bool:
        if "storm" in getattr(sign, "log", ""):
            print(json.dumps({"path": str(zygote.path), "pid": zygote.pid}), flush=True)
        return ignore(sign)  # type: ignore[arg-type]

    thread = threading.Thread(target=zygote.run, args=(order, on_sign), daemon=True)
    thread.start()
    while thread.is_alive():
        time.sleep(0.05)


if __name__ == "__main__":
    main()
