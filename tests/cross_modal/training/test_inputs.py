"""A step's inputs are a function of its number, carry the right ids, and turn pictures into other classes."""

import threading

import numpy as np
import torch
from toys.shapes import experiment, shapes

from cross_modal.encoders.build import build_twin
from cross_modal.training.inputs import TrainingInputs


def inputs(**augmentation: object) -> TrainingInputs:
    settings = experiment()
    for name, value in augmentation.items():
        setattr(settings.augmentation, name, value)
    items = shapes().split("train")
    return TrainingInputs(items, build_twin(settings.twin, list(items.texts)), settings)


def same(a: tuple[torch.Tensor | None, ...], b: tuple[torch.Tensor | None, ...]) -> bool:
    return all((x is None and y is None) or torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_step_is_a_function_of_its_number() -> None:
    one, other = inputs(), inputs()
    order = [one.load(step) for step in range(6)]
    assert same(other.load(4), order[4])
    assert same(other.load(1), order[1])
    assert not same(order[1], order[4])
    assert all(same(a, b) for a, b in zip(one.stream(2, 6), order[2:], strict=True))


def test_a_thread_prepares_the_next_step_while_a_gpu_works_on_this_one() -> None:
    order = [inputs().load(step) for step in range(6)]
    source = inputs()
    assert not source.overlaps  # on a CPU
    source.overlaps, load, loaded = True, source.load, list[tuple[int, str]]()
    source.load = lambda step: loaded.append((step, threading.current_thread().name)) or load(step)  # type: ignore
    stream = source.stream(1, 5)
    assert same(next(stream), order[1])
    assert same(next(stream), order[2])
    assert [step for step, _ in loaded][:2] == [1, 2]
    assert all(same(a, b) for a, b in zip(stream, order[3:5], strict=True))
    assert sorted(step for step, _ in loaded) == [1, 2, 3, 4]
    assert all(name.startswith("decode-ahead") for _, name in loaded)


def test_ids_belong_to_the_rows() -> None:
    source = inputs(rotation=0, scale=0, shear=0, shift=0)
    items = shapes().split("train")
    step = source.load(3)
    pictures = {(cell.tobytes()): label for cell, label in zip(items.images, items.class_ids, strict=True)}
    raw = ((step.image * 0.5 + 0.5) * 255).round().to(torch.uint8)
    assert [pictures[picture[0].numpy().tobytes()] for picture in raw] == step.image_ids.tolist()
    assert step.image.shape[0] == 2 * len(step.text)
    assert set(step.text_ids.tolist()) == set(step.image_ids.tolist())


def test_turned_classes_have_pictures_and_no_texts() -> None:
    source = inputs(quarter_turns=True, rotation=0, scale=0, shear=0, shift=0)
    plain = shapes().split("train")
    classes = len(plain.classes)
    assert source.num_classes == 4 * classes
    seen = set()
    originals = {cell.tobytes(): int(label) for cell, label in zip(plain.images, plain.class_ids, strict=True)}
    for number in range(12):
        step = source.load(number)
        assert (step.text_ids < classes).all()
        raw = ((step.image * 0.5 + 0.5) * 255).round().to(torch.uint8).numpy()
        for picture, label in zip(raw[:, 0], step.image_ids.tolist(), strict=True):
            turn = label // classes
            back = np.ascontiguousarray(np.rot90(picture, -turn))
            assert originals[back.tobytes()] == label % classes
            seen.add(turn)
    assert seen == {0, 1, 2, 3}
