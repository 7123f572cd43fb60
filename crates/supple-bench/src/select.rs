//! Names on the command line.

/// The positions of what a list of patterns names, in the order of `names`.
///
/// A pattern is `all`, a name, a folder of names (`smoothing` or `smoothing/*`), or the beginning of names
/// before a star.
///
/// # Errors
/// A pattern that names nothing, with the names nearest to it.
pub fn select(what: &str, names: &[&str], patterns: &[String]) -> Result<Vec<usize>, String> {
    let mut taken = vec![false; names.len()];
    for pattern in patterns {
        let mut some = false;
        for (taken, name) in taken.iter_mut().zip(names) {
            let matches = matches(pattern, name);
            *taken |= matches;
            some |= matches;
        }
        if !some {
            let near = nearest(names, pattern).join("`, `");
            return Err(format!("no {what} is called `{pattern}`; near it: `{near}` (--list has them all)"));
        }
    }
    Ok((0..names.len()).filter(|&i| taken[i]).collect())
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => {
            pattern == "all" || name.strip_prefix(pattern).is_some_and(|r| r.is_empty() || r.starts_with('/'))
        }
    }
}

/// The three names that take the fewest changes, those that contain the pattern first.
fn nearest<'a>(names: &[&'a str], pattern: &str) -> Vec<&'a str> {
    let pattern = pattern.trim_end_matches('*').to_lowercase();
    let mut near = names.to_vec();
    near.sort_by_key(|name| {
        let last = name.rsplit('/').next().unwrap_or(name);
        let changes = changes(name, &pattern).min(1 + changes(last, &pattern));
        (!name.contains(&pattern), changes)
    });
    near.truncate(3);
    near
}

/// Levenshtein's distance.
fn changes(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, &b) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (corner + (a != b) as usize).min(above + 1).min(row[j] + 1);
            corner = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] =
        ["reinforce", "rloo", "smoothing/antithetic", "smoothing/sobol", "smoothing-like"];

    fn selected(patterns: &[&str]) -> Result<Vec<usize>, String> {
        select("estimator", &NAMES, &patterns.iter().map(|p| p.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn names_folders_and_stars() {
        assert_eq!(selected(&["all"]).unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(selected(&["smoothing"]).unwrap(), [2, 3]);
        assert_eq!(selected(&["smoothing/*"]).unwrap(), [2, 3]);
        assert_eq!(selected(&["smoothing*"]).unwrap(), [2, 3, 4]);
        assert_eq!(selected(&["smoothing/sobol", "r*"]).unwrap(), [0, 1, 3]);
    }

    #[test]
    fn unknown_names_are_errors_with_near_ones() {
        let error = selected(&["rlo"]).unwrap_err();
        assert!(error.contains("`rlo`; near it: `rloo`"), "{error}");
        let error = selected(&["soboll"]).unwrap_err();
        assert!(error.contains("near it: `smoothing/sobol`"), "{error}");
        assert!(selected(&["smooth"]).is_err(), "part of a name is not a name");
    }

    #[test]
    fn changes_are_counted() {
        assert_eq!(changes("kitten", "sitting"), 3);
        assert_eq!(changes("", "abc"), 3);
    }
}
