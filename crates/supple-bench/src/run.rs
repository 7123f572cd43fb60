//! Measuring cells in parallel, with progress, what is there already left out.

use crate::row::Row;
use crate::store::Store;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A cell to measure.
pub struct Job<'a> {
    /// The columns that name it.
    pub keys: Row,
    /// Measures it: a function of the settings of the run alone, but for times and for how early a time limit
    /// cuts it.
    pub work: Box<dyn Fn() -> Row + Send + Sync + 'a>,
}

/// A part of a run: every n-th cell from the i-th on, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 1, count: 1 }
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((index, count)) if 1 <= index && index <= count => Ok(Self { index, count }),
            _ => Err("must be i/n with 1 ≤ i ≤ n, such as 2/4".into()),
        }
    }
}

/// Measures the cells of a shard that the store has not yet, and stores each at once. Returns how many.
///
/// Cells come in the order of `jobs`, `threads` at a time (0: as many as there are cores). Their results do
/// not depend on it, except where a time limit cuts a cell, which its row says.
pub fn run(jobs: Vec<Job<'_>>, store: &mut Store, shard: Shard, threads: usize) -> Result<usize, String> {
    let schema = store.schema;
    let known: HashSet<String> = store.rows.iter().map(|row| schema.key(row)).collect();
    let mine = jobs.into_iter().skip(shard.index - 1).step_by(shard.count);
    let jobs: Vec<_> = mine.filter(|job| !known.contains(&schema.key(&job.keys))).collect();
    let bar = ProgressBar::new(jobs.len() as u64);
    let style = "{bar:32.cyan/dim} {pos}/{len} cells, {elapsed} spent, {eta} to go  {wide_msg:.dim}";
    bar.set_style(ProgressStyle::with_template(style).map_err(|e| e.to_string())?.progress_chars("━╸─"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| e.to_string())?;
    let next = AtomicUsize::new(0);
    let state = Mutex::new((store, Ok(())));
    // Threads take cells in order, so that an interrupted run has those that come first.
    pool.broadcast(|_| {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            bar.set_message(schema.key(&job.keys));
            let row = (job.work)();
            let mut state = state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let (store, result) = &mut *state;
            if result.is_err() {
                return;
            }
            *result = store.append(row);
            bar.inc(1);
        }
    });
    bar.finish_and_clear();
    state.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).1?;
    Ok(jobs.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Arena, SCHEMA, Sampling};
    use std::path::Path;

    /// A few estimators on two problems, as a store and the number of cells measured.
    fn carry_out(store: &mut Store, shard: Shard, threads: usize) -> usize {
        let arenas: Vec<Arena> = crate::problems::all().into_iter().take(2).map(Arena::new).collect();
        let entrants = crate::entrants::all();
        let sampling = Sampling { seed: 3, replicates: 4, warm_up: 2, time_limit: f64::INFINITY };
        let jobs = crate::estimators::plan(&arenas, &entrants, &[1, 8], sampling).unwrap();
        run(jobs, store, shard, threads).unwrap()
    }

    fn empty() -> Store {
        Store::open(&SCHEMA, Default::default(), None).unwrap()
    }

    fn results(store: &Store) -> Vec<Row> {
        store.sorted().iter().map(|row| SCHEMA.without_times(row)).collect()
    }

    #[test]
    fn shards_together_are_the_whole_whatever_the_threads() {
        let mut whole = empty();
        let count = carry_out(&mut whole, Shard::default(), 1);
        assert_eq!(count, whole.rows.len());
        let mut merged = empty();
        let mut cells = 0;
        for index in 1..=3 {
            let mut part = empty();
            cells += carry_out(&mut part, Shard { index, count: 3 }, index);
            merged.merge(&part, Path::new("part")).unwrap();
        }
        assert_eq!(cells, count);
        assert_eq!(results(&merged), results(&whole));
        let measured = whole.rows.iter().filter(|row| row.is_measured()).count();
        assert!(measured > count / 2, "{measured} of {count}");
    }

    #[test]
    fn a_run_goes_on_where_it_was_left() {
        let mut whole = empty();
        let count = carry_out(&mut whole, Shard::default(), 0);
        let mut begun = empty();
        whole.rows.iter().take(count / 3).for_each(|row| begun.append(row.clone()).unwrap());
        assert_eq!(carry_out(&mut begun, Shard::default(), 0), count - count / 3);
        assert_eq!(results(&begun), results(&whole));
        assert_eq!(carry_out(&mut begun, Shard::default(), 0), 0);
    }

    #[test]
    fn shards_are_read() {
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, count: 3 }));
        for wrong in ["", "1", "0/2", "3/2", "a/b", "1/2/3", "1/0"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
