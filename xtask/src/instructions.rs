//! `cargo xtask bench instructions`: how many instructions a step of a schedule takes, against the baseline in
//! the repository. Times on shared machines say little; the same binary always executes the same instructions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::need::{self, Need};
use crate::step;

const BASELINE: &str = "bench/instructions.tsv";
/// Another compiler or library moves the counts a little; a step that takes a third more has become slower.
const TOLERANCE: f64 = 1.33;

const NEEDS: &[Need] = &[Need::new("valgrind", &["valgrind", "--version"], &["valgrind"], "it counts instructions")];

/// Name, expression, zone, steps.
const CASES: [(&str, &str, &str, u32); 5] = [
    ("simple", "30 2 * * *", "UTC", 1_000),
    ("dense", "* * * * * *", "UTC", 10_000),
    ("sparse", "0 0 29 2 *", "UTC", 100),
    ("zoned", "*/5 * * * *", "America/New_York", 10_000),
    ("workdays", "0 9-17 * * MON-FRI", "Australia/Lord_Howe", 1_000),
];

/// Measures, prints, and refuses what has become slower. With `write`, stores what it measured instead.
pub(crate) fn run(write: bool) -> Result<()> {
    need::meet(NEEDS)?;
    let build = ["build", "--release", "--package", "punctual-bench", "--bin", "schedule-steps"];
    step::run("build the steps of schedules", step::cargo().args(build))?;
    let program = step::target()?.join("release/schedule-steps");
    let mut counts = BTreeMap::new();
    for (name, expression, zone, steps) in CASES {
        let start_up = count(&program, expression, zone, 0)?;
        let all = count(&program, expression, zone, steps)?;
        counts.insert(name.to_owned(), all.saturating_sub(start_up) / u64::from(steps));
    }
    if write {
        let lines: String = counts.iter().map(|(name, count)| format!("{name}\t{count}\n")).collect();
        fs::write(BASELINE, lines)?;
        return Ok(());
    }
    let stored = fs::read_to_string(BASELINE).with_context(|| format!("{BASELINE} cannot be read"))?;
    compare(&counts, &parse(&stored)?)
}

/// Instructions of one run of the program.
fn count(program: &Path, expression: &str, zone: &str, steps: u32) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    let output = valgrind.args([expression, zone, &steps.to_string()]).output().context("valgrind cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :")).map(|(_, count)| count.trim());
    match collected.and_then(|count| count.parse().ok()) {
        Some(count) if output.status.success() => Ok(count),
        _ => bail!("valgrind counted nothing: {said}"),
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, u64>> {
    let line = |line: &str| {
        let (name, count) = line.split_once('\t').with_context(|| format!("{BASELINE}: {line:?} is no line of it"))?;
        Ok((name.to_owned(), count.parse()?))
    };
    text.lines().map(line).collect()
}

fn compare(counts: &BTreeMap<String, u64>, baseline: &BTreeMap<String, u64>) -> Result<()> {
    let mut slower = Vec::new();
    println!("{:<10} {:>14} {:>10} {:>7}", "schedule", "instr./step", "baseline", "ratio");
    for (name, count) in counts {
        let stored = *baseline.get(name).with_context(|| format!("{BASELINE} lacks {name}: store it with --write"))?;
        let ratio = *count as f64 / stored.max(1) as f64;
        println!("{name:<10} {count:>14} {stored:>10} {ratio:>7.2}");
        if ratio > TOLERANCE {
            slower.push(name.as_str());
        }
    }
    if !slower.is_empty() {
        bail!("a step takes more instructions than before: {}; if it must, store it with --write", slower.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_has_become_slower_is_named() {
        let baseline = parse("a\t100\nb\t100\n").unwrap();
        compare(&parse("a\t120\nb\t80\n").unwrap(), &baseline).unwrap();
        let slower = compare(&parse("a\t150\nb\t80\n").unwrap(), &baseline).unwrap_err();
        assert!(slower.to_string().contains("than before: a;"), "{slower}");
        assert!(compare(&parse("c\t1\n").unwrap(), &baseline).is_err());
    }
}
