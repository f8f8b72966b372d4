import torch

from cross_modal.fewshot.classifiers.adamw import AdamW


def test_it_steps_as_torch_does_with_rates_and_decays_of_each_part() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    rates, decays = torch.tensor([[1e-1], [1e-2], [0.0]]).double(), torch.tensor([[0.0], [0.5], [0.1]]).double()
    weights, parts = start.clone(), [row.clone().requires_grad_() for row in start]
    ours = AdamW(weights, 1e-4)
    theirs = torch.optim.AdamW(
        [{"params": [part], "lr": float(rates[i]), "weight_decay": float(decays[i])} for i, part in enumerate(parts)],
        eps=1e-4,
    )
    for _ in range(5):
        gradients = torch.randn(3, 4, generator=generator, dtype=torch.float64)
        for part, gradient in zip(parts, gradients, strict=True):
            part.grad = gradient.clone()
        ours.step(gradients, rates, decays)
        theirs.step()
    torch.testing.assert_close(weights, torch.stack([part.detach() for part in parts]))
