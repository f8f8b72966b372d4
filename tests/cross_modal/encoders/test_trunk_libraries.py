"""A broken pair of torch and torchvision is one line, any other error is left alone."""

import importlib

import pytest

from cross_modal.encoders.trunk_libraries import import_open_clip, import_timm, require_transformers
from cross_modal.errors import CrossModalError


def fail(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def import_module(_: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", import_module)


@pytest.mark.parametrize("load", [import_open_clip, import_timm])
def test_mismatched_torchvision(monkeypatch, load):
    fail(monkeypatch, RuntimeError("operator torchvision::nms does not exist"))
    with pytest.raises(CrossModalError) as caught:
        load()
    line = str(caught.value)
    assert "\n" not in line
    assert "is not built for torch" in line
    assert "pip install --force-reinstall torch==" in line


def test_other_errors_pass(monkeypatch):
    fail(monkeypatch, ImportError("something else"))
    with pytest.raises(ImportError, match="something else"):
        import_timm()


def test_extra(monkeypatch):
    fail(monkeypatch, ImportError("No module named 'transformers'"))
    with pytest.raises(CrossModalError, match=r"^it needs the extra hf: pip install"):
        require_transformers("it")
