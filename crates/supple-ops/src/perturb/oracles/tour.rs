//! Tours of the travelling salesman.

mod exact;
mod search;

use self::exact::Exact;
use self::search::Search;
use super::rows;
use crate::perturb::Oracle;
use supple_core::{Error, Fault};

const NAME: &str = "tour";
/// More cities than that, and the search takes over.
const MOST_EXACT: usize = 13;

/// Maximises over the closed tours through all cities, each visited once: `theta` holds the *negative*
/// lengths of the edges of the complete undirected graph, for the pairs of cities (0, 1), (0, 2), …, (1, 2),
/// …, and `y` is 1 on the edges of a shortest tour. Lengths may be of either sign, so that a longest tour is
/// found with lengths in place of their negatives. Up to one city there is no edge, and between two the tour
/// goes there and back by the one edge, which counts once.
///
/// ```
/// use supple_core::Fault;
/// use supple_ops::perturb::{Oracle, oracles::Tour};
///
/// // Round a square, not over its diagonals (0, 2) and (1, 3).
/// let theta = [-1.0, -1.4, -1.0, -1.0, -1.4, -1.0];
/// let mut y = [0.0; 6];
/// Tour::new(4).solve(&theta, &mut y)?;
/// assert_eq!(y, [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
/// # Ok::<(), Fault>(())
/// ```
///
/// Up to 13 cities it is exact: dynamic programming over sets of cities, O(c² 2ᶜ), 0.2 ms for 13. **Beyond,
/// it is a heuristic**: Lin and Kernighan's moves, from a tour of the shortest edges on, with random kicks
/// between them. Held against the exact method at 12 and 13 cities, it found a shortest tour in all of 1200
/// trials. At 50 cities its tours were 0.7 % longer than Held and Karp's lower bound for points in a square
/// (at worst 1.9 %; 4 ms each), and 0.1 % for independent lengths; at 200 cities 1.3 % and 1 %. The same θ
/// always gives the same tour: the kicks are always the same, and no tour is a start for the next.
///
/// A θ of −∞ closes an edge, and +∞ is refused. Without a tour over open edges the fault is
/// [`Fault::Infeasible`]; beyond 13 cities only where a city has fewer than two of them, and where none was
/// found else [`Fault::NotConverged`], with the closed edges in the best tour as its residual. The gradient of
/// [`PerturbedArgmax`](crate::perturb::PerturbedArgmax) is right for a heuristic too, that of
/// [`FenchelYoung`](crate::perturb::FenchelYoung) as far off as its tours are.
///
/// Held and Karp, *A dynamic programming approach to sequencing problems*, 1962; Bellman, *Dynamic
/// programming treatment of the travelling salesman problem*, 1962. Lin and Kernighan, *An effective
/// heuristic algorithm for the traveling-salesman problem*, 1973; Martin, Otto and Felten, *Large-step Markov
/// chains for the traveling salesman problem*, 1991.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tour {
    /// The number of cities.
    pub cities: usize,
    /// How often the heuristic changes its tour at random to improve it again. More is slower and better.
    pub kicks: usize,
}

impl Tour {
    /// So many cities, and ten times as many kicks.
    pub fn new(cities: usize) -> Self {
        Self { cities, kicks: cities.saturating_mul(10) }
    }

    /// Pairs of cities, where a number can hold them.
    fn edges(&self) -> Option<usize> {
        Some(self.cities.checked_mul(self.cities.saturating_sub(1))? / 2)
    }

    /// The position of a pair of cities.
    fn edge(&self, a: usize, b: usize) -> usize {
        let (i, j) = (a.min(b), a.max(b));
        i * (2 * self.cities - i - 1) / 2 + (j - i - 1)
    }

    /// Writes the tour through the cities in this order.
    fn write(&self, order: &[usize], y: &mut [f64]) {
        for (at, &city) in order.iter().enumerate() {
            y[self.edge(city, order[(at + 1) % order.len()])] = 1.0;
        }
    }
}

