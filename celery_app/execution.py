"""The seam between a runner's tasks and its sandbox: what is ordered, and what comes back.

A *program* is a function of ours that runs inside a sandboxed process and may call untrusted code
(`celery_app.programs`). A task describes one run of a program as an `Order`; the zygote
(`celery_app.zygote`) runs it and answers with a `Verdict`. Nothing in a verdict but its measures
and its reason is to be trusted: the outputs are bytes that hostile code may have written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from datarun_ext.protocol import Limits, Measure, Phase, Reason, UserLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run of a program in a fresh sandboxed process.

    Attributes
    ----------
    key : str
        Names the run in logs and process titles, e.g. ``fold-12.3``.
    program : str
        ``module:function`` below `celery_app.programs`; the function takes a `Context`.
    arguments : dict
        Plain JSON that the program reads as ``context.arguments``.
    readonly : dict of str to str
        Path inside the sandbox -> path on this machine (file or folder), visible read-only. Where
        mounts are not available (level below ``full``) the program is given the outer paths:
        it must ask ``context.path(inside)``.
    writable : dict of str to str
        As `readonly`, but the program may write there. Only trusted set-up programs get one.
    code : str or None
        The inside path of the submission's folder: frames below it are the user's own.
    limits : Limits
        Wall time, memory, processes and disk of the run.
    threads : int
        Threads that OpenMP, BLAS and joblib may use.
    output_bytes : int
        The most that the outputs may have together; more is BAD_OUTPUT.
    """

    key: str
    program: str
    arguments: Mapping[str, Any]
    readonly: Mapping[str, str] = field(default_factory=dict)
    writable: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    limits: Limits = field(default_factory=Limits)
    threads: int = 1
    output_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One thing that a program handed over: raw bytes and a small JSON description of them."""

    name: str
    meta: Mapping[str, Any]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run ended. `reason` is None when the program returned normally."""

    reason: Reason | None
    phase: Phase | None = None
    detail: str = ""
    traceback: str = ""
    user_line: UserLine | None = None
    log: str = ""
    measures: Mapping[Phase, Measure] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()

    def output(self, name: str) -> Output | None:
        """Return the last output of that name, or None."""
        return next((o for o in reversed(self.outputs) if o.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What has happened since the last sign of a running order.

    Sent at each phase end, with new text (at most every 0.2 s), and at least once a second.
    """

    done: tuple[Phase, ...]
    """Every phase that has ended so far."""
    measures: Mapping[Phase, Measure]
    log: str
    """Text printed since the last sign."""


OnSign = Callable[[Sign], bool]
"""Called in the caller's thread; False ends the run with reason CANCELLED."""


class Context(Protocol):
    """What a program sees of its sandbox."""

    arguments: Mapping[str, Any]

    def path(self, inside: str) -> str:
        """Translate a path of `Order.readonly` or `Order.writable` to where it really is."""
        ...

    def begin(self, phase: Phase) -> None:
        """Say that a phase begins (and that the one before has ended)."""
        ...

    def end(self) -> None:
        """Say that the running phase has ended well."""
        ...

    def output(self, name: str, data: bytes | memoryview, **meta: Any) -> None:
        """Hand over raw bytes with a small JSON description."""
        ...


class RunFault(Exception):
    """Raised by a program to end its run with a reason and a sentence of its own."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Executor(Protocol):
    """Runs orders; `celery_app.zygote.client.Zygote` is the one."""

    def run(self, order: Order, on_sign: OnSign) -> Verdict:
        """Run an order to its end. Raises `OSError` when the sandbox itself is gone."""
        ...
