"""The endings that a keeper brings about itself."""

from __future__ import annotations

from celery_app.execution import Order
from celery_app.zygote.judge import Ending, dumped_line
from datarun_ext.protocol import Reason


def cancelled() -> Ending:
    """End by request."""
    return Ending(reason=Reason.CANCELLED, detail="The run was cancelled.")


def hard_limit(order: Order, faults: str, processes: int) -> Ending:
    """End what went on after its soft limit."""
    limits = order.limits
    line = dumped_line(faults, order)
    where = (
        "" if line is None else f"; at {limits.soft_s:g} s it was in {line.file}, line {line.line}"
    )
    if processes > 1:
        where += (
            "; it had started processes, which hang when the parent used OpenMP before they were "
            "forked"
        )
    detail = (
        f"It was killed after {limits.hard_s:g} s, having gone on after the soft limit of "
        f"{limits.soft_s:g} s{where}."
    )
    return Ending(reason=Reason.HARD_TIMEOUT, detail=detail, user_line=line)


def memory(order: Order, told: Ending | None = None) -> Ending:
    """End what needs too much memory; keeps where it was, as far as it said."""
    return Ending(
        reason=Reason.OUT_OF_MEMORY,
        detail=f"It needed more than the {order.limits.memory_mb} MB of memory that it may use.",
        traceback=told.traceback if told else "",
        user_line=told.user_line if told else None,
    )


def processes(order: Order) -> Ending:
    """End what starts too much."""
    most = order.limits.processes
    detail = f"It started more than the {most} processes and threads that it may have."
    return Ending(reason=Reason.LIMIT_PROCESSES, detail=detail)


def disk(order: Order) -> Ending:
    """End what writes too much."""
    detail = f"It wrote more than the {order.limits.disk_mb} MB of disk that it may use."
    return Ending(reason=Reason.LIMIT_DISK, detail=detail)


def corrupt() -> Ending:
    """End what spoils the channel for results."""
    detail = (
        "The channel for results holds something else: the submission wrote to descriptors that "
        "are not its own."
    )
    return Ending(reason=Reason.BAD_OUTPUT, detail=detail)


def too_much(order: Order) -> Ending:
    """End what hands over more than it may."""
    detail = f"The result is larger than the {order.output_bytes} bytes that it may have."
    return Ending(reason=Reason.BAD_OUTPUT, detail=detail)
