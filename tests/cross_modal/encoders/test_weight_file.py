"""Which file of a folder holds the weights."""

import pytest

from cross_modal.encoders.weight_file import find_weights
from cross_modal.errors import CrossModalError


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.pt"], "a.pt"),
        (["a.pt", "b.safetensors", "readme.md"], "b.safetensors"),
        (["a.bin", "best.pth", "best.bin"], "best.bin"),
    ],
)
def test_found(tmp_path, files, expected):
    for name in files:
        (tmp_path / name).touch()
    assert find_weights(tmp_path, ["best.safetensors", "best.bin"]).name == expected


@pytest.mark.parametrize(("files", "found"), [([], "none"), (["a.pt", "b.pt"], "a.pt, b.pt")])
def test_not_found(tmp_path, files, found):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(CrossModalError, match=f"expected one file of weights .*found {found}$"):
        find_weights(tmp_path, [])
