"""Checkpoints are whole or absent, and never run code."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from cross_modal.errors import CrossModalError
from cross_modal.training.checkpoint import load_checkpoint, save_checkpoint

CONTENT = {"step": 3, "twin": {"weight": torch.arange(4.0)}, "names": ["a", None, 2.5]}


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_round_trip(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "deep" / "last.pt", CONTENT)
    loaded = load_checkpoint(tmp_path / "deep" / "last.pt")
    assert torch.equal(loaded["twin"]["weight"], CONTENT["twin"]["weight"])
    assert loaded["names"] == CONTENT["names"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["last.pt"]


@pytest.mark.parametrize("write", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))])
def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path: Path, write: object) -> None:
    mark = tmp_path / "hacked"
    write({"step": 1, "twin": Hostile(mark)}, tmp_path / "hostile.pt")
    with pytest.raises(CrossModalError, match=r"hostile\.pt: expected tensors and primitives only, refused"):
        load_checkpoint(tmp_path / "hostile.pt")
    assert not mark.exists()
    with open(tmp_path / "hostile.pt", "rb") as file:  # the same file, read the careless way, does run
        torch.load(file, weights_only=False) if write is torch.save else pickle.load(file)  # noqa: S301
    assert mark.exists()


def test_a_failed_write_leaves_the_previous_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path / "last.pt", CONTENT)

    def full(content: object, file: object) -> None:
        file.write(b"half a checkp")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CrossModalError, match=r"No space left.*previous one stays"):
        save_checkpoint(tmp_path / "last.pt", {"step": 4})
    assert load_checkpoint(tmp_path / "last.pt")["step"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CrossModalError, match="no such file"):
        load_checkpoint(tmp_path / "none.pt")
    save_checkpoint(tmp_path / "cut.pt", CONTENT)
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:200])
    with pytest.raises(CrossModalError, match=r"cut\.pt: expected"):
        load_checkpoint(tmp_path / "cut.pt")
