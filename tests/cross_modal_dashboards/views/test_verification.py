"""The Verification page: it shows what the run's pairs say, keeps its state in the link, and survives bad data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cross_modal_dashboards import resources
from cross_modal_dashboards.verification_bench import ARTIFACT, bench_of, comparisons_of

Opened = Callable[..., AppTest]


def pairs_of(run: Any) -> pd.DataFrame:
    table = resources.artifact_table(run.uri, run.run_id, ARTIFACT)
    assert table is not None
    return table


def metrics(page: AppTest) -> dict[str, str]:
    return {each.label: each.value for each in page.metric}


def test_its_numbers_are_those_of_the_runs_pairs_at_the_threshold_of_the_link(explored: Any, open_view: Opened) -> None:
    table = pairs_of(explored)
    kind = comparisons_of(table)[0]
    part = table[table["kind"] == kind]
    threshold = round(float(part["score"].median()), 3)
    page = open_view("verification", threshold=str(threshold))
    assert not page.exception
    assert page.slider(key="threshold").value == threshold
    accepted, same = part["score"] >= threshold, part["same"].astype(bool)
    shown = metrics(page)
    assert shown["Different taken for same"] == f"{accepted[~same].mean():.2%}"
    assert shown["Same taken for different"] == f"{(~accepted[same]).mean():.2%}"
    assert shown["Equal error rate"] == f"{bench_of(table, kind).whole['eer'].value:.2%}"


def test_without_a_threshold_it_is_the_models_own(explored: Any, open_view: Opened) -> None:
    page = open_view("verification")
    calibration = resources.model(explored.uri, explored.run_id).calibration
    assert calibration is not None
    kind = comparisons_of(pairs_of(explored))[0]
    assert page.slider(key="threshold").value == calibration.of(kind)[0].threshold


def test_one_in_so_many_moves_the_slider(explored: Any, open_view: Opened) -> None:
    page = open_view("verification", one_in="10")
    table = pairs_of(explored)
    bench = bench_of(table, comparisons_of(table)[0])
    page.button(key="take").click().run()
    assert not page.exception
    assert page.slider(key="threshold").value == bench.one_in(10)
    assert metrics(page)["Different taken for same"] == f"{bench.at(bench.one_in(10)).false_accept.value:.2%}"


def test_another_comparison_starts_at_its_own_threshold(explored: Any, open_view: Opened) -> None:
    page = open_view("verification")
    words = page.radio(key="comparison").options
    assert len(words) > 1
    page.slider(key="threshold").set_value(0.1).run()
    page.radio(key="comparison").set_value(words[1]).run()
    assert not page.exception
    table = pairs_of(explored)
    bench = bench_of(table, comparisons_of(table)[1])
    assert metrics(page)["Equal error rate"] == f"{bench.whole['eer'].value:.2%}"
    assert page.slider(key="threshold").value != 0.1


def test_other_pairs_change_the_page(explored: Any, open_view: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pairs_of(explored)
    kind = comparisons_of(table)[0]
    cut = round(float(table.loc[table["kind"] == kind, "score"].median()), 3)
    turned = table.assign(same=table["score"] >= cut)
    monkeypatch.setattr(resources, "artifact_table", lambda *_: turned)
    page = open_view("verification", threshold=str(cut))
    assert metrics(page)["Accuracy"] == "100.00%"


def test_a_run_without_pairs_says_what_writes_them(
    explored: Any, open_view: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(resources, "artifact_table", lambda *_: None)
    page = open_view("verification")
    assert "expected scored test pairs" in page.error[0].value
    assert not page.exception


@pytest.mark.parametrize("broken", ["columns", "file"])
def test_broken_pairs_are_one_line(
    explored: Any, open_view: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: str
) -> None:  # fmt: skip
    def table(*_: str) -> pd.DataFrame:
        if broken == "columns":
            return pd.DataFrame({"kind": ["picture_picture"]})
        (tmp_path / "pairs.parquet").write_bytes(b"PAR1 and then nothing")
        return pd.read_parquet(tmp_path / "pairs.parquet")

    monkeypatch.setattr(resources, "artifact_table", table)
    page = open_view("verification")
    assert len(page.error) == 1
    assert "\n" not in page.error[0].value
    assert not page.exception


def test_a_link_to_a_comparison_that_is_not_there_shows_another_and_says_so(explored: Any, open_view: Opened) -> None:
    page = open_view("verification", comparison="<b>tail</b>")
    assert not page.exception
    assert page.metric
