//! docs/clauses.md, checked: every clause of RULES §1 to §7 is there with an attack and with tests,
//! and every named test is one. So the table cannot rot.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Clauses of each section.
const CLAUSES: [(char, u32); 7] = [
    ('N', 6),
    ('S', 8),
    ('T', 8),
    ('J', 4),
    ('L', 6),
    ('Q', 7),
    ('P', 7),
];

#[derive(Debug)]
struct Row {
    attack: String,
    tests: Vec<String>,
}

#[test]
fn every_clause_has_an_attack_and_tests() {
    let table = table();
    let clauses: Vec<String> = CLAUSES
        .into_iter()
        .flat_map(|(section, last)| (1..=last).map(move |number| format!("{section}{number}")))
        .collect();
    let mut faults = Vec::new();
    for clause in &clauses {
        let Some(row) = table.get(clause) else {
            faults.push(format!("{clause} is missing"));
            continue;
        };
        if row.attack.is_empty() {
            faults.push(format!("{clause}: no attack"));
        }
        let shown = |by: &str| row.tests.iter().any(|test| test.starts_with(by));
        if !clause.starts_with('P') && !shown("protocol ") {
            faults.push(format!("{clause}: no native test"));
        }
        if !shown("circuits ") {
            faults.push(format!("{clause}: no circuit test"));
        }
    }
    for clause in table.keys().filter(|clause| !clauses.contains(clause)) {
        faults.push(format!("{clause} is no clause"));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// docs/l1.md names Foundry's tests, one or more for each attack.
#[test]
fn every_named_test_of_the_contract_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let doc = fs::read_to_string(root.join("docs/l1.md")).unwrap();
    let sources: String = fs::read_dir(root.join("contracts/test"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let named: Vec<&str> = doc
        .split('`')
        .filter(|name| name.starts_with("test_") || name.starts_with("invariant_"))
        .collect();
    assert!(named.len() > 30);
    for name in named {
        assert!(sources.contains(&format!("function {name}(")), "{name}");
    }
}

#[test]
fn every_named_test_exists() {
    let missing: Vec<String> = table()
        .into_iter()
        .flat_map(|(clause, row)| {
            row.tests
                .into_iter()
                .map(move |test| (clause.clone(), test))
        })
        .filter(|(_, test)| !is_test(test))
        .map(|(clause, test)| format!("{clause}: {test}"))
        .collect();
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
}

#[test]
fn the_search_tells_tests_from_other_names() {
    assert!(is_test(
        "protocol margin::tests::n5_totals_beyond_their_width_are_refused"
    ));
    assert!(!is_test("protocol margin::tests::totals"));
    assert!(!is_test(
        "protocol close::tests::n5_totals_beyond_their_width_are_refused"
    ));
    assert!(!is_test("nowhere margin::tests::x"));
    let text = "#[test]\n#[should_panic]\nfn a() {\n}\nfn b() {\n}";
    assert!(has_test(text, "a") && !has_test(text, "b"));
}

/// Rows by clause.
fn table() -> BTreeMap<String, Row> {
    let text = fs::read_to_string(root().join("docs/clauses.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let mut table = BTreeMap::new();
    for line in rows.filter(|line| !line.starts_with("| clause")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [clause, attack, tests] = cells[..] else {
            panic!("three columns: {line}");
        };
        let tests = tests.split('`').skip(1).step_by(2).map(String::from);
        let row = Row {
            attack: attack.into(),
            tests: tests.collect(),
        };
        let before = table.insert(clause.to_string(), row);
        assert!(before.is_none(), "{clause} stands twice");
    }
    table
}

/// `crate path::to::name`: a test of that name in the module's file or below it.
fn is_test(named: &str) -> bool {
    let Some((krate, path)) = named.split_once(' ') else {
        return false;
    };
    let Some((module, name)) = path.rsplit_once("::") else {
        return false;
    };
    let files = files_of(&root().join(krate), module);
    files
        .iter()
        .any(|file| has_test(&fs::read_to_string(file).unwrap(), name))
}

/// The file of a module, those below it, the file around an inline `tests`, an integration test.
fn files_of(krate: &Path, module: &str) -> Vec<PathBuf> {
    let relative = module.replace("::", "/");
    let (src, tests) = (krate.join("src"), krate.join("tests"));
    let mut files = vec![
        src.join(format!("{relative}.rs")),
        tests.join(format!("{relative}.rs")),
    ];
    if let Some(around) = relative.strip_suffix("/tests") {
        files.push(src.join(format!("{around}.rs")));
        files.push(src.join(around).join("mod.rs"));
    }
    let mut below = vec![src.join(&relative)];
    while let Some(dir) = below.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.retain(|file| file.is_file());
    files
}

/// A function of this name with `#[test]` among the attributes right above it.
fn has_test(text: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let found = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with(&head));
    found.into_iter().any(|(at, _)| {
        let above = lines[..at].iter().rev();
        above
            .take_while(|line| line.starts_with("#["))
            .any(|line| *line == "#[test]")
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}
