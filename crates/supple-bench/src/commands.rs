//! What each subcommand does.

use crate::cell::{Arena, Sampling};
use crate::cli::{Choice, Cli, Command, Compare, Estimators, Merge, Optimise, Output, Relaxations, Report};
use crate::entrant::Entrant;
use crate::optimise::Course;
use crate::row::{Row, Schema};
use crate::run::{Job, run};
use crate::select::select;
use crate::store::{Settings, Store};
use crate::table::Table;
use crate::{cell, compare, entrants, estimators, optimise, problems, relaxations, report};
use serde_json::Value;

/// The kinds of results that a directory may hold.
pub static SCHEMAS: [&Schema; 3] = [&cell::SCHEMA, &optimise::SCHEMA, &relaxations::SCHEMA];

/// Does what the command line says, and returns what to print.
pub fn execute(cli: Cli) -> Result<String, String> {
    if cli.list {
        return Ok(list());
    }
    match cli.command {
        Some(Command::Estimators(args)) => estimate(&args),
        Some(Command::Optimise(args)) => descend(&args),
        Some(Command::Relaxations(args)) => relax(&args),
        Some(Command::Evidence(args)) => args.run(),
        Some(Command::Merge(args)) => merge(&args),
        Some(Command::Compare(args)) => differ(&args),
        Some(Command::Report(args)) => again(&args),
        None => Ok(list()),
    }
}

/// All that can be named on the command line.
fn list() -> String {
    let section = |title: &str, lines: Vec<[String; 2]>| {
        let width = lines.iter().map(|[name, _]| name.chars().count()).max().unwrap_or(0);
        let line = |[name, summary]: &[String; 2]| format!("  {name:<width$}  {summary}\n");
        format!("{title}\n{}\n", lines.iter().map(line).collect::<String>())
    };
    let problems = problems::all();
    let problems = problems.iter().map(|p| [p.name().into(), p.summary().into()]).collect();
    let estimators = entrants::all().iter().map(|e| [e.name.into(), e.summary.into()]).collect();
    let operators = relaxations::operators();
    let operators = operators.iter().map(|(f, e)| [format!("{f}/{}", e.name), e.summary.into()]).collect();
    let lists = section("problems", problems) + &section("estimators", estimators);
    (lists + &section("relaxations", operators)).trim_end().to_string() + "\n"
}

/// The problems and estimators that are asked for.
fn chosen(choice: &Choice) -> Result<(Vec<Arena>, Vec<Entrant>), String> {
    let problems = problems::all();
    let names: Vec<_> = problems.iter().map(|problem| problem.name()).collect();
    let problems = keep(problems, &select("problem", &names, &choice.problem)?);
    let entrants = entrants::all();
    let names: Vec<_> = entrants.iter().map(|entrant| entrant.name).collect();
    let entrants = keep(entrants, &select("estimator", &names, &choice.estimator)?);
    Ok((problems.into_iter().map(Arena::new).collect(), entrants))
}

fn keep<T>(all: Vec<T>, taken: &[usize]) -> Vec<T> {
    all.into_iter().enumerate().filter(|(i, _)| taken.contains(i)).map(|(_, x)| x).collect()
}

/// Settings of every kind of run.
fn settings(output: &Output) -> Row {
    Row::default().with("version", env!("CARGO_PKG_VERSION")).with("seed", output.seed)
}

fn estimate(args: &Estimators) -> Result<String, String> {
    let (arenas, entrants) = chosen(&args.choice)?;
    let &Estimators { replicates, warm_up, time_limit, ref output, .. } = args;
    let sampling = Sampling { seed: output.seed, replicates, warm_up, time_limit };
    let settings = settings(output).with("replicates", replicates).with("warm_up", warm_up);
    let settings = settings.with_number("time_limit", time_limit).0;
    let jobs = estimators::plan(&arenas, &entrants, &args.budget, sampling)?;
    carry_out(&cell::SCHEMA, settings, jobs, output)
}

