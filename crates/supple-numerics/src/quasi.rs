//! Space-filling designs: points of the unit cube to average over.
//!
//! The mean of a function over the rows of a design estimates its integral over $(0, 1)^n$; an expectation
//! under noise, where the points are first replaced by its
//! [`quantiles`](crate::noise::Noise::quantiles). With a budget of $S$ rows:
//!
//! | design | rows | mean unbiased | rows independent | error of the mean of smooth functions |
//! |---|---|---|---|---|
//! | Monte Carlo | $S$ | yes | yes | $S^{-1/2}$ |
//! | antithetic | $2 \lfloor S/2 \rfloor$ | yes | in pairs | $S^{-1/2}$; 0 if $f(u) + f(1 - u)$ is constant |
//! | Latin hypercube | $S$ | yes | no | $S^{-1/2}$; $S^{-3/2}$ for sums over coordinates |
//! | Sobol | $S$ | no | no | $S^{-1} (\log S)^{n-1}$ |
//! | randomised Sobol | $S$ | yes | no | $S^{-3/2} (\log S)^{(n-1)/2}$ |
//! | Cartesian | $k^n$ | no | no | $S^{-2/n}$ |
//! | randomised Cartesian | $k^n$ | yes | no | $S^{-1/2-1/n}$ |
//!
//! with $k = \lfloor S^{1/n} \rfloor$, which is 1 where $2^n > S$: grids are for few coordinates. Of a budget
//! of 1, antithetic pairs make one row. The rates of Sobol designs are those of powers of two.
//!
//! Rows that depend on each other forbid a baseline made of other rows: it is correlated with the score of
//! this one, and the gradient biased. Nor do they give a standard error; means of several seeds do.
//!
//! - *Monte Carlo*: independent uniforms.
//! - *Antithetic*: rows $2s$ and $2s + 1$ are $u$ and $1 - u$.
//! - *Latin hypercube*: in each coordinate one point in each of $S$ cells, uniform within it, in random order
//!   (McKay, Beckman and Conover, Technometrics 1979).
//! - *Sobol*: Sobol's sequence in any number of dimensions, the first 53 with Joe and Kuo's numbers (2008);
//!   points in the middle of their cells. *Randomised*: Owen's nested uniform scrambling (1995).
//! - *Cartesian*: the middles of the $k^n$ cells of a grid. *Randomised*: uniform within each cell.
//!
//! Petersen, Borgelt, Mishra and Ermon, *Generalizing stochastic smoothing for differentiation and gradient
//! estimation*, 2024, compare them for gradients.

mod sobol;
#[cfg(test)]
mod tests;

use supple_core::{Stream, choices};

choices! {
    /// How points are chosen.
    pub enum Design {
        /// Independent and uniform.
        MonteCarlo = "monte_carlo",
        /// Pairs of a point and its mirror image.
        Antithetic = "antithetic",
        /// Each coordinate spread evenly, in random order.
        LatinHypercube = "latin_hypercube",
        /// Sobol's sequence.
        Sobol = "sobol",
        /// Sobol's sequence, scrambled.
        RandomizedSobol = "randomized_sobol",
        /// The middles of the cells of a grid.
        Cartesian = "cartesian",
        /// A random point of each cell of a grid.
        RandomizedCartesian = "randomized_cartesian",
    }
}

impl Design {
    /// The number of rows for a budget of `count`: at most that, and at least 1 where `count` is.
    pub fn rows(self, count: usize, n: usize) -> usize {
        match self {
            Design::Antithetic if count > 1 => count / 2 * 2,
            Design::Cartesian | Design::RandomizedCartesian => {
                power(levels(count, n), n, count).unwrap_or(count)
            }
            _ => count,
        }
    }

    /// Fills `u` with the [`rows`](Self::rows) for a budget of `count`, each `n` numbers of the open interval
    /// (0, 1): a function of the arguments and nothing else.
    ///
    /// # Panics
    /// Where `u` is shorter than that.
    pub fn fill(self, seed: u64, item: usize, count: usize, n: usize, u: &mut [f64]) {
        let u = &mut u[..self.rows(count, n) * n];
        if u.is_empty() {
            return;
        }
        let stream = |index: usize| Stream::new(seed, item, index);
        match self {
            Design::MonteCarlo => {
                u.chunks_exact_mut(n).enumerate().for_each(|(row, u)| uniforms(stream(row), u));
            }
            Design::Antithetic => {
                for (pair, u) in u.chunks_mut(2 * n).enumerate() {
                    let (first, second) = u.split_at_mut(n);
                    uniforms(stream(pair), first);
                    second.iter_mut().zip(first).for_each(|(second, first)| *second = 1.0 - *first);
                }
            }
            Design::LatinHypercube => {
                (0..n).for_each(|i| latin(stream(i), count, u[i..].iter_mut().step_by(n)))
            }
            Design::Sobol => sobol::fill(count, n, u),
            Design::RandomizedSobol => sobol::fill_scrambled(count, n, stream, u),
            Design::Cartesian => grid(levels(count, n), n, |_| None, u),
            Design::RandomizedCartesian => grid(levels(count, n), n, |row| Some(stream(row)), u),
        }
    }

    /// Whether the points depend on the seed. The mean over them is then unbiased; that of a deterministic
    /// design is not, and has no standard error.
    pub fn is_random(self) -> bool {
        !matches!(self, Design::Sobol | Design::Cartesian)
    }

    /// Whether rows are independent, so that others may be the baseline of one and their spread tells the
    /// error of their mean.
    pub fn is_independent(self) -> bool {
        self == Design::MonteCarlo
    }
}

fn uniforms(mut stream: Stream, u: &mut [f64]) {
    u.iter_mut().for_each(|u| *u = stream.uniform());
}

/// The point at the fraction `within` of one of `cells`, below 1 even where rounding would reach it.
fn point(cell: usize, cells: usize, within: f64) -> f64 {
    ((cell as f64 + within) / cells as f64).min(1.0 - 0.5 * f64::EPSILON)
}

/// A coordinate of a Latin hypercube: a random permutation of the cells.
fn latin<'a>(mut stream: Stream, count: usize, u: impl Iterator<Item = &'a mut f64>) {
    let mut cells: Vec<usize> = (0..count).collect();
    for (i, u) in u.enumerate() {
        cells.swap(i, i + stream.below(count - i));
        *u = point(cells[i], count, stream.uniform());
    }
}

/// All cells of a grid; points in the middle where there is no stream.
fn grid(levels: usize, n: usize, stream: impl Fn(usize) -> Option<Stream>, u: &mut [f64]) {
    for (row, u) in u.chunks_exact_mut(n).enumerate() {
        let mut stream = stream(row);
        let mut rest = row;
        for u in u {
            let within = stream.as_mut().map_or(0.5, Stream::uniform);
            *u = point(rest % levels, levels, within);
            rest /= levels;
        }
    }
}

/// The largest `k >= 1` with `kⁿ <= count`; 1 for `n = 0`.
fn levels(count: usize, n: usize) -> usize {
    if n == 0 {
        return 1;
    }
    let mut k = (count as f64).powf(1.0 / n as f64).floor().max(1.0) as usize;
    while k > 1 && power(k, n, count).is_none() {
        k -= 1;
    }
    while k < count && power(k + 1, n, count).is_some() {
        k += 1;
    }
    k
}

/// `kⁿ`, if that is at most `count`.
fn power(k: usize, n: usize, count: usize) -> Option<usize> {
    (0..n).try_fold(1usize, |power, _| power.checked_mul(k)).filter(|power| *power <= count)
}
