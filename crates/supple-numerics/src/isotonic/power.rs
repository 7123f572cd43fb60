//! Regressions with powers in them: what projections onto the permutahedron in the p-norms with p = 3/2 and
//! 4/3 need.
//!
//! With $1/p + 1/q = 1$, the entries of such a projection are $P(t) = \operatorname{sgn}(t) |t|^{q - 1}$, where t is
//! the distance to the value of the block. A block's value is the root of a polynomial. It is found
//! from moments that a union of two blocks has in closed form, on values alone; at the end, one Newton step for
//! each block carries tangents and takes away what rounding the moments have gathered.

use super::{Block, Partition, merge};
use supple_core::{Real, Scratch};

/// The function P whose sums over blocks are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// t |t|: p = 3/2.
    Square,
    /// t³: p = 4/3.
    Cube,
}

impl Power {
    /// P(t).
    #[inline]
    pub fn of<A: Real>(self, t: A) -> A {
        t * self.weight(t)
    }

    /// P(t) / t, which is P′(t) but for the factor [`degree`](Self::degree).
    #[inline]
    pub fn weight<A: Real>(self, t: A) -> A {
        match self {
            Self::Square => t.abs(),
            Self::Cube => t * t,
        }
    }

    /// q − 1.
    pub fn degree(self) -> f64 {
        match self {
            Self::Square => 2.0,
            Self::Cube => 3.0,
        }
    }

    /// The t with P(t) = y, for `y >= 0`.
    fn root(self, y: f64) -> f64 {
        match self {
            Self::Square => y.sqrt(),
            Self::Cube => y.cbrt(),
        }
    }
}

/// Ranks: increasing, and on a block the v with $\sum_i P(x_i / \varepsilon - v) = \sum_i i$, with ranks `i`
/// from `before + 1` on. A block's sum is $x_\text{first} / \varepsilon - v$.
pub fn power_ranks<T: Real>(
    x: &[T],
    before: usize,
    softness: f64,
    power: Power,
    scratch: &mut Scratch<T>,
) -> Partition<T::Acc> {
    let rate = 1.0 / softness;
    // The distance of the first element from the value; then the sum of the distances from the first
    // element, and the sums of squares and cubes of those from the mean.
    let mut room = scratch.wide.zeros(4 * x.len());
    let (moments, _) = room.as_chunks_mut();
    for (k, moments) in moments.iter_mut().enumerate() {
        moments[0] = T::Acc::of(power.root((before + k + 1) as f64));
    }
    let total = |start: usize, end: usize| 0.5 * (end - start) as f64 * (2 * before + start + end + 1) as f64;
    let join = |a: Block<[T::Acc; 4]>, b: Block<[T::Acc; 4]>| {
        let ([level_a, sum_a, squares_a, cubes_a], m) = (a.sum.map(T::Acc::as_f64), a.len);
        let ([level_b, sum_b, squares_b, cubes_b], n) = (b.sum.map(T::Acc::as_f64), b.len);
        let gap = (x[b.start].widen() - x[a.start].widen()).as_f64() * rate;
        (gap <= level_b - level_a).then(|| {
            let len = m + n;
            let apart = gap + sum_b / n - sum_a / m;
            let sum = sum_a + (sum_b + gap * n);
            let squares = squares_a + squares_b + apart * apart * m * n / len;
            let skew = apart * apart * (m - n) * m * n / len + 3.0 * (m * squares_b - n * squares_a);
            let cubes = cubes_a + cubes_b + apart * skew / len;
            let total = total(a.start, b.end);
            // Ranks are positive, so all distances are.
            let mean = match power {
                Power::Square => ((total - squares).max(0.0) / len).sqrt(),
                Power::Cube => {
                    let (p, q) = (squares / len, (total - cubes).max(0.0) / len);
                    descend(q.cbrt().min(q / (3.0 * p)), |c| (c * c * c + 3.0 * p * c - q, 3.0 * (c * c + p)))
                }
            };
            [mean - sum / len, sum, squares, cubes].map(T::Acc::of)
        })
    };
    let mut starts = scratch.indices.empty();
    starts.extend(0..=x.len() as u32);
    let count = merge(&mut starts, moments, join);
    starts.truncate(count + 1);
    let mut sums = scratch.wide.empty();
    sums.extend(starts.windows(2).zip(&*moments).map(|(ends, &[level, ..])| {
        let (start, end) = (ends[0] as usize, ends[1] as usize);
        if end - start == 1 {
            return level;
        }
        let distance = |x_k: &T| (x_k.widen() - x[start].widen()) * T::Acc::of(rate) + level;
        let value: T::Acc = x[start..end].iter().map(|x| power.of(distance(x))).sum();
        let slope: T::Acc = x[start..end].iter().map(|x| power.weight(distance(x))).sum();
        level - (value - T::Acc::of(total(start, end))) / (slope * T::Acc::of(power.degree()))
    }));
    scratch.wide.give(room);
    Partition { starts, sums }
}

