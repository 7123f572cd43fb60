"""The functions under ``torch.compile(fullgraph=True)``."""

from __future__ import annotations

import pytest
import samples
import torch
from test_torch import ENTRIES

import supple.torch


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ENTRIES)
def test_compiled_values_and_gradients_are_those_without(name):
    inputs = [torch.from_numpy(x) for x in samples.of(name, 6, (2,))]
    options = {"seed": 3} if "seed" in ENTRIES[name]["parameters"] else {}
    real = samples.SIGNATURES[name].real

    def loss(*inputs):
        y = getattr(supple.torch, name)(*inputs, **options)
        return sum(t.square().sum() for t in (y if isinstance(y, tuple) else (y,)))

    def run(function):
        given = [x.clone().requires_grad_() if i in real else x for i, x in enumerate(inputs)]
        value = function(*given)
        return value.detach(), torch.autograd.grad(value, [given[i] for i in real])

    value, slopes = run(torch.compile(loss, fullgraph=True, backend="aot_eager"))
    torch.testing.assert_close((value, slopes), run(loss))


def test_a_step_of_training_with_the_default_compiler():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), supple.torch.nn.SoftSort(0.5), torch.nn.Linear(8, 1))
    compiled = torch.compile(model, fullgraph=True)
    x = torch.randn(5, 4)
    loss = compiled(x).square().mean()
    loss.backward()
    slopes = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model(x).square().mean().backward()
    torch.testing.assert_close(slopes, [p.grad for p in model.parameters()])


def test_shapes_that_change():
    f = torch.compile(lambda x: supple.torch.soft_sort(x, 0.5) * 2, fullgraph=True, dynamic=True, backend="aot_eager")
    for shape in ((2, 3), (4, 7), (1, 5)):
        x = torch.randn(shape)
        torch.testing.assert_close(f(x), supple.torch.soft_sort(x, 0.5) * 2)


def test_noise_is_new_at_each_call_and_decided_by_torchs_seed():
    f = torch.compile(lambda x: supple.torch.gumbel_softmax(x), fullgraph=True, backend="aot_eager")
    x = torch.zeros(2, 4)
    torch.manual_seed(0)
    first, second = f(x), f(x)
    torch.manual_seed(0)
    assert torch.equal(f(x), first) and not torch.equal(first, second)


def test_dim_half_precision_and_lengths():
    f = lambda x: supple.torch.soft_rank(x, 3.0, dim=0)
    x = torch.randn(4, 3).bfloat16()
    torch.testing.assert_close(torch.compile(f, fullgraph=True, backend="aot_eager")(x), f(x))
    g = lambda x: supple.torch.soft_rank(x, 3.0, lengths={"n": [2, 3]})
    x = torch.randn(2, 3)
    torch.testing.assert_close(torch.compile(g, fullgraph=True, backend="aot_eager")(x), g(x))


def test_parameters_that_vary():
    x = torch.randn(2, 5)
    softer = torch.compile(lambda x, s: supple.torch.soft_rank(x, s), fullgraph=True, backend="aot_eager")
    for softness in (1.0, 0.5, 0.3, 0.2):
        assert torch.equal(softer(x, softness), supple.torch.soft_rank(x, softness))
    more = torch.compile(lambda x, k: supple.torch.soft_top_k(x, k), fullgraph=True, backend="aot_eager")
    for k in (1, 2, 3, 4):
        assert torch.equal(more(x, k), supple.torch.soft_top_k(x, k))
    module = supple.torch.nn.SoftRank(1.0)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for module.softness in (0.5, 0.25, 0.1):
        assert torch.equal(compiled(x), module(x))
    with pytest.raises(ValueError, match="soft_rank: `softness` must be finite and > 0, got inf"):
        softer(x, float("inf"))


def test_vmap_inside():
    loss = lambda x, q: supple.torch.quantile(supple.torch.soft_rank(x, 0.7, "entropic"), q, softness=0.5)
    f = lambda x, q: torch.func.vmap(loss, in_dims=(1, None))(x, q).sum()
    x, q = torch.randn(5, 3, dtype=torch.float64, requires_grad=True), torch.tensor(0.4, dtype=torch.float64)
    found = torch.autograd.grad(torch.compile(f, fullgraph=True, backend="aot_eager")(x, q), x)
    torch.testing.assert_close(found, torch.autograd.grad(f(x, q), x))


def test_opcheck():
    from supple.torch import _compiled

    x = torch.randn(3, 5, dtype=torch.float64)
    words = ("soft_rank", "('.', 'entropic', False)", "soft", "")
    softness = [torch.tensor(0.7, dtype=torch.float64)]
    torch.library.opcheck(_compiled._apply, (*words, [x.clone().requires_grad_()], [], softness, None))
    torch.library.opcheck(_compiled._vjp, (*words, [x], [], softness, None, [torch.randn(3, 5, dtype=torch.float64)]))
