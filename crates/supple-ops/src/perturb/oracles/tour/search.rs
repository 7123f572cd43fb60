//! Short tours, by Lin and Kernighan's moves and kicks between them.

use super::lengths;
use std::collections::VecDeque;
use supple_core::{Fault, Scratch, Stream};
use supple_numerics::argsort::argsort;

/// Nearest cities of each, to which a move may lead.
const NEAR: usize = 8;
/// How many ways a move tries to go on, at each of its steps.
const BREADTH: [usize; 5] = [5, 3, 1, 1, 1];
/// The longest path that a kick takes elsewhere.
const KICK: usize = 30;
/// A move must shorten the tour by more than rounding could feign.
const SHORTER: f64 = 1.0 - 1e-14;

/// A tour on its way, and what it needs for all objectives on as many cities.
pub(super) struct Search {
    cities: usize,
    /// The ends of each edge.
    ends: Vec<[usize; 2]>,
    /// Between any two cities: less the shortest, and of closed edges more than any tour without them has.
    length: Vec<f64>,
    closed: f64,
    /// For each city the nearest others, in order.
    near: Vec<usize>,
    tour: Vec<usize>,
    place: Vec<usize>,
    /// Whether the tour is read backwards.
    mirrored: bool,
    /// Paths that were turned round, by the cities at their ends before.
    turned: Vec<[usize; 2]>,
    /// Cities to begin a move at.
    queue: VecDeque<usize>,
    waiting: Vec<bool>,
    scratch: Scratch<f64>,
}

impl Search {
    /// For five cities at least.
    pub fn new(cities: usize) -> Self {
        Self {
            cities,
            ends: (0..cities).flat_map(|i| (i + 1..cities).map(move |j| [i, j])).collect(),
            length: vec![0.0; cities * cities],
            closed: 0.0,
            near: vec![],
            tour: vec![],
            place: vec![0; cities],
            mirrored: false,
            turned: vec![],
            queue: VecDeque::new(),
            waiting: vec![false; cities],
            scratch: Scratch::default(),
        }
    }

    /// The cities of a short tour in their order.
    pub fn run(&mut self, theta: &[f64], kicks: usize) -> Result<&[usize], Fault> {
        self.measure(theta);
        self.begin(theta);
        (0..self.cities).for_each(|place| self.wait(self.tour[place]));
        self.improve();
        let mut random = Stream::new(0, 0, 0);
        for _ in 0..kicks {
            self.turned.clear();
            let longer = self.kick(&mut random);
            let shorter = self.improve();
            if longer > shorter {
                while let Some([first, last]) = self.turned.pop() {
                    self.turn(last, first);
                }
            }
        }
        let closed = (0..self.cities).filter(|&city| self.between(city, self.after(city)) == self.closed);
        match closed.count() {
            0 => Ok(&self.tour),
            _ if self.has_dead_end() => Err(Fault::Infeasible),
            closed => Err(Fault::NotConverged { iterations: kicks, residual: closed as f64 }),
        }
    }

    fn measure(&mut self, theta: &[f64]) {
        let open = || lengths(theta).filter(|length| length.is_finite());
        let shortest = open().fold(f64::INFINITY, f64::min);
        let longest = open().fold(0.0, |longest, length| f64::max(longest, length - shortest));
        self.closed = 1.0 + 2.0 * self.cities as f64 * longest;
        for (&[i, j], length) in self.ends.iter().zip(lengths(theta)) {
            let length = if length.is_finite() { length - shortest } else { self.closed };
            self.length[i * self.cities + j] = length;
            self.length[j * self.cities + i] = length;
        }
    }

    /// The first tour, of the shortest edges that leave no city with three of them and close no circle before
    /// its time.
    fn begin(&mut self, theta: &[f64]) {
        let none = usize::MAX;
        let cities = self.cities;
        let near = NEAR.min(cities - 1);
        let (order, sorted) = argsort(theta, true, &mut self.scratch);
        self.near.clear();
        self.near.resize(cities * near, none);
        let mut found = vec![0; cities];
        let mut beside = vec![[none; 2]; cities];
        // The other end of the path that ends at a city.
        let mut across: Vec<usize> = (0..cities).collect();
        for &edge in &order {
            let [a, b] = self.ends[edge as usize];
            for (city, other) in [(a, b), (b, a)] {
                if found[city] < near {
                    self.near[city * near + found[city]] = other;
                    found[city] += 1;
                }
            }
            if beside[a][1] == none && beside[b][1] == none && across[a] != b {
                for (city, other) in [(a, b), (b, a)] {
                    let second = beside[city][0] != none;
                    beside[city][second as usize] = other;
                }
                let (a, b) = (across[a], across[b]);
                (across[a], across[b]) = (b, a);
            }
        }
        self.scratch.indices.give(order);
        self.scratch.reals.give(sorted);
        let mut city = beside.iter().position(|beside| beside[1] == none).unwrap_or(0);
        let mut from = none;
        self.tour.clear();
        while city != none {
            self.place[city] = self.tour.len();
            self.tour.push(city);
            let [a, b] = beside[city];
            (from, city) = (city, if a == from { b } else { a });
        }
        self.mirrored = false;
    }

