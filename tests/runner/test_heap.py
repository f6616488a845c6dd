"""A zygote's memory is kept together, and nothing that lies in it is lost."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, os
from celery_app.zygote import heap

def small_objects():
    return [{"name": str(i), "pair": (i, float(i))} for i in range(200_000)]

def heap_bytes():
    with open("/proc/self/maps") as maps:
        edges = [line.split()[0] for line in maps if line.rstrip().endswith("[heap]")]
    return sum(int(high, 16) - int(low, 16) for low, high in (edge.split("-") for edge in edges))

older = small_objects()
before = heap_bytes()
with heap.kept_together():
    for _ in range(3):
        kept = small_objects()
grown = heap_bytes() - before
assert grown > 40_000_000, grown
assert gc.get_freeze_count() > 0

def use():
    assert [entry["pair"][0] for entry in kept] == list(range(200_000))
    assert older[-1]["name"] == "199999"
    older.clear()
    kept.clear()
    gc.unfreeze()
    gc.collect()
    assert len(small_objects()) == 200_000

pid = os.fork()
if pid == 0:
    use()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
use()
assert heap_bytes() - before < grown + 20_000_000
print("well")
"""


def test_memory_lies_together_and_can_be_freed_and_used_again() -> None:
    # In a process of its own: it changes where Python takes memory from, and ends as any other.
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "well\n", "")
