//! One quadratic program in `f64`, in units in which its data are about 1.

use crate::dense::{largest, rows};
use supple_core::Fault;
use supple_numerics::factor;

/// min ½ zᵀQz + qᵀz, Gz ≤ h, Az = b, in scaled units and without the rows that constrain nothing.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Number of variables.
    pub n: usize,
    /// Q, symmetric.
    pub quadratic: Vec<f64>,
    /// q.
    pub linear: Vec<f64>,
    /// G.
    pub g: Vec<f64>,
    /// h.
    pub h: Vec<f64>,
    /// A.
    pub a: Vec<f64>,
    /// b.
    pub b: Vec<f64>,
    /// The number that each kept row of G had.
    pub kept: Vec<u32>,
    /// The units.
    pub scale: Scale,
}

/// Units of a [`Problem`], all powers of two: scaling is exact.
#[derive(Debug, Clone, Default)]
pub struct Scale {
    /// Unit of z.
    pub z: f64,
    /// Unit of the objective.
    pub objective: f64,
    /// Size of each kept row of G.
    pub g: Vec<f64>,
    /// Size of each row of A.
    pub a: Vec<f64>,
}

/// The inputs of the operator in `f64`: Q, q, G, h, A, b.
pub type Data = [Vec<f64>; 6];

/// How far rows of A must be from dependent: the least squared sine of the angle to those before.
const INDEPENDENT: f64 = 1e-13;

impl Problem {
    /// Reads, checks and scales.
    pub fn new(data: Data) -> Result<Self, Fault> {
        let names = ["Q", "q", "G", "h", "A", "b"];
        for (argument, x) in names.into_iter().zip(&data) {
            let allowed = |x: f64| x.is_finite() || (argument == "h" && x == f64::INFINITY);
            match x.iter().find(|&&x| !allowed(x)) {
                Some(&f64::NEG_INFINITY) if argument == "h" => return Err(Fault::Infeasible),
                Some(&value) => return Err(Fault::Domain { argument, requirement: "finite", value }),
                None => {}
            }
        }
        let [mut quadratic, linear, g, h, a, b] = data;
        let n = linear.len();
        symmetrize(&mut quadratic, n);
        let mut this = Self {
            n,
            quadratic,
            linear,
            g: Vec::with_capacity(g.len()),
            h: Vec::with_capacity(h.len()),
            a,
            b,
            kept: Vec::with_capacity(h.len()),
            scale: Scale::default(),
        };
        this.keep_inequalities(&g, &h)?;
        this.check_equalities()?;
        this.scale_objective();
        Ok(this)
    }

    /// Number of inequalities kept.
    pub fn inequalities(&self) -> usize {
        self.h.len()
    }

    /// Copies the rows of G that constrain something, brought to size 1.
    fn keep_inequalities(&mut self, g: &[f64], h: &[f64]) -> Result<(), Fault> {
        for (i, &h) in h.iter().enumerate() {
            let row = &g[i * self.n..(i + 1) * self.n];
            let size = power_of_two(largest(row));
            if size == 0.0 && h < 0.0 {
                return Err(Fault::Infeasible);
            }
            // Beyond every number z could reach.
            let h = if size > 0.0 { h / size } else { f64::INFINITY };
            if h == f64::NEG_INFINITY {
                return Err(Fault::Infeasible);
            }
            if h < f64::INFINITY {
                self.kept.push(i as u32);
                self.g.extend(row.iter().map(|x| x / size));
                self.h.push(h);
                self.scale.g.push(size);
            }
        }
        Ok(())
    }

    /// Brings the rows of A to size 1 and refuses dependent ones.
    fn check_equalities(&mut self) -> Result<(), Fault> {
        let (n, p) = (self.n, self.b.len());
        for (i, b) in self.b.iter_mut().enumerate() {
            let row = &mut self.a[i * n..(i + 1) * n];
            let size = power_of_two(largest(row));
            self.scale.a.push(size);
            if size > 0.0 {
                row.iter_mut().for_each(|x| *x /= size);
                *b /= size;
            } else if *b != 0.0 {
                return Err(Fault::Infeasible);
            } else {
                return Err(Fault::RankDeficient { matrix: "A" });
            }
        }
        let mut gram = vec![0.0; p * p];
        for (i, x) in rows(&self.a, n).enumerate() {
            for (j, y) in rows(&self.a, n).enumerate().skip(i) {
                gram[i * p + j] = factor::dot(x, y, |x| x);
            }
        }
        let Err(breakdown) = factor::cholesky(&mut gram, p, INDEPENDENT) else { return Ok(()) };
        let combination = factor::null_vector(&gram, p, breakdown.row);
        let terms = || combination.iter().zip(&self.b).map(|(c, b)| c * b);
        let contradiction = terms().sum::<f64>().abs() > 1e-9 * terms().map(f64::abs).sum::<f64>();
        Err(if contradiction { Fault::Infeasible } else { Fault::RankDeficient { matrix: "A" } })
    }

    /// Picks units of z and of the objective from the data that must set them, and changes to them.
    fn scale_objective(&mut self) {
        let (curvature, slope) = (largest(&self.quadratic), largest(&self.linear));
        let short = self.h.iter().fold(0.0, |least: f64, &h| least.max(-h));
        let reach = if curvature > 0.0 { slope / curvature } else { largest(&self.h) };
        let z = unit(largest(&self.b).max(short).max(reach));
        let objective = unit(if curvature > 0.0 { curvature * z * z } else { slope * z });
        // In this order, in which nothing overflows that is about 1 in the end.
        self.quadratic.iter_mut().for_each(|x| *x = *x * z * (z / objective));
        self.linear.iter_mut().for_each(|x| *x *= z / objective);
        self.h.iter_mut().chain(&mut self.b).for_each(|x| *x /= z);
        (self.scale.z, self.scale.objective) = (z, objective);
    }
}

/// ½(Q + Qᵀ).
fn symmetrize(q: &mut [f64], n: usize) {
    for i in 0..n {
        for j in 0..i {
            let mean = 0.5 * (q[i * n + j] + q[j * n + i]);
            (q[i * n + j], q[j * n + i]) = (mean, mean);
        }
    }
}

/// The power of two at or below a positive number, 0 for 0.
fn power_of_two(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & f64::INFINITY.to_bits())
}

/// The same, but 1 for 0.
fn unit(x: f64) -> f64 {
    match power_of_two(x) {
        0.0 => 1.0,
        unit => unit,
    }
}
