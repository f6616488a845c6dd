"""Which URL is served by which handler. Patterns are relative to the server's base URL."""

from __future__ import annotations

from typing import Any

from datarun_ext.handlers import (
    events,
    pages,
    rawdata,
    runner,
    status,
    submission,
    submissionfold,
    testpredictions,
    upload,
)
from datarun_ext.handlers.base import RedirectToSlash
from datarun_ext.services.master import Master

ID = r"(\d{1,16})"
NAME = r"([^/]+)"
TASK = r"([0-9A-Za-z-]+)"
KIND = r"(fold|split|preflight)"

PUBLIC: list[tuple[str, type]] = [
    (r"runapp/rawdata/", rawdata.RawDataList),
    (rf"runapp/rawdata/{ID}/", rawdata.RawDataDetail),
    (rf"runapp/rawdata/{ID}/preview/", rawdata.RawDataPreview),
    (rf"runapp/rawdata/{ID}/file/{NAME}/", rawdata.RawDataFile),
    (r"runapp/rawdata/split/", rawdata.Split),
    (r"runapp/rawdata/customsplit/", rawdata.CustomSplit),
    # So it stands in the examples of datarun 0.4.
    (r"runapp/raw_data/split/", rawdata.Split),
    (r"runapp/raw_data/customsplit/", rawdata.CustomSplit),
    (r"runapp/submission/", submission.SubmissionList),
    (rf"runapp/submission/{ID}/", submission.SubmissionDetail),
    (rf"runapp/submission/{ID}/file/{NAME}/", submission.SubmissionFile),
    (rf"runapp/submission/{ID}/cancel/", submission.SubmissionCancel),
    (rf"runapp/submission/{ID}/rerun/", submission.SubmissionRerun),
    (rf"runapp/submission/{ID}/priority/", submission.SubmissionPriority),
    (r"runapp/submissionfold/", submissionfold.FoldList),
    (r"runapp/submissionfold-light/", submissionfold.FoldLightList),
    (rf"runapp/submissionfold/{ID}/", submissionfold.FoldDetail),
    (rf"runapp/submissionfold/{ID}/cancel/", submissionfold.FoldCancel),
    (rf"runapp/submissionfold/{ID}/rerun/", submissionfold.FoldRerun),
    (rf"runapp/submissionfold/{ID}/priority/", submissionfold.FoldPriority),
    (rf"runapp/submissionfold/{ID}/log/", submissionfold.FoldLog),
    (r"runapp/testpredictions/list/", testpredictions.TestPredictionsList),
    (r"runapp/testpredictions/new/", testpredictions.TestPredictionsNew),
    (rf"runapp/task/{TASK}/", status.TaskDetail),
    (r"runapp/upload/", upload.UploadList),
    (rf"runapp/upload/{TASK}/", upload.UploadDetail),
    (r"runapp/runner/", status.RunnerList),
    (r"runapp/health/", status.HealthDetail),
    (r"runapp/user/me/", status.Me),
    (r"runapp/events/", events.Events),
    (r"docs/", pages.Docs),
    (r"admin/", pages.Admin),
]
FILES: list[tuple[str, type]] = [(r"runapp/openapi.yaml", pages.OpenApi)]
RUNNERS: list[tuple[str, type]] = [
    (r"runapp/runner/register/", runner.Register),
    (r"runapp/runner/beat/", runner.Alive),
    (rf"runapp/runner/claim/{KIND}/", runner.ClaimWork),
    (rf"runapp/runner/progress/{KIND}/", runner.Progress),
    (rf"runapp/runner/result/{KIND}/", runner.Result),
    (r"runapp/runner/blob/([0-9a-f]{64})/", runner.Blob),
    (rf"runapp/runner/blob/{ID}/{NAME}", runner.MadeFile),
]


def routes(master: Master) -> list[tuple[str, type, dict[str, Any]]]:
    """Return all routes, and for each public one the redirect from the URL without its slash."""
    arguments = {"master": master}
    return [
        *((pattern, handler, arguments) for pattern, handler in PUBLIC + FILES + RUNNERS),
        *((pattern.rstrip("/"), RedirectToSlash, arguments) for pattern, _ in PUBLIC),
    ]
