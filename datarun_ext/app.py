"""The Jupyter server extension: `jupyter lab` loads it, `jupyter datarun` runs it alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from datarun_ext.config import Settings
from datarun_ext.environment import OptionError
from datarun_ext.options import Options
from datarun_ext.routes import routes
from datarun_ext.services.master import Master


class DatarunApp(Options, ExtensionApp):
    """datarun's master as an extension of a Jupyter server."""

    name = "datarun"
    extension_url = "/docs/"
    load_other_extensions = False
    # Alone it is of no use without its extension: a wrong option must end it, not be logged.
    serverapp_config = {"reraise_server_extension_failures": True}
    description = "Train and test submissions on cross-validation folds, on a pool of runners."

    master: Master | None = None
    _sockets: list[HTTPServer]

    def initialize_handlers(self) -> None:
        """Put the services together and route to them."""
        assert self.serverapp is not None
        self._sockets = []
        self.master = Master(
            settings=Settings.from_options(self),
            base_url=self.serverapp.base_url,
            root_dir=Path(self.serverapp.root_dir),
            listen=self._listen,
        )
        self.handlers.extend(routes(self.master))

    async def _start_jupyter_server_extension(self, _serverapp: Any) -> None:
        """Take up again what an earlier server left, without holding up this one's start."""
        assert self.master is not None
        if self.master.left_behind():
            await self.master.started()

    async def stop_extension(self) -> None:
        """End what was started."""
        if self.master is not None:
            await self.master.stop()
        for server in self._sockets:
            server.stop()

    def _listen(self, path: Path) -> None:
        """Serve on a socket that only this user can open, for the master's own runner.

        Over it a runner needs to know nothing of the server's address, certificate or proxy.
        """
        assert self.serverapp is not None
        path.unlink(missing_ok=True)
        server = HTTPServer(self.serverapp.web_app, max_body_size=1 << 34, max_buffer_size=1 << 34)
        server.add_socket(bind_unix_socket(str(path), mode=0o600))
        self._sockets.append(server)


def main() -> None:
    """Run the master without JupyterLab: `jupyter datarun`."""
    try:
        DatarunApp.launch_instance()  # type: ignore[no-untyped-call]
    except OptionError as error:
        sys.exit(f"datarun cannot start. {error}")


if __name__ == "__main__":
    main()
