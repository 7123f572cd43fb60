"""Small random inputs at which an entry of the catalogue is defined, away from the borders of its domain."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from supple._signature import SIGNATURES
from supple._core import entries

Arrays = Tuple[np.ndarray, ...]
Entry = Union[str, Mapping[str, Any]]
Sizes = Mapping[str, int]

#: Sizes of the symbols of signatures where none are given.
SIZES: Dict[str, int] = {"n": 6, "m": 4, "d": 2, "k": 3, "p": 3, "e": 5}

_ENTRIES: Dict[str, Mapping[str, Any]] = {entry["name"]: entry for entry in entries()}


def of(entry: Entry, seed: int = 0, batch: Sequence[int] = (), sizes: Optional[Sizes] = None) -> Arrays:
    """Inputs in the order of the signature, ``float64`` or ``int64``, each item of the batch drawn anew.

    ``sizes`` replaces some of ``SIZES``; elementwise operators get ``n`` elements. An entry of the catalogue with
    other ``parameters`` than the defaults gives inputs that fit to these.
    """
    entry = _ENTRIES[entry] if isinstance(entry, str) else entry
    random = np.random.default_rng(seed)
    sizes = {**SIZES, **(sizes or {})}
    items = [_item(entry, random, sizes) for _ in range(int(np.prod(batch, dtype=int)))]
    if not items:
        return tuple(np.zeros((*batch, *x.shape), x.dtype) for x in _item(entry, random, sizes))
    return tuple(np.stack(column).reshape((*batch, *column[0].shape)) for column in zip(*items))


def direction(entry: Entry, inputs: Sequence[np.ndarray], seed: int = 0) -> Arrays:
    """Tangents of the real inputs, standard normal, that stay in the domain: totals that must agree still do."""
    name = entry if isinstance(entry, str) else entry["name"]
    random = np.random.default_rng([seed, 1])
    tangents = [random.normal(size=inputs[i].shape) for i in SIGNATURES[name].real]
    if name in ("sinkhorn", "transport_projection"):
        tangents[1:] = [0.2 * (v - v.mean(-1, keepdims=True)) for v in tangents[1:]]
    return tuple(tangents)


def shapes(entry: Entry, batch: Sequence[int] = (), sizes: Optional[Sizes] = None) -> Tuple[Tuple[int, ...], ...]:
    """The shapes of the inputs that ``of`` gives."""
    return tuple(x.shape for x in of(entry, 0, batch, sizes))


def _item(entry: Mapping[str, Any], random: np.random.Generator, sizes: Sizes) -> Arrays:
    sig = SIGNATURES[entry["name"]]
    cores = [(sizes["n"],) if sig.elementwise else tuple(sizes[s] for s in a.core) for a in sig.inputs]
    first = 0.3 * random.normal(size=cores[0])
    if entry["name"] in _REST:
        arrays = (first, *_REST[entry["name"]](random, first, entry["parameters"], sizes))
    elif entry["name"] == "quadratic_program":
        arrays = _program(random, sizes["n"], 3, 2)
    elif entry["name"] == "top_k_cross_entropy_loss":
        arrays = (random.dirichlet(np.ones(sizes["n"]), sizes["k"]), random.dirichlet(np.ones(sizes["k"])))
        arrays += (random.integers(sizes["n"]),)
    else:
        arrays = (first, *(0.3 * random.normal(size=core) for core in cores[1:]))
    return tuple(np.asarray(x, np.int64 if a.integer else np.float64) for x, a in zip(arrays, sig.inputs))


def _weights(random: np.random.Generator, n: int) -> np.ndarray:
    return 0.2 + random.uniform(size=n)


def _mass(random: np.random.Generator, n: int) -> np.ndarray:
    """A histogram whose sum is one exactly, in ``float32`` too."""
    mass = _weights(random, n)
    mass = np.floor(mass / mass.sum() * 1024) / 1024
    mass[0] += 1 - mass.sum()
    return mass


def _bounds(random: np.random.Generator, x: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    lower = 0.5 * random.normal(size=x.shape) - 0.5
    return lower, lower + 0.2 + 2 * random.uniform(size=x.shape)


def _section(random: np.random.Generator, x: np.ndarray, *_: Any) -> Arrays:
    weights = (0.1 + _weights(random, x.size)) * np.where(np.arange(x.size) % 4 == 1, -1, 1)
    lower, upper = _bounds(random, x)
    inside = lower + (0.2 + 0.6 * random.uniform(size=x.size)) * (upper - lower)
    return weights, lower, upper, (weights * inside).sum()


def _target(random: np.random.Generator, x: np.ndarray, parameters: Mapping[str, Any], _: Sizes) -> Arrays:
    return (np.roll((np.arange(x.size) < parameters["k"]).astype(float), random.integers(x.size)),)


def _graph(random: np.random.Generator, x: np.ndarray, parameters: Mapping[str, Any], _: Sizes) -> Arrays:
    """Edges that go forward in one order of the nodes, with a way from the source to the target."""
    nodes, source, target = parameters["nodes"], parameters["source"], parameters["target"]
    target = nodes - 1 if target is None else target
    order = np.array([source, *(node for node in range(nodes) if node not in (source, target)), target])
    first = random.integers(nodes - 1, size=x.size)
    last = random.integers(first + 1, nodes)
    path = min(x.size, nodes)
    first[1:path], last[1:path] = np.arange(path - 1), np.arange(path - 1) + 1
    first[:1], last[:1] = 0, nodes - 1
    return order[first], order[last]


def _program(random: np.random.Generator, n: int, m: int, p: int) -> Arrays:
    """A strictly convex quadratic program with a solution in general position: one inequality is active."""
    root = random.normal(size=(n, n))
    quadratic = root @ root.T / n + np.eye(n)
    rows = 0.25 * random.normal(size=(m + p, n)) / np.sqrt(n) + np.eye(m + p, n)
    g, a, z = rows[:m], rows[m:], random.normal(size=n)
    multiplier = np.where(np.arange(m) < 1, 0.5 + random.uniform(size=m), 0)
    slack = np.where(np.arange(m) < 1, 0, 0.5 + random.uniform(size=m))
    linear = -(quadratic @ z + g.T @ multiplier + a.T @ random.normal(size=p))
    return quadratic, linear, g, g @ z + slack, a, a @ z


_Rest = Callable[[np.random.Generator, np.ndarray, Mapping[str, Any], Sizes], Sequence[Any]]

#: Inputs beside the first, of operators that are not defined everywhere.
_REST: Dict[str, _Rest] = {
    "quantile": lambda random, *_: (random.uniform(0.2, 0.8),),
    "sinkhorn_sort": lambda random, x, *_: (_weights(random, x.size),),
    "sinkhorn_rank": lambda random, x, *_: (_weights(random, x.size),),
    "lapsum_top_k": lambda random, x, *_: (random.integers(x.size) + random.uniform(0.2, 0.8),),
    "smooth_top_k_svm_loss": lambda random, x, *_: (random.integers(x.size),),
    "entmax": lambda random, *_: (random.uniform(1.2, 1.9),),
    "entmax_loss": lambda random, x, *_: (random.integers(x.size),),
    "smoothed_quantile": lambda random, x, *_: (_weights(random, x.size), random.uniform(0.2, 0.8)),
    "transport_quantile": lambda random, x, *_: (_weights(random, x.size), random.uniform(0.2, 0.8)),
    "simplex_projection": lambda random, *_: (np.exp(random.normal()),),
    "capped_simplex_projection": lambda random, x, *_: (random.integers(x.size) + random.uniform(0.2, 0.8),),
    "box_projection": lambda random, x, *_: _bounds(random, x),
    "box_section_projection": _section,
    "l1_ball_projection": lambda random, x, *_: (0.1 * x.size * np.exp(random.normal()),),
    "l2_ball_projection": lambda random, x, *_: (0.3 * np.sqrt(x.size) * np.exp(0.5 * random.normal()),),
    "linf_ball_projection": lambda random, *_: (0.3 * np.exp(0.5 * random.normal()),),
    "isotonic_regression": lambda random, x, *_: (_weights(random, x.size),),
    "transport_projection": lambda random, x, *_: (_mass(random, x.shape[0]), _mass(random, x.shape[1])),
    "sinkhorn": lambda random, x, *_: (_mass(random, x.shape[0]), _mass(random, x.shape[1])),
    "soft_shortest_path": _graph,
    "approx_ndcg_loss": lambda random, x, *_: (3 * _weights(random, x.size),),
    "neural_ndcg_loss": lambda random, x, *_: (3 * _weights(random, x.size),),
    "lambda_loss": lambda random, x, *_: (3 * _weights(random, x.size),),
    "perturbed_top_k_loss": _target,
}
