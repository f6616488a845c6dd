"""``python -m celery_app``: a runner, told by its environment what to do."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from celery_app.config import ConfigError, RunnerConfig
from celery_app.secrets import take_secrets

if TYPE_CHECKING:
    from celery_app.sandboxes import ZygoteKeeper
    from celery_app.shared import Shared

logger = logging.getLogger("celery_app")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a runner until it is told to end; returns the exit code."""
    parser = argparse.ArgumentParser("python -m celery_app", description=RunnerConfig.__doc__)
    parser.add_argument(
        "--die-with-parent",
        action="store_true",
        help="end when the process that started the runner ends",
    )
    arguments = parser.parse_args(argv)
    parent = os.getppid()
    environ = take_secrets()
    try:
        config = RunnerConfig.from_environ(environ)
    except ConfigError as error:
        print(f"The runner cannot start. {error}", file=sys.stderr)
        return 1
    _log_to_stderr(config.log_level)
    # The runner itself computes nothing, so it needs no threads for it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Takes as long as the zygote's own start, which waits for another process.
    threading.Thread(target=importlib.import_module, args=("celery_app.worker",)).start()

    from celery_app.sandboxes import ZygoteKeeper
    from celery_app.shared import Shared

    shared = Shared()
    try:
        zygote = ZygoteKeeper(config, shared)
    except OSError as error:
        logger.critical("The runner cannot start: %s", error)
        return 1
    try:
        return _work(config, shared, zygote, parent if arguments.die_with_parent else None)
    finally:
        zygote.close()


def _work(config: RunnerConfig, shared: Shared, zygote: ZygoteKeeper, parent: int | None) -> int:
    from celery_app.master import MasterClient, MasterError
    from celery_app.secrets import hide_memory
    from celery_app.worker import Runner, end_with_parent

    hide_memory()
    if parent is not None:
        end_with_parent(parent)
    runner = Runner(config, shared, zygote.level)
    master = MasterClient(config.master_url, config.token)
    try:
        runner.register(master)
    except MasterError as error:
        logger.critical("The runner cannot start, the master refuses it: %s", error)
        return 1
    finally:
        master.close()
    zygote.watch()
    return runner.run()


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=level if level in logging.getLevelNamesMapping() else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if level != "DEBUG":
        # Two lines for each fold, which the master knows all about.
        for name in ("celery.worker.strategy", "celery.app.trace"):
            logging.getLogger(name).setLevel(logging.WARNING)
    # Celery advises against root because of pickle, which this runner does not accept.
    warnings.filterwarnings("ignore", message=".*superuser privileges", module="celery.platforms")


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # Past the clean-up of Celery's pool, which takes half a second and has nothing to do.
    os._exit(code)