/// A line against values: increasing, and on a block the v with
/// $\sum_i P(i \cdot \mathtt{step} - v) = \sum_i x_i$. A block's sum is the distance of the middle of its line from v.
pub fn power_line<T: Real>(x: &[T], step: f64, power: Power, scratch: &mut Scratch<T>) -> Partition<T::Acc> {
    let scale = power.of(1.0 / step);
    // The distance in steps, and the sum of the values.
    let mut room = scratch.wide.zeros(2 * x.len());
    let (blocks, _) = room.as_chunks_mut();
    for (block, x) in blocks.iter_mut().zip(x) {
        let total = x.widen();
        let distance = power.root(total.as_f64().abs() * scale);
        *block = [T::Acc::of(distance.copysign(total.as_f64())), total];
    }
    let join = |a: Block<[T::Acc; 2]>, b: Block<[T::Acc; 2]>| {
        let ([middle_a, total_a], [middle_b, total_b]) = (a.sum, b.sum);
        let len = a.len + b.len;
        ((middle_b - middle_a).as_f64() >= 0.5 * len).then(|| {
            let total = total_a + total_b;
            let middle = middle_of_line(power, len, total.as_f64().abs() * scale);
            [T::Acc::of(middle.copysign(total.as_f64())), total]
        })
    };
    let mut starts = scratch.indices.empty();
    starts.extend(0..=x.len() as u32);
    let count = merge(&mut starts, blocks, join);
    starts.truncate(count + 1);
    let mut sums = scratch.wide.empty();
    sums.extend(starts.windows(2).zip(&*blocks).map(|(ends, &[middle, total])| {
        let len = f64::from(ends[1] - ends[0]);
        let step = T::Acc::of(step);
        if len == 1.0 {
            return middle * step;
        }
        let (value, slope) = power_of_line(power, len, middle.as_f64().abs());
        let excess = T::Acc::of(value.copysign(middle.as_f64())) - total * T::Acc::of(scale);
        (middle - excess / T::Acc::of(slope)) * step
    }));
    scratch.wide.give(room);
    Partition { starts, sums }
}

/// The c with `power_of_line(power, len, c) = y`, for `y >= 0`.
fn middle_of_line(power: Power, len: f64, y: f64) -> f64 {
    let start = match power {
        // G(c) ≥ max(m² c / 2, m c²) − 1/16.
        Power::Square => (2.0 * (y + 0.0625) / (len * len)).min(((y + 0.0625) / len).sqrt()),
        // G(c) = m c³ + m (m² − 1) c / 4.
        Power::Cube => (y / len).cbrt().min(4.0 * y / (len * (len * len - 1.0))),
    };
    descend(start, |c| {
        let (value, slope) = power_of_line(power, len, c);
        (value - y, slope)
    })
}

/// G(c) = $\sum_d P(c + d)$ over `len` numbers that are 1 apart from each other and have the mean 0, and its derivative,
/// for `c >= 0`. G is convex there.
fn power_of_line(power: Power, len: f64, c: f64) -> (f64, f64) {
    match power {
        Power::Square => {
            // Of the numbers around −c, those above it that are not the mirror image of one below.
            let odd = len % 2.0;
            let excess = (odd + 2.0 * (c - 0.5 * (1.0 + odd)).ceil()).clamp(odd, len);
            let pairs = 0.5 * (len - excess) * (len + excess);
            let of_zero = excess * (excess * excess - 1.0) / 12.0;
            (excess * c * c + pairs * c + of_zero, 2.0 * excess * c + pairs)
        }
        Power::Cube => {
            let spread = 0.25 * (len * len - 1.0);
            (len * c * (c * c + spread), len * (3.0 * c * c + spread))
        }
    }
}

