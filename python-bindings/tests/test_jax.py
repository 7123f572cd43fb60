"""The functions of ``supple.jax`` over the catalogue: values beside NumPy's, derivatives beside differences."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, Sequence, Tuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import samples

import supple
import supple.jax as sj
from supple._signature import SIGNATURES

ENTRIES = supple.catalogue()
SMOOTH = [entry for entry in ENTRIES if entry["gradient"] in ("exact", "almost everywhere")]
REFUSED = [entry for entry in ENTRIES if not entry["second_order"]]
SEEDED = [entry["name"] for entry in ENTRIES if "seed" in entry["parameters"]]
each = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])


@pytest.fixture(autouse=True)
def x64() -> Iterator[None]:
    before = jnp.zeros(()).dtype == jnp.float64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def call(module: Any, entry: Mapping[str, Any], inputs: Sequence[Any], **more: Any) -> Tuple[Any, ...]:
    """The outputs at default parameters, as a tuple."""
    if "seed" in entry["parameters"]:
        more = {"seed": 7, **more}
    outputs = getattr(module, entry["name"])(*inputs, **more)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def loss_of(module: Any, entry: Mapping[str, Any], inputs: Sequence[np.ndarray], seed: int = 0) -> Callable[..., Any]:
    """A scalar function of the real inputs: the outputs, with random weights."""
    random = np.random.default_rng([seed, 2])
    weights = [random.normal(size=np.shape(y)) for y in call(supple, entry, inputs)]
    real = SIGNATURES[entry["name"]].real

    def loss(*x: Any) -> Any:
        given = list(inputs)
        for i, value in zip(real, x):
            given[i] = value
        vdot = jnp.vdot if module is sj else np.vdot
        return sum(vdot(w, y) for w, y in zip(weights, call(module, entry, given)))

    return loss


def real_of(entry: Mapping[str, Any], inputs: Sequence[np.ndarray]) -> Tuple[jax.Array, ...]:
    return tuple(jnp.asarray(inputs[i]) for i in SIGNATURES[entry["name"]].real)


def dot(a: Sequence[Any], b: Sequence[Any]) -> float:
    return float(sum(np.vdot(x, y) for x, y in zip(a, b)))


def difference(f: Callable[..., Any], x: Sequence[Any], v: Sequence[Any], h: float = 1e-6) -> Any:
    """The central difference of ``f`` along ``v``."""
    ends = [f(*(np.asarray(a) + t * np.asarray(b) for a, b in zip(x, v))) for t in (h, -h)]
    return jax.tree.map(lambda a, b: (np.asarray(a) - np.asarray(b)) / (2 * h), *ends)


def close(a: Any, b: Any, tolerance: float = 1e-12) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * (1 + np.abs(b).max(initial=0)))


@each
def test_values_are_those_of_numpy(entry: Mapping[str, Any]) -> None:
    inputs = samples.of(entry, 1, (3,))
    single = [np.float32(x) if x.dtype.kind == "f" else x for x in inputs]
    for given, dtype in ((inputs, jnp.float64), (single, jnp.float32)):
        for y, expected in zip(call(sj, entry, given), call(supple, entry, given)):
            assert isinstance(y, jax.Array) and y.dtype == dtype
            np.testing.assert_array_equal(y, expected)
    for y, expected in zip(jax.vmap(lambda *x: call(sj, entry, x))(*inputs), call(supple, entry, inputs)):
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("entry", SMOOTH, ids=lambda entry: entry["name"])
def test_gradients_are_differences(entry: Mapping[str, Any]) -> None:
    inputs = samples.of(entry, 2, (2,))
    x, v = real_of(entry, inputs), samples.direction(entry, inputs, 2)
    expected = difference(loss_of(supple, entry, inputs), x, v)
    loss = loss_of(sj, entry, inputs)
    gradient = jax.grad(loss, range(len(x)))(*x)
    close(dot(gradient, v), expected, 1e-6)
    close(jax.jvp(loss, x, tuple(map(jnp.asarray, v)))[1], dot(gradient, v), 1e-10)


@pytest.mark.parametrize("entry", [e for e in SMOOTH if e["second_order"]], ids=lambda entry: entry["name"])
def test_second_derivatives_are_differences(entry: Mapping[str, Any]) -> None:
    inputs = samples.of(entry, 3)
    x, loss = real_of(entry, inputs), loss_of(sj, entry, inputs)
    v, w = (tuple(map(jnp.asarray, samples.direction(entry, inputs, seed))) for seed in (3, 4))
    gradient = jax.grad(loss, range(len(x)))
    expected = dot(w, difference(gradient, x, v))
    forward_over_reverse = dot(w, jax.jvp(gradient, x, v)[1])
    close(forward_over_reverse, expected, 1e-5)
    reverse_over_reverse = jax.grad(lambda *x: sum(map(jnp.vdot, gradient(*x), w)), range(len(x)))(*x)
    close(dot(reverse_over_reverse, v), forward_over_reverse, 1e-9)
    reverse_over_forward = jax.grad(lambda *x: jax.jvp(loss, x, w)[1], range(len(x)))(*x)
    close(dot(reverse_over_forward, v), forward_over_reverse, 1e-9)


@pytest.mark.parametrize("entry", REFUSED, ids=lambda entry: entry["name"])
def test_stand_ins_have_a_gradient_and_no_more(entry: Mapping[str, Any]) -> None:
    inputs = samples.of(entry, 4)
    x, loss = real_of(entry, inputs), loss_of(sj, entry, inputs)
    sig = SIGNATURES[entry["name"]]
    operator = supple._core.Operator(entry["name"], tuple({**entry["parameters"], "seed": 7}.values()))
    y, pullback = operator.linearize(inputs)
    dy = np.random.default_rng([0, 2]).normal(size=y[0].shape)
    expected = pullback.vjp(tuple(inputs[i] for i in sig.real), y, (dy,))
    for got in (jax.grad(loss, range(len(x)))(*x), jax.jit(jax.grad(loss, range(len(x))))(*x)):
        for a, b in zip(got, expected):
            close(a, b)
    twice = jax.grad(lambda *x: (jax.grad(loss)(*x) ** 2).sum())
    for wrong in (twice, lambda *x: jax.jvp(loss, x, x), jax.hessian(loss)):
        for function in (wrong, jax.jit(wrong)):
            with pytest.raises(NotImplementedError, match=f"{entry['name']}: .* is not available: its gradient is"):
                function(*x)


JITTED = ["soft_rank", "top_k_cross_entropy_loss", "soft_dtw_series", "soft_shortest_path", "gumbel_softmax"]


@pytest.mark.parametrize("name", JITTED)
def test_jit_changes_nothing(name: str) -> None:
    entry = next(entry for entry in ENTRIES if entry["name"] == name)
    inputs = samples.of(entry, 5, (2,))
    for y, expected in zip(jax.jit(lambda *x: call(sj, entry, x))(*inputs), call(supple, entry, inputs)):
        np.testing.assert_array_equal(y, expected)
    x, loss = real_of(entry, inputs), loss_of(sj, entry, inputs)
    everything = range(len(x))
    expected = jax.grad(loss, everything)(*x)
    for function in (jax.jit(jax.grad(loss, everything)), jax.grad(jax.jit(loss), everything)):
        for a, b in zip(function(*x), expected):
            close(a, b)
    hv = jax.jvp(jax.grad(loss, everything), x, x)[1]
    for a, b in zip(jax.jit(lambda *x: jax.jvp(jax.grad(loss, everything), x, x)[1])(*x), hv):
        close(a, b)


@pytest.mark.parametrize("name", SEEDED)
def test_seeds(name: str) -> None:
    entry = next(entry for entry in ENTRIES if entry["name"] == name)
    more: Any = {"argmax": {"method": "gumbel_softmax"}, "successive_softmax": {"gumbel": True}}.get(name, {})
    inputs = samples.of(entry, 6)

    def f(seed: Any) -> Any:
        return call(sj, entry, inputs, seed=seed, **more)[0]

    for seed in (5, 2**63 + 1):
        np.testing.assert_array_equal(f(seed), call(supple, entry, inputs, seed=seed, **more)[0])
    keys = jax.random.key(1), jax.random.key(2), jax.random.PRNGKey(1)
    a, b, old = (np.asarray(f(key)) for key in keys)
    np.testing.assert_array_equal(a, f(keys[0]))
    np.testing.assert_array_equal(a, old)
    assert (a != b).any() or set(a) <= {0, 1}  # other noise may give the same sample
    wrong = ((None, "must be given"), (-1, "in 0..2"), (1.5, "whole number"), (jnp.zeros(3), "one whole number"))
    for bad, message in wrong:
        with pytest.raises(ValueError, match=f"{name}: `seed` .*{message}"):
            f(bad)
