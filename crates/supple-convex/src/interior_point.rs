//! Mehrotra's predictor-corrector method for convex quadratic programs.
//!
//! S. Mehrotra, *On the implementation of a primal-dual interior point method*, SIAM J. Optim. 2(4),
//! 1992.

use crate::dense::{add_gram, add_product, add_transposed, largest};
use crate::kkt::Kkt;
use crate::problem::Problem;
use supple_numerics::factor::dot;

/// A point inside: s > 0 are the slacks of the inequalities, λ > 0 their multipliers.
#[derive(Debug, Clone, Default)]
pub struct Iterate {
    /// Variables.
    pub z: Vec<f64>,
    /// h − Gz, once feasible.
    pub s: Vec<f64>,
    /// Multipliers of the inequalities.
    pub lambda: Vec<f64>,
    /// Multipliers of the equalities.
    pub nu: Vec<f64>,
}

/// Where the method stopped without being told that it may.
#[derive(Debug)]
pub struct Stopped {
    /// The last point.
    pub at: Iterate,
    /// Iterations spent.
    pub iterations: usize,
    /// The largest residual or complementarity gap there.
    pub residual: f64,
}

/// Residual and gap at which going on is useless.
const CONVERGED: f64 = 1e-13;
/// How much of the way to the boundary a step may take.
const FRACTION: f64 = 0.995;

/// Iterates until `accept` takes a point, for at most `limit` steps.
///
/// `base` is Q, or Q with something added that makes the reduced system positive definite.
pub fn minimize<R>(
    problem: &Problem,
    base: &[f64],
    limit: usize,
    mut accept: impl FnMut(&Iterate) -> Option<R>,
) -> Result<R, Stopped> {
    let mut solver = Solver::new(problem, base);
    let mut residual = f64::INFINITY;
    for iterations in 0..=limit {
        if iterations == 0 {
            if !solver.start() {
                return Err(Stopped { at: solver.at, iterations, residual });
            }
        } else if !solver.step() {
            return Err(Stopped { at: solver.at, iterations, residual });
        }
        if let Some(result) = accept(&solver.at) {
            return Ok(result);
        }
        residual = solver.measure();
        if residual < CONVERGED {
            return Err(Stopped { at: solver.at, iterations, residual });
        }
    }
    Err(Stopped { at: solver.at, iterations: limit, residual })
}

/// The current point and room for all that a step needs.
struct Solver<'a> {
    problem: &'a Problem,
    base: &'a [f64],
    at: Iterate,
    change: Iterate,
    kkt: Kkt,
    /// Qz + q + Gᵀλ + Aᵀν.
    dual: Vec<f64>,
    /// Gz + s − h.
    primal: Vec<f64>,
    /// Az − b.
    equality: Vec<f64>,
    /// λ / s.
    weights: Vec<f64>,
    /// What Gᵀ is multiplied with.
    inner: Vec<f64>,
    weighted: Vec<f64>,
}

impl<'a> Solver<'a> {
    fn new(problem: &'a Problem, base: &'a [f64]) -> Self {
        let (n, m, p) = (problem.n, problem.inequalities(), problem.b.len());
        let point = || Iterate { z: vec![0.0; n], s: vec![0.0; m], lambda: vec![0.0; m], nu: vec![0.0; p] };
        Self {
            problem,
            base,
            at: point(),
            change: point(),
            kkt: Kkt::new(n),
            dual: vec![0.0; n],
            primal: vec![0.0; m],
            equality: vec![0.0; p],
            weights: vec![1.0; m],
            inner: vec![0.0; m],
            weighted: vec![0.0; problem.g.len()],
        }
    }

    /// Factors Q + Gᵀ diag(weights) G with A below.
    fn factor(&mut self) -> bool {
        self.kkt.h.clear();
        self.kkt.h.extend_from_slice(self.base);
        self.kkt.w.clear();
        self.kkt.w.extend_from_slice(&self.problem.a);
        add_gram(&mut self.kkt.h, &self.problem.g, &self.weights, self.problem.n, &mut self.weighted);
        self.kkt.factor(0.0).is_ok()
    }

    /// The point that minimises the objective plus ½|Gz − h|², with slacks and multipliers moved inside.
    fn start(&mut self) -> bool {
        let problem = self.problem;
        if !self.factor() {
            return false;
        }
        let at = &mut self.at;
        at.z.iter_mut().zip(&problem.linear).for_each(|(z, q)| *z = -q);
        add_transposed(&mut at.z, &problem.g, &problem.h, |x| x);
        at.nu.copy_from_slice(&problem.b);
        self.kkt.solve(&mut at.z, &mut at.nu);
        at.lambda.iter_mut().zip(&problem.h).for_each(|(lambda, h)| *lambda = -h);
        add_product(&mut at.lambda, &problem.g, &at.z, |x| x);
        at.s.iter_mut().zip(&at.lambda).for_each(|(s, lambda)| *s = -lambda);
        move_inside(&mut at.s);
        move_inside(&mut at.lambda);
        true
    }

