"""A server over real sockets that fails on purpose, in ways that a healthy master never shows."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import tornado.httpserver
import tornado.web
import tornado.websocket
from tornado.netutil import bind_sockets

Script = Callable[["Socket"], Awaitable[None]]


class Socket(tornado.websocket.WebSocketHandler):
    """Runs the script of its place in the server's list of connections."""

    def check_origin(self, origin: str) -> bool:
        return True

    async def open(self) -> None:
        server: FaultyServer = self.application.settings["server"]
        server.asked.append(self.get_query_argument("since", ""))
        server.headers.append(dict(self.request.headers))
        script = server.scripts.pop(0) if server.scripts else None
        if script is not None:
            await script(self)

    async def send(self, **message: Any) -> None:
        await self.write_message(json.dumps(message))

    async def hello(self, seq: int, protocol: int = 1) -> None:
        await self.send(type="hello", protocol=protocol, version="1.0.0", seq=seq)

    async def snapshot(self, seq: int, *folds: dict[str, Any]) -> None:
        await self.send(
            type="snapshot", seq=seq, folds=folds, rawdata=[], submissions=[], runners=[]
        )

    async def fold(self, seq: int, ident: int, state: str, **more: Any) -> None:
        data = {"databoard_sf_id": ident, "state": state, "stage": state, **more}
        await self.send(type="event", seq=seq, at=0.0, kind="fold", ref=str(ident), data=data)

    def cut(self) -> None:
        """Break the connection without a goodbye."""
        self.ws_connection.stream.close()  # type: ignore[union-attr]


class Answer(tornado.web.RequestHandler):
    """Answers as the server's function says."""

    async def prepare(self) -> None:
        server: FaultyServer = self.application.settings["server"]
        server.requests.append((self.request.method or "", self.request.uri or ""))
        await server.answer(self)
        if not self._finished:
            self.finish()


class FaultyServer:
    """Runs in a thread; `scripts` has one entry for each websocket connection to come."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.requests: list[tuple[str, str]] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def answer(self, handler: tornado.web.RequestHandler) -> None:
        handler.set_status(404)
        handler.finish({"detail": "Not found."})

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_forever()

    async def _serve(self) -> None:
        routes = [(r"/runapp/events/", Socket), (r".*", Answer)]
        application = tornado.web.Application(routes, server=self)
        sockets = bind_sockets(0, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        self._server = tornado.httpserver.HTTPServer(application)
        self._server.add_sockets(sockets)
        self._ready.set()

    def stop(self) -> None:
        async def end() -> None:
            self._server.stop()
            await self._server.close_all_connections()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
