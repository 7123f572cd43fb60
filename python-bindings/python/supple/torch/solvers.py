"""A solver in the loop of training: layers and losses around any function that solves for an objective.

``solve`` takes an objective θ, a tensor of n numbers, and gives a maximiser of ⟨θ, y⟩: give the negative of costs. With ``batched`` it
takes rows of objectives and gives rows of solutions. It is called without recording a graph, and for the perturbed ones
as often as there are samples. Leading axes of the inputs are batch.

Second derivatives are refused.
"""

from __future__ import annotations

from typing import Any, Callable, Literal, Optional

from torch import Tensor

from ._callables import solve_with

Solve = Callable[[Tensor], Any]
Noise = Literal["gaussian", "gumbel", "logistic", "laplace", "cauchy", "triangular", "uniform"]

__all__ = [
    "adaptive_imle",
    "blackbox_interpolation",
    "identity_gradient",
    "imle",
    "perturbation_gradient",
    "perturbed_argmax",
    "perturbed_fenchel_young",
    "regularized_argmax",
    "regularized_fenchel_young",
    "spo_plus",
    "structured_svm",
]


def perturbed_argmax(
    solve: Solve,
    theta: Tensor,
    softness: float = 1.0,
    samples: int = 100,
    noise: Noise = "gaussian",
    perturbation: Literal["additive", "multiplicative"] = "additive",
    seed: Optional[int] = None,
    *,
    batched: bool = False,
) -> Tensor:
    r"""The mean solution under noise of scale ``softness`` on the objective; its gradient is right in expectation.

    Berthet et al., NeurIPS 2020, arXiv:2002.08676.
    """
    return solve_with(
        "perturbed_argmax",
        solve,
        (theta,),
        batched,
        softness=softness,
        samples=samples,
        noise=noise,
        perturbation=perturbation,
        seed=seed,
    )


def perturbed_fenchel_young(
    solve: Solve,
    theta: Tensor,
    target: Tensor,
    softness: float = 1.0,
    samples: int = 100,
    noise: Noise = "gaussian",
    perturbation: Literal["additive", "multiplicative"] = "additive",
    seed: Optional[int] = None,
    *,
    batched: bool = False,
) -> Tensor:
    r"""The Fenchel-Young loss of the perturbed solver against true solutions: the mean maximum less ⟨θ, target⟩.

    Its gradient is the mean solution less the target. It is known up to a constant of the noise and the target.

    Berthet et al., NeurIPS 2020, arXiv:2002.08676.
    """
    return solve_with(
        "perturbed_fenchel_young",
        solve,
        (theta, target),
        batched,
        softness=softness,
        samples=samples,
        noise=noise,
        perturbation=perturbation,
        seed=seed,
    )


def regularized_argmax(
    solve: Solve, theta: Tensor, softness: float = 1.0, iterations: int = 10000, *, batched: bool = False
) -> Tensor:
    r"""The point of the hull of solutions that maximises :math:`\langle\theta, y\rangle - \tfrac\varepsilon2 \|y\|^2` (SparseMAP).

    Niculae et al., ICML 2018, arXiv:1802.04223.
    """
    return solve_with("regularized_argmax", solve, (theta,), batched, softness=softness, iterations=iterations)


def regularized_fenchel_young(
    solve: Solve, theta: Tensor, target: Tensor, softness: float = 1.0, iterations: int = 10000, *, batched: bool = False
) -> Tensor:
    """The SparseMAP loss against true solutions: zero where the target is the regularised answer.

    Niculae et al., ICML 2018, arXiv:1802.04223.
    """
    return solve_with(
        "regularized_fenchel_young", solve, (theta, target), batched, softness=softness, iterations=iterations
    )


def blackbox_interpolation(solve: Solve, theta: Tensor, step: float = 10.0, *, batched: bool = False) -> Tensor:
    """The solution, with the gradient of a piecewise linear interpolation of the loss, a surrogate. ``step`` is the
    paper's λ: how far the objective moves along the loss.

    Vlastelica et al., ICLR 2020, arXiv:1912.02175.
    """
    return solve_with("blackbox_interpolation", solve, (theta,), batched, step=step)


