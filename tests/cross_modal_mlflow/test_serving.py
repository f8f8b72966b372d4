"""MLflow's scoring server over a twin: one answer whatever the format, 4xx with a sentence, and never a dead server.

The server is MLflow's own application. Most tests call it in this process; the slow ones start `mlflow models serve`
and `mlflow models predict` as a user would.
"""

import collections
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from mlflow.pyfunc import scoring_server
from toys.malformed import malformed_bodies
from toys.requests import few_shot_request, in_base64, picture
from toys.tiny_twin import tiny_twin

import cross_modal_mlflow
from cross_modal_mlflow import served_twin

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
# MLflow starts uvicorn by name: it must be on the path, as in an activated environment.
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
Post = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "model"
    cross_modal_mlflow.save_model(tiny_twin(), folder)
    return folder


@pytest.fixture(scope="module")
def post(model: Path) -> Iterator[Post]:
    """Sends a body to the application in this process; gives status and text."""
    before = os.environ.get("_MLFLOW_IS_IN_SERVING_ENVIRONMENT")
    app = scoring_server.init(mlflow.pyfunc.load_model(str(model)))
    client = TestClient(app, raise_server_exceptions=False)

    def send(body: Any, kind: str = JSON) -> tuple[int, str]:
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        answer = client.post("/invocations", content=content, headers={"content-type": kind})
        return answer.status_code, answer.text

    yield send
    if before is None:
        os.environ.pop("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", None)


def table() -> pd.DataFrame:
    """A few-shot request as it is written in JSON: base64, empty texts for missing cells."""
    request = few_shot_request()
    return request.assign(image=[in_base64(cell) for cell in request["image"]])


def with_null(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: cell or None for name, cell in record.items()} for record in records]


def formats() -> dict[str, tuple[Any, str]]:
    """One request in all the ways that MLflow takes, empty cells as "" and as null."""
    rows = table()
    nulls = with_null(rows.to_dict("records"))
    columns = {name: [record[name] for record in nulls] for name in rows.columns}
    return {
        "dataframe_split": ({"dataframe_split": rows.to_dict("split")}, JSON),
        "dataframe_records": ({"dataframe_records": rows.to_dict("records")}, JSON),
        "dataframe_records, null": ({"dataframe_records": nulls}, JSON),
        "inputs, columns": ({"inputs": rows.to_dict("list")}, JSON),
        "inputs, columns, null": ({"inputs": columns}, JSON),
        "inputs, records": ({"inputs": rows.to_dict("records")}, JSON),
        "inputs, records, null": ({"inputs": nulls}, JSON),
        "instances, records": ({"instances": rows.to_dict("records")}, JSON),
        "instances, records, null": ({"instances": nulls}, JSON),
        "instances, columns": ({"instances": rows.to_dict("list")}, JSON),
        "csv": (rows.to_csv(index=False), CSV),
        "parquet": (few_shot_request().to_parquet(), PARQUET),
    }


def sentence(answer: tuple[int, str]) -> str:
    """The message of an answer that refuses, which is a 4xx without a stack trace."""
    status, text = answer
    assert 400 <= status < 500, text
    assert "Traceback" not in text
    assert "stack_trace" not in text
    return json.loads(text)["message"]


