"""One background thread for each session: it hears the server's events and tells the views."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

from datarun_ext.client import Client, ClientError, Event, Fold, NotConnected, Snapshot, Unavailable
from datarun_ext.client.transport import parse

EVERY_S = 0.25
"""Seconds between two updates of a view, at least."""
AGAIN_S = 1.0
"""Seconds until a server that does not answer is tried again."""


class View(Protocol):
    """Something that shows a submission."""

    def show(self, folds: Sequence[Fold]) -> None:
        """Show the folds as they are now. Called in the watcher's thread."""
        ...

    def lost(self, why: str) -> None:
        """Show that there will be no more updates, and why."""
        ...

    def connected(self, yes: bool) -> None:
        """Show whether the server can be heard."""
        ...


class Watcher:
    """Keeps views up to date until their submissions have ended.

    The thread runs only while there is something to watch. A view that nobody holds any more is
    forgotten.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._watched: dict[int, _Watched] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, submission: int, view: View) -> None:
        """Show a submission in a view from now on, until all its folds have ended."""
        with self._lock:
            watched = self._watched.setdefault(submission, _Watched(submission))
            watched.views.add(view)
            watched.stale = True
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._run, name="datarun-watcher", daemon=True
                )
                self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def close(self) -> None:
        """Stop all updates."""
        self._closed = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)

    def _run(self) -> None:
        try:
            while not self._closed:
                try:
                    self._listen()
                except (NotConnected, Unavailable):
                    # It was there when the session began: wait until it is there again.
                    self._tell(False)
                    time.sleep(AGAIN_S)
                if self._finished():
                    return
        except Exception as error:
            with self._lock:
                watched, self._watched = self._watched, {}
                self._thread = None
            for one in watched.values():
                for view in list(one.views):
                    view.lost(str(error))

    def _listen(self) -> None:
        with self._client.events() as stream:
            heard: bool | None = None
            shown_at = 0.0
            while not self._closed:
                message = stream.next(EVERY_S)
                if stream.connected is not heard:
                    heard = stream.connected
                    self._tell(heard)
                self._take(message)
                if time.monotonic() - shown_at >= EVERY_S:
                    self._show()
                    shown_at = time.monotonic()
                    if self._idle():
                        return

    def _idle(self) -> bool:
        return all(watched.done or not watched.views for watched in self._all())

    def _finished(self) -> bool:
        """Whether there is nothing to watch; the thread is then given up, under the lock."""
        with self._lock:
            for ident, watched in list(self._watched.items()):
                if watched.done or not watched.views:
                    del self._watched[ident]
            if self._watched:
                return False
            self._thread = None
            return True

    def _take(self, message: Any) -> None:
        if isinstance(message, Snapshot):
            # What happened while the server was away is not known: ask again.
            for watched in self._all():
                watched.stale = True
        elif isinstance(message, Event) and message.kind == "fold":
            for watched in self._all():
                watched.learn(message)

    def _all(self) -> list[_Watched]:
        with self._lock:
            return list(self._watched.values())

    def _show(self) -> None:
        for watched in self._all():
            if watched.stale:
                watched.ask(self._client)
            watched.show()

    def _tell(self, yes: bool) -> None:
        for watched in self._all():
            for view in list(watched.views):
                view.connected(yes)


class _Watched:
    """What is known of one submission, and who shows it."""

    def __init__(self, submission: int) -> None:
        self.submission = submission
        self.views: weakref.WeakSet[Any] = weakref.WeakSet()
        self.stale = True
        self._changed = True
        self._data: dict[int, dict[str, Any]] = {}

    @property
    def done(self) -> bool:
        """Whether all folds have ended, and that was shown."""
        return not self.stale and not self._changed and all(f.state.final for f in self._folds())

    def ask(self, client: Client) -> None:
        """Ask the server for all folds; when it cannot be reached, they stay stale."""
        self.stale = False
        try:
            folds = client.folds.list(submission=self.submission)
        except ClientError:
            self.stale = True
            return
        self._data = {f.id: f.model_dump(by_alias=True, exclude_unset=True) for f in folds}
        self._changed = True

    def learn(self, event: Event) -> None:
        """Take in what has changed, if it is about one of these folds."""
        ident = int(event.ref)
        if event.deleted:
            self._changed |= self._data.pop(ident, None) is not None
        elif event.data.get("databoard_s") == self.submission:
            known = self._data.get(ident, {"databoard_sf_id": ident})
            self._data[ident] = {**known, **event.data}
            self._changed = True
            # An event has not the memory and the line of an error.
            self.stale |= event.data.get("state") in ("TESTED", "ERROR")

    def show(self) -> None:
        """Tell the views, if anything has changed."""
        if self._changed:
            self._changed = False
            folds = self._folds()
            for view in list(self.views):
                view.show(folds)

    def _folds(self) -> list[Fold]:
        return [parse(Fold, data) for _, data in sorted(self._data.items())]
