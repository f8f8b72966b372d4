import torch

from cross_modal.objectives.memory import Memory, Ring


def rows(first, n):
    return torch.arange(first, first + n).float()[:, None].expand(n, 3)


def test_a_ring_overwrites_the_oldest():
    ring = Ring(5, 3)
    for first, n in ((0, 3), (3, 3), (6, 1)):
        ring.add(rows(first, n), torch.arange(first, first + n))
    kept, ids = ring.read()
    assert sorted(ids.tolist()) == [2, 3, 4, 5, 6]
    assert torch.equal(kept[:, 0].long(), ids)


def test_a_batch_larger_than_the_ring_leaves_its_last_rows():
    ring = Ring(4, 3)
    ring.add(rows(0, 11), torch.arange(11))
    assert sorted(ring.read()[1].tolist()) == [7, 8, 9, 10]


def test_only_filled_rows_are_read_and_without_a_graph():
    ring = Ring(8, 3)
    assert len(ring.read()[0]) == 0
    ring.add(rows(0, 2).clone().requires_grad_(), torch.arange(2))
    kept, ids = ring.read()
    assert ids.tolist() == [0, 1]
    assert not kept.requires_grad
    kept.zero_()
    assert ring.read()[0][1, 0] == 1  # a copy


def test_state_restores_cursor_and_fill():
    first, second = Memory(4, 3, warm_up=2), Memory(4, 3, warm_up=2)
    for step in range(3):
        first.add(rows(step, 3), torch.full((3,), step), None, torch.empty(0))
    second.load_state_dict(first.state_dict())
    for memory in (first, second):
        memory.add(rows(9, 2), torch.tensor([9, 9]), None, torch.empty(0))
    assert torch.equal(first.read("image")[1], second.read("image")[1])
    assert second.read("text") is None


def test_warm_up_counts_steps():
    memory = Memory(4, 3, warm_up=2)
    for expected in (True, True, False):
        assert (memory.read("image") is None) == expected
        memory.add(rows(0, 1), torch.tensor([0]), rows(0, 1), torch.tensor([0]))
