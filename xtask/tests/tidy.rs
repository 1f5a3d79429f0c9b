//! The habits of CONTRIBUTING.md that a machine can watch, over every file that git tracks.
//!
//! A rule is a function from files to breaches, so that each is also tried on files that breach it: a rule that finds
//! nothing anywhere would watch nothing. Every breach says what to do.

use std::path::Path;
use std::process::Command;

struct File {
    path: String,
    text: String,
}

type Rule = fn(&[File]) -> Vec<String>;

const LINES_OF_A_RUST_FILE: usize = 600;
/// Rust files that may be longer, each with its reason.
const LONG_RUST_FILES: &[&str] = &[];
const LINES_OF_ARCHITECTURE: usize = 250;

// In halves, so that this file does not breach its own rules.
const UNFINISHED: &[&str] =
    &[concat!("to", "do!("), concat!("unimple", "mented!("), concat!("db", "g!("), concat!("#[ig", "nore")];
const HOME_FOLDERS: &[&str] = &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
const RESOLVED: &str = concat!("\"resol", "ved\":");

#[test]
fn rust_files_are_short() {
    keep(long_rust_files);
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    keep(unfinished);
}

#[test]
fn rust_lines_have_no_tabs_and_no_trailing_space() {
    keep(stray_space);
}

#[test]
fn no_file_names_a_folder_of_somebodys_machine() {
    keep(home_folders);
}

#[test]
fn npm_lock_files_name_no_registry() {
    keep(registries_in_lock_files);
}

#[test]
fn architecture_stays_a_page_one_reads() {
    keep(long_architecture);
}

#[test]
fn decisions_are_numbered_without_gaps_or_doubles() {
    keep(misnumbered_decisions);
}

#[test]
fn every_rule_finds_its_breach() {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let cases: Vec<(Rule, File)> = vec![
        (long_rust_files, file("a.rs", &"\n".repeat(LINES_OF_A_RUST_FILE + 1))),
        (unfinished, file("a.rs", &format!("    {}\"later\")", UNFINISHED[0]))),
        (unfinished, file("a.rs", &format!("{}]", UNFINISHED[3]))),
        (stray_space, file("a.rs", "let a = 1; \n")),
        (stray_space, file("a.rs", "\tlet a = 1;\n")),
        (home_folders, file("deploy/a.service", &format!("ExecStart={}me/server", HOME_FOLDERS[0]))),
        (registries_in_lock_files, file("web/package-lock.json", &format!("{RESOLVED} \"https://example.org/a.tgz\""))),
        (long_architecture, file("docs/ARCHITECTURE.md", &"\n".repeat(LINES_OF_ARCHITECTURE + 1))),
        (misnumbered_decisions, file("docs/adr/0002-the-first-is-missing.md", "")),
        (misnumbered_decisions, file("docs/adr/no-number.md", "")),
    ];
    for (rule, file) in cases {
        let path = file.path.clone();
        assert_eq!(rule(&[file]).len(), 1, "{path}");
    }
}

fn keep(rule: Rule) {
    let breaches = rule(&tracked());
    assert!(breaches.is_empty(), "\n  {}\n", breaches.join("\n  "));
}

/// What git tracks and is text. A file that is deleted but not yet committed is not there any more.
fn tracked() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace");
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().expect("git can be started");
    assert!(listed.status.success(), "the tidy tests run in a clone: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let files: Vec<File> = listed
        .split_terminator('\0')
        .filter_map(|path| Some(File { path: path.to_owned(), text: std::fs::read_to_string(root.join(path)).ok()? }))
        .collect();
    assert!(files.iter().any(|file| file.path == "Cargo.lock"), "git ls-files lists the repository");
    files
}

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.path.ends_with(".rs"))
}

/// One breach for each line that matches.
fn lines<'a>(files: impl Iterator<Item = &'a File>, advice: &str, matches: impl Fn(&str) -> bool) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate().filter(|(_, line)| matches(line)) {
            breaches.push(format!("{}:{}: {advice}: {}", file.path, index + 1, line.trim()));
        }
    }
    breaches
}

fn longer_than<'a>(limit: usize, files: impl Iterator<Item = &'a File>, advice: &str) -> Vec<String> {
    files
        .map(|file| (file.text.lines().count(), file))
        .filter(|(count, _)| *count > limit)
        .map(|(count, file)| format!("{}: {count} lines, {limit} are allowed: {advice}", file.path))
        .collect()
}

fn long_rust_files(files: &[File]) -> Vec<String> {
    let judged = rust(files).filter(|file| !LONG_RUST_FILES.contains(&file.path.as_str()));
    longer_than(LINES_OF_A_RUST_FILE, judged, "split it by idea")
}

fn unfinished(files: &[File]) -> Vec<String> {
    let advice = "finish it, or leave it out and say so in the CHANGELOG";
    lines(rust(files), advice, |line| UNFINISHED.iter().any(|word| line.contains(word)))
}

fn stray_space(files: &[File]) -> Vec<String> {
    let advice = "no tabs (write \\t) and no space at the end of a line: run `cargo fmt`";
    lines(rust(files), advice, |line| line.contains('\t') || line.ends_with(' '))
}

fn home_folders(files: &[File]) -> Vec<String> {
    let advice = "this path exists on one machine only: use a relative path, a temporary folder or ~";
    lines(files.iter(), advice, |line| HOME_FOLDERS.iter().any(|folder| line.contains(folder)))
}

fn registries_in_lock_files(files: &[File]) -> Vec<String> {
    let advice = "the lock file names a registry: write it with `npm install --omit-lockfile-registry-resolved`";
    lines(files.iter().filter(|file| file.path.ends_with("package-lock.json")), advice, |line| line.contains(RESOLVED))
}

fn long_architecture(files: &[File]) -> Vec<String> {
    let judged = files.iter().filter(|file| file.path == "docs/ARCHITECTURE.md");
    longer_than(LINES_OF_ARCHITECTURE, judged, "move what is not the picture into module docs")
}

fn misnumbered_decisions(files: &[File]) -> Vec<String> {
    let mut names: Vec<&str> = files.iter().filter_map(|file| file.path.strip_prefix("docs/adr/")).collect();
    names.sort_unstable();
    let misnumbered = |(index, name): (usize, &&str)| {
        let wanted = format!("{:04}-", index + 1);
        (!name.starts_with(&wanted)).then(|| format!("docs/adr/{name}: its name should start with {wanted}"))
    };
    names.iter().enumerate().filter_map(misnumbered).collect()
}
