//! Results on disk: one JSON object a line, written as soon as a cell is done.
//!
//! A directory holds `run.json`, the settings that results depend on, and `cells.jsonl`. A run that starts with
//! the same settings takes up what is there. Only one at a time writes there: it holds a lock on `run.lock`.

use crate::row::{Row, Schema};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Settings that results depend on, by name.
pub type Settings = Map<String, Value>;

/// The rows of a run, in memory and, where there is a directory, on disk.
pub struct Store {
    /// What the rows hold.
    pub schema: &'static Schema,
    /// What they depend on.
    pub settings: Settings,
    /// The rows, as they came.
    pub rows: Vec<Row>,
    dir: Option<PathBuf>,
    /// Where rows are appended, and the lock.
    files: Option<(File, File)>,
}

impl Store {
    /// Opens a directory, or makes it, and reads what is there; without one, rows are kept in memory alone.
    ///
    /// # Errors
    /// Other settings than those of the rows there; another run that writes there; lines that cannot be read,
    /// except a last one without an end, which an interrupted run leaves behind and which is cut off.
    pub fn open(schema: &'static Schema, settings: Settings, dir: Option<&Path>) -> Result<Self, String> {
        let store = Self { schema, settings, rows: vec![], dir: None, files: None };
        let Some(dir) = dir else { return Ok(store) };
        fs::create_dir_all(dir).map_err(at(dir))?;
        let lock = locked(dir)?;
        let path = dir.join("cells.jsonl");
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(at(&path))?;
        let head = dir.join("run.json");
        let settings = store.described();
        let text = if head.exists() { fs::read_to_string(&head).map_err(at(&head))? } else { String::new() };
        let there = serde_json::from_str::<Settings>(&text);
        let size = file.metadata().map_err(at(&path))?.len();
        match there {
            Ok(there) => agree(&there, &settings, dir)?,
            // A run that ended before it had written all of its settings has no rows either.
            Err(e) if e.is_eof() && size == 0 => replace(&head, &format!("{:#}\n", Value::Object(settings)))?,
            Err(e) => return Err(format!("{}: no settings of the rows beside it: {e}", head.display())),
        }
        let (rows, length) = read_rows(&path)?;
        if length < size {
            file.set_len(length).map_err(at(&path))?;
        }
        Ok(Self { rows, dir: Some(dir.into()), files: Some((file, lock)), ..store })
    }

    /// Reads a directory and leaves its rows as they are; more are kept in memory alone. `schemas` are those
    /// that it may have.
    pub fn read(schemas: &[&'static Schema], dir: &Path) -> Result<Self, String> {
        let mut settings = read_settings(dir)?;
        let kind = settings.remove("kind").unwrap_or_default();
        let schema = schemas.iter().find(|schema| kind == schema.kind);
        let schema = schema.ok_or(format!("{}: results of an unknown kind, {kind}", dir.display()))?;
        let (rows, _) = read_rows(&dir.join("cells.jsonl"))?;
        Ok(Self { schema, settings, rows, dir: Some(dir.into()), files: None })
    }

    /// The settings with the kind of run.
    fn described(&self) -> Settings {
        let mut settings = self.settings.clone();
        settings.insert("kind".into(), self.schema.kind.into());
        settings
    }

    /// Keeps a row, and writes it out at once.
    pub fn append(&mut self, row: Row) -> Result<(), String> {
        if let (Some(dir), Some((file, _))) = (&self.dir, &mut self.files) {
            let line = format!("{}\n", Value::Object(row.0.clone()));
            file.write_all(line.as_bytes()).and_then(|()| file.flush()).map_err(at(dir))?;
        }
        self.rows.push(row);
        Ok(())
    }

    /// The rows in the order of their keys.
    pub fn sorted(&self) -> Vec<Row> {
        let mut rows = self.rows.clone();
        self.schema.sort(&mut rows);
        rows
    }

    /// Takes in the rows of another run of the same kind and settings.
    ///
    /// # Errors
    /// Other settings; a cell that is in both and differs by more than its time.
    pub fn merge(&mut self, other: &Self, from: &Path) -> Result<(), String> {
        agree(&other.described(), &self.described(), from)?;
        let mut known: HashMap<String, Row> =
            self.rows.iter().map(|row| (self.schema.key(row), self.schema.without_times(row))).collect();
        for row in &other.rows {
            let (key, untimed) = (self.schema.key(row), self.schema.without_times(row));
            match known.get(&key) {
                Some(here) if *here == untimed => continue,
                Some(_) => return Err(format!("{}: {key} differs from the other results", from.display())),
                None => {
                    self.append(row.clone())?;
                    known.insert(key, untimed);
                }
            }
        }
        Ok(())
    }

    /// Writes a file beside the rows, where there is a directory; returns its path.
    pub fn write(&self, name: &str, text: &str) -> Result<Option<PathBuf>, String> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let path = dir.join(name);
        replace(&path, text)?;
        Ok(Some(path))
    }
}

/// What an error of a file is called.
fn at(path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

/// The lock of a directory, which ends with the file.
fn locked(dir: &Path) -> Result<File, String> {
    let path = dir.join("run.lock");
    let file = OpenOptions::new().append(true).create(true).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "{}: another run writes there; wait for it or choose another directory",
            dir.display()
        )),
        Err(TryLockError::Error(error)) => Err(at(&path)(error)),
    }
}

/// Writes a file as a whole or not at all.
fn replace(path: &Path, text: &str) -> Result<(), String> {
    let new = path.with_added_extension(format!("{}.new", std::process::id()));
    fs::write(&new, text).map_err(at(&new))?;
    fs::rename(&new, path).map_err(at(path))
}