/// The lengths of edges: θ, negative.
fn lengths(theta: &[f64]) -> impl Iterator<Item = f64> {
    theta.iter().map(|theta| -theta)
}

impl Oracle for Tour {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        self.validate(n).map_err(|e| Fault::Oracle(e.to_string()))?;
        if self.cities <= MOST_EXACT {
            let mut exact = Exact::new(self.cities);
            rows::each(self, n, thetas, ys, |theta, y| {
                rows::below_infinity(theta)?;
                if n > 0 {
                    self.write(exact.run(lengths(theta))?, y);
                }
                Ok(())
            })
        } else {
            let mut search = Search::new(self.cities);
            rows::each(self, n, thetas, ys, |theta, y| {
                rows::below_infinity(theta)?;
                self.write(search.run(theta, self.kicks)?, y);
                Ok(())
            })
        }
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        if self.edges() == Some(n) {
            return Ok(());
        }
        let Self { cities, .. } = self;
        let requirement = format!("of {cities} × ({cities} - 1) / 2 numbers, one for each pair of cities");
        Err(Error::argument(NAME, "theta", requirement, n))
    }

    fn work(&self, n: usize) -> usize {
        match self.cities {
            cities @ ..=MOST_EXACT => cities * cities * (1 << cities) / 4,
            _ => (30 * n).saturating_add(self.kicks.saturating_mul(8000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::rows::testing::{
        check_refusals, check_solve_many, objective, solved, value,
    };
    use supple_core::Stream;

    /// The least length of a way on through the cities that are not in `seen` and home to city 0.
    fn least(tour: &Tour, theta: &[f64], at: usize, seen: u32) -> f64 {
        let on = (0..tour.cities).filter(|city| seen >> city & 1 == 0);
        let length = |city| -theta[tour.edge(at, city)];
        let rest = on.map(|city| length(city) + least(tour, theta, city, seen | 1 << city));
        if seen + 1 == 1 << tour.cities { length(0) } else { rest.fold(f64::INFINITY, f64::min) }
    }

    /// Two edges at each city, and one circle.
    fn assert_tour(tour: &Tour, y: &[f64]) {
        let edges = |a: usize| (0..tour.cities).filter(move |&b| b != a && y[tour.edge(a, b)] == 1.0);
        assert!(y.iter().all(|&y| y == 0.0 || y == 1.0) && y.iter().sum::<f64>() == tour.cities as f64);
        assert!((0..tour.cities).all(|city| edges(city).count() == 2));
        let (mut from, mut city, mut steps) = (0, edges(0).next().unwrap(), 1);
        while city != 0 {
            (from, city) = (city, edges(city).find(|&next| next != from).unwrap());
            steps += 1;
        }
        assert_eq!(steps, tour.cities);
    }

    fn searched(tour: &Tour, theta: &[f64]) -> Result<Vec<f64>, Fault> {
        let mut y = vec![0.0; theta.len()];
        tour.write(Search::new(tour.cities).run(theta, tour.kicks)?, &mut y);
        Ok(y)
    }

    /// Negative distances between random points of a square, random lengths, or lengths of either sign.
    fn map(random: &mut Stream, cities: usize, kind: usize) -> Vec<f64> {
        let points: Vec<_> = (0..cities).map(|_| [random.uniform(), random.uniform()]).collect();
        let pairs = points.iter().enumerate().flat_map(|(i, a)| points[i + 1..].iter().map(move |b| (a, b)));
        let theta = pairs.map(|([x, y], [u, v])| match kind {
            0 => -(x - u).hypot(y - v),
            1 => -random.uniform(),
            _ => random.normal(),
        });
        theta.collect()
    }

    #[test]
    fn finds_the_shortest_of_all_tours() {
        let mut random = Stream::new(19, 0, 0);
        let (mut found, mut closed) = (0, 0);
        for case in 0..300 {
            let tour = Tour::new(3 + case % 6);
            let theta = objective(&mut random, tour.edges().unwrap());
            let best = -least(&tour, &theta, 0, 1);
            for y in
                [solved(&tour, &theta)].into_iter().chain((tour.cities > 4).then(|| searched(&tour, &theta)))
            {
                match y {
                    Ok(y) => {
                        assert_tour(&tour, &y);
                        assert!((value(&theta, &y) - best).abs() < 1e-12, "{} {theta:?}", tour.cities);
                        found += 1;
                    }
                    Err(fault) => {
                        let searched = matches!(fault, Fault::NotConverged { residual: 1.0.., .. });
                        assert!((fault == Fault::Infeasible || searched) && best == f64::NEG_INFINITY);
                        closed += 1;
                    }
                }
            }
            check_solve_many(&tour, theta.len(), &mut random);
            check_refusals(&tour, theta.len());
        }
        assert!(found > 300 && closed > 30, "{found} {closed}");
    }

    #[test]
    fn the_search_finds_the_tours_of_the_exact_method() {
        let mut random = Stream::new(20, 0, 0);
        for case in 0..60 {
            let tour = Tour::new(12 + case % 2);
            let theta = map(&mut random, tour.cities, case % 3);
            let y = searched(&tour, &theta).unwrap();
            assert_tour(&tour, &y);
            assert!((value(&theta, &y) - value(&theta, &solved(&tour, &theta).unwrap())).abs() < 1e-12);
        }
    }

    /// Held and Karp's lower bound: the largest, over weights of cities, of the least weight of a tree with
    /// one more edge to city 0, less twice all weights.
    fn bound(tour: &Tour, theta: &[f64]) -> f64 {
        let cities = tour.cities;
        let (mut weight, mut before) = (vec![0.0; cities], vec![0.0; cities]);
        let mut bound = f64::NEG_INFINITY;
        for round in 0..500 {
            let length = |a: usize, b: usize| weight[a] + weight[b] - theta[tour.edge(a, b)];
            let (mut degree, mut total) = (vec![0.0; cities], -2.0 * weight.iter().sum::<f64>());
            let mut take = |a: usize, b: usize| {
                total += length(a, b);
                degree[a] += 1.0;
                degree[b] += 1.0;
            };
            let mut open: Vec<_> = (2..cities).map(|city| (city, 1)).collect();
            let away = |pair: &(usize, usize)| length(pair.0, pair.1);
            while let Some(at) = (0..open.len()).min_by(|&a, &b| away(&open[a]).total_cmp(&away(&open[b]))) {
                let (city, from) = open.swap_remove(at);
                take(city, from);
                for pair in open.iter_mut().filter(|pair| length(pair.0, city) < away(pair)) {
                    pair.1 = city;
                }
            }
            let mut home: Vec<usize> = (1..cities).collect();
            home.sort_by(|&a, &b| length(0, a).total_cmp(&length(0, b)));
            home[..2].iter().for_each(|&city| take(0, city));
            bound = f64::max(bound, total);
            let step = 0.03 * 0.985f64.powi(round);
            for ((weight, before), degree) in weight.iter_mut().zip(&mut before).zip(degree) {
                let excess = degree - 2.0;
                *weight += step * (0.7 * excess + 0.3 * *before);
                *before = excess;
            }
        }
        bound
    }

    #[test]
    fn tours_of_fifty_cities_are_close_to_a_lower_bound() {
        let mut random = Stream::new(21, 0, 0);
        let tour = Tour::new(50);
        for kind in 0..2 {
            let gaps = (0..8).map(|_| {
                let theta = map(&mut random, 50, kind);
                let y = solved(&tour, &theta).unwrap();
                assert_tour(&tour, &y);
                let bound = bound(&tour, &theta);
                -value(&theta, &y) / bound - 1.0
            });
            let gaps: Vec<f64> = gaps.collect();
            assert!(gaps.iter().all(|gap| (-1e-9..0.025).contains(gap)), "{gaps:?}");
            assert!(gaps.iter().sum::<f64>() < 8.0 * 0.01, "{gaps:?}");
        }
    }

    #[test]
    fn the_search_repeats_itself_and_goes_round_closed_edges() {
        let mut random = Stream::new(22, 0, 0);
        for cities in [14, 15, 40] {
            check_solve_many(&Tour::new(cities), cities * (cities - 1) / 2, &mut random);
            check_refusals(&Tour::new(cities), cities * (cities - 1) / 2);
        }
        // One tour is open, in a random order.
        let tour = Tour::new(30);
        let mut order: Vec<usize> = (0..30).collect();
        (1..30).for_each(|i| order.swap(i, random.below(i + 1)));
        let mut only = vec![0.0; 435];
        tour.write(&order, &mut only);
        let theta: Vec<f64> = only.iter().map(|&y| if y == 1.0 { -1.0 } else { f64::NEG_INFINITY }).collect();
        assert_eq!(solved(&tour, &theta), Ok(only));
        // Two halves without an edge between them, and a city with one edge.
        let mut theta = vec![f64::NEG_INFINITY; 435];
        (0..30).for_each(|a| {
            (a + 1..30).filter(|b| (a < 15) == (*b < 15)).for_each(|b| theta[tour.edge(a, b)] = 0.5)
        });
        let fault = Fault::NotConverged { iterations: 300, residual: 2.0 };
        assert_eq!(solved(&tour, &theta), Err(fault));
        theta.fill(1.0);
        theta[1..29].fill(f64::NEG_INFINITY);
        assert_eq!(solved(&tour, &theta), Err(Fault::Infeasible));
        assert_eq!(solved(&tour, &[f64::NEG_INFINITY; 435]), Err(Fault::Infeasible));
        assert_tour(&tour, &solved(&tour, &[0.25; 435]).unwrap());
    }

    #[test]
    fn few_cities_extreme_lengths_and_refusals() {
        assert_eq!(solved(&Tour::new(0), &[]), Ok(vec![]));
        assert_eq!(solved(&Tour::new(1), &[]), Ok(vec![]));
        assert_eq!(solved(&Tour::new(2), &[-3.0]), Ok(vec![1.0]));
        assert_eq!(solved(&Tour::new(2), &[f64::NEG_INFINITY]), Err(Fault::Infeasible));
        assert_eq!(solved(&Tour::new(3), &[1.0, -2.0, 0.0]), Ok(vec![1.0; 3]));
        assert_eq!(solved(&Tour::new(3), &[1.0, f64::NEG_INFINITY, 0.0]), Err(Fault::Infeasible));
        let huge = [f64::MIN, f64::MAX, f64::MIN, f64::MIN, f64::MAX, f64::MIN];
        assert_eq!(value(&huge.map(f64::signum), &solved(&Tour::new(4), &huge).unwrap()), 0.0);
        for cities in [4, 20] {
            let tour = Tour::new(cities);
            let theta = vec![f64::INFINITY; tour.edges().unwrap()];
            assert!(matches!(solved(&tour, &theta), Err(Fault::Domain { .. })));
            let theta: Vec<f64> =
                theta.iter().enumerate().map(|(e, _)| if e % 2 == 0 { f64::MAX } else { f64::MIN }).collect();
            assert_tour(&tour, &solved(&tour, &theta).unwrap());
        }
        let error = Tour::new(4).validate(5).unwrap_err().to_string();
        let expected = "of 4 × (4 - 1) / 2 numbers, one for each pair of cities, got 5";
        assert_eq!(error, format!("tour: `theta` must be {expected}"));
        assert!(Tour::new(usize::MAX).validate(3).is_err() && Tour::new(0).validate(1).is_err());
    }
}
