"""Waiting for folds and tasks: told by the server's events, never by asking again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from datarun_ext.client.data import Fold, Submission, Task
from datarun_ext.client.errors import Deleted, NotFound, WaitTimeout
from datarun_ext.client.events import EventStream
from datarun_ext.client.transport import Transport, parse
from datarun_ext.client.values import Event, Message, Snapshot

OnChange = Callable[[Fold], None]
PATIENCE_S = 120.0
"""Seconds that a lost server is waited for."""


class Waiter:
    """Waits for what runs on one server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def stream(self, since: int | None = None, patience: float | None = None) -> EventStream:
        """Return a stream of the server's messages."""
        return EventStream(self._transport, since=since, patience=patience)

    def submission(
        self,
        submission: Submission | int,
        timeout: float | None,
        on_change: OnChange | None,
    ) -> list[Fold]:
        """Return all folds of a submission once they have ended."""
        ident = submission.id if isinstance(submission, Submission) else submission

        def members() -> Collection[int]:
            return [fold.id for fold in self._of_submission(ident)]

        return self.folds(members, timeout, on_change, ident)

    def folds(
        self,
        members: Callable[[], Collection[int]],
        timeout: float | None,
        on_change: OnChange | None,
        submission: int | None = None,
    ) -> list[Fold]:
        """Return folds once they have ended, in the order of `members`."""
        end = None if timeout is None else time.monotonic() + timeout
        with self.stream(patience=PATIENCE_S) as stream:
            watch = _Watch(self, members, on_change, submission)
            while not watch.done:
                message = self._next(stream, end)
                if message is None:
                    raise WaitTimeout(timeout or 0.0, watch.pending())
                watch.take(message)
        return watch.results()

    def task(self, task_id: str, get: Callable[[], Task], timeout: float | None) -> Task:
        """Return a task once it has ended."""
        end = None if timeout is None else time.monotonic() + timeout
        task = get()
        if task.ended:
            return task
        with self.stream(patience=PATIENCE_S) as stream:
            while not task.ended:
                message = self._next(stream, end)
                if message is None:
                    raise WaitTimeout(timeout or 0.0, {f"task {task_id}": task.state})
                ours = isinstance(message, Event) and message.ref == task_id
                if ours or isinstance(message, Snapshot):
                    task = get()
        return task

    @staticmethod
    def _next(stream: EventStream, end: float | None) -> Message | None:
        return stream.next(None if end is None else max(end - time.monotonic(), 0.0))

    def _of_submission(self, submission: int) -> list[Fold]:
        pages = self._transport.pages(
            "runapp/submissionfold/", limit=None, view="summary", submission=submission
        )
        return [parse(Fold, answer) for answer in pages]

    def summaries(self, folds: Collection[int], submission: int | None) -> dict[int, Fold]:
        """Return folds as they are now: in one request when they belong together."""
        found: dict[int, Fold] = {}
        if submission is not None and len(folds) > 1:
            found = {fold.id: fold for fold in self._of_submission(submission)}
        for ident in folds:
            if ident not in found:
                path = f"runapp/submissionfold/{ident}/"
                try:
                    found[ident] = parse(Fold, self._transport.get(path, view="summary"))
                except NotFound as error:
                    msg = f"Fold {ident} does not exist (any more)."
                    raise Deleted(msg) from error
        return {ident: found[ident] for ident in folds}


class _Watch:
    """What is known of the folds that are waited for."""

    def __init__(
        self,
        waiter: Waiter,
        members: Callable[[], Collection[int]],
        on_change: OnChange | None,
        submission: int | None,
    ) -> None:
        self._waiter = waiter
        self._members = members
        self._on_change = on_change
        self._known: dict[int, dict[str, Any]] = {}
        self._folds: dict[int, Fold] = {}
        self._submission = submission
        self._begun = False

    @property
    def done(self) -> bool:
        """Whether everything has ended."""
        return self._begun and not self.pending()

    def take(self, message: Message) -> None:
        """Learn from a message."""
        if isinstance(message, Snapshot):
            self._begin(message)
        elif isinstance(message, Event) and message.kind == "fold":
            ident = int(message.ref)
            if ident not in self._folds:
                return
            if message.deleted:
                msg = f"Fold {ident} was deleted while it was waited for."
                raise Deleted(msg)
            self._learn(ident, message.data)

    def _begin(self, snapshot: Snapshot) -> None:
        # A fold that runs is taken from the snapshot, not from a later answer: the events that
        # follow would seem to lead it back.
        running = {fold.id: fold for fold in snapshot.folds if not fold.state.final}
        members = list(self._members())
        others = [ident for ident in members if ident not in running]
        answers = self._waiter.summaries(others, self._submission_of(others))
        for ident in members:
            fold = running.get(ident) or answers[ident]
            self._learn(ident, fold.model_dump(by_alias=True, exclude_unset=True))
        self._begun = True

    def _submission_of(self, idents: Collection[int]) -> int | None:
        """Return the submission of folds that all belong to one, so that one request is enough."""
        if self._submission is not None:
            return self._submission
        known = {self._folds[ident].submission for ident in idents if ident in self._folds}
        return known.pop() if len(known) == 1 else None

    def _learn(self, ident: int, data: Mapping[str, Any]) -> None:
        before = self._folds.get(ident)
        known = {**self._known.get(ident, {"databoard_sf_id": ident}), **data}
        fold = parse(Fold, known)
        self._known[ident] = known
        self._folds[ident] = fold
        changed = before is None or (before.state, before.stage) != (fold.state, fold.stage)
        if changed and self._on_change is not None:
            self._on_change(fold)

    def pending(self) -> dict[str, str]:
        """Return what has not ended, with where it was last seen."""
        return {
            f"fold {ident}": fold.stage or fold.state
            for ident, fold in self._folds.items()
            if not fold.state.final
        }

    def results(self) -> list[Fold]:
        """Return the folds as they ended, complete."""
        idents = list(self._folds)
        return list(self._waiter.summaries(idents, self._submission_of(idents)).values())
