//! From a guess at the active set to the exact solution: equality-constrained solves with a check.

use crate::dense::{add_gram, add_product, cholesky, largest, rows};
use crate::kkt::{Kkt, Singular};
use crate::problem::Problem;
use supple_numerics::factor::dot;

/// A point that satisfies the optimality conditions, and the system that it solves.
#[derive(Debug, Clone, Default)]
pub struct Solution {
    /// Variables.
    pub z: Vec<f64>,
    /// Multipliers: of all equalities, then of the active inequalities.
    pub multipliers: Vec<f64>,
    /// Active inequalities, ascending.
    pub active: Vec<u32>,
    /// The factored system of the active set.
    pub kkt: Kkt,
}

/// Why a guess did not lead to a solution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rejected {
    /// Signs or slacks are wrong, and correcting the guess did not help.
    WrongSet,
    /// More than one point has the least objective on the guessed set.
    NotUnique,
}

/// Tries guesses for one problem; keeps the factor of Q where it has one.
pub struct Polish<'a> {
    problem: &'a Problem,
    tolerance: f64,
    /// U with Q = UᵀU, where Q is definite enough.
    factor: Option<Vec<f64>>,
    slack: Vec<f64>,
}

/// Least pivot of Q as a fraction of its diagonal for Q to be used as it is.
const DEFINITE: f64 = 1e-9;
/// The same for Q + ρ CᵀC, below which the system counts as singular.
const UNIQUE: f64 = 1e-13;
/// Largest relative residual of a solution, where the tolerance is smaller.
const RESIDUAL: f64 = 1e-9;
/// Corrections of one guess.
const ROUNDS: usize = 6;

impl<'a> Polish<'a> {
    /// Prepares for guesses whose points may violate signs and constraints by `tolerance`.
    pub fn new(problem: &'a Problem, tolerance: f64) -> Self {
        let mut factor = problem.quadratic.clone();
        let definite = cholesky(&mut factor, problem.n, DEFINITE);
        let slack = vec![0.0; problem.inequalities()];
        Self { problem, tolerance, factor: definite.ok().map(|()| factor), slack }
    }

    /// Whether Q is positive definite.
    pub fn is_definite(&self) -> bool {
        self.factor.is_some()
    }

    /// Solves with the inequalities `active` as equalities; drops those with the wrong sign and adds
    /// violated ones until none is left. `lambda` are estimates of all multipliers.
    ///
    /// An inequality that is active with multiplier zero is taken as inactive.
    pub fn solve(&mut self, mut active: Vec<u32>, lambda: &[f64]) -> Result<Solution, Rejected> {
        let mut kkt = Kkt::new(self.problem.n);
        for round in 0..ROUNDS {
            self.factor(&mut kkt, &mut active, lambda)?;
            let (z, multipliers, residual) = self.point(&kkt, &active);
            if !z.iter().chain(&multipliers).all(|x| x.is_finite()) {
                return Err(Rejected::WrongSet);
            }
            // Dropping a multiplier of about zero can violate its constraint by more than the tolerance
            // where Q is flat: such a one is kept when it comes back.
            let keep = if round < 3 { self.tolerance } else { -self.tolerance };
            let corrected = self.corrected(&active, &z, &multipliers, keep);
            if corrected == active {
                // Written so that NaN is rejected.
                return match residual <= self.residual_limit() {
                    true => Ok(Solution { z, multipliers, active, kkt }),
                    false => Err(Rejected::WrongSet),
                };
            }
            active = corrected;
        }
        Err(Rejected::WrongSet)
    }

    /// Factors the system of the active set, taking out inequalities until the rest are independent.
    fn factor(&self, kkt: &mut Kkt, active: &mut Vec<u32>, lambda: &[f64]) -> Result<(), Rejected> {
        let Problem { n, a, b, g, .. } = self.problem;
        let mut estimates: Vec<f64> = active.iter().map(|&i| lambda[i as usize]).collect();
        loop {
            kkt.w.clear();
            kkt.w.extend_from_slice(a);
            active.iter().for_each(|&i| kkt.w.extend_from_slice(&g[i as usize * n..(i as usize + 1) * n]));
            kkt.h.clear();
            let result = match &self.factor {
                Some(factor) => {
                    kkt.h.extend_from_slice(factor);
                    kkt.rho = 0.0;
                    kkt.factor_rows()
                }
                None => {
                    kkt.h.extend_from_slice(&self.problem.quadratic);
                    kkt.rho = 1.0;
                    let ones = vec![1.0; b.len() + active.len()];
                    add_gram(&mut kkt.h, &kkt.w, &ones, *n, &mut vec![0.0; kkt.w.len()]);
                    kkt.factor(UNIQUE)
                }
            };
            match result {
                Ok(()) => return Ok(()),
                Err(Singular::Hessian) => return Err(Rejected::NotUnique),
                Err(Singular::Rows(combination)) => {
                    let combination = combination.get(b.len()..).unwrap_or_default();
                    let Some(i) = reduce(&mut estimates, combination) else {
                        return Err(Rejected::WrongSet);
                    };
                    estimates.remove(i);
                    active.remove(i);
                }
            }
        }
    }

