"""Muon in float32, for a CPU: momentum whose singular values are all brought near one."""

import torch


def orthogonal(g, steps=5):
    """(..., m, n) with its singular values near one, by Newton-Schulz iteration."""
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = x / (x.flatten(-2).norm(dim=-1)[..., None, None] + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Matrices only; matrices of one shape go together. The size of a step is that of Adam at the same rate."""

    def __init__(self, params, lr=1e-3, momentum=0.95, weight_decay=0.01):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            for shape, params in shapes.items():
                self._move(group, params, 0.2 * max(shape) ** 0.5)

    def _move(self, group, params, size):
        steps = []
        for p in params:
            past = self.state[p].setdefault("momentum", torch.zeros_like(p))
            past.lerp_(p.grad, 1 - group["momentum"])
            steps.append(p.grad.lerp(past, group["momentum"]))
        for p, step in zip(params, orthogonal(torch.stack(steps)), strict=True):
            p.mul_(1 - group["lr"] * group["weight_decay"]).add_(step, alpha=-group["lr"] * size)
