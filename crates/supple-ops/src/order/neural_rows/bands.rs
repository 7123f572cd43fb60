//! Rows of NeuralSort, many at a time.
//!
//! With $m$ the row in the middle of a band, $t_j = (z_j - z_m) / \varepsilon$ and $v_j$ the weight of $j$
//! in row $m$, where the largest is 1, row $i$ has the weights $v_j e^{u t_j}$ at $u = c_i - c_m$, up to a
//! factor. Their sum, and their mean of $t$, come from one power series, whose coefficients are moments:
//!
//! $$ S(u) = \sum_j v_j e^{u t_j} = \sum_k \frac{u^k}{k!} \sum_j v_j t_j^k, \qquad
//! \frac{\sum_j v_j t_j e^{u t_j}}{S(u)} = \frac{S'(u)}{S(u)} . $$
//!
//! So what a band costs is some terms for each of its places and rows, not each pair of them. What a place
//! collects from the rows of the band is a series in $t_j$ in the same way.
//!
//! How many terms: let $D(u)$ be how much lower than the largest the score of place $m$ is at $c_m + u$, also
//! between rows and beyond the last. It is convex, and as no weight is above the largest,
//! $v_j e^{u t_j} \le e^{D(u)}$. So for rows at $\lvert u \rvert \le h$ and any $\kappa > 1$
//!
//! $$ v_j \frac{\lvert h t_j \rvert^k}{k!} \le \kappa^{-k} v_j e^{\kappa h \lvert t_j \rvert}
//! \le \kappa^{-k} e^{\max D(\pm \kappa h)}, $$
//!
//! where sums $S$ are 1 or more. With $\kappa = 1$ this bounds the terms themselves, and so what cancels.

use super::super::rows::{Pulled, Scores};
use super::NeuralRows;
use super::series::{Series, TERMS, evaluate};
use std::f64::consts::LN_2;
use std::ops::Range;
use supple_core::{Float, Real, Scratch};
use supple_numerics::elementary::{dot, exp_slice, exp_sum};

/// Weights below `exp(−60)` of the largest are left out, which double precision cannot see.
const REACH: f64 = 60.0;

/// The logarithm of terms before they cancel, at most.
const LARGEST: f64 = 3.0;

/// Rows of the smallest band that is tried.
const FEWEST: usize = 16;

/// What a place costs in a band, and in a row that is alone: as much as so many terms of a series.
const IN_BAND: f64 = 8.0;
const ALONE: f64 = 5.0;

/// Rows side by side, with the places where any of them has weight.
#[derive(Default)]
pub(crate) struct Band<A> {
    /// Their numbers among the rows of finite values.
    pub rows: Range<usize>,
    /// The value that belongs to the middle row.
    pub centre: A,
    /// The mean of the values, less `centre`, for each row.
    pub means: Vec<A>,
    /// Places among finite values.
    places: Range<usize>,
    /// `c` of the middle row.
    slope: A,
    /// `h`.
    half: A,
    /// `S`, for each row.
    sums: Vec<A>,
    /// `u / h`, for each row.
    steps: Vec<A>,
    /// `h t`, for each place.
    offsets: Vec<A>,
    /// `v`, for each place.
    weights: Vec<A>,
    /// Of the series. None for a row that is alone, which needs neither `steps` nor `offsets`.
    terms: Option<usize>,
    powers: Vec<A>,
}

impl<A: Real<Acc = A>> Band<A> {
    /// Visits all rows in order.
    pub fn for_each<T: Real<Acc = A>>(
        rows: &NeuralRows<A>,
        scratch: &mut Scratch<T>,
        mut visit: impl FnMut(&mut Self),
    ) {
        let [steps, offsets, weights, sums, means, powers] = [(); 6].map(|()| scratch.wide.empty());
        let mut band = Self { steps, offsets, weights, sums, means, powers, ..Self::default() };
        let (digits, mut start) = (-T::Value::EPSILON.ln(), 0);
        while start < rows.z.len() {
            let (run, terms) = rows.run(start, digits);
            let width = if terms.is_some() { run.len() } else { 1 };
            for start in run.clone().step_by(width) {
                band.fill(rows, start..start + width, terms);
                visit(&mut band);
            }
            start = run.end;
        }
        let Self { steps, offsets, weights, sums, means, powers, .. } = band;
        let buffers = [steps, offsets, weights, sums, means, powers];
        buffers.into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }

