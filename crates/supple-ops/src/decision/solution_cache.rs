//! Solutions that have been seen, as a solver.
//!
//! A [`SolutionPool`] holds different solutions of one feasible set. It is an [`Oracle`] itself: it answers
//! with the best that it holds, O(p n) for p solutions, in place of the solver. A [`SolutionCache`] has a
//! pool for each instance, or one for all where the feasible set is the same, and lets it grow: each question
//! is either solved, with probability `solve_ratio`, and the solution kept, or answered from the pool.
//!
//! Both are values without a lock: a pool does not change while operators hold it, so that their answers do
//! not depend on the order of threads. Grow it between training steps.
//!
//! Mulamba, Mandi, Diligenti, Lombardi, Bucarey and Guns, *Contrastive losses and solution caching for
//! predict-and-optimize*, IJCAI 2021, <https://arxiv.org/abs/2011.05354>.

use crate::perturb::Oracle;
use crate::perturb::sampling::{numbers, solution};
use ndarray::ArrayView2;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use supple_core::{Error, Fault, Stream};

const NAME: &str = "solution_pool";

/// Different solutions of one feasible set; as an [`Oracle`], the best of them.
///
/// ```
/// use supple_ops::decision::SolutionPool;
/// use supple_ops::perturb::Oracle;
///
/// let mut pool = SolutionPool::new(3);
/// assert!(pool.insert(&[1.0, 1.0, 0.0])? && pool.insert(&[0.0, 1.0, 1.0])?);
/// assert!(!pool.insert(&[1.0, 1.0, 0.0])?);
/// let mut y = [0.0; 3];
/// pool.solve(&[0.1, 0.7, 0.3], &mut y)?;
/// assert_eq!(y, [0.0, 1.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SolutionPool {
    n: usize,
    count: usize,
    solutions: Vec<f64>,
    /// Places of the solutions with a hash.
    places: HashMap<u64, Vec<usize>>,
}

impl SolutionPool {
    /// An empty pool of solutions of `n` numbers.
    pub fn new(n: usize) -> Self {
        Self { n, count: 0, solutions: vec![], places: HashMap::new() }
    }

    /// Adds a solution; whether it is a new one.
    ///
    /// # Errors
    /// A solution of another length, or with NaN.
    pub fn insert(&mut self, y: &[f64]) -> Result<bool, Error> {
        if y.len() != self.n {
            return Err(Error::argument(NAME, "y", format!("of {} numbers", self.n), y.len()));
        }
        if let Some(value) = y.iter().find(|y| y.is_nan()) {
            return Err(Error::argument(NAME, "y", "a number", value));
        }
        let mut hasher = DefaultHasher::new();
        // −0 is 0.
        y.iter().for_each(|y| (y + 0.0).to_bits().hash(&mut hasher));
        let places = self.places.entry(hasher.finish()).or_default();
        if places.iter().any(|&place| self.solutions[place * self.n..][..self.n] == *y) {
            return Ok(false);
        }
        places.push(self.count);
        self.solutions.extend_from_slice(y);
        self.count += 1;
        Ok(true)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The solutions `(p, n)`, in the order in which they came.
    pub fn view(&self) -> ArrayView2<'_, f64> {
        ArrayView2::from_shape((self.count, self.n), &self.solutions).expect("count rows of n numbers")
    }

    /// The best at `theta`, of equal ones the first.
    fn best(&self, theta: &[f64]) -> Option<&[f64]> {
        let value = |place: usize| {
            let y = &self.solutions[place * self.n..][..self.n];
            // An infinite score that is not taken counts for nothing.
            let taken = theta.iter().zip(y).filter(|(_, y)| **y != 0.0);
            (taken.map(|(theta, y)| theta * y).sum::<f64>(), y)
        };
        let better = |best: (f64, _), other: (f64, _)| if other.0 > best.0 { other } else { best };
        (0..self.count).map(value).reduce(better).map(|(_, y)| y)
    }
}

