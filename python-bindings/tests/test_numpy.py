"""The functions on NumPy arrays."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import samples

import supple

ENTRIES = {entry["name"]: entry for entry in supple.catalogue()}
X = np.array([[2.9, 0.1, 1.2], [0.0, -1.0, 5.0]])


def seeded(name):
    return {"seed": 1} if "seed" in ENTRIES[name]["parameters"] else {}


def outputs(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_takes_batches_in_both_types(name):
    function = getattr(supple, name)
    inputs = samples.of(name, 3, batch=(2,))
    double = outputs(function(*inputs, **seeded(name)))
    single = outputs(function(*(x.astype(np.float32) if x.dtype == float else x for x in inputs), **seeded(name)))
    for y, z in zip(double, single):
        assert y.dtype == np.float64 and z.dtype == np.float32
        assert y.shape == z.shape and y.shape[0] == 2
        np.testing.assert_allclose(z, y, rtol=2e-3, atol=2e-3)
    if not seeded(name):
        first = outputs(function(*(x[0] for x in inputs)))
        for y, z in zip(first, double):
            np.testing.assert_array_equal(y, z[0])


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_is_typed_and_documented(name):
    function = getattr(supple, name)
    parameters = inspect.signature(function).parameters
    assert set(ENTRIES[name]["parameters"]) < set(parameters)
    for parameter, default in ENTRIES[name]["parameters"].items():
        assert parameters[parameter].default == default
    assert all(p.annotation is not inspect.Parameter.empty for p in parameters.values())
    assert ENTRIES[name]["paper"].rstrip(".").lower() in inspect.getdoc(function).lower()


def test_ranks_and_sorted_values():
    np.testing.assert_allclose(supple.soft_rank(X), [[3, 1, 2], [2, 1, 3]])
    np.testing.assert_allclose(supple.soft_rank(X, descending=True), [[1, 3, 2], [2, 3, 1]])
    np.testing.assert_allclose(supple.soft_rank(X, axis=0), [[2, 2, 1], [1, 1, 2]])
    np.testing.assert_allclose(supple.soft_sort(X, 1e-3), np.sort(X, -1), atol=1e-2)
    assert supple.soft_rank(X, mode="hard").tolist() == [[3, 1, 2], [2, 1, 3]]


def test_what_becomes_of_types():
    assert supple.soft_rank([3, 1, 2]).dtype == np.float64
    assert supple.soft_rank(np.array([3, 1, 2], np.float16)).dtype == np.float32
    assert supple.soft_rank(np.array([3, 1, 2], np.int8)).dtype == np.float64
    # A number of Python's takes the type of the array beside it.
    assert supple.lapsum_top_k(X.astype(np.float32), 1.5).dtype == np.float32
    assert supple.lapsum_top_k(X.astype(np.float32), np.float64(1.5)).dtype == np.float64
    assert isinstance(supple.log_sum_exp(X[0]), np.float64)


def test_memory_of_any_layout():
    big = np.arange(24.0).reshape(2, 3, 4) % 7
    for view in (big[:, ::-1], big[..., ::2], big.T, np.asfortranarray(big), np.broadcast_to(X[0], (5, 3))):
        np.testing.assert_array_equal(supple.soft_rank(view), supple.soft_rank(view.copy()))
    swapped = X.astype(X.dtype.newbyteorder())
    np.testing.assert_array_equal(supple.soft_rank(swapped), supple.soft_rank(X))
    unaligned = np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float64).reshape(X.shape)
    np.testing.assert_array_equal(supple.soft_rank(unaligned), supple.soft_rank(X))
    X.flags.writeable = False
    np.testing.assert_array_equal(supple.soft_rank(X), [[3, 1, 2], [2, 1, 3]])
    X.flags.writeable = True
    assert supple.soft_rank(np.zeros((0, 3))).shape == (0, 3)


def test_ragged_batches():
    ranks = supple.soft_rank(X, lengths={"n": [2, 3]})
    np.testing.assert_allclose(ranks, [[2, 1, 0], [2, 1, 3]])


def test_fresh_noise_unless_there_is_a_seed():
    draw = lambda seed: supple.gumbel_softmax(X, seed=seed)
    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(None) != draw(None)).any() and (draw(1) != draw(2)).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: supple.soft_rank(X, -1), "soft_rank: `softness` must be finite and > 0, got -1.0"),
        (lambda: supple.soft_rank(X, "hot"), "soft_rank: `softness` must be a number, got 'hot'"),
        (lambda: supple.soft_rank(X, True), "soft_rank: `softness` must be a number, got True"),
        (
            lambda: supple.soft_rank(X, regularization="l3"),
            'soft_rank: `regularization` must be one of l2, entropic, p3/2, p4/3, got "l3"',
        ),
        (lambda: supple.soft_rank(X + 1j), "soft_rank: `x` must be an array of real numbers, got dtype complex128"),
        (lambda: supple.soft_rank(X, axis=2), "soft_rank: `axis` must be in -2..2, got 2"),
        (lambda: supple.soft_rank(X, axis="x"), "soft_rank: `axis` must be a whole number, got 'x'"),
        (lambda: supple.soft_rank(X, mode="h"), "soft_rank: `mode` must be one of soft, hard, straight_through, got 'h'"),
        (lambda: supple.soft_top_k(X, k=-1), "soft_top_k: `k` must be a whole number >= 0, got -1"),
        (lambda: supple.soft_rank(X, lengths=[2]), "soft_rank: `lengths` must be a dict of sizes by symbol, got [2]"),
        (lambda: supple.soft_rank(np.zeros((1,) * 40)), "soft_rank: `x` must be an array of at most 32 axes, got 40"),
        (
            lambda: supple.soft_rank(np.ma.array([1.0, 2.0], mask=[0, 1])),
            "soft_rank: `x` must be an array without a mask, got a masked array",
        ),
        (
            lambda: supple.soft_rank(None),
            "soft_rank: `x` must be an array, got None; where there are no rows, one of shape (0, n)",
        ),
        (lambda: supple.soft_top_k(X, k=9), "soft_top_k: `k` must be <= n = 3, got 9"),
        (lambda: supple.soft_rank(X, lengths={"n": [-1]}), "soft_rank: `lengths` must be >= 0, got -1"),
        (
            lambda: supple.entmax_loss(X, [0.5, 1]),
            "entmax_loss: `label` must be an array of whole numbers, got dtype float64",
        ),
    ],
)
def test_errors_say_what_and_where(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message


def test_a_fault_names_the_item():
    with pytest.raises(supple.Fault, match=r"entmax_loss: item 1: .* has 7 at position 0, which must be in 0..3"):
        supple.entmax_loss(X, [0, 7])


def test_the_interpreter_runs_while_the_engine_does():
    ticks = 0
    done = threading.Event()

    def count():
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)

    x = np.random.default_rng(0).normal(size=(1, 4_000_000))
    thread = threading.Thread(target=count)
    thread.start()
    supple.soft_rank(x)
    done.set()
    thread.join()
    # With the lock held for all of that time, it would be one or two.
    assert ticks >= 5


def test_a_child_of_a_fork_has_threads_of_its_own():
    # In a process of its own: a fork of this one would copy PyTorch's and JAX's threads too.
    program = """
