"""The functions of ``supple.jax`` under JAX's transforms, and the arguments that they have in common."""

from __future__ import annotations

from typing import Any, Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_jax import close, difference, x64  # noqa: F401

import supple
import supple.jax as sj
from supple.jax import _primitives

X = np.random.default_rng(0).normal(size=(4, 3, 5))


def soft(x: Any) -> Any:
    return sj.neural_sort(x, 0.7)


def square(x: Any) -> Any:
    return (sj.soft_rank(x, 2.0, "entropic") ** 2).sum()


def test_jacobians_and_hessians() -> None:
    x = jnp.asarray(X[0, 0])
    columns = np.stack([difference(lambda x: supple.neural_sort(x, 0.7), (x,), (e,)) for e in np.eye(5)], -1)
    for jacobian in (jax.jacfwd, jax.jacrev):
        assert jacobian(soft)(x[:0]).shape == (0, 0)
        close(jacobian(soft)(x), columns, 1e-6)
        close(jax.jit(jacobian(soft))(x), jacobian(soft)(x))
        close(jax.vmap(jacobian(soft))(X[0]), [jacobian(soft)(x) for x in X[0]])
        close(jacobian(jax.vmap(soft))(X[0])[1, :, 1], jacobian(soft)(X[0, 1]))
    hessian = np.stack([difference(jax.grad(square), (x,), (e,)) for e in np.eye(5)], -1)
    assert np.abs(hessian).max() > 1
    for found in (jax.hessian(square), jax.jit(jax.hessian(square)), jax.jacrev(jax.jacrev(square))):
        close(found(x), hessian, 1e-6)
    close(jax.jacrev(jax.jacfwd(square))(x), hessian, 1e-6)
    close(jax.vmap(jax.vmap(jax.hessian(square)))(X)[2, 1], jax.hessian(square)(X[2, 1]), 1e-10)
    outer, back = jax.vjp(soft, x)
    close(outer, soft(x))
    close(back(jnp.eye(5)[1])[0], columns[1], 1e-6)
    close(jax.linearize(soft, x)[1](jnp.eye(5)[2]), columns[:, 2], 1e-6)


def test_what_is_missing_is_refused() -> None:
    x = jnp.asarray(X[0, 0])
    for function in (jax.jacfwd(jax.jacfwd(square)), jax.jit(jax.jacfwd(jax.jacfwd(square)))):
        with pytest.raises(NotImplementedError, match="soft_rank: forward over forward .* jax.hessian"):
            function(x)
    with pytest.raises(NotImplementedError, match="soft_rank: a third derivative is not available"):
        jax.grad(lambda x: jax.hessian(square)(x).sum())(x)


def test_vmap_over_any_axis() -> None:
    expected = supple.neural_sort(X, 0.7)
    np.testing.assert_array_equal(jax.vmap(soft, 1, 1)(X), expected)
    np.testing.assert_array_equal(jax.vmap(soft, -1)(np.moveaxis(X, 1, -1)), np.moveaxis(expected, 1, 0))
    np.testing.assert_array_equal(jax.vmap(jax.vmap(soft), 1)(X), np.moveaxis(expected, 1, 0))
    close(jax.vmap(jax.grad(square), 1, 1)(X), jax.grad(square)(X))
    last = np.moveaxis(X, 0, 2)
    close(jax.grad(lambda x: jax.vmap(square, 2)(x).sum())(last), np.moveaxis(jax.grad(square)(X), 0, 2))
    np.testing.assert_array_equal(jax.jit(jax.vmap(soft, 1))(X), np.moveaxis(expected, 1, 0))
    assert jax.vmap(jax.jacrev(soft))(X[:0, 0]).shape == (0, 5, 5)