impl Oracle for SolutionPool {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.validate(theta.len()).map_err(|error| Fault::Oracle(error.to_string()))?;
        if y.len() != theta.len() {
            return Err(Fault::Oracle(format!("`y` must be of {} numbers, got {}", theta.len(), y.len())));
        }
        y.copy_from_slice(self.best(numbers("theta", theta)?.as_slice()).ok_or(Fault::Infeasible)?);
        Ok(())
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        if self.is_empty() {
            return Err(Error::argument(NAME, "pool", "of one solution at least", "none"));
        }
        if n != self.n {
            return Err(Error::argument(NAME, "theta", format!("of {} numbers", self.n), n));
        }
        Ok(())
    }

    fn work(&self, n: usize) -> usize {
        n.saturating_mul(self.count)
    }
}

/// A pool for each instance, or one for all.
///
/// ```
/// use supple_core::Stream;
/// use supple_ops::decision::SolutionCache;
/// use supple_ops::perturb::oracles::TopK;
///
/// let mut cache = SolutionCache::shared(3);
/// let mut random = Stream::new(1, 0, 0);
/// // The first answer is solved for, whatever the ratio.
/// assert_eq!(cache.answer(&TopK { k: 1 }, 0, &[0.1, 0.7, 0.3], 0.0, &mut random)?, [0.0, 1.0, 0.0]);
/// assert_eq!(cache.answer(&TopK { k: 1 }, 5, &[0.9, 0.7, 0.3], 0.0, &mut random)?, [0.0, 1.0, 0.0]);
/// assert_eq!(cache.answer(&TopK { k: 1 }, 5, &[0.9, 0.7, 0.3], 1.0, &mut random)?, [1.0, 0.0, 0.0]);
/// assert_eq!(cache.pool(0).view().dim(), (2, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SolutionCache {
    shared: bool,
    empty: SolutionPool,
    pools: HashMap<usize, SolutionPool>,
}

impl SolutionCache {
    /// One pool for all instances: they have the same feasible set, of vectors of `n` numbers.
    pub fn shared(n: usize) -> Self {
        Self { shared: true, ..Self::per_instance(n) }
    }

    /// A pool for each instance, of solutions of `n` numbers.
    pub fn per_instance(n: usize) -> Self {
        Self { shared: false, empty: SolutionPool::new(n), pools: HashMap::new() }
    }

    fn key(&self, instance: usize) -> usize {
        if self.shared { 0 } else { instance }
    }

    /// The pool of an instance: it may be empty.
    pub fn pool(&self, instance: usize) -> &SolutionPool {
        self.pools.get(&self.key(instance)).unwrap_or(&self.empty)
    }

    /// Adds a solution of an instance; whether it is a new one.
    ///
    /// # Errors
    /// A solution of another length, or with NaN.
    pub fn insert(&mut self, instance: usize, y: &[f64]) -> Result<bool, Error> {
        let key = self.key(instance);
        self.pools.entry(key).or_insert_with(|| self.empty.clone()).insert(y)
    }

    /// The solution of `oracle` at `theta`, which is kept, with probability `solve_ratio` and where nothing
    /// is cached yet; the best of the instance's pool else.
    ///
    /// # Errors
    /// A `theta` of another length, a `solve_ratio` outside 0 to 1, and the oracle's faults.
    pub fn answer(
        &mut self,
        oracle: &impl Oracle,
        instance: usize,
        theta: &[f64],
        solve_ratio: f64,
        random: &mut Stream,
    ) -> Result<Vec<f64>, Error> {
        let refuse = |argument, requirement: String, value: f64| {
            Err(Error::argument("solution_cache", argument, requirement, value))
        };
        if !(0.0..=1.0).contains(&solve_ratio) {
            return refuse("solve_ratio", "in 0 to 1".into(), solve_ratio);
        }
        if theta.len() != self.empty.n {
            return refuse("theta", format!("of {} numbers", self.empty.n), theta.len() as f64);
        }
        let fault = |fault| Error::Fault { operator: "solution_cache".into(), item: instance, fault };
        let theta = &numbers("theta", theta).map_err(fault)?;
        // Drawn in any case, so that the stream does not depend on what is cached.
        let solves = random.uniform() < solve_ratio;
        if !solves && let Some(best) = self.pool(instance).best(theta) {
            return Ok(best.to_vec());
        }
        oracle.validate(theta.len())?;
        let y = solution(oracle, theta).map_err(fault)?;
        self.insert(instance, &y)?;
        Ok(y)
    }
}

