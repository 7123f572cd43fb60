"""``supple.compat.fast_soft_sort`` against google-research/fast-soft-sort."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from supple.compat.fast_soft_sort import numpy_ops, pytorch_ops

DIRECTIONS = ["ASCENDING", "DESCENDING"]
REGULARIZATIONS = ["l2", "kl"]
#: The examples of the original's README.
VALUES = np.array([[5.0, 1.0, 2.0], [2.0, 1.0, 5.0]])
EXAMPLES = [
    ("soft_rank", 1.0, [[3.0, 1.0, 2.0], [2.0, 1.0, 3.0]]),
    ("soft_rank", 2.0, [[3.0, 1.25, 1.75], [1.75, 1.25, 3.0]]),
    ("soft_sort", 1.0, [[5 / 3, 8 / 3, 11 / 3]] * 2),
    ("soft_sort", 0.1, [[1.0, 2.0, 5.0]] * 2),
]


def operators():
    w = np.array([4.0, 3.0, 2.5, 1.0, 0.2])
    for regularization in REGULARIZATIONS:
        yield lambda x, r=regularization: numpy_ops.Isotonic(x, w, r)
        yield lambda x, r=regularization: numpy_ops.Projection(x, w, r)
        for direction in DIRECTIONS:
            for strength in (0.3, 2.0):
                yield lambda x, a=(direction, strength, regularization): numpy_ops.SoftRank(x, *a)
                yield lambda x, a=(direction, strength, regularization): numpy_ops.SoftSort(x, *a)
    for direction in DIRECTIONS:
        yield lambda x, d=direction: numpy_ops.Sort(x, d)


def test_examples():
    for name, strength, expected in EXAMPLES:
        y = getattr(numpy_ops, name)(VALUES[0], regularization_strength=strength)
        np.testing.assert_allclose(y, expected[0], rtol=1e-14)
        y = getattr(numpy_ops, name)(VALUES, regularization_strength=strength)
        np.testing.assert_allclose(y, expected, rtol=1e-14)
        y = getattr(pytorch_ops, name)(torch.tensor(VALUES), regularization_strength=strength)
        np.testing.assert_allclose(y, expected, rtol=1e-14)


@pytest.mark.parametrize("regularization", REGULARIZATIONS)
def test_descending_is_ascending_of_the_negative(regularization):
    x = np.random.default_rng(0).normal(size=(3, 6))
    for module, x in ((numpy_ops, x), (pytorch_ops, torch.tensor(x))):
        rank = module.soft_rank(x, "DESCENDING", 0.5, regularization)
        np.testing.assert_allclose(rank, module.soft_rank(-x, "ASCENDING", 0.5, regularization), rtol=1e-14)
        sort = module.soft_sort(x, "DESCENDING", 0.5, regularization)
        np.testing.assert_allclose(sort, -module.soft_sort(-x, "ASCENDING", 0.5, regularization), rtol=1e-14)
        np.testing.assert_allclose(module.soft_rank(x, "DESCENDING", 1e-4), numpy_ops.rank(x, "DESCENDING"))
        np.testing.assert_allclose(module.soft_sort(x, "DESCENDING", 1e-4), numpy_ops.sort(np.asarray(x), "DESCENDING"))


def test_derivatives_against_differences():
    x, v = np.random.default_rng(1).normal(size=(2, 5))
    for make in operators():
        operator = make(x)
        with pytest.raises(ValueError, match="need to run compute"):
            operator.jvp(v)
        operator.compute()
        h = 1e-6
        jacobian = np.stack([(make(x + h * e).compute() - make(x - h * e).compute()) / (2 * h) for e in np.eye(5)], 1)
        np.testing.assert_allclose(operator.jacobian(), jacobian, atol=1e-8)
        np.testing.assert_allclose(operator.jvp(v), jacobian @ v, atol=1e-8)
        np.testing.assert_allclose(operator.vjp(v), v @ jacobian, atol=1e-8)


def test_leading_axes_are_batch():
    x, v = np.random.default_rng(2).normal(size=(2, 2, 3, 5))
    for make in operators():
        whole = make(x)
        y, jacobian, dx = whole.compute(), whole.jacobian(), whole.vjp(v)
        assert whole.size == 5 and jacobian.shape == (2, 3, 5, 5)
        for i in np.ndindex(2, 3):
            one = make(x[i])
            np.testing.assert_array_equal(y[i], one.compute())
            np.testing.assert_array_equal(jacobian[i], one.jacobian())
            np.testing.assert_array_equal(dx[i], one.vjp(v[i]))


def test_isotonic_by_the_formula_of_minima_and_maxima():
    rng = np.random.default_rng(3)
    s, w = rng.normal(size=(2, 6))
    default = np.arange(6, 0, -1)

    def falling(mean):
        return [min(max(mean(j, k + 1) for k in range(i, 6)) for j in range(i + 1)) for i in range(6)]

    def kl(s, w):
        return lambda j, k: np.log(np.exp(s[j:k]).sum()) - np.log(np.exp(w[j:k]).sum())

    np.testing.assert_allclose(numpy_ops.isotonic_l2(s, w), falling(lambda j, k: (s - w)[j:k].mean()), rtol=1e-12)
    np.testing.assert_allclose(numpy_ops.isotonic_l2(s), falling(lambda j, k: (s - default)[j:k].mean()), rtol=1e-12)
    np.testing.assert_allclose(numpy_ops.isotonic_kl(s, w), falling(kl(s, w)), rtol=1e-12)
    np.testing.assert_allclose(numpy_ops.isotonic_kl(s), falling(kl(s, default)), rtol=1e-12)
    far = numpy_ops.isotonic_kl(s, w + 5000.0)
    np.testing.assert_allclose(far, numpy_ops.isotonic_kl(s, w) - 5000.0, rtol=1e-12)


def test_projection_onto_the_default_weights_is_the_rank():
    x = np.random.default_rng(4).normal(size=6)
    np.testing.assert_allclose(numpy_ops.Projection(x / 0.7).compute(), numpy_ops.soft_rank(x, "ASCENDING", 0.7))
    logs = numpy_ops.Projection(x / 0.7, np.log(np.arange(6, 0, -1)), "kl").compute()
    np.testing.assert_allclose(np.exp(logs), numpy_ops.soft_rank(x, "ASCENDING", 0.7, "kl"))


def test_hard_functions():
    x = np.array([3, 1, 2, 1])
    np.testing.assert_array_equal(numpy_ops.sort(x), [1, 1, 2, 3])
    np.testing.assert_array_equal(numpy_ops.sort(x, "DESCENDING"), [3, 2, 1, 1])
    np.testing.assert_array_equal(numpy_ops.rank(x), [4, 1, 3, 2])
    np.testing.assert_array_equal(numpy_ops.rank(x, "DESCENDING"), [1, 4, 2, 3])
    assert numpy_ops.sort(x).dtype == x.dtype and numpy_ops.rank(x).dtype.kind == "i"


def test_types():
    for name, _, _ in EXAMPLES:
        assert getattr(numpy_ops, name)([5, 1, 2]).dtype == np.float64
        assert getattr(numpy_ops, name)(VALUES.astype(np.float32)).dtype == np.float32
        assert getattr(pytorch_ops, name)(torch.ones(2, 3)).dtype == torch.float32


@pytest.mark.parametrize("regularization", REGULARIZATIONS)
def test_second_derivatives_of_tensors(regularization):
    x = torch.tensor(np.random.default_rng(5).normal(size=(2, 5)), requires_grad=True)
    for function in (pytorch_ops.soft_rank, pytorch_ops.soft_sort):
        assert torch.autograd.gradcheck(lambda x: function(x, "DESCENDING", 0.8, regularization), x)
        assert torch.autograd.gradgradcheck(lambda x: function(x, "DESCENDING", 0.8, regularization), x)


def test_bad_words_are_refused():
    with pytest.raises(ValueError, match=r'soft_rank: `direction` must be "ASCENDING" or "DESCENDING", got \'UP\''):
        pytorch_ops.soft_rank(torch.zeros(3), "UP")
    with pytest.raises(ValueError, match=r'SoftSort: `regularization` must be "l2" or "kl", got \'log_kl\''):
        numpy_ops.soft_sort([1.0], regularization="log_kl")
    with pytest.raises(ValueError, match=r"SoftRank: `regularization_strength` must be finite and > 0, got 0"):
        numpy_ops.soft_rank([1.0], "ASCENDING", 0)


def test_jax():
    import jax

    from supple.compat.fast_soft_sort import jax_ops

    for name, strength, expected in EXAMPLES:
        y = getattr(jax_ops, name)(jax.numpy.array(VALUES, dtype="float32"), regularization_strength=strength)
        np.testing.assert_allclose(y, expected, rtol=1e-6)
        assert y.dtype == "float32"
        for direction in DIRECTIONS:
            for regularization in REGULARIZATIONS:
                arguments = (direction, strength, regularization)
                f = getattr(jax_ops, name)
                g = jax.grad(lambda x: (f(x, *arguments) ** 2).sum())(jax.numpy.array(VALUES, dtype="float32"))
                x = torch.tensor(VALUES, requires_grad=True)
                (getattr(pytorch_ops, name)(x, *arguments) ** 2).sum().backward()
                np.testing.assert_allclose(g, x.grad, rtol=1e-4, atol=1e-4)
