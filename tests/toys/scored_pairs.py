"""Scored pairs whose truth is known: normal scores, and identities that share their luck."""

import numpy as np

from cross_modal.verification.bootstrap import Owners


def noisy_pairs(count: int, seed: int, digits: int = 9, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Scores N(0, 1) of different pairs and N(2, 1) of same ones, with the verdicts."""
    generator = np.random.default_rng(seed)
    same = generator.random(count) < share
    return np.round(generator.normal(size=count) + 2 * same, digits), same


def pairs_of_people(
    people: int, each: int, seed: int, luck: float = 1.0, apart: float = 3.0
) -> tuple[np.ndarray, np.ndarray, Owners]:
    """As many same pairs as different ones; a person's luck N(0, luck) is in every score that the person is in.

    Returns:
        (2 · people · each,) scores, verdicts, and the people on either side.
    """
    generator = np.random.default_rng(seed)
    own = generator.normal(0, luck, people)
    first = np.repeat(np.arange(people), each)
    second = (first + generator.integers(1, people, len(first))) % people
    a, b = np.concatenate([first, first]), np.concatenate([first, second])
    same = np.repeat([True, False], len(first))
    scores = own[a] + np.where(same, 0, own[b]) + generator.normal(size=len(a)) + apart * same
    return scores, same, Owners(a, b)