/// Refuses two sets of settings that differ, and says where.
fn agree(there: &Settings, here: &Settings, dir: &Path) -> Result<(), String> {
    let shown =
        |settings: &Settings, name: &str| settings.get(name).map_or("nothing".into(), Value::to_string);
    let names = there.keys().chain(here.keys());
    let differ = |name: &&String| there.get(*name) != here.get(*name);
    match names.into_iter().find(differ) {
        None => Ok(()),
        Some(name) => Err(format!(
            "{}: its results are for {name} = {}, not {}; choose another directory or the same settings",
            dir.display(),
            shown(there, name),
            shown(here, name)
        )),
    }
}

fn read_settings(dir: &Path) -> Result<Settings, String> {
    let path = dir.join("run.json");
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// The rows of a file, and its length up to the last line that is complete.
fn read_rows(path: &Path) -> Result<(Vec<Row>, u64), String> {
    let text = fs::read(path).map_err(at(path))?;
    let complete = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let lines = text[..complete].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let read = |(number, line): (usize, &[u8])| {
        serde_json::from_slice(line).map(Row).map_err(|e| format!("{}:{}: {e}", path.display(), number + 1))
    };
    Ok((lines.enumerate().map(read).collect::<Result<_, _>>()?, complete as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::SCHEMA;

    fn row(budget: u64, mse: f64) -> Row {
        let keys = Row::default().with("problem", "p").with("estimator", "e").with("budget", budget);
        keys.with("status", "measured").with_number("mse", mse).with_number("seconds", mse + 1.0)
    }

    fn settings(seed: u64) -> Settings {
        Row::default().with("seed", seed).0
    }

    fn fresh(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("supple-bench-{}-{name}", std::process::id()));
        fs::remove_dir_all(&dir).ok();
        dir
    }

    #[test]
    fn rows_come_back_and_a_cut_last_line_is_dropped() {
        let dir = fresh("resume");
        let mut store = Store::open(&SCHEMA, settings(1), Some(&dir)).unwrap();
        store.append(row(1, 0.1)).unwrap();
        store.append(row(4, 1.0 / 3.0)).unwrap();
        let path = dir.join("cells.jsonl");
        let whole = fs::read(&path).unwrap();
        drop(store);
        fs::write(&path, &whole[..whole.len() - 7]).unwrap();
        let mut store = Store::open(&SCHEMA, settings(1), Some(&dir)).unwrap();
        assert_eq!(store.rows, [row(1, 0.1)]);
        store.append(row(4, 1.0 / 3.0)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
        // While it is open.
        assert_eq!(Store::read(&[&SCHEMA], &dir).unwrap().rows, [row(1, 0.1), row(4, 1.0 / 3.0)]);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn other_settings_are_refused() {
        let dir = fresh("settings");
        Store::open(&SCHEMA, settings(1), Some(&dir)).unwrap();
        let error = Store::open(&SCHEMA, settings(2), Some(&dir)).err().unwrap();
        assert!(error.contains("seed = 1, not 2"), "{error}");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn one_at_a_time_writes_and_all_may_read() {
        let dir = fresh("lock");
        let mut first = Store::open(&SCHEMA, settings(1), Some(&dir)).unwrap();
        first.append(row(1, 0.1)).unwrap();
        let error = Store::open(&SCHEMA, settings(1), Some(&dir)).err().unwrap();
        assert!(error.contains("another run writes there"), "{error}");
        let read = Store::read(&[&SCHEMA], &dir).unwrap();
        assert_eq!(read.rows, [row(1, 0.1)]);
        assert_eq!(read.write("cells.csv", "a").unwrap(), Some(dir.join("cells.csv")));
        drop(first);
        assert_eq!(Store::open(&SCHEMA, settings(1), Some(&dir)).unwrap().rows, [row(1, 0.1)]);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn settings_cut_short_are_a_new_run_only_without_rows() {
        let dir = fresh("cut");
        for text in ["", "{\n  \"seed\": 1"] {
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("run.json"), text).unwrap();
            Store::open(&SCHEMA, settings(1), Some(&dir)).unwrap().append(row(1, 0.1)).unwrap();
            assert_eq!(Store::read(&[&SCHEMA], &dir).unwrap().settings, settings(1));
            fs::write(dir.join("run.json"), text).unwrap();
            let error = Store::open(&SCHEMA, settings(1), Some(&dir)).err().unwrap();
            assert!(error.contains("run.json: no settings"), "{error}");
            fs::remove_dir_all(&dir).unwrap();
        }
    }

    #[test]
    fn a_broken_line_in_the_middle_is_an_error_with_its_number() {
        let dir = fresh("broken");
        drop(Store::open(&SCHEMA, settings(1), Some(&dir)).unwrap());
        fs::write(dir.join("cells.jsonl"), "{}\n{\"a\":\n{}\n").unwrap();
        let error = Store::open(&SCHEMA, settings(1), Some(&dir)).err().unwrap();
        assert!(error.contains("cells.jsonl:2"), "{error}");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn merging_takes_each_cell_once_and_refuses_contradictions() {
        let open = |rows: &[Row], seed| {
            let mut store = Store::open(&SCHEMA, settings(seed), None).unwrap();
            rows.iter().for_each(|row| store.append(row.clone()).unwrap());
            store
        };
        let from = Path::new("there");
        let mut all = open(&[row(1, 0.1)], 1);
        // The same cell with another time is the same result.
        all.merge(&open(&[row(1, 0.1).with_number("seconds", 9.0), row(4, 0.2)], 1), from).unwrap();
        assert_eq!(all.rows, [row(1, 0.1), row(4, 0.2)]);
        let error = all.merge(&open(&[row(4, 0.3)], 1), from).unwrap_err();
        assert!(error.contains("p × e × 4 differs"), "{error}");
        assert!(all.merge(&open(&[], 2), from).is_err());
    }
}
