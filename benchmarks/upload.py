"""A 300 MB upload: speed, memory of the server, and what another client waits meanwhile."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

import psutil
import requests
from servers import server

MB = 300


def main() -> None:
    """Print the figures."""
    with server() as here, tempfile.TemporaryDirectory() as name:
        client = here.client()
        path = Path(name, "big.csv")
        line = ",".join(str(k / 7) for k in range(40)) + "\n"
        path.write_text(line * (MB * 10**6 // len(line)))
        process = psutil.Process(here.pid)
        client.datasets.list()
        before = process.memory_info().rss
        peak, delays, done = [before], [], threading.Event()
        session = requests.Session()
        session.headers["Authorization"] = f"token {here.token}"

        def watch() -> None:
            while not done.is_set():
                begin = time.perf_counter()
                session.get(f"{here.url}runapp/rawdata/").raise_for_status()
                delays.append(1000 * (time.perf_counter() - begin))
                peak.append(process.memory_info().rss)
                time.sleep(0.005)

        watcher = threading.Thread(target=watch)
        watcher.start()
        begin = time.perf_counter()
        client.uploads.send(path)
        took = time.perf_counter() - begin
        done.set()
        watcher.join()
        begin = time.perf_counter()
        shutil.copyfile(path, Path(name, "copy.csv"))
        peer = time.perf_counter() - begin
    print(f"upload: {path_mb(line):.0f} MB in {took:.1f} s, {MB / took:.0f} MB/s")
    print(f"memory of the server: +{(max(peak) - before) / 1e6:.0f} MB")
    print(
        f"another client's GET: p50 {statistics.median(delays):.0f} ms, "
        f"p95 {statistics.quantiles(delays, n=20)[-1]:.0f} ms, max {max(delays):.0f} ms"
    )
    print(f"copying the file: {peer:.2f} s; ratio {took / peer:.1f}")


def path_mb(line: str) -> float:
    """Return the size of the file in MB."""
    return len(line) * (MB * 10**6 // len(line)) / 1e6


if __name__ == "__main__":
    main()