    /// Becomes the band of these rows, which is above the last.
    fn fill(&mut self, all: &NeuralRows<A>, rows: Range<usize>, terms: Option<usize>) {
        let (group, middle) = (all.group_of(rows.start), middle(&rows));
        let left_out = |row| {
            let (slope, top) = (all.slope(row), all.score(row, row));
            move |place| (slope * all.z[place] - all.distances[place] - top) * all.rate < A::of(-REACH)
        };
        let (before, after) = (left_out(rows.start), left_out(rows.end - 1));
        self.places.start = self.places.start.max(group.start);
        while self.places.start < rows.start && before(self.places.start) {
            self.places.start += 1;
        }
        self.places.end = self.places.end.max(rows.end);
        while self.places.end < group.end && !after(self.places.end) {
            self.places.end += 1;
        }
        self.half = A::of(2.0 * (middle - rows.start).max(1) as f64);
        (self.slope, self.centre) = (all.slope(middle), all.z[middle]);
        (self.rows, self.terms) = (rows, terms);

        let buffers =
            [&mut self.steps, &mut self.offsets, &mut self.weights, &mut self.sums, &mut self.means];
        buffers.into_iter().for_each(Vec::clear);
        let z = &all.z[self.places.clone()];
        all.gaps(middle, self.places.clone(), &mut self.weights);
        let Some(terms) = terms else {
            let sum = exp_sum(&mut self.weights, A::zero());
            self.sums.push(sum);
            return self.means.push(dot(&self.weights, z) / sum - self.centre);
        };
        exp_slice(&mut self.weights);
        let (centre, rate) = (self.centre, self.half * all.rate);
        self.steps.extend(self.rows.clone().map(|row| (all.slope(row) - self.slope) / self.half));
        self.offsets.extend(z.iter().map(|&z| (z - centre) * rate));
        let series = Series::new(&self.weights, &self.offsets, terms, &mut self.powers);
        evaluate([&series], &self.steps, |_, [(sum, slope)]| {
            self.sums.push(sum);
            self.means.push(slope / (sum * rate));
        });
    }

    /// Adds what changes of the means by `dy` come from: to `dz` in the values that they are of, to `sums` in
    /// the scores. To be called once.
    pub fn pull(
        &mut self,
        all: &NeuralRows<A>,
        dy: impl Iterator<Item = A>,
        dz: &mut [A],
        sums: &mut Pulled<A>,
    ) {
        self.sums.iter_mut().zip(dy).for_each(|(sum, dy)| *sum = dy / *sum);
        let (slope, half, centre) = (self.slope, self.half, self.centre);
        let places = self.places.clone();
        let z = &all.z[places.clone()];
        let (dz, by_z, by_b) = (&mut dz[places.clone()], &mut sums.z[places.clone()], &mut sums.b[places]);
        let Some(terms) = self.terms else {
            let (share, mean) = (self.sums[0], centre + self.means[0]);
            let to = dz.iter_mut().zip(by_z).zip(by_b);
            for (((dz, by_z), by_b), (&weight, &z)) in to.zip(self.weights.iter().zip(z)) {
                let to_value = share * weight;
                let change = to_value * (z - mean);
                *dz += to_value;
                *by_z += slope * change;
                *by_b += change;
            }
            return;
        };
        let shares = Series::new(&self.sums, &self.steps, terms, &mut self.powers);
        self.sums.iter_mut().zip(&self.means).for_each(|(share, &mean)| *share *= mean);
        let moments = Series::new(&self.sums, &self.steps, terms, &mut self.powers);
        evaluate([&shares, &moments], &self.offsets, |i, [(share, share_by_t), (moment, moment_by_t)]| {
            let (weight, z) = (self.weights[i], z[i] - centre);
            let change = weight * (z * share - moment);
            dz[i] += weight * share;
            by_z[i] += slope * change + half * weight * (z * share_by_t - moment_by_t);
            by_b[i] += change;
        });
    }
}

