"""Tasks, runners, health, and who is asking."""

from __future__ import annotations

from tornado import web

from datarun_ext import __version__
from datarun_ext.handlers import answers
from datarun_ext.handlers.base import DatarunHandler
from datarun_ext.protocol import PROTOCOL


class TaskDetail(DatarunHandler):
    """A task by its task id."""

    @web.authenticated
    async def get(self, task_id: str) -> None:
        """Show how far a split or a fold is."""
        found = await self.master.splits.get(who=self.principal, task_id=task_id)
        self.answer(answers.task(found))


class RunnerList(DatarunHandler):
    """The runners."""

    @web.authenticated
    async def get(self) -> None:
        """List runners; whoever asks will want one, so the pool is brought up."""
        self.master.wake()
        self.answer([answers.runner(view) for view in await self.master.runners.list()])


class HealthDetail(DatarunHandler):
    """Whether folds can run."""

    @web.authenticated
    async def get(self) -> None:
        """Show what is wrong, if anything, and the remedy."""
        self.master.wake()
        settings = self.master.settings
        limits = {
            "default": settings.limits.model_dump(),
            "maximum": settings.maximum.model_dump(),
        }
        health = answers.health(
            await self.master.runners.health(), logs=self.principal.is_superuser
        )
        self.answer({**health, "protocol": PROTOCOL, "version": __version__, "limits": limits})


class Me(DatarunHandler):
    """Who is asking."""

    @web.authenticated
    async def get(self) -> None:
        """Show the name under which things are kept."""
        self.answer({"name": self.principal.name, "is_superuser": self.principal.is_superuser})