    /// Computes the residuals; returns the largest of them and of the gap.
    fn measure(&mut self) -> f64 {
        let Self { problem, at, .. } = self;
        self.dual.copy_from_slice(&problem.linear);
        add_product(&mut self.dual, &problem.quadratic, &at.z, |x| x);
        add_transposed(&mut self.dual, &problem.g, &at.lambda, |x| x);
        add_transposed(&mut self.dual, &problem.a, &at.nu, |x| x);
        self.primal.iter_mut().zip(&at.s).zip(&problem.h).for_each(|((r, s), h)| *r = s - h);
        add_product(&mut self.primal, &problem.g, &at.z, |x| x);
        self.equality.iter_mut().zip(&problem.b).for_each(|(r, b)| *r = -b);
        add_product(&mut self.equality, &problem.a, &at.z, |x| x);
        [&self.dual, &self.primal, &self.equality]
            .map(|r| largest(r))
            .into_iter()
            .fold(gap(&at.s, &at.lambda), f64::max)
    }

    /// One predictor-corrector step; `false` where none can be taken.
    fn step(&mut self) -> bool {
        self.weights.iter_mut().zip(&self.at.lambda).zip(&self.at.s).for_each(|((w, l), s)| *w = l / s);
        if !self.factor() {
            return false;
        }
        let mu = gap(&self.at.s, &self.at.lambda);
        self.direction(0.0, false);
        let mu_affine = self.gap_after(self.reach().min(1.0));
        self.direction((mu_affine / mu).powi(3) * mu, true);
        let step = (FRACTION * self.reach()).min(1.0);
        for (x, d) in [
            (&mut self.at.z, &self.change.z),
            (&mut self.at.s, &self.change.s),
            (&mut self.at.lambda, &self.change.lambda),
            (&mut self.at.nu, &self.change.nu),
        ] {
            x.iter_mut().zip(d).for_each(|(x, d)| *x += step * d);
        }
        // Written so that NaN stops too.
        step > 1e-10 && gap(&self.at.s, &self.at.lambda).is_finite()
    }

    /// Newton's direction towards s λ = `target`; the corrector takes the predictor's second-order term
    /// into account.
    fn direction(&mut self, target: f64, corrector: bool) {
        let Self { problem, at, change, weights, inner, .. } = self;
        for (i, inner) in inner.iter_mut().enumerate() {
            // (s λ − target + ds dλ) / s
            let second = if corrector { change.s[i] * change.lambda[i] - target } else { 0.0 };
            change.lambda[i] = -(at.lambda[i] + second / at.s[i]);
            *inner = -(weights[i] * self.primal[i] + change.lambda[i]);
        }
        change.z.iter_mut().zip(&self.dual).for_each(|(z, r)| *z = -r);
        add_transposed(&mut change.z, &problem.g, inner, |x| x);
        change.nu.iter_mut().zip(&self.equality).for_each(|(nu, r)| *nu = -r);
        self.kkt.solve(&mut change.z, &mut change.nu);
        change.s.copy_from_slice(&self.primal);
        add_product(&mut change.s, &problem.g, &change.z, |x| x);
        for ((s, lambda), w) in change.s.iter_mut().zip(&mut change.lambda).zip(weights.iter()) {
            *s = -*s;
            *lambda -= w * *s;
        }
    }

    /// The gap after a step of this length.
    fn gap_after(&self, step: f64) -> f64 {
        let Iterate { s, lambda, .. } = &self.change;
        let slacks = self.at.s.iter().zip(s).map(|(x, d)| x + step * d);
        let multipliers = self.at.lambda.iter().zip(lambda).map(|(x, d)| x + step * d);
        slacks.zip(multipliers).map(|(s, lambda)| s * lambda).sum::<f64>() / s.len().max(1) as f64
    }

    /// The longest step, up to 1 / FRACTION, that keeps s and λ from becoming negative.
    fn reach(&self) -> f64 {
        let blocks = [(&self.at.s, &self.change.s), (&self.at.lambda, &self.change.lambda)];
        let ratios = blocks.into_iter().flat_map(|(x, d)| x.iter().zip(d)).filter(|(_, d)| **d < 0.0);
        ratios.map(|(x, d)| -x / d).fold(1.0 / FRACTION, f64::min)
    }
}

/// Mean of s λ.
fn gap(s: &[f64], lambda: &[f64]) -> f64 {
    dot(s, lambda, |x| x) / s.len().max(1) as f64
}

/// Adds a constant that leaves every entry positive, where one is not.
fn move_inside(x: &mut [f64]) {
    let least = x.iter().copied().fold(f64::INFINITY, f64::min);
    if least <= 1e-3 {
        x.iter_mut().for_each(|x| *x += 1.0 - least);
    }
}