import os, signal, sys
import numpy as np, supple
x = np.random.default_rng(0).normal(size=(2000, 500))
expected = supple.soft_rank(x)
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if np.array_equal(supple.soft_rank(x), expected) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 0


def test_estimates_of_a_step():
    step = lambda x: float(x[0] > 0)
    found = supple.estimate(step, [0.5], evaluations=10_000, replicates=10, seed=1)
    assert found.evaluations == 10_000
    assert abs(found.gradient[0] - 0.3521) < 4 * found.standard_error[0] < 0.05
    rows = supple.estimate(lambda x: x[:, 0] > 0, [0.5], evaluations=10_000, replicates=10, seed=1, batched=True)
    np.testing.assert_array_equal(rows.gradient, found.gradient)


def test_estimates_of_a_choice_are_the_gradient_of_the_mean():
    x, costs = np.array([0.3, -0.2, 0.5]), np.array([1.0, 2.0, 4.0])
    p = np.exp(x) / np.exp(x).sum()
    exact = p * (costs - p @ costs)
    for estimator in ("reinforce", "without_replacement"):
        found = supple.estimate(lambda b: b @ costs, x, estimator, evaluations=4000, replicates=2000, seed=1)
        np.testing.assert_allclose(found.gradient, exact, atol=0.06)


