//! The catalogue lists what the directories hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use supple_ops::CATALOGUE;

/// Modules that declare a family's operators, by its own `mod.rs`: each is a file or a folder.
fn operators(family: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(family);
    let text = fs::read_to_string(folder.join("mod.rs")).expect("a family has a mod.rs");
    let listed = text.lines().filter_map(|line| line.trim().split_once("::{"));
    let modules = listed.map(|(module, _)| module.to_string());
    modules.filter(|module| !module.contains(' ')).collect()
}

#[test]
fn every_family_folder_is_listed() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = fs::read_dir(source).expect("a source folder").flatten().filter(|f| f.path().is_dir());
    let folders: BTreeSet<_> = folders.map(|f| f.file_name().to_string_lossy().into_owned()).collect();
    let listed: BTreeSet<_> = CATALOGUE.iter().map(|family| family.name.to_string()).collect();
    assert_eq!(folders, listed);
}

#[test]
fn an_operator_has_the_name_of_its_file() {
    for family in CATALOGUE {
        let names: BTreeSet<_> = family.entries.iter().map(|entry| entry.name.to_string()).collect();
        assert_eq!(names, operators(family.name), "family {}", family.name);
        for name in names {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(family.name).join(&name);
            assert!(file.is_dir() || file.with_extension("rs").is_file(), "{name} has no file");
        }
    }
}

#[test]
fn entries_tell_what_they_are() {
    for entry in CATALOGUE.iter().flat_map(|family| family.entries) {
        assert!(
            !entry.summary.is_empty() && !entry.paper.is_empty() && !entry.cost.is_empty(),
            "{}",
            entry.name
        );
        let varied = (entry.cases)().len() > 1 || entry.fields.is_empty();
        assert!(varied, "{} is checked at its defaults only", entry.name);
        for argument in entry.arguments {
            let known = entry.fields.iter().any(|field| field.name == *argument);
            assert!(known, "{} has no parameter {argument}", entry.name);
        }
        for field in entry.fields {
            assert!(!field.doc.is_empty(), "{}: {} is not documented", entry.name, field.name);
        }
    }
}
