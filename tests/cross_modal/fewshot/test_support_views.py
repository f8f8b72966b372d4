import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys.shapes import experiment, shapes

from cross_modal.configuration import AugmentationConfig, DataConfig
from cross_modal.data.items import content_hashes
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.embedding import embed_images
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.support_views import content_numbers, embed_views, kind_of_views, view_maps
from cross_modal.training.augmentation import affine_maps, augment_pixels

CONTENTS = np.arange(500, dtype=np.uint64) * np.uint64(2**55 + 977)
STILL = AugmentationConfig(rotation=0, scale=0, shear=0, shift=0)


@pytest.mark.parametrize("kind", ["photo", "character"])
def test_views_do_not_depend_on_order_number_or_company(kind: str) -> None:
    maps = view_maps(kind, 4, 3, CONTENTS)  # type: ignore[arg-type]
    order = np.random.default_rng(0).permutation(len(CONTENTS))[:50]
    assert torch.equal(view_maps(kind, 4, 3, CONTENTS[order]), maps[order])  # type: ignore[arg-type]
    assert torch.equal(view_maps(kind, 2, 3, CONTENTS), maps[:, :2])  # type: ignore[arg-type]
    assert len(torch.unique(maps.flatten(2).flatten(0, 1), dim=0)) == maps.shape[0] * maps.shape[1]
    assert not torch.equal(view_maps(kind, 4, 4, CONTENTS), maps)  # type: ignore[arg-type]


def test_crops_lie_inside_the_picture_and_keep_at_least_half_of_it() -> None:
    maps = view_maps("photo", 10, 0, CONTENTS).reshape(-1, 2, 3)
    corners = torch.tensor([[-1.0, -1, 1], [1, 1, 1], [-1, 1, 1], [1, -1, 1]]).T
    assert (maps @ corners).abs().max() <= 1 + 1e-6
    width, height = maps[:, 0, 0].abs(), maps[:, 1, 1]
    area = (width * height).numpy()
    # a crop that would be wider (or higher) than the picture is cut to it, which costs a little of the mean of 0.75
    assert area.min() >= 0.5 - 1e-6
    assert area.max() <= 1 + 1e-6
    assert area.mean() == pytest.approx(0.74, abs=0.02)
    assert (width / height).min() >= 3 / 4 - 1e-6
    assert (width / height).max() <= 4 / 3 + 1e-6
    assert (maps[:, 0, 1] == 0).all()
    assert (maps[:, 1, 0] == 0).all()


def test_half_of_the_photo_views_are_mirrored_and_none_where_training_never_mirrored() -> None:
    mirrored = view_maps("photo", 10, 0, CONTENTS)[..., 0, 0] < 0
    assert mirrored.float().mean() == pytest.approx(0.5, abs=0.03)
    assert (view_maps("photo", 10, 0, CONTENTS, STILL)[..., 0, 0] > 0).all()


def test_views_of_characters_are_the_maps_of_training() -> None:
    config = AugmentationConfig(rotation=5)
    maps = view_maps("character", 3, 7, CONTENTS, config)
    for view in range(3):
        assert torch.equal(maps[:, view], affine_maps(config, 7, view, CONTENTS))
    unmoved = view_maps("character", 2, 7, CONTENTS, STILL)
    pixels = torch.rand(500, 1, 6, 6)
    assert torch.allclose(augment_pixels(pixels, unmoved[:, 1]), pixels, atol=1e-5)


def test_the_twins_training_says_which_kind() -> None:
    assert kind_of_views(None) == "photo"
    assert kind_of_views(AugmentationConfig(flip=0.5)) == "photo"
    assert kind_of_views(AugmentationConfig()) == "character"
    assert kind_of_views(STILL) == "photo"


@given(st.lists(st.binary(min_size=8, max_size=40), max_size=20))
def test_contents_are_the_first_bytes_of_the_hash(hashes: list[bytes]) -> None:
    assert content_numbers(hashes).tolist() == [int.from_bytes(each[:8], "little") for each in hashes]


@pytest.fixture(scope="module")
def twin() -> TwinEncoder:
    torch.manual_seed(0)
    return build_twin(experiment().twin, texts=["bar size 3", "box size 4"]).eval()


def test_embedded_views_are_the_embeddings_of_the_moved_pictures(twin: TwinEncoder) -> None:
    items = shapes(per_class=1)
    pictures = open_pictures(items, twin, DataConfig())
    rows = np.array([4, 0, 9, 5])
    numbers = content_numbers(content_hashes(items.images[rows]))
    maps = view_maps("character", 3, 0, numbers)
    done: list[int] = []
    views = embed_views(twin, pictures, rows, maps, batch_size=7, progress=done.append)
    assert views.shape == (4, 3, twin.dim)
    assert views.dtype == np.float32
    assert sum(done) == 12
    # one at a time, in another order, gives the same
    alone = embed_views(twin, pictures, rows[2:3], maps[2:3])
    np.testing.assert_allclose(alone[0], views[2], atol=1e-5)
    # maps that move nothing give the plain embedding
    still = torch.eye(2, 3).expand(4, 3, 2, 3)
    plain = embed_images(twin, pictures, rows)
    np.testing.assert_allclose(embed_views(twin, pictures, rows, still)[:, 1], plain, atol=1e-4)
    assert np.abs(views - plain[:, None]).max() > 1e-3


def test_the_mode_of_the_twin_is_restored(twin: TwinEncoder) -> None:
    pictures = open_pictures(shapes(per_class=1), twin, DataConfig())
    twin.train()
    embed_views(twin, pictures, np.array([0]), torch.eye(2, 3).expand(1, 1, 2, 3))
    assert twin.training
    twin.eval()


def test_nonsense_is_one_line(twin: TwinEncoder) -> None:
    with pytest.raises(CrossModalError, match="at least 1 view of each support picture, found 0"):
        view_maps("photo", 0, 0, CONTENTS)
    with pytest.raises(CrossModalError, match='"photo" or "character", found \'drawing\''):
        view_maps("drawing", 1, 0, CONTENTS)  # type: ignore[arg-type]
    pictures = open_pictures(shapes(per_class=1), twin, DataConfig())
    with pytest.raises(CrossModalError, match="maps for 2 pictures, found 1"):
        embed_views(twin, pictures, np.array([0, 1]), torch.eye(2, 3).expand(1, 1, 2, 3))
