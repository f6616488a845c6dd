"""Keeps a zygote's memory together, so that a fork copies few page tables and an end frees few.

Python asks the kernel for an arena (1 MiB) at a time, and the libraries that are loaded meanwhile
come to lie in between. Memory becomes a huge page only where 2 MiB of it lie together, and it is
the entries of small pages that make a fork, and the end of what was forked, slow.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator

_MADV_COLLAPSE = 25
_HUGE = 2 << 20
_LARGEST_ON_HEAP = 16 << 20
_PINNED = 16_384
_RAW_DOMAIN = 0

_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.malloc.argtypes = [ctypes.c_size_t]
_libc.malloc.restype = ctypes.c_void_p
_libc.free.argtypes = [ctypes.c_void_p]


class _Allocator(ctypes.Structure):
    """`PyMemAllocatorEx` of Python's C API."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("ctx", "malloc", "calloc", "realloc", "free")]


class _ArenaAllocator(ctypes.Structure):
    """`PyObjectArenaAllocator` of Python's C API."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("ctx", "alloc", "free")]


@contextlib.contextmanager
def kept_together() -> Iterator[None]:
    """Have all objects made meanwhile lie on the heap of the C library, then merge its pages.

    Afterwards arenas come from the kernel again. One on the heap that is empty from then on is
    left to itself: the kernel refuses to unmap what begins in the middle of a page.
    """
    own, raw = _ArenaAllocator(), _Allocator()
    ctypes.pythonapi.PyObject_GetArenaAllocator(ctypes.byref(own))
    ctypes.pythonapi.PyMem_GetAllocator(_RAW_DOMAIN, ctypes.byref(raw))
    # The C library leaves to the kernel what is larger than the largest block it ever got back.
    _libc.free(_libc.malloc(_LARGEST_ON_HEAP))
    # An older arena that became empty would be given back to the wrong allocator: none may.
    pinned = [bytes(400) for _ in range(_PINNED)]
    heap = _ArenaAllocator(raw.ctx, raw.malloc, raw.free)
    ctypes.pythonapi.PyObject_SetArenaAllocator(ctypes.byref(heap))
    try:
        yield
        gc.collect()
        gc.freeze()
    finally:
        ctypes.pythonapi.PyObject_SetArenaAllocator(ctypes.byref(own))
        del pinned
    _collapse()


def _collapse() -> None:
    """Merge private memory into huge pages, where the kernel can."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        lines = maps.readlines()
    for line in lines:
        fields = line.split(None, 5)
        path = fields[5].strip() if len(fields) > 5 else ""
        if path not in ("", "[heap]") or not fields[1].startswith("rw"):
            continue
        low, high = (int(edge, 16) for edge in fields[0].split("-"))
        for start in range((low + _HUGE - 1) // _HUGE * _HUGE, high // _HUGE * _HUGE, _HUGE):
            _libc.madvise(start, _HUGE, _MADV_COLLAPSE)
