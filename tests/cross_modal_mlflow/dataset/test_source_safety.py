"""Loading what somebody else logged never runs a command, asks an address or unpickles, and stays where it is."""

import os
import pickle
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.dataset.source_safety import check_source

PNG = b"\x89PNG\r\n"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a neighbour, in which nothing can be run, fetched or unpickled."""

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"must not happen: {args}")

    for module, name in (
        (os, "system"),
        (os, "popen"),
        (subprocess, "Popen"),
        (socket, "create_connection"),
        (urllib.request, "urlopen"),
        (pickle, "load"),
        (pickle, "loads"),
    ):
        monkeypatch.setattr(module, name, forbidden)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.png").write_bytes(PNG)
    folder = tmp_path / "work"
    (folder / "birds" / "wren").mkdir(parents=True)
    (folder / "birds" / "wren" / "a.png").write_bytes(PNG)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "source",
    [
        "webdataset:pipe:touch hacked",
        "webdataset: pipe:touch hacked",
        "webdataset:PIPE:touch hacked",
        "pipe:touch hacked",
        "webdataset:birds.tar|touch hacked",
        "webdataset:https://example.org/birds.tar",
        "https://example.org/birds.csv",
        "http:example.org",
        "s3://bucket/birds.csv",
        "file:///etc/passwd",
        "hf://datasets/birds.parquet",
        "birds.csv\0.png",
    ],
)
@pytest.mark.parametrize("consent", [False, True])
def test_commands_and_addresses_are_refused_whoever_consents(workplace: Path, source: str, consent: bool) -> None:
    with pytest.raises(CrossModalError, match="found a command or an address"):
        check_source(source, consent=consent)


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_what_torchvision_unpickles_is_refused_whoever_consents(workplace: Path, name: str) -> None:
    with pytest.raises(CrossModalError, match="unpickles"):
        check_source(f"torchvision:{name}", consent=True)


def test_other_torchvision_data_lies_outside_unless_its_root_is_here(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSS_MODAL_DATA", str(workplace.parent))
    with pytest.raises(CrossModalError, match="inside the working folder"):
        check_source("torchvision:MNIST")
    check_source("torchvision:MNIST", consent=True)
    monkeypatch.setenv("CROSS_MODAL_DATA", str(workplace / "data"))
    check_source("torchvision:MNIST")


@pytest.mark.parametrize(
    "source",
    [
        "../secret",
        "birds/../../secret",
        "/etc/passwd.csv",
        "webdataset:../secret/a.tar",
        "webdataset:{birds/a,../secret/b}.tar",
        "webdataset:../secret/*.tar",
        "webdataset:/tmp/[ab].tar",
    ],
)
def test_a_path_outside_the_working_folder_needs_consent(workplace: Path, source: str) -> None:
    with pytest.raises(CrossModalError, match=r"inside the working folder .*consent=True"):
        check_source(source)
    check_source(source, consent=True)


def test_a_pattern_cannot_climb_out_behind_a_wildcard(workplace: Path) -> None:
    (workplace.parent / "secret" / "b.tar").write_bytes(b"")
    with pytest.raises(CrossModalError, match="inside the working folder"):
        check_source("webdataset:bir*/../../secret/b.tar")


def test_a_link_inside_that_leads_outside_needs_consent(workplace: Path) -> None:
    (workplace / "linked").symlink_to(workplace.parent / "secret")
    with pytest.raises(CrossModalError, match="inside the working folder"):
        check_source("linked")
    (workplace / "birds" / "owl").symlink_to(workplace.parent / "secret")
    with pytest.raises(CrossModalError, match="inside the working folder"):
        check_source("birds")
    check_source("birds", consent=True)


@pytest.mark.parametrize("cell", ["../secret/a.png", "{parent}/secret/a.png"])
def test_a_manifest_inside_that_names_a_picture_outside_needs_consent(workplace: Path, cell: str) -> None:
    path = cell.format(parent=workplace.parent)
    (workplace / "birds.csv").write_text(f"image,label\nbirds/wren/a.png,wren\n{path},owl\n")
    with pytest.raises(CrossModalError, match=r"birds\.csv: expected data inside the working folder"):
        check_source("birds.csv")
    check_source("birds.csv", consent=True)


def test_data_inside_the_working_folder_is_fine(workplace: Path) -> None:
    (workplace / "birds.csv").write_text("image,label\nbirds/wren/a.png,wren\n")
    for source in ("glyphs", "birds", "birds.csv", str(workplace / "birds"), "webdataset:{a..c}.tar", "./birds/*"):
        check_source(source)


def test_a_few_letters_do_not_fill_the_memory(workplace: Path) -> None:
    with pytest.raises(CrossModalError, match="at most 10000 shards"):
        check_source("webdataset:{0..999999}{0..999999}.tar")


def test_items_that_were_only_in_memory_cannot_come_back(workplace: Path) -> None:
    with pytest.raises(CrossModalError, match="only in memory"):
        check_source("memory")