impl<A: Real<Acc = A>> NeuralRows<A> {
    /// Some rows from `start` on, with the number of terms if they had better be one band: the cheapest of
    /// widths that double. `digits` is minus the logarithm of the precision asked for.
    fn run(&self, start: usize, digits: f64) -> (Range<usize>, Option<usize>) {
        let group = self.group_of(start);
        let to = |width: usize| start..group.end.min(start + width);
        let (mut best, mut least, mut width) = ((to(FEWEST), None), ALONE, FEWEST);
        // The series of any band have eight terms or more.
        while to(width).len() > 8 {
            let run = to(width);
            let Some(terms) = self.terms(&run, digits) else { break };
            let (count, last) = (run.len() as f64, run.end == group.end);
            let cost = (terms as f64 + IN_BAND) / count + terms as f64 / group.len() as f64;
            if cost < least {
                (best, least) = ((run, Some(terms)), cost);
            }
            if last {
                break;
            }
            width *= 2;
        }
        best
    }

    /// How many terms the series of a band need, if not too many.
    fn terms(&self, rows: &Range<usize>, digits: f64) -> Option<usize> {
        let (group, middle) = (self.group_of(rows.start), middle(rows));
        let (z, b) = (self.z[middle].as_f64(), self.distances[middle].as_f64());
        let fall = |steps: f64| {
            let slope = self.slope(middle).as_f64() + 2.0 * steps;
            let top = (middle as f64 + steps).clamp(group.start as f64, (group.end - 1) as f64) as usize;
            let (top_z, top_b) = (self.z[top].as_f64(), self.distances[top].as_f64());
            (slope * (top_z - z) - (top_b - b)) * self.rate.as_f64()
        };
        let half = (middle - rows.start) as f64;
        let falls = |factor: f64| fall(factor * half).max(fall(-factor * half));
        if falls(1.0) > LARGEST {
            return None;
        }
        // Two more for derivatives.
        let digits = digits + (16.0 * group.len() as f64).ln();
        let mut least = f64::INFINITY;
        for power in 1..12 {
            let terms = 2.0 + (digits + falls((1 << power) as f64)) / (power as f64 * LN_2);
            if terms >= least {
                break;
            }
            least = terms;
        }
        (least <= TERMS as f64).then_some(least.ceil() as usize)
    }
}

fn middle(rows: &Range<usize>) -> usize {
    (rows.start + rows.end) / 2
}

#[cfg(test)]
mod tests {
    use crate::order::{NeuralSort, NeuralSortPermutation, Projection};
    use ndarray::{Array1, ArrayD, Ix2};
    use supple_core::{Float, Stream, linearize};

    /// Normal, with heavy tails, of few values, and with a far cluster; at softnesses that make bands.
    fn samples() -> Vec<(Array1<f64>, f64)> {
        let mut random = Stream::new(5, 0, 0);
        let mut draw = |value: fn(f64, usize) -> f64| {
            Array1::from_iter((0..300).map(|i| value(random.normal(), i) as f32 as f64))
        };
        let samples = [
            draw(|x, _| x),
            draw(|x, _| (1.4 * x).tan()),
            draw(|x, _| (2.0 * x).round()),
            draw(|x, i| if i < 40 { 50.0 + 1e-3 * x } else { x }),
        ];
        let with_each = |x: Array1<f64>| [0.02, 0.2, 2.0, 20.0, 200.0, 1e4, 1e8].map(|s| (x.clone(), s));
        samples.into_iter().flat_map(with_each).collect()
    }

    /// By how much two arrays differ, in units of the largest entry.
    fn apart<T: Float>(x: &ArrayD<T>, expected: &ArrayD<f64>) -> f64 {
        let largest = |x: &ArrayD<f64>| x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        largest(&(x.mapv(|x| x.to_f64()) - expected)) / largest(expected)
    }

