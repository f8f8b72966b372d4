"""Paths and URLs in a request: refused unless switched on, and then files and answers of a bounded size only."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow import request_files
from cross_modal_mlflow.request_files import PATHS, URLS, FileAccess


@pytest.fixture(autouse=True)
def nothing_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PATHS, raising=False)
    monkeypatch.delenv(URLS, raising=False)


@pytest.fixture
def address() -> Iterator[str]:
    """A server that answers with a few bytes, and with 404 under /none."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path == "/none" else 200)
            self.end_headers()
            self.wfile.write(b"picture")

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_both_are_refused_by_default_even_where_the_file_exists(tmp_path: Path, address: str) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    with pytest.raises(CrossModalError, match=f"paths are refused unless {PATHS}=1"):
        FileAccess.of().read(str(tmp_path / "a.png"))
    with pytest.raises(CrossModalError, match=f"URLs are refused unless {URLS}=1"):
        FileAccess.of().read(f"{address}/a.png")


def test_a_refusal_does_not_say_whether_the_file_exists(tmp_path: Path) -> None:
    (tmp_path / "is").write_bytes(b"")
    sentences = []
    for name in ("is", "no"):
        with pytest.raises(CrossModalError) as refused:
            FileAccess().read(str(tmp_path / name))
        sentences.append(str(refused.value).replace(f"/{name}'", "/…'"))
    assert sentences[0] == sentences[1]


@pytest.mark.parametrize("switch", ["environment", "settings"])
def test_paths_are_read_where_they_are_switched_on(
    switch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    if switch == "environment":
        monkeypatch.setenv(PATHS, "1")
    files = FileAccess.of({"allow_paths": True} if switch == "settings" else None)
    assert files.read(str(tmp_path / "a.png")) == b"picture"
    assert not files.urls


def test_only_true_switches_on() -> None:
    assert FileAccess.of({"allow_paths": "no", "allow_urls": 0}) == FileAccess()


def test_urls_are_fetched_where_they_are_switched_on(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URLS, "1")
    files = FileAccess.of()
    assert files.read(f"{address}/a.png") == b"picture"
    with pytest.raises(CrossModalError, match=r"expected an answer, found .*/none'"):
        files.read(f"{address}/none")
    with pytest.raises(CrossModalError, match="expected an answer"):
        files.read("http://127.0.0.1:9/refused")
    for other in ("file:///etc/hostname", "ftp://127.0.0.1/a"):
        with pytest.raises(CrossModalError, match="expected http or https"):
            files.read(other)


def test_what_is_no_readable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = FileAccess(paths=True)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"12345")
    monkeypatch.setattr(request_files, "LARGEST", 4)
    for name, sentence in [
        ("missing", "No such file"),
        ("", "to be none"),  # the folder
        ("pipe", "to be none"),
        ("large", "expected at most 4 bytes"),
        ("null\0byte", "null"),
    ]:
        with pytest.raises(CrossModalError, match=sentence):
            files.read(f"{tmp_path}/{name}")
