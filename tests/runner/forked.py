"""Run a program in a forked process, without a sandbox: for tests of the programs alone."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import traceback
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from celery_app.execution import OnSign, Order, Output, RunFault, Sign, Verdict
from datarun_ext.protocol import Measure, Phase, Reason


class ForkedContext:
    def __init__(self, order: Order) -> None:
        self.arguments: Mapping[str, Any] = order.arguments
        self.paths = {**order.readonly, **order.writable}
        self.phase: Phase | None = None
        self.done: list[Phase] = []
        self.outputs: list[Output] = []

    def path(self, inside: str) -> str:
        kept = next(k for k in self.paths if inside == k or inside.startswith(k + "/"))
        return self.paths[kept] + inside[len(kept) :]

    def begin(self, phase: Phase) -> None:
        self.end()
        self.phase = phase

    def end(self) -> None:
        if self.phase is not None:
            self.done.append(self.phase)
        self.phase = None

    def output(self, name: str, data: bytes | memoryview, **meta: Any) -> None:
        self.outputs.append(Output(name=name, meta=meta, data=bytes(data)))


class Forked:
    """An `Executor` that forks."""

    def run(self, order: Order, on_sign: OnSign = lambda sign: True) -> Verdict:
        on_sign(Sign(done=(), measures={}, log=""))
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(self._inside(order), pipe)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            verdict: Verdict = pickle.load(pipe)
        os.waitpid(pid, 0)
        if verdict.log and not on_sign(Sign(done=(), measures={}, log=verdict.log)):
            return Verdict(reason=Reason.CANCELLED)
        return verdict

    def _inside(self, order: Order) -> Verdict:
        context = ForkedContext(order)
        printed = io.StringIO()
        module, _, function = order.program.partition(":")
        reason, detail, trace = None, "", ""
        try:
            with contextlib.redirect_stdout(printed):
                getattr(import_module(f"celery_app.programs.{module}"), function)(context)
        except RunFault as fault:
            reason, detail = fault.reason, fault.detail
        except BaseException as error:
            reason, detail, trace = Reason.USER_ERROR, repr(error), traceback.format_exc()
        return Verdict(
            reason=reason,
            phase=context.phase,
            detail=detail,
            traceback=trace,
            log=printed.getvalue(),
            measures={phase: Measure(wall_s=0.1) for phase in context.done},
            outputs=tuple(context.outputs),
        )
