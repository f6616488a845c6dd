"""Tasks: how a split (or a fold) is doing, known by its task id."""

from __future__ import annotations

from datarun_ext.client.data import Task
from datarun_ext.client.errors import ClientError
from datarun_ext.client.transport import Transport, parse
from datarun_ext.client.waiting import Waiter


class TaskFailed(ClientError):
    """A task ended badly; `task` says why."""

    def __init__(self, task: Task) -> None:
        self.task = task
        reason = f" ({task.reason})" if task.reason else ""
        super().__init__(f"Task {task.id} failed{reason}: {task.message or 'no message'}")


class Tasks:
    """The server's tasks."""

    def __init__(self, transport: Transport, waiter: Waiter) -> None:
        self._transport = transport
        self._waiter = waiter

    def get(self, task_id: str) -> Task:
        """Return a task."""
        return parse(Task, self._transport.get(f"runapp/task/{task_id}/"))

    def wait(self, task: Task | str, timeout: float | None = None, *, check: bool = True) -> Task:
        """Return a task once it has ended.

        Parameters
        ----------
        task : Task or str
        timeout : float, optional
            Seconds; without it, as long as it takes.
        check : bool
            Whether a failure is an error.

        Raises
        ------
        TaskFailed
            If it ended badly and `check` is true.
        WaitTimeout
            If it had not ended in time.
        """
        task_id = task if isinstance(task, str) else task.id
        ended = self._waiter.task(task_id, lambda: self.get(task_id), timeout)
        if check and ended.state == "FAILURE":
            raise TaskFailed(ended)
        return ended
