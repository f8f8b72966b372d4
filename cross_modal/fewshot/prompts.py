"""Class texts from class names: prompt templates, and the mean of what they say.

    t_c = norm(mean_j norm(E(template_j(name_c))))

Each prompt's embedding has length one before the mean, so that no template weighs more than another (Radford et al.
2021, "Learning transferable visual models from natural language supervision", §3.1.4). The template alone can move
zero-shot accuracy by several points: choose it on validation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cross_modal.errors import CrossModalError

Template = str | Callable[[str], str]
NAMED = {"openai_imagenet": "OPENAI_IMAGENET_TEMPLATES", "simple_imagenet": "SIMPLE_IMAGENET_TEMPLATES"}
PLACE = "{}"
PROMPTS = 4096  # that are embedded in one call


def named_templates(name: str) -> tuple[Template, ...]:
    """Templates that open_clip brings.

    Args:
        name: "openai_imagenet" (80 templates), "simple_imagenet" (7), or "plain" (the name itself).

    Returns:
        The templates.

    Raises:
        CrossModalError: Another name.

    >>> named_templates("plain")
    ('{}',)
    """
    if name == "plain":
        return (PLACE,)
    if name not in NAMED:
        raise CrossModalError(
            f"templates: expected plain, {', '.join(NAMED)}, one with {PLACE} in it or a file of such, found {name!r}"
        )
    from open_clip import zero_shot_metadata

    return tuple(getattr(zero_shot_metadata, NAMED[name]))


def read_templates(given: str) -> tuple[Template, ...]:
    """Templates as a user gives them in one word.

    Args:
        given: A name that `named_templates` knows, one template, or a text file with one template in each line.

    Returns:
        The templates.

    Raises:
        CrossModalError: None of these, or a file without a template.

    >>> read_templates("a sketch of a {}")
    ('a sketch of a {}',)
    """
    if PLACE in given:
        return (given,)
    path = Path(given)
    if not path.is_file():
        return named_templates(given)
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not found:
        raise CrossModalError(f"{given}: expected templates, one in each line, found none")
    for line in found:
        prompt(line, "")  # a broken one is named before anything is encoded
    return found


def prompt(template: Template, name: str) -> str:
    """One prompt; underscores of the name become spaces.

    Args:
        template: A sentence with one ``{}`` where the name goes, or a function of the name.
        name: Of the class.

    Returns:
        The prompt.

    Raises:
        CrossModalError: A sentence without a place for the name, or with several, or a function that gives no text.

    >>> prompt("a photo of a {}.", "polar_bear")
    'a photo of a polar bear.'
    """
    name = str(name).replace("_", " ")
    if callable(template):
        made = template(name)
        if not isinstance(made, str):
            raise CrossModalError(f"template: expected a function that gives text, found {type(made).__name__}")
        return made
    if template.count(PLACE) != 1:
        raise CrossModalError(f"template: expected one {PLACE} where the name goes, found {template!r}")
    return template.replace(PLACE, name)


def class_text_embeddings(
    names: Sequence[str],
    templates: str | Sequence[Template],
    embed: Callable[[list[str]], np.ndarray],
    *,
    normalise: bool = True,
) -> np.ndarray:
    """One text embedding a class.

    Args:
        names: C class names.
        templates: What `named_templates` knows by name, one template, or several.
        embed: Prompts → (n, D) float embeddings.
        normalise: Put prompts and means at length one, as above; False keeps magnitudes, for Euclidean distance.

    Returns:
        (C, D) t_c, in the dtype of what `embed` gives (float32 at least).

    Raises:
        CrossModalError: No names, no or broken templates, or embeddings that are not one finite row a prompt.

    >>> lengths = lambda prompts: np.array([[len(prompt), 1.0] for prompt in prompts])
    >>> class_text_embeddings(["ox"], ["{}", "{}!"], lengths).round(3).tolist()
    [[0.924, 0.383]]
    """
    several = _templates(templates)
    if not len(names):
        raise CrossModalError("class texts: expected one class name or more, found none")
    at_once = max(1, PROMPTS // len(several))
    parts = []
    for begin in range(0, len(names), at_once):
        some = [str(name) for name in names[begin : begin + at_once]]
        prompts = [prompt(template, name) for name in some for template in several]
        rows = _checked(embed(prompts), len(prompts))
        rows = _at_length_one(rows) if normalise else rows
        parts.append(rows.reshape(len(some), len(several), -1).mean(axis=1))
    means = np.concatenate(parts)
    return _at_length_one(means) if normalise else means


def _templates(templates: str | Sequence[Template]) -> tuple[Template, ...]:
    if isinstance(templates, str):
        return (templates,) if PLACE in templates else named_templates(templates)
    if not len(templates):
        raise CrossModalError("templates: expected one or more, found none")
    return tuple(templates)


def _checked(embeddings: np.ndarray, count: int) -> np.ndarray:
    """(n, D) finite floats, float32 at least."""
    rows = np.asarray(embeddings)
    if rows.ndim != 2 or len(rows) != count or rows.dtype.kind != "f":
        raise CrossModalError(f"class texts: expected floats ({count}, D), one row a prompt, found {rows.shape}")
    if not np.isfinite(rows).all():
        raise CrossModalError("class texts: expected finite embeddings, found NaN or infinity")
    return rows.astype(np.float32) if rows.dtype == np.float16 else rows


def _at_length_one(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(rows.dtype).tiny)