def test_errors_of_estimates():
    with pytest.raises(ValueError, match="smoothing: parameters must be among softness, noise, baseline, design, got `k`"):
        supple.estimate(lambda x: 0.0, [0.5], k=3)
    with pytest.raises(supple.Fault, match="item 0: KeyError: 'boom'") as error:
        supple.estimate(lambda x: {}["boom"], [0.5])
    assert isinstance(error.value.__cause__, KeyError)
    with pytest.raises(supple.Fault, match=r"`function` must give an array of shape \(1,\), got shape \(2,\)"):
        supple.estimate(lambda x: [1.0, 2.0], [0.5])


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry["second_order"]])
def test_derivatives_agree_with_each_other_and_with_differences(name):
    inputs = samples.of(name, 7)
    at = supple.linearize(name, *inputs, **seeded(name))
    v = samples.direction(name, inputs)
    random = np.random.default_rng(1)
    dy = [random.normal(size=y.shape) for y in at.outputs]
    left, right = at.vjp(*dy), at.jvp(*v)
    product = lambda xs, ys: sum(float((x * y).sum()) for x, y in zip(xs, ys))
    np.testing.assert_allclose(product(left, v), product(dy, right), rtol=1e-9, atol=1e-11)

    def moved(step):
        tangents = iter(v)
        index = [a.integer for a in samples.SIGNATURES[name].inputs]
        return supple.linearize(
            name, *(x if i else x + step * next(tangents) for x, i in zip(inputs, index)), **seeded(name)
        )

    ahead, behind = moved(1e-6), moved(-1e-6)
    for y, z, d in zip(ahead.outputs, behind.outputs, right):
        np.testing.assert_allclose((y - z) / 2e-6, d, rtol=1e-5, atol=1e-6)
    jv, hv = at.vjp_derivative(tuple(dy), v)
    for d, e in zip(jv, right):
        np.testing.assert_allclose(d, e, rtol=1e-12, atol=1e-12)
    for g, h, d in zip(ahead.vjp(*dy), behind.vjp(*dy), hv):
        np.testing.assert_allclose((g - h) / 2e-6, d, rtol=1e-4, atol=1e-5)


def test_linearized_outputs_are_kept():
    at = supple.linearize("quadratic_program", *samples.of("quadratic_program", 1))
    with pytest.raises(ValueError, match="read-only"):
        at.outputs[0][0] = 1.0
    assert all((a == b).all() for a, b in zip(at.vjp(1.0, None, None), at.vjp(np.ones(6), np.zeros(3), 0)))
    with pytest.raises(ValueError, match=r"`dy` must be a number or an array of shape \(6,\), got shape \(4,\)"):
        at.vjp(np.ones(4), None, None)


def test_linearize_takes_what_the_functions_take():
    at = supple.linearize("soft_rank", [[3, 1], [2, 5]], softness=9.0, axis=0)
    np.testing.assert_array_equal(at.outputs[0], supple.soft_rank([[3, 1], [2, 5]], 9.0, axis=0))
    np.testing.assert_allclose(at.vjp(1.0)[0], 0, atol=1e-12)
    with pytest.raises(ValueError, match="soft_rank: parameters must be among softness, regularization, descending, got `k`"):
        supple.linearize("soft_rank", [1.0], k=3)
    with pytest.raises(ValueError, match="soft_rank: `dy` must be 1 in number, got 2"):
        at.vjp(1.0, 2.0)
    with pytest.raises(ValueError, match="linearize: `operator` must be an entry of the catalogue, got 'rnak'"):
        supple.linearize("rnak", [1.0])


def test_a_quadratic_program_of_some_size_is_optimal():
    # Larger than the blocks that its factors are made of.
    q, p, g, h, a, b = samples.of("quadratic_program", 1, sizes={"n": 90})
    z, multiplier, nu = supple.quadratic_program(q, p, g, h, a, b)
    np.testing.assert_allclose(q @ z + p + g.T @ multiplier + a.T @ nu, 0, atol=1e-10)
    np.testing.assert_allclose(a @ z, b, atol=1e-10)
    assert (g @ z < h + 1e-10).all() and (multiplier >= 0).all() and multiplier.max() > 0.4
