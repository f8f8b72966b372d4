"""``cross-modal explore``: opens the dashboard on the runs of the tracking store."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call

EXAMPLES = """\
examples:
  cross-modal explore                                    then open http://127.0.0.1:8501
  cross-modal explore --port 9000 --open
  cross-modal explore --gallery all.gallery              beside each run's own
  MLFLOW_TRACKING_URI=http://host:5000 cross-modal explore

It reads the runs of MLFLOW_TRACKING_URI (or of ./mlruns) and writes nothing. For a team, put it behind a reverse proxy
that asks who is there, and name the host that people type: --host 0.0.0.0 --allow-host explorer.example.org"""
SERVER = "cross_modal_dashboards"


@dataclass
class ExploreOptions:
    """Where the dashboard listens.

    Attributes:
        host: The address to listen on; the default can be reached from this machine only.
        port: The port.
        allow_host: Host names, besides this machine's own, that are answered: what people type into their browser.
        gallery: Galleries to choose from besides each run's own, as `cross-modal index` wrote them.
        open: Open the page in this machine's browser.
    """

    host: str = "127.0.0.1"
    port: int = 8501
    allow_host: list[str] = field(default_factory=list)
    gallery: list[str] = field(default_factory=list)
    open: bool = False


def run(call: Call) -> int:
    """Runs the command; the exit code is the server's."""
    options = parse(ExploreOptions, call.arguments, command=call.command, examples=EXAMPLES, usage="[options]")
    check(options)
    if importlib.util.find_spec(SERVER) is None or importlib.util.find_spec("streamlit") is None:
        raise CrossModalError("explore: expected the dashboard's packages, found no streamlit (pip install streamlit)")
    from cross_modal_mlflow.store import tracking_uri

    address = f"http://{'127.0.0.1' if options.host == '0.0.0.0' else options.host}:{options.port}"
    print(f"runs of:  {tracking_uri()}", file=sys.stderr)
    words = [sys.executable, "-m", SERVER, "--host", options.host, "--port", str(options.port)]
    words += ["--allow-host", *options.allow_host] if options.allow_host else []
    words += ["--gallery", *map(located, options.gallery)] if options.gallery else []
    server = subprocess.Popen(words, env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri()})
    try:
        if _is_up(server, options):
            print(f"explorer: {address}   (Ctrl-C stops it)", file=sys.stderr)
            if options.open:
                import webbrowser

                webbrowser.open(address)
        return server.wait()
    except KeyboardInterrupt:  # the server has heard it too
        server.terminate()
        server.wait(timeout=20)
        return 0


def _is_up(server: subprocess.Popen[bytes], options: ExploreOptions) -> bool:
    """Waits until the server answers; false where it has ended before."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)
    while server.poll() is None:
        with suppress(OSError), socket.create_connection((host, options.port), timeout=1):
            return True
        time.sleep(0.1)
    return False


def located(gallery: str) -> str:
    """A gallery in a folder by its absolute path; what has a scheme stays.

    Raises:
        CrossModalError: There is no such folder.

    >>> located("milvus:http://host:19530#birds")
    'milvus:http://host:19530#birds'
    """
    if "://" in gallery or gallery.startswith("milvus:"):
        return gallery
    if not Path(gallery).is_dir():
        raise CrossModalError(f"--gallery {gallery}: expected a gallery's folder, found none")
    return str(Path(gallery).absolute())


def check(options: ExploreOptions) -> None:
    """Refuses what cannot be listened on.

    Raises:
        CrossModalError: In one line.
    """
    for gallery in options.gallery:
        located(gallery)
    if not 1 <= options.port <= 65535:
        raise CrossModalError(f"--port: expected a number from 1 to 65535, found {options.port}")
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family) as knock:
        knock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            knock.bind((options.host, options.port))
        except OSError as error:
            found = (error.strerror or str(error)).lower()
            raise CrossModalError(
                f"--host {options.host} --port {options.port}: expected a free one, found: {found}"
            ) from None