class TestFormats:
    @pytest.mark.parametrize("name", formats())
    def test_all_formats_give_one_answer(self, post: Post, name: str) -> None:
        status, text = post(*formats()[name])
        assert status == 200, text
        answer = json.loads(text)["predictions"]
        assert [(row["label"], row["row"]) for row in answer] == [("class 0", 3), ("class 1", 4), ("class 2", 5)]
        assert text == post(*formats()["dataframe_split"])[1]

    @pytest.mark.parametrize("task", ["embed", "search"])
    @pytest.mark.parametrize("name", ["dataframe_split", "dataframe_records", "inputs, columns", "instances, records"])
    def test_params_reach_the_model_in_all_of_them(self, post: Post, name: str, task: str) -> None:
        body = formats()[name][0] | {"params": {"task": task}}
        status, text = post(body)
        assert status == 200
        assert ("embedding" in text) == (task == "embed")
        assert text == post(formats()["dataframe_split"][0] | {"params": {"task": task}})[1]

    def test_the_server_answers_what_the_model_answers_here(self, post: Post, model: Path) -> None:
        here = mlflow.pyfunc.load_model(str(model)).predict(few_shot_request())
        assert json.loads(post(*formats()["csv"])[1])["predictions"] == here.to_dict("records")

    @pytest.mark.parametrize(
        ("kind", "key"),
        [
            ("png", "inputs"),
            ("png", "instances"),
            ("jpeg", "dataframe_records"),  # others MLflow refuses there before the model sees them
            ("webp", "dataframe_records"),
            ("jpeg", "inputs"),
        ],
    )
    def test_data_urls_where_mlflow_lets_them_through(self, post: Post, kind: str, key: str) -> None:
        text = in_base64(picture(1, kind.upper()))
        plain, url = ([{"image": cell}] for cell in (text, f"data:image/{kind};base64,{text}"))
        status, answer = post({key: url, "params": {"task": "embed"}})
        assert status == 200, answer
        assert answer == post({key: plain, "params": {"task": "embed"}})[1]

    def test_names_stand_beside_pictures_with_an_empty_image(self, post: Post) -> None:
        rows = [
            {"image": "", "text": "a cat", "role": "support"},
            {"image": "", "text": "a dog", "role": "support"},
            {"image": in_base64(picture(1)), "text": "", "role": "query"},
        ]
        first = post({"dataframe_records": rows})
        assert first[0] == 200
        assert post({"instances": rows}) == post({"inputs": with_null(rows)}) == first
        # MLflow itself refuses a null in a column of base64.
        assert "Failed to convert column image" in sentence(post({"dataframe_records": with_null(rows)}))


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"inputs": [{"text": "a"}]}, "Error: request: expected support rows"),
            ({"inputs": [{"text": "a"}], "params": {"task": "guess"}}, "Error: params.task: expected one of classify"),
            ({"inputs": [{"text": "a"}], "params": {"top": "many"}}, "Invalid parameters found"),
            ({"inputs": [{"text": "a"}], "params": [1]}, "Parameters must be a dictionary"),
            ({"inputs": [{"text": "a", "role": "judge"}]}, 'Error: row 0: role: expected "support" or "query"'),
            ({"inputs": [{"text": "a"}, {"text": None}]}, "Error: row 1: expected an image, a text or both"),
            ({"inputs": [{"image": "/etc/passwd"}]}, "Error: row 0: image: expected an encoded picture"),
            ({"instances": [{"image": "http://127.0.0.1/a.png"}]}, "(URLs are refused unless CROSS_MODAL_SERVE_URLS=1"),
            ({"instances": [{"image": "cat.png"}]}, "(paths are refused unless CROSS_MODAL_SERVE_PATHS=1"),
            ({"inputs": [{"image": {"b64": "QUJD"}}]}, "Error: row 0: image: expected an encoded picture"),
            ({"inputs": [{"image": 5}]}, "Error: row 0: image: expected an encoded picture"),
            ({"dataframe_records": [{"image": "QUJDRA=="}]}, "Error: row 0: image: expected an encoded picture"),
            ({"dataframe_records": [{"image": "QUJ"}]}, "Failed to convert column image"),
            ({"dataframe_records": [{"image": 5}]}, "Failed to convert column image"),
            ({"dataframe_records": [{"picture": "x"}]}, "Error: request: expected a column image or text"),
            ({"inputs": ["a", "b"]}, "Error: request: expected a column image or text"),
            ({"inputs": []}, "Error: request: expected a column image or text"),
            ({"prompt": "a"}, "Error: request: expected a column image or text"),
            ({}, "exactly one of the input fields"),
            ([1], "Received a list"),
            ("{", "Ensure that input is a valid JSON formatted string"),
        ],
        ids=lambda cell: json.dumps(cell)[:50],
    )
    def test_bad_requests_are_refused_with_a_sentence(self, post: Post, body: Any, said: str) -> None:
        assert said in sentence(post(body))

    def test_a_truncated_picture_is_named_by_its_row(self, post: Post) -> None:
        rows = few_shot_request()
        rows["image"] = [in_base64(cell[: 60 if row == 4 else None]) for row, cell in enumerate(rows["image"])]
        assert "Error: row 4: image of 60 bytes" in sentence(post({"dataframe_records": rows.to_dict("records")}))

    def test_an_unknown_kind_of_body_is_415(self, post: Post) -> None:
        assert post(picture(1), "image/png")[0] == 415

    @pytest.mark.slow
    def test_a_thousand_malformed_bodies_leave_it_as_it_was(self, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
        failed: list[str] = []
        monkeypatch.setattr(served_twin._logger, "exception", failed.append)
        monkeypatch.setattr(logging.getLogger("mlflow"), "disabled", True)
        statuses: collections.Counter[int] = collections.Counter()
        good = formats()
        for body, kind in malformed_bodies([good[name] for name in good if "parquet" not in name], 1000):
            status, text = post(body, kind)
            statuses[status] += 1
            # MLflow's own parsers die of some bodies (a column whose name is a list); of none does the model.
            assert status in {200, 400, 415} or text == "Internal Server Error", (body, text)
        assert failed == []
        assert statuses[500] <= 20
        assert statuses[400] >= 500
        assert post(*good["csv"])[0] == 200


@pytest.mark.slow
class TestCommands:
    """`mlflow models serve` and `mlflow models predict`, as processes."""

    @pytest.fixture(scope="class")
    def address(self, model: Path) -> Iterator[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = ["-m", "mlflow", "models", "serve", "-m", str(model), "-p", str(port), "--env-manager", "local"]
        log = model.parent / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                [sys.executable, *command], stdout=output, stderr=output, env=ENVIRONMENT, start_new_session=True
            )
        try:
            for _ in range(600):
                assert server.poll() is None, log.read_text()
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(20)

    def send(self, address: str, body: Any, kind: str = JSON) -> tuple[int, str]:
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        data = content.encode() if isinstance(content, str) else content
        request = urllib.request.Request(address, data, {"content-type": kind})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def test_serve_answers_every_format_as_the_model_here(self, address: str, post: Post) -> None:
        for name, (body, kind) in formats().items():
            assert self.send(address, body, kind) == post(*formats()["csv"]), name

    def test_serve_refuses_with_a_sentence_and_lives_on(self, address: str) -> None:
        no_support = self.send(address, {"inputs": [{"text": "a"}]})
        assert no_support[0] == 400
        assert "or a support set logged with the model, found neither" in sentence(no_support)
        good = list(formats().values())[:8]
        for body, kind in malformed_bodies(good, 50, seed=1):
            status, text = self.send(address, body, kind)
            assert status in {200, 400, 415} or text == "Internal Server Error"
        assert self.send(address, *formats()["csv"])[0] == 200

    def test_predict_reads_and_writes_files(self, model: Path, tmp_path: Path, post: Post) -> None:
        body, _ = formats()["dataframe_split"]
        (tmp_path / "request.json").write_text(json.dumps(body))
        files = ["-i", str(tmp_path / "request.json"), "-o", str(tmp_path / "answer.json")]
        command = ["-m", "mlflow", "models", "predict", "-m", str(model), "--env-manager", "local", *files]
        subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=120, env=ENVIRONMENT)
        assert (tmp_path / "answer.json").read_text() == post(body)[1]
