//! Shortest tours, by dynamic programming over sets of cities.

use supple_core::Fault;

/// Tables, all for the same number of cities. The tour starts at the last city, its home, and comes back to
/// it.
pub(super) struct Exact {
    /// The other cities.
    others: usize,
    /// Length of a row: theirs, rounded up to whole lanes.
    width: usize,
    /// From each other city to each, and from home. +∞ beyond the cities.
    length: Vec<f64>,
    /// The least length from home through a set of cities, a bit for each, to one of them, by set and city.
    /// +∞ where the city is not in the set.
    least: Vec<f64>,
    order: Vec<usize>,
}

const LANES: usize = 4;

impl Exact {
    pub fn new(cities: usize) -> Self {
        let others = cities.saturating_sub(1);
        let width = others.next_multiple_of(LANES);
        let length = vec![f64::INFINITY; width * cities];
        Self { others, width, length, least: vec![f64::INFINITY; width << others], order: vec![] }
    }

    /// The cities of a shortest tour in their order. Lengths are those of the pairs (0, 1), (0, 2), …, (1,
    /// 2), ….
    pub fn run(&mut self, mut lengths: impl Iterator<Item = f64>) -> Result<&[usize], Fault> {
        let Self { others, width, length, least, order } = self;
        let (others, width) = (*others, *width);
        for i in 0..=others {
            for (j, between) in (i + 1..=others).zip(&mut lengths) {
                length[j * width + i] = between;
                if j < others {
                    length[i * width + j] = between;
                }
            }
        }
        let (length, from_home) = length.split_at(others * width);
        for set in 1usize..1 << others {
            for city in (0..others).filter(|city| set >> city & 1 == 1) {
                let rest = set ^ 1 << city;
                least[set * width + city] = match rest {
                    0 => from_home[city],
                    _ => nearest(&least[rest * width..][..width], &length[city * width..][..width]),
                };
            }
        }
        order.clear();
        order.push(others);
        let mut set = (1 << others) - 1;
        let mut next = from_home;
        while set > 0 {
            let (mut last, mut total) = (0, f64::INFINITY);
            for (city, (least, length)) in least[set * width..].iter().zip(next).enumerate() {
                if least + length < total {
                    (last, total) = (city, least + length);
                }
            }
            if total == f64::INFINITY {
                return Err(Fault::Infeasible);
            }
            order.push(last);
            set ^= 1 << last;
            next = &length[last * width..][..width];
        }
        Ok(order)
    }
}

/// The least sum of two numbers at the same place.
fn nearest(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [f64::INFINITY; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            let sum = a + b;
            *lane = if sum < *lane { sum } else { *lane };
        }
    }
    lanes.into_iter().fold(f64::INFINITY, f64::min)
}
