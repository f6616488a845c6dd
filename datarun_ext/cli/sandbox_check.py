"""How well this machine can hold a submission: the level that a runner would have, and a trial."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from datarun_ext.cli.checks import Finding, fail, ok, warn
from datarun_ext.protocol import SandboxLevel

REMEDY = (
    "Allow unprivileged user namespaces (see the security page of the documentation), or let only "
    "people whom you trust submit."
)


def check_sandbox(minimum: SandboxLevel, *, canary: bool) -> Iterator[Finding]:
    """Start what a runner starts, ask for its level, and let a hostile submission try it.

    Parameters
    ----------
    minimum : SandboxLevel
        Weakest level that the configuration accepts.
    canary : bool
        Whether to run the hostile submission.
    """
    from celery_app.canary import run_canary
    from celery_app.zygote.client import SandboxTooWeak, Zygote

    with tempfile.TemporaryDirectory(prefix="datarun-doctor-") as folder:
        try:
            zygote = Zygote.start(cache_dir=folder, minimum_level=minimum, max_slots=1)
        except SandboxTooWeak as error:
            yield fail("sandbox", str(error), REMEDY)
            return
        except OSError as error:
            yield fail("sandbox", f"no fold can be started: {error}", "See the message.")
            return
        with zygote:
            reasons = "; ".join(f"{level}: {why}" for level, why in zygote.degraded.items())
            if zygote.level is SandboxLevel.FULL:
                yield ok("sandbox", "level full")
            else:
                yield warn("sandbox", f"level {zygote.level} only ({reasons})", REMEDY)
            if not canary:
                return
            try:
                report = run_canary(zygote)
            except OSError as error:
                yield fail("hostile submission", str(error), "Restart the runners of this machine.")
                return
    holes = "; ".join(f"{hole.name}: {hole.detail}" for hole in report.holes)
    tried = len(report.attempts)
    if not holes:
        yield ok("hostile submission", f"{tried} attempts, none succeeded")
    elif report.level is SandboxLevel.FULL:
        yield fail("hostile submission", holes, "Let no stranger submit, and report this.")
    else:
        message = f"{len(report.holes)} of {tried} attempts succeeded at this level: {holes}"
        yield warn("hostile submission", message, REMEDY)
