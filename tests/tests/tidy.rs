//! STYLE 1 to 6, 25 and 27, checked: sizes of files, functions and lines, banned words, and which
//! crate may depend on what.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_COLUMNS: usize = 100;
const MAX_LIB_LINES: usize = 60;
const MAX_README_LINES: usize = 80;
const MAX_ROOT_ENTRIES: usize = 16;

/// Split so that this file does not contain them.
const BANNED: [&str; 7] = [
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("#[", "ignore"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
];

/// What the pure crate may not name outside comments and tests \[STYLE 2\].
const IMPURE: [&str; 13] = [
    "f32",
    "f64",
    "HashMap",
    "HashSet",
    "std::fs",
    "std::io",
    "std::net",
    "std::time",
    "std::env",
    "std::thread",
    "rand::",
    "async fn",
    "println!",
];

#[test]
fn files_functions_and_lines_stay_short() {
    let mut faults = Vec::new();
    for (path, text) in rust_files() {
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > MAX_FILE_LINES {
            faults.push(format!("{path}: {} lines", lines.len()));
        }
        if path.ends_with("lib.rs") && lines.len() >= MAX_LIB_LINES {
            faults.push(format!("{path}: a lib.rs of {} lines", lines.len()));
        }
        for (at, line) in lines.iter().enumerate() {
            if line.chars().count() > MAX_COLUMNS {
                faults.push(format!("{path}:{}: over {MAX_COLUMNS} columns", at + 1));
            }
        }
        for (at, length) in functions(&lines) {
            if length > MAX_FUNCTION_LINES {
                faults.push(format!("{path}:{}: a function of {length} lines", at + 1));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn no_banned_words_and_no_code_in_comments() {
    let mut faults = Vec::new();
    for (path, text) in rust_files() {
        for (at, line) in text.lines().enumerate() {
            if let Some(word) = BANNED.iter().find(|word| line.contains(**word)) {
                faults.push(format!("{path}:{}: {word}", at + 1));
            }
            if is_commented_code(line) {
                faults.push(format!("{path}:{}: code in a comment", at + 1));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn protocol_is_pure() {
    let allowed = [
        "plonky2::field::",
        "plonky2::hash::",
        "plonky2::plonk::config::",
    ];
    let mut faults = Vec::new();
    for (path, text) in rust_files()
        .into_iter()
        .filter(|(path, _)| path.starts_with("protocol/src/"))
    {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            if let Some(word) = IMPURE.iter().find(|word| has_word(line, word)) {
                faults.push(format!("{path}:{}: {word}", at + 1));
            }
            for (start, _) in line.match_indices("plonky2::") {
                if !allowed
                    .iter()
                    .any(|prefix| line[start..].starts_with(prefix))
                {
                    faults.push(format!("{path}:{}: {}", at + 1, line.trim()));
                }
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn crates_depend_only_downwards() {
    let graph = lock_graph();
    let ours = |of: &str| -> BTreeSet<String> {
        let mut found = closure(&graph, of);
        found.retain(|name| name.starts_with("tally-") && name != of);
        found
    };
    assert_eq!(ours("tally-kernels"), BTreeSet::new());
    assert_eq!(
        ours("tally-protocol"),
        BTreeSet::from(["tally-kernels".into()])
    );
    assert_eq!(
        ours("tally-circuits"),
        BTreeSet::from(["tally-kernels".into(), "tally-protocol".into()])
    );
    for (krate, banned) in [
        ("tally-protocol", ["tokio", "rocksdb", "axum"].as_slice()),
        ("tally-circuits", ["tokio", "rocksdb", "axum"].as_slice()),
        (
            "tally-jobs",
            ["tally-circuits", "tally-prover", "tokio", "rocksdb"].as_slice(),
        ),
        (
            "tally-sequencer",
            ["tally-circuits", "tally-prover"].as_slice(),
        ),
        (
            "tally-service",
            ["tally-circuits", "tally-prover"].as_slice(),
        ),
        (
            "tally-client",
            ["tally-circuits", "tally-prover", "rocksdb", "axum"].as_slice(),
        ),
        (
            "tally-l1",
            ["tally-circuits", "tally-prover", "rocksdb"].as_slice(),
        ),
    ] {
        let found = closure(&graph, krate);
        for name in banned {
            assert!(!found.contains(*name), "{krate} links {name}");
        }
    }
}

#[test]
fn root_and_readme_stay_small() {
    let entries = fs::read_dir(root()).unwrap().filter(|entry| {
        // What a reader sees: neither build products nor the tools' hidden files.
        let name = entry.as_ref().unwrap().file_name();
        let name = name.to_str().unwrap();
        !name.starts_with('.') && !matches!(name, "target" | "out")
    });
    assert!(entries.count() <= MAX_ROOT_ENTRIES);
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= MAX_README_LINES);
}

#[test]
fn checks_see_what_they_look_for() {
    let short = ["fn a() {", "}", "trait T {", "    fn b(", "    );", "}"];
    assert_eq!(functions(&short), vec![(0, 2)]);
    let long: Vec<String> = [vec!["    pub fn c() {".into()], vec![String::new(); 80]].concat();
    let mut long: Vec<&str> = long.iter().map(String::as_str).collect();
    long.push("    }");
    assert_eq!(functions(&long), vec![(0, 82)]);
    assert!(is_commented_code("    // let x = y;"));
    assert!(is_commented_code("// assert!(a.b());"));
    assert!(!is_commented_code("// It holds; so does the other."));
    assert!(has_word("x: f64,", "f64") && !has_word("half64x", "f64"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// Every Rust file of the workspace, by path relative to the root.
fn rust_files() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "out" {
                pending.push(path);
            } else if name.ends_with(".rs") {
                let relative = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_string();
                found.push((relative, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "the walk found the workspace");
    found
}

/// First line and length of each function with a body. Formatted code closes a function by a brace
/// at the indentation of its first line.
fn functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        if !is_function_head(line) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let closing = format!("{}}}", " ".repeat(indent));
        let mut has_body = false;
        for (at, line) in lines.iter().enumerate().skip(start) {
            has_body |= line.ends_with('{') || line.ends_with('}');
            if !has_body && line.ends_with(';') {
                break;
            }
            if *line == closing || (at == start && line.ends_with('}')) {
                found.push((start, at - start + 1));
                break;
            }
        }
    }
    found
}

fn is_function_head(line: &str) -> bool {
    let words = [
        "pub",
        "pub(crate)",
        "pub(super)",
        "const",
        "async",
        "unsafe",
    ];
    let mut rest = line.trim_start();
    while let Some((word, tail)) = rest.split_once(' ') {
        if word == "fn" {
            return true;
        }
        if !words.contains(&word) {
            return false;
        }
        rest = tail;
    }
    false
}

/// A plain comment that ends as a statement or block does and also contains what prose has not.
fn is_commented_code(line: &str) -> bool {
    let Some(text) = line.trim_start().strip_prefix("//") else {
        return false;
    };
    if text.starts_with('/') || text.starts_with('!') {
        return false;
    }
    let text = text.trim();
    let ends = text.ends_with(';') || text.ends_with('{') || text.ends_with('}');
    let heads = [
        "let ", "use ", "fn ", "pub ", "return ", "if ", "for ", "assert",
    ];
    ends && (heads.iter().any(|head| text.starts_with(head)) || text.contains(" = "))
}

/// The word stands alone: not within a longer identifier.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
    })
}

/// Package → dependencies, from the lock file.
fn lock_graph() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut graph = BTreeMap::new();
    for package in text.split("[[package]]").skip(1) {
        let name = package
            .lines()
            .find_map(|line| line.strip_prefix("name = "))
            .unwrap();
        let dependencies = package
            .split_once("dependencies = [")
            .map_or("", |(_, tail)| tail);
        let dependencies = dependencies
            .lines()
            .take_while(|line| *line != "]")
            .filter_map(|line| line.trim().strip_prefix('"'))
            .map(|line| {
                line.trim_end_matches(['"', ','])
                    .split(' ')
                    .next()
                    .unwrap()
                    .to_string()
            })
            .collect::<Vec<_>>();
        graph
            .entry(name.trim_matches('"').to_string())
            .or_insert_with(Vec::new)
            .extend(dependencies);
    }
    graph
}

fn closure(graph: &BTreeMap<String, Vec<String>>, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![from.to_string()];
    while let Some(name) = pending.pop() {
        if found.insert(name.clone()) {
            pending.extend(graph.get(&name).into_iter().flatten().cloned());
        }
    }
    found
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