    fn check<T: Float>(
        x: &Array1<f64>,
        softness: f64,
        dy: &Array1<f64>,
        expected: [&ArrayD<f64>; 2],
        bound: f64,
    ) {
        let [x, dy] = [x, dy].map(|x| x.mapv(T::of).into_dyn());
        let operator = NeuralSort { softness, descending: true };
        let at = linearize(&operator, [x.view()]).unwrap();
        let [dx] = at.vjp([dy.view()]).unwrap();
        let apart = [apart(&at.outputs()[0], expected[0]), apart(&dx, expected[1])];
        assert!(apart[0] < bound && apart[1] < bound, "{apart:?} at {softness}");
    }

    /// The matrix has its rows one by one.
    #[test]
    fn bands_agree_with_the_matrix() {
        let dy = Array1::from_iter(Stream::new(6, 0, 0).normals(300).into_iter().map(|dy| dy as f32 as f64));
        for (x, softness) in samples() {
            let matrix =
                NeuralSortPermutation { softness, descending: true, projection: Projection::Softmax };
            let matrix = linearize(&matrix, [x.view().into_dyn()]).unwrap();
            let p = matrix.outputs()[0].view().into_dimensionality::<Ix2>().unwrap();
            let [from_p] =
                matrix.vjp([ArrayD::from_shape_fn(vec![300; 2], |at| dy[at[0]] * x[at[1]]).view()]).unwrap();
            let expected = [&p.dot(&x).into_dyn(), &(p.t().dot(&dy).into_dyn() + from_p)];
            check::<f64>(&x, softness, &dy, expected, 1e-11);
            check::<f32>(&x, softness, &dy, expected, 1e-6);
        }
    }

    #[test]
    fn tangents_of_bands_are_exact() {
        let mut random = Stream::new(7, 0, 0);
        for (x, softness) in samples() {
            let [dy, v] = [(); 2].map(|()| Array1::from(random.normals(300)).into_dyn());
            let operator = NeuralSort { softness, descending: false };
            let at = linearize(&operator, [x.view().into_dyn()]).unwrap();
            let ([jv], [dx]) = (at.jvp([v.view()]).unwrap(), at.vjp([dy.view()]).unwrap());
            let (left, right) = ((&dy * &jv).sum(), (&dx * &v).sum());
            let size = (&dy * &jv).mapv(f64::abs).sum() + (&dx * &v).mapv(f64::abs).sum();
            assert!((left - right).abs() < 1e-12 * size, "{left} for {right} at {softness}");
        }
    }

    /// Values so far apart that no step makes two of them change places.
    #[test]
    fn second_derivatives_of_bands_are_exact() {
        let mut random = Stream::new(8, 0, 0);
        let x = Array1::from_iter((0..300).map(|i| 0.02 * i as f64 + 0.01 * random.uniform())).into_dyn();
        for softness in [0.2, 2.0, 20.0, 200.0] {
            let [dy, v] = [(); 2].map(|()| Array1::from(random.normals(300)).into_dyn());
            let operator = NeuralSort { softness, descending: false };
            let gradient = |step: f64| {
                let x = &x + &(&v * step);
                let [dx] = linearize(&operator, [x.view()]).unwrap().vjp([dy.view()]).unwrap();
                dx
            };
            let step = 1e-5;
            let expected = (gradient(step) - gradient(-step)) / (2.0 * step);
            let at = linearize(&operator, [x.view()]).unwrap();
            let (_, [change]) = at.vjp_derivative([dy.view()], [v.view()]).unwrap();
            let apart = apart(&change, &expected);
            assert!(apart < 1e-6, "{apart:e} at {softness}");
        }
    }

    #[test]
    fn equal_values_in_bands_get_equal_gradients() {
        let mut random = Stream::new(9, 0, 0);
        let x = Array1::from_iter((0..300).map(|_| (2.0 * random.normal()).round()));
        let operator = NeuralSort { softness: 20.0, descending: false };
        let at = linearize(&operator, [x.view().into_dyn()]).unwrap();
        let [dx] = at.vjp([Array1::from(random.normals(300)).into_dyn().view()]).unwrap();
        for (i, j) in (0..300).flat_map(|i| (0..i).map(move |j| (i, j))).filter(|&(i, j)| x[i] == x[j]) {
            assert_eq!(dx[i], dx[j], "of {}", x[i]);
        }
    }
}
