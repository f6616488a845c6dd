"""What a runner asks of its master, and tells it: the client of the runner protocol."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from celery_app.transport import Answer, HttpClient, Unreachable, segment
from datarun_ext.protocol import (
    HEADER_PROTOCOL,
    PROTOCOL,
    Beat,
    BeatAnswer,
    Claim,
    File,
    FoldJob,
    FoldOutcome,
    FoldProgress,
    PreflightJob,
    PreflightOutcome,
    ProgressAnswer,
    Registered,
    Registration,
    SplitJob,
    SplitOutcome,
    SplitProgress,
    pack_outcome,
)

logger = logging.getLogger(__name__)

PATH = "runapp/runner/"
BINARY = "application/octet-stream"

M = TypeVar("M", bound=BaseModel)
Waiting = Callable[[], object]
"""Called between attempts and while bytes flow; it may raise to give up."""


class MasterError(Exception):
    """The master did not do what it was asked."""


class MasterAway(MasterError):
    """The master could not be reached, or was not able to answer, for as long as was tried."""


class Refused(MasterError):
    """The master answered with a refusal: trying again would change nothing."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{detail} (HTTP {status})")
        self.status = status
        self.detail = detail


JUDGED_PER_S = 1_000_000
"""Bytes of a result that even a busy master checks and stores in a second."""
BEAT_SLACK_S = 10.0
"""How much longer than it was allowed to the master may take to answer a sign of life."""