def test_vmap_where_one_input_has_no_batch() -> None:
    x, payload, batch = X[0], X[1].T, X[:, 0]
    one = jax.value_and_grad(lambda x, payload: (sj.sort_with(x, payload, 0.5) ** 2).sum(), (0, 1))
    for dims, first, second in (((0, None), x, payload), ((None, 1), x[0], X[:2].transpose(2, 1, 0))):
        value, grads = jax.vmap(one, dims)(first, second)
        for i in range(len(value)):
            item = one(first if dims[0] is None else first[i], second if dims[1] is None else second[:, i])
            close(value[i], item[0])
            close(grads[0][i], item[1][0])
            close(grads[1][i], item[1][1])
    # A quantile for each of several q, of inputs with a batch of their own.
    q = np.array([0.2, 0.5, 0.9])
    expected = np.stack([supple.quantile(batch, level, softness=5.0) for level in q])
    close(jax.vmap(lambda q: sj.quantile(batch, q, softness=5.0))(q), expected)
    slope = jax.vmap(jax.grad(lambda q, x: sj.quantile(x, q, softness=5.0).sum()), (0, None))(q, batch)
    close(slope, [jax.grad(lambda q: sj.quantile(batch, q, softness=5.0).sum())(level) for level in q])
    # Labels alone.
    losses = jax.vmap(jax.grad(lambda label, x: sj.entmax_loss(x, label), 1), (0, None))(jnp.arange(5), x[0])
    close(losses, sj.entmax15(x[0]) - np.eye(5))


def test_traced_seeds() -> None:
    x = jnp.asarray(X[0, 0])

    def f(x: Any, seed: Any) -> Any:
        return sj.gumbel_softmax(x, seed=seed)

    expected = np.stack([supple.gumbel_softmax(X[0, 0], seed=seed) for seed in range(3)])
    np.testing.assert_array_equal(jax.jit(f)(x, 2), expected[2])
    np.testing.assert_array_equal(jax.jit(f)(x, jnp.int64(2**40 + 3)), supple.gumbel_softmax(X[0, 0], seed=2**40 + 3))
    np.testing.assert_array_equal(jax.vmap(f, (None, 0))(x, jnp.arange(3)), expected)
    keys = jax.random.split(jax.random.key(0), 3)
    np.testing.assert_array_equal(jax.vmap(f, (None, 0))(x, keys), [f(x, key) for key in keys])
    slopes = jax.jit(jax.vmap(jax.jacrev(f), (None, 0)))(x, keys)
    close(slopes, [jax.jacfwd(f)(x, key) for key in keys])
    # All directions meet the same noise, and so does each item of a batch.
    whole = jax.jacrev(lambda x: f(x, 4))(X[0])
    close(jax.vmap(jax.jacrev(lambda x: f(x, 4)))(X[0]), [whole[i, :, i] for i in range(3)])
    assert sj.argmax(x).shape == sj.successive_softmax(x, 2).shape == (5,)


def test_lengths() -> None:
    x, n = X[0], np.array([2, 5, 3])

    def f(x: Any, n: Any) -> Any:
        return sj.soft_rank(x, 2.0, "entropic", lengths={"n": n})

    expected = supple.soft_rank(x, 2.0, "entropic", lengths={"n": n})
    for function in (f, jax.jit(f), jax.vmap(f)):
        np.testing.assert_array_equal(function(x, n), expected)
    np.testing.assert_array_equal(jax.vmap(f, (None, 0))(x[0], n), [f(x[0], size) for size in n])
    gradient = jax.jit(jax.grad(lambda x, n: (f(x, n) ** 2).sum()))(x, n)
    for i, size in enumerate(n):
        close(gradient[i], [*jax.grad(square)(x[i, :size]), *[0.0] * (5 - size)])
    symbols, shapes = ({"m": n}, "one of the sizes n"), ({"n": n[:2]}, "broadcastable")
    for bad, message in (symbols, shapes, ({"n": [0.5]}, "whole numbers"), (3, "dict")):
        for wrap in (lambda f: f, jax.jit):
            with pytest.raises(ValueError, match=f"soft_rank: `lengths.*{message}"):
                wrap(lambda x, bad=bad: sj.soft_rank(x, lengths=bad))(x)


