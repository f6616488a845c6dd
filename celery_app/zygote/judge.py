"""From how a fold ended to a reason, and one sentence that a person can act on."""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celery_app.execution import Order, Output, Verdict
from celery_app.logs import clean
from celery_app.zygote.orders import code_folders
from datarun_ext.protocol import Measure, Phase, Reason, UserLine

_DISK = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_DUMPED = re.compile(r'File "([^"\n]+)", line (\d+)')
_DETAIL = 500
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The cause of an ending, before log and measures are added."""

    reason: Reason
    detail: str
    traceback: str = ""
    user_line: UserLine | None = None


def by_exception(facts: dict[str, Any], order: Order) -> Ending:
    """Judge an exception that the fold told of."""
    kinds = [kind for kind in _list(facts.get("kinds")) if isinstance(kind, str)] or ["Exception"]
    text = _text(facts.get("text"), 4000)
    said = f"{kinds[0][:100]}: {text}" if text else kinds[0][:100]
    line = _line(facts.get("line"))
    reason, detail = _classify(facts, kinds, text, said, line, order)
    return Ending(
        reason=reason,
        detail=detail[:_DETAIL],
        traceback=_text(facts.get("traceback"), 64_000),
        user_line=line,
    )


def _classify(
    facts: dict[str, Any],
    kinds: list[str],
    text: str,
    said: str,
    line: UserLine | None,
    order: Order,
) -> tuple[Reason, str]:
    limits = order.limits
    where = "" if line is None else f" ({line.file}, line {line.line})"
    if "RunFault" in kinds and facts.get("reason") in list(Reason):
        return Reason(facts["reason"]), text
    if "SoftTimeLimitExceeded" in kinds:
        return Reason.SOFT_TIMEOUT, (
            f"Soft Time Limit Exceeded: it ran longer than {limits.soft_s:g} s{where}; make it "
            "faster or ask for a higher limit."
        )
    if "MemoryError" in kinds:
        return Reason.OUT_OF_MEMORY, (
            f"It needed more than the {limits.memory_mb} MB of memory that it may use{where}."
        )
    if "OSError" in kinds and facts.get("errno") in _DISK:
        return Reason.LIMIT_DISK, (
            f"It wrote more than the {limits.disk_mb} MB of disk that it may use{where}."
        )
    forks = facts.get("errno") == errno.EAGAIN and "BlockingIOError" in kinds
    if forks or "can't start new thread" in text:
        return Reason.LIMIT_PROCESSES, (
            f"It started more than the {limits.processes} processes and threads that it may "
            f"have{where}."
        )
    package = facts.get("package")
    if "ModuleNotFoundError" in kinds and isinstance(package, str):
        name = _text(package, 100)
        return Reason.MISSING_PACKAGE, (
            f"Package {name!r} is not installed on this runner; its operator can install it with "
            f"`pip install {name}` in the runner's environment and start the runner again."
        )
    if "SystemExit" in kinds:
        return Reason.NO_RESULT, (
            f"The submission called sys.exit{where} before it had a result; remove the call."
        )
    return Reason.USER_ERROR, f"{said}{where}"


def by_status(status: int, faults: str, order: Order, phase: Phase | None) -> Ending:
    """Judge the exit status of a fold that ended without a word."""
    during = "" if phase is None else f" during {phase}"
    line = dumped_line(faults, order)
    where = "" if line is None else f" ({line.file}, line {line.line})"
    number = status & 0x7F
    if not number:
        return Ending(
            reason=Reason.NO_RESULT,
            detail=(
                f"The submission ended its own process with exit code {status >> 8 & 0xFF}{during} "
                "before it had a result; do not call os._exit."
            ),
        )
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    hints: dict[int, str] = {
        signal.SIGKILL: "; it killed itself, or this machine ran out of memory",
        signal.SIGSEGV: "; a compiled library accessed memory that it must not",
        signal.SIGABRT: "; a compiled library gave up",
    }
    hint = hints.get(number, "")
    return Ending(
        reason=Reason.CRASHED,
        detail=f"The submission's process crashed with {name}{during}{where}{hint}.",
        user_line=line,
    )


def verdict(
    ending: Ending | None,
    *,
    phase: Phase | None,
    log: str,
    faults: str,
    measures: Mapping[Phase, Measure],
    outputs: tuple[Output, ...],
) -> Verdict:
    """Add to an ending what was printed, measured and handed over; None: it ended well.

    Where the process did not say where it was, what the fault handler wrote joins the log.
    """
    if ending is None:
        return Verdict(reason=None, log=log, measures=measures, outputs=outputs)
    if ending.reason in (Reason.CRASHED, Reason.HARD_TIMEOUT) and (dump := trim_dump(faults)):
        log += ("" if log.endswith("\n") or not log else "\n") + dump
    return Verdict(
        reason=ending.reason,
        phase=phase,
        detail=ending.detail,
        traceback=ending.traceback,
        user_line=ending.user_line,
        log=log,
        measures=measures,
        outputs=outputs,
    )


def dumped_line(faults: str, order: Order) -> UserLine | None:
    """Return the innermost line of the submission in what faulthandler wrote last."""
    last = faults.rpartition("(most recent call first)")[2]
    for file, line in _DUMPED.findall(last):
        for folder in code_folders(order):
            if file.startswith(folder + "/"):
                return UserLine(file=file[len(folder) + 1 :][:200], line=int(line[:9]))
    return None


def trim_dump(faults: str) -> str:
    """Return what faulthandler wrote, without our own frames."""
    ours = f'File "{_OURS}/'
    lines = (line for line in faults.splitlines(keepends=True) if ours not in line)
    return "".join(line for line in lines if 'File "<frozen runpy>"' not in line)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object, most: int) -> str:
    if not isinstance(value, str):
        return ""
    return clean(value[:most].encode("utf-8", "replace"))


def _line(value: object) -> UserLine | None:
    if not isinstance(value, dict):
        return None
    number = value.get("line")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 10**9:
        return None
    return UserLine(
        file=_text(value.get("file"), 200), line=number, text=_text(value.get("text"), 200)
    )
