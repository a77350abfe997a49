"""The optimiser of the training: kernels learn as matrices, in the same memory, and a run can go on."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from quickstart.matrices import MatrixOptimiser


def _net() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.GELU(), nn.Flatten(), nn.Linear(6 * 64, 5))
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _learn(net: nn.Module, optimiser: MatrixOptimiser, steps: int, seed: int) -> list[float]:
    lost = []
    torch.manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(16, 2, 8, 8)
        wanted = torch.stack([x.mean((1, 2, 3)), x[:, 0, 0, 0], x[:, 1, 3, 3], x.amax((1, 2, 3)), x[:, 0, 7, 7]], 1)
        loss = (net(x) - wanted).square().mean()
        net.zero_grad()
        loss.backward()
        optimiser.step(1.0)
        lost.append(loss.item())
    return lost


def test_it_learns_kernels_matrices_and_offsets():
    net = _net()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    lost = _learn(net, MatrixOptimiser(net, (0.02, 0.01), 0.0), 150, 1)
    assert sum(lost[-20:]) < 0.5 * sum(lost[:20])
    for name, tensor in net.state_dict().items():
        assert not torch.equal(tensor, before[name]), name


def test_the_step_of_a_matrix_is_orthogonal():
    net = nn.Linear(4, 4, bias=False)
    before = net.weight.detach().clone()
    optimiser = MatrixOptimiser(nn.Sequential(net, nn.LayerNorm(4)), (1.0, 0.0), 0.0)
    net.weight.grad = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    optimiser.step(0.5)
    singular = torch.linalg.svdvals(before - net.weight.detach())
    assert singular.numpy() == pytest.approx([0.5] * 4, abs=0.2)  # its Newton-Schulz steps end near 1, not at it


def test_a_run_that_goes_on_ends_where_one_without_a_stop_does():
    whole = _net()
    optimiser = MatrixOptimiser(whole, (0.02, 0.01), 0.01)
    _learn(whole, optimiser, 5, 1)
    kept = copy.deepcopy((whole.state_dict(), optimiser.state_dict()))
    _learn(whole, optimiser, 5, 2)
    again = _net()
    resumed = MatrixOptimiser(again, (0.02, 0.01), 0.01)
    again.load_state_dict(kept[0])
    resumed.load_state_dict(kept[1])
    _learn(again, resumed, 5, 2)
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