def test_axis() -> None:
    for axis in (0, 1, -2):
        expected = supple.soft_sort(X, 5.0, axis=axis)
        np.testing.assert_array_equal(sj.soft_sort(X, 5.0, axis=axis), expected)
    gradient = jax.grad(lambda x: (sj.soft_rank(x, 2.0, "entropic", axis=1) ** 2).sum())(X)
    close(gradient, np.moveaxis(jax.grad(square)(np.moveaxis(X, 1, -1)), -1, 1))
    np.testing.assert_array_equal(sj.quantile(X, jnp.full((3, 5), 0.5), axis=0), supple.quantile(X, 0.5, axis=0))
    np.testing.assert_array_equal(sj.log_sum_exp(X, axis=1), supple.log_sum_exp(X, axis=1))
    with pytest.raises(ValueError, match=r"soft_rank: `axis` must be in -3..3, got 4"):
        sj.soft_rank(X, axis=4)


def test_modes() -> None:
    x = jnp.asarray(X[0, 0])
    weights = jnp.arange(5.0)
    soft = jax.grad(lambda x: weights @ sj.soft_rank(x, 2.0))(x)
    assert np.abs(soft).max() > 0.1
    for mode, gradient in (("hard", 0 * soft), ("straight_through", soft)):
        def f(x: Any, mode: Any = mode) -> Any:
            return sj.soft_rank(x, 2.0, mode=mode)

        np.testing.assert_array_equal(jax.jit(f)(x), np.argsort(np.argsort(x)) + 1)
        np.testing.assert_array_equal(jax.grad(lambda x: weights @ f(x))(x), gradient)
    with pytest.raises(ValueError, match="soft_rank: `mode` must be one of"):
        sj.soft_rank(x, mode="firm")


def test_types() -> None:
    for dtype in (jnp.float16, jnp.bfloat16):
        x = jnp.asarray(X[0, 0], dtype)
        assert soft(x).dtype == jnp.float32
        np.testing.assert_array_equal(soft(x), soft(x.astype(jnp.float32)))
        gradient = jax.grad(square)(x)
        assert gradient.dtype == dtype
        np.testing.assert_array_equal(gradient, jax.grad(square)(x.astype(jnp.float32)).astype(dtype))
    assert sj.soft_rank([3, 1, 2]).dtype == jnp.float64 and sj.soft_rank([3, 1, 2]).tolist() == [3, 1, 2]
    assert sj.quantile(jnp.ones(3, jnp.float32), 0.5).dtype == jnp.float32
    assert sj.quantile(jnp.ones(3, jnp.float32), np.float64(0.5)).dtype == jnp.float64
    jax.config.update("jax_enable_x64", False)
    assert sj.soft_rank([3, 1, 2]).dtype == jax.jit(soft)(X[0, 0]).dtype == jnp.float32
    np.testing.assert_array_equal(sj.entmax_loss(X[0, 0], 2), supple.entmax_loss(np.float32(X[0, 0]), 2))
    expected = supple.gumbel_softmax(np.float32(X[0, 0]), seed=2**40)
    np.testing.assert_array_equal(sj.gumbel_softmax(X[0, 0], seed=2**40), expected)


def test_integer_inputs() -> None:
    label = jnp.array([1, 0, 4])

    def loss(x: Any, label: Any) -> Any:
        return sj.entmax_loss(x, label).sum()

    expected = sj.entmax15(X[0]) - jax.nn.one_hot(label, 5)
    close(jax.grad(loss)(X[0], label), expected)
    close(jax.jit(jax.grad(loss))(X[0], label.astype(jnp.uint8)), expected)
    dx, dlabel = jax.grad(loss, (0, 1), allow_int=True)(X[0], label)
    assert dlabel.dtype == jax.dtypes.float0
    with pytest.raises(ValueError, match="entmax_loss: `label` must be an array of whole numbers, got float64"):
        loss(X[0], label / 2)
    with pytest.raises(supple.Fault, match="entmax_loss: item 2: `label` has 5"):
        loss(X[0], label + 1)
    with pytest.raises(RuntimeError, match="entmax_loss: item 2: `label` has 5"):
        jax.jit(loss)(X[0], label + 1).block_until_ready()


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_errors_when_traced(wrap: Callable[..., Any]) -> None:
    x = jnp.asarray(X[0])
    for function, message in (
        (lambda x: sj.soft_rank(x, -1.0), "soft_rank: `softness` must be finite and > 0, got -1"),
        (lambda x: sj.soft_rank(x, "a"), "soft_rank: `softness` must be a number"),
        (lambda x: sj.soft_rank(x, [1.0]), "soft_rank: `softness` must be a number"),
        (lambda x: sj.soft_top_k(x, 9), "soft_top_k: `k` must be <= n = 5, got 9"),
        (lambda x: sj.list_net_loss(x, x[:, :4]), r"list_net_loss: `relevance` must .* n = 5, got shape \(3, 4\)"),
        (lambda x: sj.list_net_loss(x, x[:2]), "list_net_loss: `relevance` must be broadcastable"),
        (lambda x: sj.soft_rank(x[0, 0]), "soft_rank: `x` must be an array"),
        (lambda x: sj.soft_rank(x + 1j), "soft_rank: `x` must be an array of real numbers, got complex128"),
        (lambda x: sj.soft_rank("abc"), "soft_rank: `x` must be an array of numbers, got str"),
    ):
        with pytest.raises(ValueError, match=message):
            wrap(function)(x)
    with pytest.raises(ValueError, match="soft_rank: `softness` must be known when a function is traced"):
        jax.jit(sj.soft_rank)(x, 0.1)
    np.testing.assert_array_equal(wrap(lambda x: sj.soft_rank(x, np.float32(2.0)))(x), sj.soft_rank(x, 2))


