import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from cross_modal.encoders.feature_store import FeatureStore
from cross_modal_mlflow.amounts import size
from cross_modal_mlflow.command_line import main

DAY = 86_400


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    """Three entries of 1,000 rows, 232 kB each, last used today, ten days ago and forty days ago."""
    monkeypatch.setenv("CROSS_MODAL_CACHE", str(tmp_path / "features"))
    store = FeatureStore()
    keys = np.random.default_rng(0).integers(0, 256, (1000, 16), dtype=np.uint8)
    for name, days in (("conv4", 40), ("open_clip:ViT-B-32", 0), ("gru", 10)):
        with store.entry({"trunk": name, "modality": "image", "layer": "tokens"}) as entry:
            entry.append(keys, np.ones((1000, 100)), np.ones(1000, int))
        os.utime(entry.folder / "entry.json", (time.time() - DAY * days,) * 2)
    return store


def trunks(store: FeatureStore) -> list[str]:
    return [facts.description["trunk"] for facts in store.entries()]


def test_lists_entries_and_removes_nothing(store: FeatureStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    page = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│")] for line in page.splitlines()]
    today = datetime.now().strftime("%Y-%m-%d")
    assert ["trunk", "layer", "rows", "size", "last used"] in rows
    named = {row[0]: row for row in rows if len(row) >= 4}
    assert list(named)[1:] == ["open_clip:ViT-B-32", "gru", "conv4", "total"]
    assert named["open_clip:ViT-B-32"][1:4] == ["image tokens", "1,000", "232.1 kB"]
    assert named["open_clip:ViT-B-32"][4].startswith(today)
    assert named["total"][2:4] == ["3,000", "696.3 kB"]
    assert f"features: {store.root} (696.3 kB in 3 entries)" in page.splitlines()
    assert len(store.entries()) == 3


def test_prunes_the_least_recently_used_to_a_size(store: FeatureStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--prune-to", "0.0005"]) == 0
    assert trunks(store) == ["open_clip:ViT-B-32", "gru"]
    assert "removed:  232.1 kB in 1 entry" in capsys.readouterr().out.splitlines()


def test_prunes_by_age(store: FeatureStore) -> None:
    assert main(["cache", "--older-than", "30"]) == 0
    assert trunks(store) == ["open_clip:ViT-B-32", "gru"]
    assert main(["cache", "--older-than", "1e12"]) == 0
    assert len(trunks(store)) == 2
    assert main(["cache", "--older-than", "5", "--prune-to", "1"]) == 0
    assert trunks(store) == ["open_clip:ViT-B-32"]


def test_all_removes_what_nobody_uses(store: FeatureStore, capsys: pytest.CaptureFixture[str]) -> None:
    with store.entry({"trunk": "gru", "modality": "image", "layer": "tokens"}) as entry:
        assert main(["cache", "--all"]) == 0
        page = capsys.readouterr().out
        assert trunks(store) == ["gru"]
        assert len(entry) == 1000
        assert "note: more than asked for is left, in use by running processes" in page
        assert "now" in page
    assert main(["cache", "--all"]) == 0
    assert trunks(store) == []
    assert f"features: {store.root} (0 B in 0 entries)" in capsys.readouterr().out


def test_json_says_what_is_left_and_what_went(store: FeatureStore, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert main(["cache", "--older-than", "30", "--json", str(report)]) == 0
    found = json.loads(report.read_text())
    assert list(found) == ["command", "version", "folder", "bytes", "entries", "removed"]
    assert found["command"] == "cache"
    assert found["folder"] == str(store.root)
    assert found["bytes"] == sum(entry["bytes"] for entry in found["entries"]) == store.size_bytes
    assert [entry["description"]["trunk"] for entry in found["entries"]] == ["open_clip:ViT-B-32", "gru"]
    (removed,) = found["removed"]
    assert (removed["description"]["trunk"], removed["rows"], removed["in_use"]) == ("conv4", 1000, False)
    assert abs((datetime.now().astimezone() - datetime.fromisoformat(removed["used"])).days - 40) <= 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_entry_that_cannot_be_read_is_listed_and_goes(
    store: FeatureStore, capsys: pytest.CaptureFixture[str]
) -> None:
    next(store.root.glob("*/entry.json")).write_text("{")
    assert main(["cache"]) == 0
    assert "(cannot be read)" in capsys.readouterr().out
    assert main(["cache", "--all"]) == 0
    assert store.entries() == []


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--prune-to", "-1"], "--prune-to: expected a number of at least 0, found -1.0"),
        (["--older-than", ".nan"], "--older-than: expected a number of at least 0, found nan"),
        (["--prune-to", "few"], "--prune_to: expected float, found 'few'"),
        (["--all", "--prune-to", "3"], "--all: expected no --prune-to beside it"),
        (["--al"], "--al: no such option"),
    ],
)
def test_errors_are_one_line_and_remove_nothing(
    store: FeatureStore, argv: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", *argv]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert len(store.entries()) == 3


def test_a_store_that_is_switched_off_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSS_MODAL_CACHE", "off")
    assert main(["cache"]) == 2
    assert "switched off" in capsys.readouterr().err


def test_the_listing_needs_neither_torch_nor_mlflow(store: FeatureStore) -> None:
    code = (
        "import sys\nfrom cross_modal_mlflow.command_line import main\nmain(['cache'])\n"
        "print([name for name in ('torch', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_950, "1.0 MB"), (2e13, "20.0 TB")]
)
def test_sizes_are_read_at_a_glance(count: float, text: str) -> None:
    assert size(count) == text
