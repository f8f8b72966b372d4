"""Metrics are means over seeds with their interval; the protocol line says under what they hold."""

import math

import pytest
from scipy import stats

from cross_modal.configuration import KShotConfig
from cross_modal.fewshot.kshot_result import KShotResult, KShotRow, digest_of, protocol_line, split_digests
from cross_modal.fewshot.kshot_split import kshot_split

POOL = {label: [f"{label}{item}" for item in range(10)] for label in "abc"}


def row(method, shots, seed, accuracy, **measures):
    return KShotRow(method, shots, seed, accuracy, {}, 0.1, math.nan, measures)


def result(*rows):
    return KShotResult(list(rows), "", [], {}, [])


def test_each_number_has_its_mean_and_its_t_interval_over_seeds():
    metrics = result(
        *(row("tip_adapter", 4, seed, value, ece=0.1) for seed, value in enumerate((0.7, 0.8, 0.75)))
    ).metrics()
    assert metrics["kshot/tip_adapter/4shot/accuracy"] == pytest.approx(0.75)
    half_width = stats.t.ppf(0.975, 2) * 0.05 / math.sqrt(3)
    assert metrics["kshot/tip_adapter/4shot/accuracy/ci95"] == pytest.approx(half_width)
    assert metrics["kshot/tip_adapter/4shot/ece"] == pytest.approx(0.1)
    assert metrics["kshot/tip_adapter/4shot/ece/ci95"] == pytest.approx(0, abs=1e-9)


def test_a_single_seed_has_no_interval_and_nan_is_left_out():
    metrics = result(row("zero_shot", 0, 1, 0.5, auroc=math.nan)).metrics()
    assert metrics == {"kshot/zero_shot/0shot/accuracy": 0.5}


def test_accuracy_among_base_classes_is_never_called_accuracy():
    metrics = result(row("means", 1, 1, 0.9, base_accuracy=0.9, new_accuracy=0.6, harmonic_mean=0.72)).metrics()
    assert set(metrics) == {f"kshot/means/1shot/{name}" for name in ("base_accuracy", "new_accuracy", "harmonic_mean")}


def line(config, validation=None, views=1, texts=True, published=False):
    splits = [
        kshot_split(POOL, validation, k, seed, config.max_validation) for k in config.shots for seed in config.seeds
    ]
    return protocol_line("glyphs", config, splits, views, texts=texts, published=published), splits


def test_the_protocol_is_one_line():
    text, splits = line(KShotConfig(shots=[4, 1], seeds=[1, 2, 3]), views=10)
    digest = digest_of(split_digests(splits))
    assert text == f"glyphs K=1,4 seeds=1-3 val=min(K,4) views=10 select=val split={digest[:8]}"


def test_the_protocol_says_what_is_unusual():
    text, _ = line(KShotConfig(shots=[1], seeds=[1, 5], max_validation=0, base_to_new=True), texts=False)
    assert text.startswith("glyphs K=1 seeds=1,5 val=none views=1 select=defaults split=")
    assert text.endswith(" texts=none classes=base-to-new")
    published, _ = line(KShotConfig(shots=[1], seeds=[1]), published=True)
    assert "val=published" in published
    assert published.endswith("splits=published")


def test_the_digest_of_the_splits_tells_them_apart_and_not_their_order():
    (_, ones), (_, twos) = (line(KShotConfig(shots=[1, 2], seeds=[seed])) for seed in (1, 2))
    assert digest_of(split_digests(ones)) == digest_of(split_digests(ones[::-1]))
    assert digest_of(split_digests(ones)) != digest_of(split_digests(twos))
    assert split_digests(ones) == {"1shot_seed1": ones[0].digest, "2shot_seed1": ones[1].digest}