def identity_gradient(
    solve: Solve,
    theta: Tensor,
    projection: Literal["std", "mean", "norm", "none"] = "std",
    *,
    batched: bool = False,
) -> Tensor:
    """The solution, with the gradient of the objective from which ``projection`` has been taken out, a surrogate.

    Sahoo et al., ICLR 2023, arXiv:2205.15213.
    """
    return solve_with("identity_gradient", solve, (theta,), batched, projection=projection)


def imle(
    solve: Solve,
    theta: Tensor,
    step: float = 1.0,
    softness: float = 1.0,
    samples: int = 1,
    noise: Noise = "gumbel",
    seed: Optional[int] = None,
    *,
    sum_of_gamma: Optional[int] = None,
    terms: int = 10,
    batched: bool = False,
) -> Tensor:
    """The mean solution under noise, with the gradient of implicit maximum likelihood, a surrogate. ``step`` is the
    paper's λ. ``sum_of_gamma`` takes noise for solutions with that many ones, a sum of ``terms`` terms.

    Niepert et al., NeurIPS 2021, arXiv:2106.01798.
    """
    given = _noise(noise, sum_of_gamma, terms)
    return solve_with("imle", solve, (theta,), batched, step=step, softness=softness, samples=samples, seed=seed, **given)


def adaptive_imle(
    solve: Solve,
    theta: Tensor,
    alpha: float = 1.0,
    central: bool = True,
    softness: float = 1.0,
    samples: int = 1,
    noise: Noise = "gumbel",
    seed: Optional[int] = None,
    *,
    sum_of_gamma: Optional[int] = None,
    terms: int = 10,
    batched: bool = False,
) -> Tensor:
    """As :func:`imle` with a step of ``alpha`` relative to the sizes of θ and of the gradient. Move ``alpha`` between steps of
    training, up where gradients are too sparse.

    Minervini et al., AAAI 2023, arXiv:2209.04862.
    """
    given = _noise(noise, sum_of_gamma, terms)
    return solve_with(
        "adaptive_imle",
        solve,
        (theta,),
        batched,
        alpha=alpha,
        central=central,
        softness=softness,
        samples=samples,
        seed=seed,
        **given,
    )


def spo_plus(
    solve: Solve, theta: Tensor, target: Tensor, *, takes_either_sign: bool = True, batched: bool = False
) -> Tensor:
    """The SPO+ loss of predicted objectives θ against true ones: an upper bound of the regret. A solver that counts
    negative costs as 0 says so with ``takes_either_sign=False``, and is refused.

    Elmachtoub and Grigas, Management Science 2022, arXiv:1710.08005.
    """
    return solve_with("spo_plus", solve, (theta, target), batched, takes_either_sign)


def structured_svm(
    solve: Solve, theta: Tensor, target: Tensor, margin: float = 1.0, *, batched: bool = False
) -> Tensor:
    """The margin-rescaled hinge loss against true solutions of zeros and ones; ``margin`` for each entry that differs.

    Tsochantaridis et al., JMLR 2005.
    """
    return solve_with("structured_svm", solve, (theta, target), batched, margin=margin)


def perturbation_gradient(
    solve: Solve, theta: Tensor, target: Tensor, step: float = 1.0, central: bool = False, *, batched: bool = False
) -> Tensor:
    """The PG loss of predicted objectives against true ones: a difference of optimal values, with step ``step``.

    Gupta and Huang, 2024, arXiv:2402.03256.
    """
    return solve_with("perturbation_gradient", solve, (theta, target), batched, step=step, central=central)


def _noise(noise: str, sum_of_gamma: Optional[int], terms: int) -> dict:
    return {"noise": noise} if sum_of_gamma is None else {"ones": sum_of_gamma, "terms": terms}
