"""Pictures that a request names instead of bringing: files of the server and URLs. Both are refused unless switched on.

Whoever may send requests may then read every picture that the server may read, and have it ask addresses of its own
network; so each has its switch, and only who starts the server sets it: ``CROSS_MODAL_SERVE_PATHS=1``,
``CROSS_MODAL_SERVE_URLS=1``, or ``model_config={"allow_paths": True}`` where the model is loaded.
"""

from __future__ import annotations

import os
import re
import stat
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, BinaryIO

from cross_modal.errors import CrossModalError

LARGEST = 64 << 20  # bytes of a file
PATIENCE = 10.0  # seconds that an address has to answer
PATHS, URLS = "CROSS_MODAL_SERVE_PATHS", "CROSS_MODAL_SERVE_URLS"
_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")


@dataclass(frozen=True)
class FileAccess:
    """What a request may name.

    Attributes:
        paths: Files of this machine.
        urls: Addresses, http and https.
    """

    paths: bool = False
    urls: bool = False

    @classmethod
    def of(cls, model_config: Mapping[str, Any] | None = None) -> FileAccess:
        """What the environment or the caller's settings switch on.

        >>> FileAccess.of({"allow_paths": True})
        FileAccess(paths=True, urls=False)
        """
        given = model_config or {}
        return cls(
            paths=given.get("allow_paths") is True or os.environ.get(PATHS) == "1",
            urls=given.get("allow_urls") is True or os.environ.get(URLS) == "1",
        )

    def read(self, name: str) -> bytes:
        """Reads what a request names.

        Args:
            name: A path, or an address with its scheme.

        Raises:
            CrossModalError: It is refused, is no file, does not answer, or is too large.
        """
        if not _URL.match(name):
            return self._file(name)
        if not self.urls:
            raise CrossModalError(
                f"expected an encoded picture, as bytes or base64, found {_shown(name)} (URLs are refused unless "
                f"{URLS}=1 is set where the model is served)"
            )
        return _fetched(name)

    def _file(self, path: str) -> bytes:
        if not self.paths:
            raise CrossModalError(
                f"expected an encoded picture, as bytes or base64, found the text {_shown(path)} (paths are refused "
                f"unless {PATHS}=1 is set where the model is served)"
            )
        try:
            # Looked at before it is opened, and opened without waiting: a pipe would keep the server for ever.
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise CrossModalError(f"expected a file, found {_shown(path)} to be none")
            with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
                return _limited(file, path)
        except (OSError, ValueError) as error:  # a null byte in a path is a ValueError
            if isinstance(error, CrossModalError):
                raise
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise CrossModalError(f"expected a readable file, found {_shown(path)}: {reason}") from None


def _fetched(url: str) -> bytes:
    if not url.lower().startswith(("http://", "https://")):
        raise CrossModalError(f"expected http or https, found {_shown(url)}")
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return _limited(answer, url)
    except CrossModalError:
        raise
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise CrossModalError(f"expected an answer, found {_shown(url)}: {_shown(str(reason))}") from None


def _limited(file: BinaryIO, name: str) -> bytes:
    content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise CrossModalError(f"expected at most {LARGEST} bytes, found {_shown(name)} to be larger")
    return content


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:60] + "…")