class MasterClient:
    """Speaks the runner protocol over one kept connection; one per process and thread.

    Every method raises `MasterAway` when the master stays away for its ``patience_s``, and
    `Refused` when it will not have the request.
    """

    def __init__(self, master_url: str, token: str, *, patience_s: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {token}", HEADER_PROTOCOL: str(PROTOCOL)}
        self.http = HttpClient(master_url.rstrip("/") + "/" + PATH, headers)
        self.patience_s = patience_s

    def register(self, registration: Registration, *, waiting: Waiting | None = None) -> Registered:
        """Introduce the runner; waits for ever for a master that is away."""
        answer = self._send("register/", registration, patience_s=None, waiting=waiting)
        return _read(Registered, answer)

    def beat(self, beat: Beat) -> BeatAnswer | None:
        """Show that the runner lives, and hear of alarms; None: it must register again."""
        answer = self._send(
            "beat/", beat, patience_s=0, allowed=(404,), timeout=beat.wait_s + BEAT_SLACK_S
        )
        return None if answer.status == 404 else _read(BeatAnswer, answer)

    def claim_fold(self, claim: Claim) -> FoldJob | None:
        """Take a fold; None when it is another's or no longer wanted."""
        answer = self._send("claim/fold/", claim, allowed=(409,))
        return None if answer.status == 409 else _read(FoldJob, answer)

    def claim_split(self, claim: Claim) -> SplitJob | None:
        """Take a split; None when it is another's or no longer wanted."""
        answer = self._send("claim/split/", claim, allowed=(409,))
        return None if answer.status == 409 else _read(SplitJob, answer)

    def claim_preflight(self, claim: Claim) -> PreflightJob | None:
        """Take a trial; None when nobody waits for it any more."""
        answer = self._send("claim/preflight/", claim, allowed=(409,))
        return None if answer.status == 409 else _read(PreflightJob, answer)

    def progress(self, progress: FoldProgress | SplitProgress, *, timeout: float = 5.0) -> bool:
        """Renew the lease, tell what is new; False when the run must end. Tried once."""
        kind = "fold" if isinstance(progress, FoldProgress) else "split"
        answer = self._send(f"progress/{kind}/", progress, patience_s=0, timeout=timeout)
        return not _read(ProgressAnswer, answer).end

    def finish_fold(
        self,
        outcome: FoldOutcome,
        full_train: bytes = b"",
        test: bytes = b"",
        *,
        patience_s: float | None = None,
    ) -> bool:
        """Commit the result of a fold; False when the fold is another's by now."""
        body = pack_outcome(outcome, full_train, test)
        answer = self._send(
            "result/fold/",
            body,
            content_type=BINARY,
            # The master judges it before it answers.
            timeout=30.0 + len(body) / JUDGED_PER_S,
            allowed=(409,),
            patience_s=self.patience_s if patience_s is None else patience_s,
        )
        return answer.status != 409

    def finish_split(self, outcome: SplitOutcome, *, patience_s: float | None = None) -> bool:
        """Commit the result of a split; False when the task is another's by now."""
        answer = self._send(
            "result/split/",
            outcome,
            allowed=(409,),
            patience_s=self.patience_s if patience_s is None else patience_s,
        )
        return answer.status != 409

    def finish_preflight(self, outcome: PreflightOutcome, *, patience_s: float) -> bool:
        """Tell how a trial ended; False when nobody waits for it any more."""
        answer = self._send("result/preflight/", outcome, allowed=(409,), patience_s=patience_s)
        return answer.status != 409

    def upload(
        self,
        path: Path,
        *,
        raw_data_id: int,
        name: str,
        task_id: str,
        attempt: int,
        waiting: Waiting,
    ) -> File:
        """Stream a file that a split made to the master, calling `waiting` as it flows."""
        query = urlencode({"task_id": task_id, "attempt": attempt})
        target = f"blob/{raw_data_id}/{segment(name)}?{query}"

        def send() -> Answer:
            with path.open("rb") as file:
                size = path.stat().st_size
                return self.http.request(
                    "PUT",
                    target,
                    _Watched(file, waiting),
                    content_type=BINARY,
                    length=size,
                    timeout=120,
                )

        return _read(File, self._retry(send, self.patience_s, waiting, ()))

    @contextmanager
    def blob(self, sha256: str) -> Iterator[Iterator[bytes]]:
        """Give a file's content piece by piece; the caller tries again when it breaks off."""
        try:
            with self.http.stream(f"blob/{segment(sha256)}/") as (status, pieces):
                if status >= 500:
                    msg = f"the master cannot give file {sha256} now (HTTP {status})"
                    raise MasterAway(msg)
                if status != 200:
                    raise Refused(status, f"the master does not give file {sha256}")
                yield pieces
        except Unreachable as error:
            raise MasterAway(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self.http.close()

    def _send(
        self,
        path: str,
        body: BaseModel | bytes,
        *,
        content_type: str = "application/json",
        allowed: tuple[int, ...] = (),
        patience_s: float | None = -1,
        waiting: Waiting | None = None,
        timeout: float = 30.0,
    ) -> Answer:
        data = body if isinstance(body, bytes) else body.model_dump_json().encode()
        patience = self.patience_s if patience_s == -1 else patience_s

        def send() -> Answer:
            return self.http.request("POST", path, data, content_type=content_type, timeout=timeout)

        return self._retry(send, patience, waiting, allowed)

    def _retry(
        self,
        send: Callable[[], Answer],
        patience_s: float | None,
        waiting: Waiting | None,
        allowed: tuple[int, ...],
    ) -> Answer:
        """Repeat a request while the master is away or has trouble, with growing pauses."""

        def once() -> Answer:
            try:
                return _checked(send(), allowed)
            except Unreachable as error:
                raise MasterAway(str(error)) from error

        if patience_s == 0:
            return once()
        begin = time.monotonic()

        def stop(state: RetryCallState) -> bool:
            if waiting is not None:
                waiting()
            if state.attempt_number == 3 and state.outcome is not None:
                logger.warning("%s; trying again", state.outcome.exception())
            return patience_s is not None and time.monotonic() - begin > patience_s

        try:
            return once()
        except MasterAway:
            pass
        return Retrying(
            retry=retry_if_exception_type(MasterAway),
            wait=wait_exponential_jitter(initial=0.05, max=5.0, jitter=0.2),
            stop=stop,
            reraise=True,
        )(once)


@dataclass(frozen=True, slots=True)
class _Watched:
    file: IO[bytes]
    waiting: Waiting

    def read(self, length: int = -1, /) -> bytes:
        self.waiting()
        return self.file.read(length)


def _checked(answer: Answer, allowed: tuple[int, ...]) -> Answer:
    if answer.status < 300 or answer.status in allowed:
        return answer
    detail = _detail(answer)
    if answer.status >= 500 or answer.status in (408, 425, 429):
        msg = f"the master has trouble: {detail} (HTTP {answer.status})"
        raise MasterAway(msg)
    raise Refused(answer.status, detail)


def _detail(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body)["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.body[:200].decode(errors="replace").strip() or "no reason given"


def _read(model: type[M], answer: Answer) -> M:
    try:
        return model.model_validate_json(answer.body)
    except ValidationError as error:
        msg = f"the master's answer is no {model.__name__}: {error}"
        raise MasterError(msg) from error