fn descend(args: &Optimise) -> Result<String, String> {
    let (arenas, entrants) = chosen(&args.choice)?;
    let Optimise { evaluations, runs, rate, output, .. } = args;
    let course = Course { seed: output.seed, evaluations: *evaluations, runs: *runs, rates: rate.clone() };
    let settings = settings(output).with("evaluations", *evaluations).with("runs", *runs);
    let settings = settings.with("rates", rate.clone()).0;
    let jobs = optimise::plan(&arenas, &entrants, &args.budget, &course)?;
    carry_out(&optimise::SCHEMA, settings, jobs, output)
}

fn relax(args: &Relaxations) -> Result<String, String> {
    let operators = relaxations::operators();
    let names: Vec<_> = operators.iter().map(|(family, entry)| format!("{family}/{}", entry.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // An operator may be called without its family.
    let full = |pattern: &String| match operators.iter().position(|(_, entry)| entry.name == pattern) {
        Some(i) => names[i].to_string(),
        None => pattern.clone(),
    };
    let patterns: Vec<String> = args.operator.iter().map(full).collect();
    let taken = select("relaxation", &names, &patterns)?;
    let taken: Vec<_> = taken.into_iter().map(|i| operators[i]).collect();
    let settings = settings(&args.output).with("items", args.items).0;
    let jobs = relaxations::plan(&taken, &args.softness, args.items, args.output.seed);
    carry_out(&relaxations::SCHEMA, settings, jobs, &args.output)
}

fn carry_out(
    schema: &'static Schema,
    settings: Settings,
    jobs: Vec<Job<'_>>,
    output: &Output,
) -> Result<String, String> {
    let mut store = Store::open(schema, settings, output.out.as_deref())?;
    let before = store.rows.len();
    let new = run(jobs, &mut store, output.shard, output.threads)?;
    let text = present(&store)?;
    let resumed = if before > 0 { format!(" beside {before} that were there") } else { String::new() };
    Ok(format!("{text}\n{new} cells measured{resumed}\n"))
}

/// Writes the files of a store, and returns its table.
fn present(store: &Store) -> Result<String, String> {
    let rows = store.sorted();
    let mut text = match store.schema.kind {
        "optimise" => optimise::tables(&rows),
        "relaxations" => relaxations::tables(&rows),
        _ => estimators::tables(&rows),
    };
    let failed = rows.iter().filter(|row| row.text("status") == "failed");
    for row in failed {
        text += &format!("✗ {}: {}\n", store.schema.key(row), row.text("reason"));
    }
    let files = [("cells.csv", store.schema.csv(&rows)), ("report.html", report::page_of(store))];
    for (name, content) in files {
        if let Some(path) = store.write(name, &content)? {
            text += &format!("\n{}", path.display());
        }
    }
    Ok(text)
}

fn merge(args: &Merge) -> Result<String, String> {
    let stores = args.dirs.iter().map(|dir| Store::read(&SCHEMAS, dir)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = stores.first() else { return Err("nothing to merge".into()) };
    let mut all = Store::open(first.schema, first.settings.clone(), Some(&args.out))?;
    for (store, dir) in stores.iter().zip(&args.dirs) {
        all.merge(store, dir)?;
    }
    present(&all)
}

fn differ(args: &Compare) -> Result<String, String> {
    let [a, b] = [&args.a, &args.b].map(|dir| Store::read(&SCHEMAS, dir));
    let (a, b) = (a?, b?);
    let names = a.settings.keys().chain(b.settings.keys().filter(|name| !a.settings.contains_key(*name)));
    let shown = |value: Option<&Value>| value.map_or("–".into(), Value::to_string);
    let line = |name: &String| {
        let values = [&a, &b].map(|store| shown(store.settings.get(name)));
        (values[0] != values[1]).then(|| [name.clone(), values[0].clone(), values[1].clone()].to_vec())
    };
    let rows: Vec<_> = names.filter_map(line).collect();
    let head = ["setting", "first", "second"].map(String::from).to_vec();
    let settings = if rows.is_empty() { String::new() } else { format!("\n{}", Table { head, rows }) };
    Ok(settings + &compare::compare(&a, &b)?.table(args.all))
}

fn again(args: &Report) -> Result<String, String> {
    present(&Store::read(&SCHEMAS, &args.dir)?)
}
