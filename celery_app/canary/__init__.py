"""A hostile submission that ships with datarun: it tries to get at what it must not.

`run_canary` runs it as a fold would run, with secrets laid out for it to find, and tells which of
its attempts succeeded: at level ``full`` none may.
"""

from celery_app.canary.run import Attempt, CanaryReport, run_canary

__all__ = ["Attempt", "CanaryReport", "run_canary"]
