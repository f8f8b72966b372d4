"""Starts the explorer: Streamlit with the settings that a tool for a team needs, and the headers that it lacks.

Streamlit by itself listens on every interface, takes any host name, sends usage statistics and no security header.
Here it listens on 127.0.0.1, answers to the names that it was given, and tells the browser to load nothing from
elsewhere. One script a process; `/api/ready` answers a probe (an unknown path answers 200 with the app's page).
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import JSONResponse

SCRIPT = Path(__file__).with_name("app.py").resolve()
UPLOAD_MEGABYTES = 10
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "media-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'none'",
}

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


class SecurityHeaders:
    """Adds `HEADERS` to every answer.

    Args:
        app: The ASGI application inside.
    """

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        await self.app(scope, receive, add if scope["type"] == "http" else send)


async def ready(request: Request) -> JSONResponse:
    """What a probe asks for."""
    from starlette.responses import JSONResponse

    return JSONResponse({"status": "ok"})


def settings(host: str, port: int, names: Sequence[str]) -> dict[str, Any]:
    """Streamlit's settings, by dotted name.

    Args:
        host: The address to listen on.
        port: The port.
        names: Host names that are answered.

    >>> settings("127.0.0.1", 8501, ["localhost"])["browser.gatherUsageStats"]
    False
    """
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.allowedHosts": list(names),
        "server.maxUploadSize": UPLOAD_MEGABYTES,
        "server.fileWatcherType": "none",
        "runner.magicEnabled": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "viewer",
        "browser.gatherUsageStats": False,
    }


@asynccontextmanager
async def warm(app: object) -> AsyncIterator[dict[str, Any]]:
    """Imports what pages need, and opens the store, before the server answers: its first visitor waits for neither."""
    await asyncio.to_thread(_import_all)
    yield {}


def _import_all() -> None:
    for name in ("mlflow", "torch", "altair", "cross_modal.encoders.saved_twin", "cross_modal.gallery.gallery"):
        importlib.import_module(name)
    package = Path(__file__).parent
    for file in [*package.glob("*.py"), *package.glob("components/*.py")]:
        if file.stem not in ("__init__", "__main__", "app"):
            importlib.import_module(
                ".".join(["cross_modal_dashboards", *file.relative_to(package).with_suffix("").parts])
            )


def serve(host: str, port: int, names: Sequence[str]) -> None:
    """Serves the explorer until it is stopped.

    Args:
        host: The address to listen on.
        port: The port.
        names: Host names that are answered besides those of this machine.
    """
    import streamlit as st
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route
    from streamlit import net_util

    # For any origin that it does not know Streamlit asks a host on the internet for this machine's address.
    net_util.get_external_ip = lambda: None
    answered = list(dict.fromkeys(["localhost", "127.0.0.1", *([] if host == "0.0.0.0" else [host]), *names]))
    app = st.App(
        SCRIPT,
        lifespan=warm,
        routes=[Route("/api/ready", ready)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=answered), Middleware(SecurityHeaders)],
    )
    app.run(config=settings(host, port, answered))
