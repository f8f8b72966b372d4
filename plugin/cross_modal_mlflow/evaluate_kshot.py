"""The work of ``cross-modal evaluate --kshot``: few-shot classifiers from stored embeddings or from a twin's own.

Both ways end in the same experiment (`cross_modal.fewshot.kshot`), the same tables and the same artifacts: metrics,
protocol, splits, one row a fit as CSV, and the learning curve.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cross_modal.configuration import AugmentationConfig, KShotConfig
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.saved_twin import load_twin
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.features import Features, read_features
from cross_modal.fewshot.kshot import run_kshot
from cross_modal.fewshot.kshot_checks import check_settings
from cross_modal.fewshot.kshot_embeddings import drawn, kshot_sides
from cross_modal.fewshot.kshot_items import KShotItems, item_ids, kshot_items, read_kshot_items
from cross_modal.fewshot.kshot_result import KShotResult
from cross_modal.fewshot.kshot_sides import LearningSide, TestSide
from cross_modal.fewshot.prompts import read_templates
from cross_modal.fewshot.support_views import kind_of_views
from cross_modal_mlflow.counting import counting, summed
from cross_modal_mlflow.device import on_device
from cross_modal_mlflow.evaluate_model import leak_notes
from cross_modal_mlflow.kshot_outcome import KShotOutcome, log_kshot
from cross_modal_mlflow.logged_items import log_items
from cross_modal_mlflow.phases import Clock, working
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.store import Store
from cross_modal_mlflow.tracking import TrackedRun, tracked_run

if TYPE_CHECKING:
    from rich.console import Console

    from cross_modal_mlflow.evaluate_options import EvaluateOptions

PUBLISHED_SHOTS = (1, 2, 4, 8, 16)


def kshot_config(options: EvaluateOptions) -> KShotConfig:
    """The experiment's settings from the command's options, checked as far as that is free.

    Raises:
        CrossModalError: A method that does not exist, or a number out of its range.
    """
    from cross_modal.fewshot.classifiers import METHODS

    unknown = [name for name in options.methods if name not in {"all", *METHODS}]
    if unknown or not options.methods:
        found = repr(unknown[0]) if unknown else "none"
        raise CrossModalError(f"--methods: expected all or names of {', '.join(METHODS)}, found {found}")
    config = KShotConfig(
        shots=sorted({shots for shots in options.kshot or PUBLISHED_SHOTS if shots}),  # 0 is measured anyway
        seeds=list(dict.fromkeys(options.seeds)),
        methods=options.methods,
        max_validation=options.max_validation,
        allow_fewer=options.allow_fewer,
        texts=not options.without_texts,
        views=options.views,
        base_to_new=options.base_to_new,
        false_accept_rate=options.false_accept_rate,
        templates=options.templates,
    )
    read_templates(config.templates)
    check_settings(config)
    return config


def measure_kshot_of_features(options: EvaluateOptions, store: Store, console: Console) -> KShotOutcome:
    """Measures stored embeddings; needs no model and no data.

    Args:
        options: What to measure; `features` is the file.
        store: The tracking store.
        console: Where progress goes.

    Raises:
        CrossModalError: If settings or file do not allow it; nothing is written then but the failed run.
    """
    clock, config, path = Clock(), kshot_config(options), Path(str(options.features))
    with clock.phase("data"), working(console, f"reading {path}"):
        features = read_features(path)
    about = {"data": str(path), "digest": features.digest, "split": "test", **_counts(features)}
    ignored = ", ".join(features.ignored)
    notes = [f"{path.name}: keys that mean nothing here were passed over ({ignored})"] if ignored else []
    with _run(options, store, path.stem) as run:
        run.tags({"cross_modal.data": path, "cross_modal.digest": features.digest})
        run.parameters({"data": {name: value for name, value in about.items() if isinstance(value, int)}})
        learning, test = features.learning_side(), features.test_side()
        return _measure(learning, test, config, about, notes, {}, run, clock, console)


def measure_kshot_of_model(
    options: EvaluateOptions, folder: Path, card: dict[str, Any], store: Store, console: Console
) -> KShotOutcome:
    """Measures a twin: pictures of a source become pools, pools become embeddings.

    Args:
        options: What to measure on what.
        folder: The saved twin.
        card: Its card.
        store: The tracking store.
        console: Where progress goes.

    Raises:
        CrossModalError: If settings, data or model do not allow it.
    """
    clock, config, source = Clock(), kshot_config(options), str(options.data)
    with clock.phase("data"), working(console, f"reading {source}"):
        items = read_kshot_items(source, options.items)
        pools = kshot_items(items, options.split)
        used = drawn(pools, config)
    twin = load_twin(folder)
    measured, augmentation = items.take(pools.test), _augmentation(card)
    about = {
        "data": items.source,
        "digest": items.digest,
        "split": options.split,
        "split_digest": measured.digest,
        "pools": pools.manner,
        "classes": len(pools.classes),
        "support_pictures": len(pools.support),
        "validation_pictures": len(pools.validation),
        "test_pictures": len(pools.test),
        "model": options.model,
        **({"views_are": kind_of_views(augmentation)} if config.views > 1 else {}),
    }
    with _run(options, store, Path(source).name or source) as run:
        run.tags({"cross_modal.model": options.model})
        own = ("train", "validation") if pools.manner == "own splits" else ()
        log_items(run, items, tuple(dict.fromkeys([*own, options.split])), options.items)
        features = FeatureStore.open() if options.items.feature_store else None
        total = len(used.test) + len(used.validation) + len(used.support) * (1 + (config.views > 1) * config.views)
        with clock.phase("embedding"), counting(console, "embedding pictures") as count:
            sides = kshot_sides(
                on_device(twin),
                used,
                options.items,
                config,
                name=Path(source).name or source,
                augmentation=augmentation,
                store=features,
                progress=summed(count, total),
            )
        notes = [*leak_notes(card, measured), *pools.notes]
        return _measure(*sides, config, about, notes, _names(used), run, clock, console)


@contextmanager
def _run(options: EvaluateOptions, store: Store, name: str) -> Iterator[TrackedRun]:
    """A run with what is known before the work."""
    with tracked_run("evaluate", store, name=f"evaluate K-shot {name}"[:80]) as run:
        run.parameters(options)
        run.text(yaml.safe_dump(dataclasses.asdict(options), sort_keys=False, allow_unicode=True), "config.yaml")
        run.environment()
        yield run


def _measure(
    learning: LearningSide,
    test: TestSide,
    config: KShotConfig,
    about: Mapping[str, Any],
    notes: list[str],
    names: Mapping[str, str],
    run: TrackedRun,
    clock: Clock,
    console: Console,
) -> KShotOutcome:
    """Runs the experiment and logs it."""
    with clock.phase("K-shot"), counting(console, "fitting") as count:
        result = run_kshot(learning, test, config, count)
    protocol = {**about, **_protocol(config, result, learning)}
    report = Report("evaluate", protocol, result.metrics(), clock.seconds, run.run_id)
    outcome = KShotOutcome(report, result, list(dict.fromkeys([*notes, *result.notes])))
    with clock.phase("logging"), working(console, "logging the run"):
        log_kshot(run, outcome, names)
    run.metrics({f"seconds/{name}": value for name, value in clock.seconds.items()})
    return outcome


def _protocol(config: KShotConfig, result: KShotResult, learning: LearningSide) -> dict[str, Any]:
    """How the numbers came about, for somebody who wants to measure them again."""
    return {
        "method": result.protocol,
        "methods": list(dict.fromkeys(row.method for row in result.rows)),
        "shots": config.shots,
        "seeds": config.seeds,
        "validation": f"min(K, {config.max_validation}) items of each class",
        "views": config.views,
        "texts": learning.texts is not None and config.texts,
        "metric": learning.metric,
        "base_to_new": config.base_to_new,
        "false_accept_rate": config.false_accept_rate,
        "allow_fewer": config.allow_fewer,
        "split_digests": result.split_digests,
        "interval": "95 % over seeds, Student t",
    }


def _counts(features: Features) -> dict[str, int]:
    return {
        "classes": len(features.learning_side().labels),
        "support_pictures": len(features.train),
        "validation_pictures": 0 if features.validation is None else len(features.validation),
        "test_pictures": len(features.test),
    }


def _names(pools: KShotItems) -> dict[str, str]:
    """Id → place of every item that a split may draw."""
    return {
        name: pools.items.where(row)
        for rows in (pools.support, pools.validation)
        for name, row in zip(item_ids(pools.items, rows).tolist(), rows.tolist(), strict=True)
    }


def _augmentation(card: Mapping[str, Any]) -> AugmentationConfig | None:
    """How the twin was trained; None where its card does not say. Fields of other versions are passed over."""
    given = card.get("experiment", {}).get("augmentation")
    known = {field.name for field in dataclasses.fields(AugmentationConfig)}
    return None if given is None else AugmentationConfig(**{name: given[name] for name in given if name in known})