/// The root of an increasing convex function from a point above it, by Newton's method: it goes down and
/// never too far.
#[inline(always)]
fn descend(start: f64, value_and_slope: impl Fn(f64) -> (f64, f64)) -> f64 {
    // Six are usual. Rounding may add some at the end.
    const MOST_STEPS: usize = 60;
    let mut c = start;
    for _ in 0..MOST_STEPS {
        let (value, slope) = value_and_slope(c);
        let next = c - value / slope;
        if next < c {
            c = next;
        } else {
            // NaN stops it too.
            break;
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, samples};
    use super::*;
    use supple_core::{Dual, Stream};

    const POWERS: [Power; 2] = [Power::Square, Power::Cube];

    /// The v with `Σ P(z − v) = total`.
    fn bisect(power: Power, z: &[f64], total: f64) -> f64 {
        let reach = 1.0 + power.root(total.abs()) + z.iter().fold(0.0, |a: f64, z| a.max(z.abs()));
        let (mut low, mut high) = (-reach, reach);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            let sum: f64 = z.iter().map(|z| power.of(z - middle)).sum();
            if sum >= total { low = middle } else { high = middle }
        }
        low
    }

    #[test]
    fn partitions_and_values_are_those_of_the_minimax_formula() {
        for (x, power) in samples().iter().flat_map(|x| POWERS.map(|power| (x, power))) {
            for softness in [0.03, 0.3, 1.0, 10.0] {
                let z: Vec<f64> = x.iter().map(|x| x / softness).collect();
                let ranks =
                    |i: usize, j: usize| bisect(power, &z[i..j], (i + 4..j + 4).sum::<usize>() as f64);
                let found = power_ranks(x, 3, softness, power, &mut Scratch::default());
                check(&found.starts, 1.0, ranks);
                for (ends, level) in found.starts.windows(2).zip(&found.sums) {
                    let v = ranks(ends[0] as usize, ends[1] as usize);
                    assert!((z[ends[0] as usize] - v - level).abs() < 1e-12, "{level} {v}");
                }

                let places: Vec<f64> = (0..x.len()).map(|k| k as f64 * softness).collect();
                let line = |i: usize, j: usize| bisect(power, &places[i..j], x[i..j].iter().sum());
                let found = power_line(x, softness, power, &mut Scratch::default());
                check(&found.starts, 1.0, line);
                for (ends, level) in found.starts.windows(2).zip(&found.sums) {
                    let (start, end) = (ends[0] as usize, ends[1] as usize);
                    let middle = 0.5 * (places[start] + places[end - 1]);
                    let v = line(start, end);
                    assert!((middle - v - level).abs() < 1e-12 * (1.0 + v.abs()), "{level} {v}");
                }
            }
        }
    }

    #[test]
    fn sums_over_a_line_have_a_closed_form() {
        for power in POWERS {
            for len in [1, 2, 3, 4, 7, 10] {
                for c in [0.0, 0.2, 0.5, 0.7, 1.0, 1.3, 1.5, 2.9, 4.5, 8.0] {
                    let direct = |c: f64| -> f64 {
                        (0..len).map(|j| power.of(c + f64::from(j) - 0.5 * f64::from(len - 1))).sum()
                    };
                    let (value, slope) = power_of_line(power, len.into(), c);
                    let difference = (direct(c + 1e-4) - direct(c - 1e-4)) / 2e-4;
                    assert!((value - direct(c)).abs() < 1e-12 * (1.0 + value), "{power:?} {len} {c}");
                    assert!((slope - difference).abs() < 1e-3, "{power:?} {len} {c}: {slope} {difference}");
                    if len > 1 {
                        assert!((middle_of_line(power, len.into(), value) - c).abs() < 1e-14 * (1.0 + c));
                    }
                }
            }
        }
    }

    #[test]
    fn neither_scale_nor_offset_changes_ranks() {
        // Multiples of 2⁻¹⁶, so that a large offset is exact.
        let mut x: Vec<f64> =
            Stream::new(2, 0, 0).normals(500).iter().map(|x| (x * 65536.0).round() / 65536.0).collect();
        x.sort_by(f64::total_cmp);
        let scratch = &mut Scratch::default();
        for power in POWERS {
            let expected = power_ranks(&x, 0, 0.2, power, scratch);
            assert!((20..480).contains(&expected.sums.len()), "{}", expected.sums.len());
            let shifted: Vec<f64> = x.iter().map(|x| x + f64::exp2(30.0)).collect();
            assert_eq!(power_ranks(&shifted, 0, 0.2, power, scratch), expected);
            for scale in [f64::exp2(-40.0), f64::exp2(40.0)] {
                let scaled: Vec<f64> = x.iter().map(|x| x * scale).collect();
                assert_eq!(power_ranks(&scaled, 0, 0.2 * scale, power, scratch).starts, expected.starts);
            }
        }
    }

    #[test]
    fn sums_carry_tangents() {
        let (x, v) = ([-0.1, 0.2, 0.4, 3.0, 3.1], [1.0, -2.0, 0.5, 0.3, 0.7]);
        let dual: Vec<_> = x.iter().zip(v).map(|(&x, v)| Dual::new(x, v)).collect();
        let moved = |step: f64| x.iter().zip(v).map(|(x, v)| x + step * v).collect::<Vec<f64>>();
        let compare = |dual: Partition<Dual<f64>>, plain: &dyn Fn(&[f64]) -> Partition<f64>| {
            let [behind, at, ahead] = [-1e-6, 0.0, 1e-6].map(|step| plain(&moved(step)));
            assert_eq!(dual.starts, at.starts);
            for b in (0..at.sums.len()).filter(|&b| at.starts[b + 1] - at.starts[b] > 1) {
                assert!((dual.sums[b].v - at.sums[b]).abs() < 1e-14);
                let difference = (ahead.sums[b] - behind.sums[b]) / 2e-6;
                assert!((dual.sums[b].d - difference).abs() < 1e-8, "{} {difference}", dual.sums[b].d);
            }
        };
        for power in POWERS {
            compare(power_ranks(&dual, 0, 1.0, power, &mut Scratch::default()), &|x| {
                power_ranks(x, 0, 1.0, power, &mut Scratch::default())
            });
            compare(power_line(&dual, 0.5, power, &mut Scratch::default()), &|x| {
                power_line(x, 0.5, power, &mut Scratch::default())
            });
        }
    }
}
