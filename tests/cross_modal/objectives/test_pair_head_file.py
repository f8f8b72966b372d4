import pytest
import torch

from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_head import HEADS
from cross_modal.objectives.pair_head_file import FILE, load_pair_head, save_pair_head


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("kind", HEADS)
def test_a_head_comes_back_as_it_was(tmp_path, kind, normalise):
    head = HEADS[kind](5, normalise)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_()
    assert save_pair_head(head, tmp_path / "model") == tmp_path / "model" / FILE
    loaded = load_pair_head(tmp_path / "model")
    a, b = torch.randn(3, 5), torch.randn(3, 5)
    assert torch.equal(loaded(a, b), head(a, b))
    assert (loaded.kind, loaded.dim, loaded.normalise, loaded.training) == (kind, 5, normalise, False)


def test_a_second_head_replaces_the_first_and_leaves_nothing_behind(tmp_path):
    save_pair_head(HEADS["difference"](5), tmp_path)
    save_pair_head(HEADS["similarity"](5), tmp_path)
    assert load_pair_head(tmp_path).kind == "similarity"
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_twin_without_a_head_has_none(tmp_path):
    assert load_pair_head(tmp_path) is None


def test_a_damaged_head_is_one_line(tmp_path):
    path = save_pair_head(HEADS["difference"](5), tmp_path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CrossModalError, match="expected a verification head, found ") as raised:
        load_pair_head(tmp_path)
    assert "\n" not in str(raised.value)


def test_other_tensors_are_no_head(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, tmp_path / FILE)
    with pytest.raises(CrossModalError, match="expected a verification head, found "):
        load_pair_head(tmp_path)
    save_file({"weight": torch.zeros(2)}, tmp_path / FILE, {"head": "difference", "dim": "5", "normalise": "true"})
    with pytest.raises(CrossModalError, match="expected a verification head, found "):
        load_pair_head(tmp_path)