#[cfg(test)]
mod tests {
    use super::super::solving::testing::{BruteForce, both};
    use super::super::{BlackboxInterpolation, SpoPlus};
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_pool_holds_each_solution_once_and_answers_with_the_best() {
        let mut random = Stream::new(13, 0, 0);
        let all = BruteForce::masks(6, 3);
        let mut pool = SolutionPool::new(6);
        let mut inserted = 0;
        for _ in 0..200 {
            inserted += pool.insert(&all.0[random.below(all.0.len())]).unwrap() as usize;
        }
        assert_eq!((pool.len(), inserted), (20, 20));
        assert!(
            !pool
                .insert(&all.0[3].iter().map(|y| if *y == 0.0 { -0.0 } else { *y }).collect::<Vec<_>>())
                .unwrap()
        );
        for _ in 0..50 {
            let (theta, dy) = (random.normals(6), random.normals(6));
            let mut y = vec![0.0; 6];
            pool.solve(&theta, &mut y).unwrap();
            assert_eq!(y, all.best(&theta));
            // It takes a solver's place in any operator.
            let own = both(&BlackboxInterpolation { oracle: pool.clone(), lambda: 1.0 }, [&theta], &dy);
            let solver = both(&BlackboxInterpolation { oracle: all.clone(), lambda: 1.0 }, [&theta], &dy);
            assert_eq!(own.unwrap(), solver.unwrap());
            let own = both(&SpoPlus { oracle: pool.clone() }, [&theta, &dy], &[1.0]);
            assert_eq!(own.unwrap(), both(&SpoPlus { oracle: all.clone() }, [&theta, &dy], &[1.0]).unwrap());
        }
    }

    #[test]
    fn solves_as_often_as_the_ratio_says() {
        let all = BruteForce((0..500).map(|i| Stream::new(1, i, 0).normals(4)).collect());
        let solves = AtomicUsize::new(0);
        let oracle = |theta: &[f64], y: &mut [f64]| {
            solves.fetch_add(1, Ordering::Relaxed);
            all.solve(theta, y)
        };
        let mut cache = SolutionCache::per_instance(4);
        let mut random = Stream::new(2, 0, 0);
        for _ in 0..400 {
            let theta = random.normals(4);
            let before = solves.load(Ordering::Relaxed);
            let y = cache.answer(&oracle, 3, &theta, 0.25, &mut random).unwrap();
            let expected = match solves.load(Ordering::Relaxed) - before {
                0 => cache.pool(3).best(&theta).unwrap().to_vec(),
                _ => all.best(&theta),
            };
            assert_eq!(y, expected);
        }
        // 100 in the mean, of standard deviation 8.7.
        let solves = solves.load(Ordering::Relaxed);
        assert!((61..=139).contains(&solves), "{solves}");
        assert!((1..=solves).contains(&cache.pool(3).len()));
        assert!(cache.pool(4).is_empty() && cache.pool(4).view().dim() == (0, 4));
    }

    #[test]
    fn refuses_what_is_not_a_solution() {
        let mut cache = SolutionCache::shared(2);
        assert!(cache.insert(0, &[1.0]).is_err() && cache.insert(0, &[1.0, f64::NAN]).is_err());
        let oracle = BruteForce::masks(2, 1);
        let mut random = Stream::new(1, 0, 0);
        assert!(cache.answer(&oracle, 0, &[1.0, 2.0], 1.5, &mut random).is_err());
        assert!(cache.answer(&oracle, 0, &[1.0], 1.0, &mut random).is_err());
        let none = BruteForce(vec![]);
        let error = cache.answer(&none, 7, &[1.0, 2.0], 1.0, &mut random).unwrap_err();
        assert_eq!(error.to_string(), "solution_cache: item 7: the constraints admit no point");
        let error =
            both(&SpoPlus { oracle: SolutionPool::new(2) }, [&[1.0; 2], &[1.0; 2]], &[1.0]).unwrap_err();
        assert!(error.to_string().contains("`pool` must be of one solution at least"));
    }
}
