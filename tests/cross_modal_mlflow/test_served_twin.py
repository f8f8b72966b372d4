"""A served twin answers tables and explains what is wrong with them; what it cannot explain stays in its log."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from toys.requests import few_shot_request, in_base64, picture
from toys.tiny_twin import tiny_twin

import cross_modal_mlflow
from cross_modal.data.items import Items
from cross_modal.encoders.saved_twin import save_twin
from cross_modal_mlflow import served_twin
from cross_modal_mlflow.logged_support import encode_support
from cross_modal_mlflow.served_twin import ServedTwin

ITEMS = Items.of(images=[picture(0), picture(1)], texts=["sign 0", "sign 1"], labels=["class 0", "class 1"])
CARD = {
    "mixture": {
        "metric": "cosine",
        "by_shots": {
            "1": {"image_scale": 20, "text_scale": 5, "centre_image": False, "centre_text": False, "accuracies": {}}
        },
        "image_mean": [0.0] * 16,
        "text_mean": [0.0] * 16,
    }
}


@pytest.fixture(scope="module")
def served() -> ServedTwin:
    return ServedTwin(tiny_twin())


@pytest.fixture(scope="module")
def with_support() -> ServedTwin:
    twin = tiny_twin()
    return ServedTwin(twin, support=encode_support(twin, ITEMS, threshold=99.9))


def refused(served: ServedTwin, request: Any, **params: Any) -> str:
    with pytest.raises(MlflowException) as error:
        served.predict(request, params)
    assert error.value.get_http_status_code() == 400
    assert "\n" not in error.value.message
    return error.value.message


class TestAnswers:
    def test_a_request_brings_its_own_support(self, served: ServedTwin) -> None:
        table = served.predict(few_shot_request())
        assert table.columns[0] == "label"
        assert table.label.tolist() == ["class 0", "class 1", "class 2"]
        assert table.row.tolist() == [3, 4, 5]

    def test_or_uses_the_one_logged_with_the_model(self, with_support: ServedTwin) -> None:
        assert with_support.predict([picture(1), picture(0)]).label.tolist() == ["class 1", "class 0"]
        assert with_support.predict([picture(1)], {"task": "search", "top": 1}).neighbour_rows.tolist() == [[1]]

    def test_its_own_support_comes_before_the_logged_one(self, with_support: ServedTwin) -> None:
        request = few_shot_request().replace({"label": {"class 0": "mine"}})
        assert with_support.predict(request).label.tolist() == ["mine", "class 1", "class 2"]

    def test_names_alone_are_a_support(self, served: ServedTwin) -> None:
        request = [{"text": "a cat", "role": "support"}, {"text": "a dog", "role": "support"}, {"text": "a dog"}]
        assert served.predict(request).label.tolist() == ["a dog"]

    def test_every_closed_form_answers(self, served: ServedTwin) -> None:
        for method in ("prototypes", "nearest_neighbours", "tip_adapter", "gaussian_discriminant"):
            answer = served.predict(few_shot_request().assign(text=""), {"method": method})
            assert answer.label.tolist() == ["class 0", "class 1", "class 2"], method

    def test_embeddings_are_those_of_the_twin(self, served: ServedTwin) -> None:
        table = served.predict(few_shot_request(), {"task": "embed"})
        assert len(table) == 6
        assert np.allclose(np.linalg.norm(table.embedding.tolist(), axis=1), 1, atol=1e-5)
        assert table.embedding[0] == table.embedding[3]

    def test_pairs_are_verified(self, served: ServedTwin) -> None:
        request = pd.DataFrame({"image": [picture(1), picture(1)], "pair": ["p", "p"]})
        assert served.predict(request, {"task": "verify", "threshold": 0.9}).label.tolist() == ["same"]

    def test_the_calibrated_threshold_rejects_when_asked(self) -> None:
        twin, stranger = tiny_twin(), [picture(9)]
        pictures = Items.of(images=ITEMS.images, labels=ITEMS.labels)  # without names a picture scores 100 with itself
        served = ServedTwin(twin, support=encode_support(twin, pictures, threshold=99.9))
        assert served.predict(stranger).label.tolist() != [""]
        assert served.predict(stranger, {"reject": True}).label.tolist() == [""]
        assert served.predict([picture(1)], {"reject": True}).label.tolist() == ["class 1"]

    def test_requests_at_the_same_time_do_not_disturb_each_other(self, with_support: ServedTwin) -> None:
        def ask(seed: int) -> str:
            return with_support.predict([picture(seed % 2)]).label[0]

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(32))) == ["class 0", "class 1"] * 16

    def test_the_mixture_of_the_card_makes_probabilities(self) -> None:
        plain, mixed = (ServedTwin(tiny_twin(), card).predict(few_shot_request()) for card in ({}, CARD))
        assert (mixed.probability < plain.probability).all()


class TestRefusals:
    def test_no_support_anywhere(self, served: ServedTwin) -> None:
        for task in ("classify", "search"):
            sentence = refused(served, [picture(1)], task=task)
            assert sentence.startswith("request: expected support rows")
            assert sentence.endswith("or a support set logged with the model, found neither")

    def test_support_without_a_query(self, served: ServedTwin) -> None:
        assert "expected at least one query" in refused(served, [{"text": "a", "role": "support"}])

    def test_support_without_a_label(self, served: ServedTwin) -> None:
        request = few_shot_request().assign(text="")
        request.loc[1, "label"] = ""
        assert refused(served, request) == "row 1: label: expected the class of this support, found none"
        assert served.predict(request, {"task": "search"}).label[1] == ""

    def test_what_is_wrong_in_a_cell_a_column_or_a_param(self, served: ServedTwin) -> None:
        assert refused(served, [{"text": "a", "role": "judge"}]).startswith("row 0: role: expected")
        assert refused(served, pd.DataFrame({"picture": [b""]})).startswith("request: expected a column image or text")
        assert refused(served, [picture(1)], task="guess").startswith("params.task: expected one of")
        assert refused(served, few_shot_request(), method="guess").startswith("params.method: expected one of")
        broken = few_shot_request()
        broken.at[4, "image"] = picture(1)[:40]
        assert refused(served, broken).startswith("row 4: image of 40 bytes")

    def test_paths_unless_they_are_switched_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CROSS_MODAL_SERVE_PATHS", raising=False)
        (tmp_path / "a.png").write_bytes(picture(1))
        save_twin(tiny_twin(), tmp_path / "model" / "twin")
        request = {"image": [str(tmp_path / "a.png")]}
        assert "paths are refused" in refused(ServedTwin.load(tmp_path / "model"), request, task="embed")
        for config in ({"allow_paths": True}, None):
            if config is None:
                monkeypatch.setenv("CROSS_MODAL_SERVE_PATHS", "1")
            assert len(ServedTwin.load(tmp_path / "model", config).predict(request, {"task": "embed"})) == 1

    def test_a_fault_of_ours_is_a_500_without_its_trace(
        self, served: ServedTwin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*arguments: Any) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(served_twin, "embed_rows", fail)
        with pytest.raises(MlflowException) as error:
            served.predict([picture(1)], {"task": "embed"})
        assert error.value.get_http_status_code() == 500
        assert "secret" not in error.value.serialize_as_json()
        assert "secret" in caplog.text


class TestSpark:
    @pytest.fixture(params=["executor", "server of an executor"])
    def spark(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        if request.param == "executor":
            context = SimpleNamespace(TaskContext=SimpleNamespace(get=lambda: "task"))
            monkeypatch.setitem(sys.modules, "pyspark", context)  # type: ignore[arg-type]
        else:
            monkeypatch.setenv("SPARK_REUSE_WORKER", "1")

    def test_rows_that_need_each_other_are_refused(self, with_support: ServedTwin, spark: None) -> None:
        assert refused(with_support, few_shot_request()).startswith("row 0: role: expected none in Spark")
        assert refused(with_support, [{"text": "a", "role": "query"}]).startswith("row 0: role: expected none in Spark")
        pair = pd.DataFrame({"text": ["a", "b"], "pair": ["p", "p"]})
        assert 'expected no "verify" in Spark' in refused(with_support, pair, task="verify")

    def test_all_others_are_answered(self, with_support: ServedTwin, spark: None) -> None:
        table = with_support.predict([picture(1)])
        assert table.label.tolist() == ["class 1"]
        assert "row" not in table


class TestAsAnMlflowModel:
    """Whatever MLflow does to a request in this process on its way to the model."""

    @pytest.fixture(scope="class")
    def load(self, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
        twin = tiny_twin()
        folder = tmp_path_factory.mktemp("models")
        support = encode_support(twin, ITEMS)
        cross_modal_mlflow.save_model(twin, folder / "signed", support=support)
        cross_modal_mlflow.save_model(twin, folder / "unsigned", support=support, signature=False)
        return lambda name, **settings: mlflow.pyfunc.load_model(str(folder / name), **settings)

    @pytest.mark.parametrize("name", ["signed", "unsigned"])
    @pytest.mark.parametrize(
        "image", [picture(1), in_base64(picture(1)), np.zeros((16, 16), np.uint8)], ids=["bytes", "base64", "array"]
    )
    def test_frames_records_and_series(self, load: Callable[..., Any], name: str, image: Any) -> None:
        model = load(name)
        frame = pd.DataFrame({"image": pd.Series([image], dtype=object)})
        first = model.predict(frame)
        assert first.label.tolist() == ["class 1"] or image is not picture(1)
        pd.testing.assert_frame_equal(model.predict([{"image": image}]), first)
        pd.testing.assert_frame_equal(model.predict(frame["image"]), first)

    def test_params_reach_the_model(self, load: Callable[..., Any]) -> None:
        assert "embedding" in load("signed").predict([{"text": "a"}], params={"task": "embed"})
        with pytest.raises(MlflowException, match="Invalid parameters found"):
            load("signed").predict([{"text": "a"}], params={"top": "many"})
        load("signed").predict([{"text": "a"}], params={"unknown": 1})  # MLflow warns, and leaves it out

    def test_a_plain_list_or_array_has_no_column(self, load: Callable[..., Any]) -> None:
        for plain in (["a"], "a", np.array(["a"])):
            with pytest.raises(MlflowException, match="expected a column image or text"):
                load("signed").predict(plain)
            assert len(load("unsigned").predict(plain)) == 1

    def test_the_logged_support_must_be_of_this_twin(self, tmp_path: Path) -> None:
        cross_modal_mlflow.save_model(tiny_twin(), tmp_path / "model")
        encode_support(tiny_twin(seed=1), ITEMS).save(tmp_path / "model" / "support")
        with pytest.raises(Exception, match="found those of another"):
            mlflow.pyfunc.load_model(str(tmp_path / "model"))