def test_scan_and_map() -> None:
    def step(x: Any, _: Any) -> Any:
        return sj.soft_sort(x, 3.0) * 0.9, x.sum()

    def loss(x: Any) -> Any:
        return (jax.lax.scan(step, x, None, length=3)[0] ** 2).sum()

    def plain(x: Any) -> Any:
        for _ in range(3):
            x = step(x, None)[0]
        return (x**2).sum()

    x = jnp.asarray(X[0, 0])
    close(loss(x), plain(x))
    close(jax.grad(loss)(x), jax.grad(plain)(x))
    np.testing.assert_array_equal(jax.lax.map(soft, X[0]), soft(X[0]))
    close(jax.grad(jax.checkpoint(square))(x), jax.grad(square)(x))
    assert jax.eval_shape(soft, x).shape == (5,)


def test_a_compiled_training_step_learns_ranks() -> None:
    features = np.random.default_rng(1).normal(size=(8, 6, 3))
    target = jnp.asarray(supple.rank(features @ np.array([1.0, -2.0, 0.5])))

    def loss(w: Any) -> Any:
        return ((sj.soft_rank(features @ w, 1.0) - target) ** 2).mean()

    step = jax.jit(lambda w: w - 0.05 * jax.grad(loss)(w))
    w = jnp.array([0.1, 0.1, 0.1])
    start = loss(w)
    for _ in range(150):
        w = step(w)
    assert loss(w) < 0.1 * start


def test_callbacks_get_arrays_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays of JAX's in a callback may wait for the very thread that it runs in."""
    seen = []

    def compute(call: Any, kind: str, operands: Any, directions: Any) -> Any:
        seen.extend(type(x) for x in operands)
        return plain(call, kind, operands, directions)

    plain = _primitives.compute
    monkeypatch.setattr(_primitives, "compute", compute)
    jax.jit(lambda x: jax.value_and_grad(square)(x * 2))(X[0, 0])[0].block_until_ready()
    assert len(seen) == 3 and set(seen) == {np.ndarray}


def test_jacobians_of_numbers():
    x, w = jnp.array([1.0, 2.0, 4.0]), jnp.array([0.5, 1.0, 0.7])
    expected = jax.hessian(lambda x: jnp.log(jnp.exp(x).sum()))(x)
    for second in (jax.hessian, lambda f: jax.jacrev(jax.jacrev(f))):
        np.testing.assert_allclose(second(sj.log_sum_exp)(x), expected, atol=1e-5)
    quantile = lambda q: sj.smoothed_quantile(x, w, q, softness=0.5)
    slope = jax.grad(quantile)(0.4)
    for first in (jax.jacfwd, jax.jacrev):
        np.testing.assert_allclose(first(quantile)(0.4), slope, rtol=1e-5)
        assert jnp.isfinite(first(jax.grad(quantile))(0.4))
