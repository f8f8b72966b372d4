"""The scales are the likeliest, and stay finite where episodes are separable."""

import torch

from cross_modal.fewshot.episode_scores import EpisodeScores

TRUTH = torch.arange(4)
VALID = torch.ones(200, 4, dtype=torch.bool)


def test_moving_either_scale_makes_the_truth_less_likely():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 200, 4, 4, generator=generator)
    signal = torch.eye(4).expand(200, 4, 4)
    scores = EpisodeScores(0.02 * (signal + noise[0]), 30 * (signal + 2 * noise[1]), TRUTH, VALID)

    def loss(a: float, b: float) -> float:
        logits = (a * scores.image.double() + b * scores.text.double()).flatten(0, 1)
        return float(torch.nn.functional.cross_entropy(logits, TRUTH.repeat(200)))

    a, b = scores.likeliest_scales()
    for change in (0.98, 1.02):
        assert loss(a, b) < loss(a * change, b)
        assert loss(a, b) < loss(a, b * change)


def test_padded_queries_do_not_count():
    scores = EpisodeScores(None, torch.eye(4).expand(200, 4, 4).clone(), TRUTH, VALID.clone())
    scores.text[:, 3] = torch.tensor([9.0, 0.0, 0.0, 0.0])  # wrong, and padded
    scores.valid[:, 3] = False
    assert scores.accuracy(0.0, 1.0) == 1.0
    image, text = scores.likeliest_scales()
    assert image == 0
    assert 0 < text < 1e4  # separable, yet finite


def test_negative_evidence_is_left_out_not_turned_round():
    eye = torch.eye(4).expand(200, 4, 4)
    noise = torch.randn(200, 4, 4, generator=torch.Generator().manual_seed(1))
    image, text = EpisodeScores(eye + noise, -eye, TRUTH, VALID).likeliest_scales()
    assert image > 0
    assert text == 0