    /// The stationary point on the active set, its multipliers and their relative residual.
    fn point(&self, kkt: &Kkt, active: &[u32]) -> (Vec<f64>, Vec<f64>, f64) {
        let mut z: Vec<f64> = self.problem.linear.iter().map(|q| -q).collect();
        let mut multipliers = self.problem.b.clone();
        multipliers.extend(active.iter().map(|&i| self.problem.h[i as usize]));
        kkt.solve(&mut z, &mut multipliers);
        let (mut dz, mut change) = self.defects(active, &z, &multipliers);
        let residual = self.residual(&z, &multipliers, &dz, &change);
        if residual <= self.residual_limit() {
            return (z, multipliers, residual);
        }
        // Where Q is nearly singular, another step finds what the first one lost.
        kkt.solve(&mut dz, &mut change);
        let sum = |x: &[f64], dx: &[f64]| -> Vec<f64> { x.iter().zip(dx).map(|(x, dx)| x + dx).collect() };
        let (refined, refined_multipliers) = (sum(&z, &dz), sum(&multipliers, &change));
        let (gradient, off) = self.defects(active, &refined, &refined_multipliers);
        let of_refined = self.residual(&refined, &refined_multipliers, &gradient, &off);
        match of_refined < residual {
            true => (refined, refined_multipliers, of_refined),
            false => (z, multipliers, residual),
        }
    }

    /// What is left of the gradient, negated, and of the constraints to be met with equality. Signs and
    /// slacks apart, these are the optimality conditions.
    fn defects(&self, active: &[u32], z: &[f64], multipliers: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let Problem { n, quadratic, linear, a, b, g, h, .. } = self.problem;
        let rows = rows(a, *n).zip(b).chain(active.iter().map(|&i| {
            let i = i as usize;
            (&g[i * n..(i + 1) * n], &h[i])
        }));
        let (mut gradient, mut off) = (linear.clone(), Vec::with_capacity(multipliers.len()));
        add_product(&mut gradient, quadratic, z, |x| x);
        for ((row, right), multiplier) in rows.zip(multipliers) {
            off.push(right - dot(row, z, |x| x));
            gradient.iter_mut().zip(row).for_each(|(sum, x)| *sum += multiplier * x);
        }
        gradient.iter_mut().for_each(|x| *x = -*x);
        (gradient, off)
    }

    /// The size of the defects relative to the terms that cancel in them.
    fn residual(&self, z: &[f64], multipliers: &[f64], gradient: &[f64], off: &[f64]) -> f64 {
        let Problem { quadratic, linear, .. } = self.problem;
        let terms = largest(linear).max(largest(quadratic) * largest(z)).max(largest(multipliers));
        // Sums, so that NaN stays.
        let sum = |x: &[f64]| x.iter().map(|x| x.abs()).sum::<f64>();
        sum(gradient) / (1.0 + terms) + sum(off) / (1.0 + largest(z))
    }

    /// The largest residual of a solution.
    fn residual_limit(&self) -> f64 {
        self.tolerance.max(RESIDUAL)
    }

    /// The active inequalities with multipliers above `keep`, and those that the point violates.
    fn corrected(&mut self, active: &[u32], z: &[f64], multipliers: &[f64], keep: f64) -> Vec<u32> {
        let Problem { g, h, b, .. } = self.problem;
        self.slack.copy_from_slice(h);
        self.slack.iter_mut().for_each(|s| *s = -*s);
        add_product(&mut self.slack, g, z, |x| x);
        let keep = keep * (1.0 + largest(multipliers));
        let violated = self.tolerance * (1.0 + largest(z));
        let mut signs = active.iter().zip(&multipliers[b.len()..]).peekable();
        let chosen = self.slack.iter().enumerate().filter(|&(i, &excess)| {
            match signs.next_if(|(active, _)| **active as usize == i) {
                Some((_, &multiplier)) => multiplier > keep,
                None => excess > violated,
            }
        });
        chosen.map(|(i, _)| i as u32).collect()
    }
}

/// Moves the non-negative `estimates` along a combination of rows that vanishes until one becomes zero,
/// and returns which (Carathéodory's argument).
fn reduce(estimates: &mut [f64], combination: &[f64]) -> Option<usize> {
    let ratios =
        combination.iter().enumerate().filter(|(_, c)| **c > 0.0).map(|(i, c)| (i, estimates[i] / c));
    let (first, step) = ratios.min_by(|(_, x), (_, y)| x.total_cmp(y))?;
    estimates.iter_mut().zip(combination).for_each(|(e, c)| *e = (*e - step * c).max(0.0));
    Some(first)
}
