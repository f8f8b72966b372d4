"""torchvision's data sets: allow-list, offline, the same cells as torchvision's own items, the mismatch in one line."""

import builtins
import struct

import numpy as np
import pytest
from PIL import Image

from cross_modal.data import torchvision_source
from cross_modal.data.sources import read_items
from cross_modal.data.torchvision_source import ALLOWED, cells_of, import_torchvision, read_torchvision
from cross_modal.errors import CrossModalError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSS_MODAL_DATA", str(tmp_path))
    return tmp_path


def write_mnist(root) -> np.ndarray:
    """A tiny MNIST in its own file format."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    for part in ("train", "t10k"):
        header = struct.pack(">IIII", 0x803, 20, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        labels = np.arange(20, dtype=np.uint8) % 10
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 20) + labels.tobytes())
    return pixels


def test_mnist_is_pooled_and_split_by_class(root):
    pixels = write_mnist(root)
    items = read_items("torchvision:MNIST")
    assert len(items) == 40
    assert (items.images[3] == pixels[3]).all()
    assert items.labels[3] == "3 - three"
    assert all(len(set(items.splits[items.labels == name])) == 1 for name in items.classes)
    assert set(items.splits) == {"train", "validation", "test"}


def test_eurosat_keeps_paths(root):
    for name in ("Forest", "SeaLake"):
        folder = root / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(folder / "1.jpg")
    items = read_torchvision("EuroSAT")
    assert items.labels.tolist() == ["Forest", "SeaLake"]
    assert items.images[0].endswith("Forest/1.jpg")


def test_channels_first_data_become_channels_last():
    class SVHN:
        data = np.zeros((2, 3, 32, 32), np.uint8)
        labels = np.array([4, 9])

    cells, names = cells_of(SVHN())
    assert cells[0].shape == (32, 32, 3)
    assert names == ["4", "9"]


def test_emnist_is_turned_upright():
    class EMNIST:
        data = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
        targets = (1,)
        classes = ("N/A", "a")

    cells, names = cells_of(EMNIST())
    assert cells[0].tolist() == [[0, 2], [1, 3]]
    assert names == ["a"]


def test_an_unknown_layout_is_one_line():
    with pytest.raises(CrossModalError, match="object is laid out in an unknown way"):
        cells_of(object())


@pytest.mark.parametrize(
    "name", ["CIFAR10", "MNIST", "DTD", "Omniglot", "Food101", "FGVCAircraft", "Flowers102", "SVHN"]
)
def test_offline_says_where_the_files_belong(root, name):
    with pytest.raises(CrossModalError) as error:
        read_torchvision(name)
    message = str(error.value)
    assert str((root / ALLOWED[name].folder).resolve()) in message
    assert "CROSS_MODAL_DATA" in message
    assert "\n" not in message


def test_the_whole_list_is_known_to_torchvision(root):
    datasets = import_torchvision()
    for name in ALLOWED:
        assert hasattr(datasets, name)
        with pytest.raises(CrossModalError, match=f"torchvision:{name} is not complete"):
            read_torchvision(name)


def test_names_outside_the_list_are_refused(root):
    for name in ("FakeData", "os", "__class__", "mnist", ""):
        with pytest.raises(CrossModalError, match="expected one of CIFAR10, CIFAR100"):
            read_torchvision(name)


def test_a_torchvision_for_another_torch_is_one_line(root, monkeypatch):
    plain = builtins.__import__

    def broken(name, *arguments, **options):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nTraceback …")
        return plain(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(CrossModalError) as error:
        torchvision_source.import_torchvision()
    message = str(error.value)
    assert "operator torchvision::nms does not exist" in message
    assert "download.pytorch.org/whl/cpu" in message
    assert "\n" not in message


def test_the_default_root_is_in_the_cache(monkeypatch):
    monkeypatch.delenv("CROSS_MODAL_DATA", raising=False)
    assert torchvision_source.data_root().parts[-3:] == (".cache", "cross-modal", "torchvision")
