//! The search for the plan, on plain values.

use super::laplacian::Laplacian;
use super::rows::{Family, Rows};
use supple_core::Fault;

/// The search for the shifts, on values.
#[derive(Default)]
pub(super) struct Solver<'a> {
    pub x: &'a [f64],
    pub a: &'a [f64],
    pub b: &'a [f64],
    pub rate: f64,
    pub quantiles: &'a [f64],
    pub shifts: Vec<f64>,
    pub rows: Rows,
    pub laplacian: Laplacian,
}

/// Sinkhorn's sweeps before the first Newton step.
const SWEEPS: usize = 2;
/// Newton steps and sweeps before giving up.
const MOST: usize = 200;
/// The marginal error from which one more Newton step should leave only rounding, and what that may be.
const NEARLY: f64 = 1e-7;
const EXACT: f64 = 1e-13;
/// The marginal error that a plan may have at most.
const TOLERANCE: f64 = 1e-9;

impl Solver<'_> {
    pub fn solve(&mut self) -> Result<(), Fault> {
        let (mut error, mut last, mut spent) = (f64::INFINITY, false, 0);
        for step in 0..MOST {
            spent = step + 1;
            if step == 0 || step == SWEEPS {
                let family = Family { quantiles: self.quantiles, shifts: &self.shifts, rate: self.rate };
                self.rows.divide(self.x, family);
                error = self.refresh();
            }
            if error <= 1e-16 || last {
                return Ok(());
            }
            if step < SWEEPS {
                let columns = self.laplacian.columns.iter().zip(self.b);
                let v: Vec<f64> =
                    columns.map(|(c, b)| (b / c.max(1e-30)).ln().clamp(-LONGEST, LONGEST)).collect();
                self.shift(&v, 1.0);
                error = self.refresh();
                continue;
            }
            let v = self.newton_direction(error);
            let mut length = (1.0 / self.variation(&v)).min(1.0);
            let (before, start) = (error, self.shifts.clone());
            for _ in 0..5 {
                self.shift(&v, length);
                error = self.refresh();
                if error < before {
                    break;
                }
                length *= 0.3;
                self.shifts.copy_from_slice(&start);
            }
            // From there a step is as good as exact, unless neighbours were held back.
            let stays = error <= TOLERANCE && error > 0.3 * before;
            last = before <= NEARLY && (error <= EXACT || stays);
            // NaN counts as no progress.
            let gained = error < before;
            if !gained {
                error = self.refresh();
                last = true;
            }
            let good = error <= TOLERANCE;
            if last && !good {
                break;
            }
        }
        Err(Fault::NotConverged { iterations: spent, residual: error })
    }

    /// Computes the rows; returns by how much the columns are off.
    fn refresh(&mut self) -> f64 {
        let family = Family { quantiles: self.quantiles, shifts: &self.shifts, rate: self.rate };
        self.rows.refresh(self.x, family);
        self.laplacian.refresh(&self.rows, self.a, self.b.len());
        self.laplacian.columns.iter().zip(self.b).map(|(c, b)| (c - b).abs()).sum()
    }

    fn newton_direction(&mut self, error: f64) -> Vec<f64> {
        let columns = &self.laplacian.columns;
        let mut load: Vec<f64> = self.b.iter().zip(columns).map(|(b, c)| b - c).collect();
        let excess: f64 = load.iter().sum();
        load.iter_mut().zip(self.b).for_each(|(h, b)| *h -= b * excess);
        self.laplacian.stiffen(&load);
        let fraction = if error <= NEARLY { 1e-9 } else { error.clamp(1e-9, 0.1) };
        let mut v = self.laplacian.solve(&self.rows, &load, fraction);
        let (mut last, mut sum) = (v[0], 0.0);
        for v in &mut v {
            sum += (*v - last).clamp(-LONGEST, LONGEST);
            last = std::mem::replace(v, sum);
        }
        v
    }

    /// The largest standard deviation of `v` in a row, if it might be above 1.
    fn variation(&self, v: &[f64]) -> f64 {
        let ends = |f: fn(f64, f64) -> f64| v.iter().copied().fold(v[0], f);
        let range = ends(f64::max) - ends(f64::min);
        if range <= 1.0 {
            return range;
        }
        let square: Vec<f64> = v.iter().map(|v| v * v).collect();
        let (mean, mean_square) = (self.rows.means(v).0, self.rows.means(&square).0);
        let variance = mean.iter().zip(&mean_square).map(|(m, s)| s - m * m);
        variance.fold(0.0, f64::max).sqrt()
    }

    /// Changes the potentials of the places by `length v`.
    fn shift(&mut self, v: &[f64], length: f64) {
        for (shift, v) in self.shifts.iter_mut().zip(v.windows(2)) {
            *shift += length / self.rate * (v[0] - v[1]);
        }
    }
}

/// Neighbouring potentials change by no more in one step.
const LONGEST: f64 = 3.0;