    fn between(&self, a: usize, b: usize) -> f64 {
        self.length[a * self.cities + b]
    }

    /// The city some steps on.
    fn ahead(&self, city: usize, steps: usize) -> usize {
        let steps = if self.mirrored { self.cities - steps } else { steps };
        let place = self.place[city] + steps;
        self.tour[if place < self.cities { place } else { place - self.cities }]
    }

    fn after(&self, city: usize) -> usize {
        self.ahead(city, 1)
    }

    fn before(&self, city: usize) -> usize {
        self.ahead(city, self.cities - 1)
    }

    /// Turns the path from one city to another round.
    fn turn(&mut self, first: usize, last: usize) {
        let cities = self.cities;
        let (first, last) = if self.mirrored { (last, first) } else { (first, last) };
        let (mut low, mut high) = (self.place[first], self.place[last]);
        let mut count = 1 + if high < low { high + cities - low } else { high - low };
        if 2 * count > cities {
            // The rest of the tour, and all of it backwards, is the same.
            (low, high) =
                (if high + 1 < cities { high + 1 } else { 0 }, low.checked_sub(1).unwrap_or(cities - 1));
            count = cities - count;
            self.mirrored = !self.mirrored;
        }
        for _ in 0..count / 2 {
            self.tour.swap(low, high);
            self.place[self.tour[low]] = low;
            self.place[self.tour[high]] = high;
            low = if low + 1 < cities { low + 1 } else { 0 };
            high = high.checked_sub(1).unwrap_or(cities - 1);
        }
    }

    fn wait(&mut self, city: usize) {
        if !std::mem::replace(&mut self.waiting[city], true) {
            self.queue.push_back(city);
        }
    }

    /// Makes moves from the waiting cities until none shortens the tour, and returns by how much they did.
    fn improve(&mut self) -> f64 {
        let mut shorter = 0.0;
        while let Some(city) = self.queue.pop_front() {
            self.waiting[city] = false;
            for backwards in [false, true] {
                let done = self.turned.len();
                self.mirrored ^= backwards;
                let next = self.after(city);
                let gain = self.step(0, city, next, self.between(city, next), 0.0);
                self.mirrored ^= backwards;
                if let Some(gain) = gain {
                    if backwards {
                        self.turned[done..].iter_mut().for_each(|path| path.reverse());
                    }
                    shorter += gain;
                    self.wait(city);
                    break;
                }
            }
        }
        shorter
    }

    /// Goes on with a move that has removed and added edges of these lengths and left a path from `start` to
    /// `end`, which the tour closes. Returns by how much the tour is shorter, or leaves it as it was.
    fn step(&mut self, depth: usize, end: usize, start: usize, removed: f64, added: f64) -> Option<f64> {
        let breadth = *BREADTH.get(depth)?;
        let mut ways = [(f64::NEG_INFINITY, 0, 0); BREADTH[0]];
        let near = self.near.len() / self.cities;
        for &to in &self.near[start * near..][..near] {
            let new = self.between(start, to);
            if added + new >= removed {
                break;
            }
            let from = self.before(to);
            if to == end || from == start {
                continue;
            }
            let mut way = (self.between(from, to) - new, from, to);
            for best in &mut ways[..breadth] {
                if way.0 > best.0 {
                    std::mem::swap(&mut way, best);
                }
            }
        }
        for &(_, from, to) in ways[..breadth].iter().filter(|way| way.0 > f64::NEG_INFINITY) {
            let (removed, added) = (removed + self.between(from, to), added + self.between(start, to));
            self.turn(start, from);
            self.turned.push([start, from]);
            let closed = added + self.between(from, end);
            let gain = match closed < removed * SHORTER {
                true => Some(removed - closed),
                false => self.step(depth + 1, end, from, removed, added),
            };
            if gain.is_some() {
                [start, from, to].into_iter().for_each(|city| self.wait(city));
                return gain;
            }
            self.turned.pop();
            self.turn(from, start);
        }
        None
    }

    /// Exchanges two paths of random lengths that follow each other, and returns how much longer the tour is.
    fn kick(&mut self, random: &mut Stream) -> f64 {
        let most = KICK.min((self.cities - 2) / 2);
        let a = self.tour[random.below(self.cities)];
        let b = self.ahead(a, random.below(most));
        let c = self.after(b);
        let d = self.ahead(c, random.below(most));
        let (before, after) = (self.before(a), self.after(d));
        for [first, last] in [[a, d], [d, c], [b, a]] {
            self.turn(first, last);
            self.turned.push([first, last]);
        }
        [before, a, b, c, d, after].into_iter().for_each(|city| self.wait(city));
        let new = self.between(before, c) + self.between(d, a) + self.between(b, after);
        new - (self.between(before, a) + self.between(b, c) + self.between(d, after))
    }

    /// Whether some city has fewer than two open edges.
    fn has_dead_end(&self) -> bool {
        let open = |row: &[f64]| row.iter().filter(|&&length| length < self.closed).count();
        // One of them leads to the city itself.
        self.length.chunks_exact(self.cities).any(|row| open(row) < 3)
    }
}
