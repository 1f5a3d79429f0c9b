//! `punctual cron`, and schedules that `job preview` works out: nothing of it needs a server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail where it stands")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use std::thread;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// The binary, with nothing of the developer's own settings and with no server to ask.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
    command
        .env_clear()
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("PUNCTUAL_SERVER", "http://127.0.0.1:1")
        .args(args);
    command
}

#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn new(output: Output) -> Self {
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        Self { code: output.status.code().unwrap(), out, err }
    }

    fn json(&self) -> Value {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }
}

fn punctual(args: &[&str]) -> Said {
    Said::new(command(args).output().unwrap())
}

fn batch(input: impl Into<Vec<u8>>) -> Said {
    let mut command = command(&["cron", "next", "--batch"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.into());
    let writer = thread::spawn(move || stdin.write_all(&input).unwrap());
    let said = Said::new(child.wait_with_output().unwrap());
    writer.join().unwrap();
    said
}

#[test]
fn the_oracle_s_700_cases_come_back_from_a_batch() {
    let cases: Vec<Vec<&str>> = include_str!("../../scheduler-core/tests/vectors/cron.tsv")
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(cases.len(), 700);
    let question =
        |case: &Vec<&str>| format!("{}\t{}\t{}\t5\t{}\t{}\t{}\n", case[0], case[1], case[2], case[5], case[6], case[7]);
    let said = batch(cases.iter().map(question).collect::<String>());
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(said.out.lines().count(), cases.len());
    for (answer, case) in said.out.lines().zip(&cases) {
        // The oracle looks nine years ahead, which five of its expressions outlive.
        let after: DateTime<Utc> = case[2].parse().unwrap();
        let within = answer.split(',').filter(|fire| {
            case[3].contains(fire) || fire.parse::<DateTime<Utc>>().unwrap() < after + TimeDelta::days(9 * 365)
        });
        assert_eq!(within.collect::<Vec<_>>().join(","), case[3], "{case:?}: {answer}");
    }
}

#[test]
fn every_line_of_a_batch_has_one_answer_in_its_place() {
    let said = batch(
        "0 2 * * *\tEurope/Paris\t2026-01-01T00:00:00Z\t2\n\
         61 25 * * *\t\t2026-01-01T00:00:00Z\t2\n\
         0 0 1 1 * \t\t2026-01-01T00:00:00Z\t1\r\n\
         0 0 0 1 1 * 2020\tUTC\t2026-01-01T00:00:00Z\t5\n\
         \n\
         @every 1m30s\t\t2026-01-01T00:00:00.25+01:00\t2\t\t\t",
    );
    assert_eq!(
        said.out.lines().collect::<Vec<_>>(),
        [
            "2026-01-01T01:00:00Z,2026-01-02T01:00:00Z",
            "error: minute, column 1: 61 is above 59, the last minute; hour, column 4: 25 is above 23, the last hour",
            "2027-01-01T00:00:00Z",
            "",
            "error: write expression, zone, after and count, with a tab between them",
            "2025-12-31T23:01:30.250Z,2025-12-31T23:03:00.250Z",
        ]
    );
    assert!(said.out.ends_with('\n'));
    assert_eq!((said.code, said.err.as_str()), (1, "error: 2 of 6 lines were bad\n"));
}

#[test]
fn each_column_of_a_bad_line_is_named() {
    let good = ["0 2 * * *", "UTC", "2026-01-01T00:00:00Z", "1", "SKIP", "both", "default/a"];
    assert_eq!(batch(good.join("\t")).out, "2026-01-01T02:00:00Z\n");
    let answer = |column: usize, text: &str| {
        let mut columns = good;
        columns[column] = text;
        let said = batch(format!("{}\n", columns.join("\t")));
        assert_eq!(said.code, 1, "{said:?}");
        said.out
    };
    assert!(answer(0, "H 2 * * * * * *").starts_with("error: 8 fields are not an expression"));
    assert!(answer(1, "europe/paris").contains("time zone: \"europe/paris\" is not a zone"));
    assert!(answer(2, "tomorrow").starts_with("error: after: "));
    assert!(answer(2, "0000-01-01T00:00:00Z").starts_with("error: after: is not an instant between"));
    for count in ["0", "-1", "100001", "x"] {
        assert!(answer(3, count).starts_with("error: count: "), "{count}");
    }
    assert!(answer(4, "LAST").starts_with("error: gap: write one of NEXT_VALID, SKIP"));
    assert!(answer(5, "SKIP").starts_with("error: overlap: write one of FIRST, LAST, BOTH"));
    assert!(answer(6, "a").starts_with("error: job: \"a\" is not namespace/job_id"));
    assert!(answer(6, "default/A").starts_with("error: job_id: \"A\" "));
    assert!(answer(6, "default/a\tb").starts_with("error: there are more than 7 columns"));

    let said = batch(b"0 2 * * \xff\tUTC\t2026-01-01T00:00:00Z\t1\n".as_slice());
    assert_eq!((said.out.as_str(), said.code), ("error: the line is not UTF-8\n", 1));
}

#[test]
fn a_program_that_waits_for_each_answer_gets_it() {
    let mut child = command(&["cron", "next", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for day in 1..4 {
        writeln!(stdin, "0 0 * * *\t\t2026-01-0{day}T00:00:00Z\t1").unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, format!("2026-01-0{}T00:00:00Z\n", day + 1));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_empty_batch_has_no_answers() {
    let said = batch("");
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
}

#[test]
fn next_prints_its_fires_as_json() {
    let said =
        punctual(&["cron", "next", "0 0 * * *", "--after", "2025-12-31T00:00:00Z", "--count", "2", "-o", "json"]);
    assert_eq!(said.out, "{\"fireTimes\":[\"2026-01-01T00:00:00Z\",\"2026-01-02T00:00:00Z\"]}\n");
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let none = punctual(&["cron", "next", "0 0 0 1 1 * 2020", "--after", "2026-01-01T00:00:00Z", "-o", "json"]);
    assert_eq!(none.json(), json!({"fireTimes": []}));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the binary goes by the machine's clock, and so must its test")]
fn next_starts_now_with_five_fires() {
    let before = Utc::now();
    let said = punctual(&["cron", "next", "* * * * * *", "--output", "json"]).json();
    let fires: Vec<DateTime<Utc>> =
        said["fireTimes"].as_array().unwrap().iter().map(|fire| fire.as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(fires.len(), 5);
    assert!(fires[0] > before && fires[0] <= Utc::now() + TimeDelta::seconds(1), "{fires:?}");
}

const IN_PARIS: [&str; 6] = ["cron", "next", "30 2 * * *", "--time-zone", "Europe/Paris", "--after"];

#[test]
fn a_fire_a_line_is_shown_on_both_clocks_with_a_mark_where_they_part() {
    let said = punctual(&[IN_PARIS.as_slice(), &["2026-03-28T00:00:00Z", "--count", "3"]].concat());
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], "2026-03-28T01:30:00Z  Sat 2026-03-28 02:30:00 +01:00");
    assert!(
        lines[1].starts_with(
            "2026-03-29T01:00:00Z  Sun 2026-03-29 03:00:00 +02:00  <- 2026-03-29T01:00:00Z, the clocks go forward: "
        ),
        "{lines:?}"
    );
    assert_eq!(lines[2..], ["2026-03-30T00:30:00Z  Mon 2026-03-30 02:30:00 +02:00"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
}

#[test]
fn a_change_beyond_the_fires_is_told_beside_them() {
    let said = punctual(&[IN_PARIS.as_slice(), &["2026-04-01T00:00:00Z", "--count", "1"]].concat());
    assert_eq!(said.out, "2026-04-01T00:30:00Z  Wed 2026-04-01 02:30:00 +02:00\n");
    assert!(
        said.err.starts_with("The next change that moves a fire: 2026-10-25T01:00:00Z, the clocks go back: "),
        "{said:?}"
    );

    let hourly = ["cron", "next", "0 * * * *", "--time-zone", "Europe/Paris", "--after", "2026-04-01T00:00:00Z"];
    assert_eq!(punctual(&hourly).err, "", "every hour has the same fires");
}

#[test]
fn both_policies_for_clock_changes_are_obeyed() {
    let fires = |after: &str, policy: &[&str]| {
        let args = [IN_PARIS.as_slice(), &[after, "--count", "2", "-o", "json"], policy].concat();
        punctual(&args).json()["fireTimes"].clone()
    };
    let spring = "2026-03-28T12:00:00Z";
    assert_eq!(fires(spring, &[]), json!(["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]));
    assert_eq!(fires(spring, &["--gap", "skip"]), json!(["2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]));
    let autumn = "2026-10-24T12:00:00Z";
    assert_eq!(fires(autumn, &[]), json!(["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]));
    assert_eq!(fires(autumn, &["--overlap", "last"]), json!(["2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]));
    assert_eq!(fires(autumn, &["--overlap", "both"]), json!(["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]));
}

#[test]
fn validate_says_an_expression_in_words() {
    let said = punctual(&["cron", "validate", "0 2 * * MON-FRI", "--time-zone", "Europe/Paris"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(said.out, "at 02:00, Monday to Friday, Europe/Paris\n");
    let json = punctual(&["cron", "validate", "0 2 * * MON-FRI", "-o", "json"]).json();
    assert_eq!(json, json!({"description": "at 02:00, Monday to Friday, UTC"}));
}

#[test]
fn carets_stand_under_what_is_wrong() {
    for command in ["validate", "next"] {
        let said = punctual(&["cron", command, "61 25 * * *"]);
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        assert_eq!(
            said.err,
            "error: the expression is not valid\n  61 25 * * *\n  \
             ^ minute, column 1: 61 is above 59, the last minute\n     \
             ^ hour, column 4: 25 is above 23, the last hour\n"
        );
    }
    let never = punctual(&["cron", "validate", "0 0 30 2 *"]);
    assert!(never.code == 1 && never.err.contains("\n  it never fires: "), "{never:?}");
    let zone = punctual(&["cron", "validate", "0 0 * * *", "--time-zone", "Paris"]);
    assert!(zone.code == 1 && zone.err.contains("\n  time zone: \"Paris\" is not a zone"), "{zone:?}");
}

#[test]
fn h_is_hashed_from_the_job_of_the_flag() {
    assert!(
        punctual(&["cron", "validate", "H * * * *"]).err.contains("\n  ^ minute, column 1: H is hashed from a job")
    );
    let next = |args: &[&str]| {
        let after = ["--after", "2026-01-01T00:00:00Z", "--count", "1"];
        punctual(&[["cron", "next", "H * * * *", "-o", "json"].as_slice(), &after, args].concat()).json()
    };
    let line = batch("H * * * *\t\t2026-01-01T00:00:00Z\t1\t\t\tteam/report\n").out;
    assert_eq!(next(&["--job", "report", "-n", "team"]), json!({"fireTimes": [line.trim_end()]}));
    assert_ne!(next(&["--job", "other", "-n", "team"]), json!({"fireTimes": [line.trim_end()]}));
    let wrong = punctual(&["cron", "validate", "H * * * *", "--job", "A"]);
    assert!(wrong.code == 1 && wrong.err.contains("job_id: "), "{wrong:?}");
}

#[test]
fn flags_that_contradict_each_other_are_a_usage_error() {
    for wrong in [
        ["cron", "next"].as_slice(),
        &["cron", "next", "--batch", "0 0 * * *"],
        &["cron", "next", "--batch", "--count", "5"],
        &["cron", "next", "0 0 * * *", "--count", "0"],
        &["cron", "next", "0 0 * * *", "--after", "now"],
        &["cron", "next", "0 0 * * *", "--gap", "first"],
        &["job", "preview"],
        &["job", "preview", "a", "-f", "jobs.yaml"],
        &["job", "preview", "a", "--time-zone", "UTC"],
        &["job", "preview", "--every", "5s", "--gap", "skip"],
        &["job", "preview", "a", "--count", "1001"],
    ] {
        assert_eq!(punctual(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_schedule_of_flags_is_previewed_without_a_server() {
    let after = ["--after", "2026-03-28T12:00:00Z", "--count", "3"];
    let flags = ["job", "preview", "--cron", "30 2 * * *", "--every", "1d", "--time-zone", "Europe/Paris"];
    let said = punctual(&[flags.as_slice(), &after].concat());
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("at 02:30, ") && lines[0].ends_with("every day"), "{said:?}");
    assert!(lines[1].starts_with("2026-03-29T01:00:00Z  Sun 2026-03-29 03:00:00 +02:00  <- "), "{said:?}");
    assert_eq!(lines[2], "2026-03-29T12:00:00Z  Sun 2026-03-29 14:00:00 +02:00", "counted from --after");

    let json = punctual(&[flags.as_slice(), &after, &["-o", "json"]].concat()).json();
    assert_eq!(json["fireTimes"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&json["dstChanges"][0]["kind"], &json["dstChanges"][0]["time"]),
        (&json!("GAP"), &json!("2026-03-29T01:00:00Z"))
    );
    assert_eq!(json["description"], lines[0]);

    let at = punctual(&["job", "preview", "--at", "2099-01-01T00:00:00Z", "-o", "json"]).json();
    assert_eq!(at["fireTimes"], json!(["2099-01-01T00:00:00Z"]));
    let hashed = punctual(&["job", "preview", "a", "--cron", "H H * * *"]);
    assert_eq!((hashed.code, hashed.out.lines().count()), (0, 6), "{hashed:?}");
    let wrong = punctual(&["job", "preview", "--cron", "61 * * * *"]);
    assert_eq!(
        (wrong.code, wrong.err.as_str()),
        (
            1,
            "error: the schedule is not valid\n  schedule.cron[0]: minute, column 1: 61 is above 59, the last minute\n"
        )
    );
}

#[test]
fn the_jobs_of_a_file_are_previewed_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.yaml");
    let path = file.to_str().unwrap();
    let after = ["--after", "2026-01-01T00:00:00Z", "--count", "1"];
    let preview = |args: &[&str]| punctual(&[["job", "preview", "-f", path].as_slice(), &after, args].concat());

    fs::write(&file, "jobId: a\nschedule: {every: [90s]}\ntask: {type: noop}\n").unwrap();
    assert_eq!(preview(&["-o", "json"]).json()["fireTimes"], json!(["2026-01-01T00:01:30Z"]));
    assert_eq!(preview(&[]).out.lines().nth(1), Some("2026-01-01T00:01:30Z  Thu 2026-01-01 00:01:30 +00:00"));

    fs::write(&file, "[{jobId: a, schedule: {every: [90s]}, task: {type: noop}}, {jobId: b, task: {type: noop}}]")
        .unwrap();
    let said = preview(&["-n", "team"]);
    assert!(said.out.starts_with("team/a: every 1 minute 30 seconds\n2026-01-01T00:01:30Z "), "{said:?}");
    assert!(said.out.ends_with("team/b: manual only\nIt does not fire after that.\n"), "{said:?}");
    let previews = preview(&["-o", "json"]).json()["previews"].clone();
    assert_eq!((&previews[1]["namespace"], &previews[1]["jobId"]), (&json!("default"), &json!("b")));
    assert_eq!(previews[1]["preview"]["fireTimes"], json!([]));

    fs::write(&file, "jobId: a\nschedule: {cron: ['61 * * * *']}\ntask: {type: noop}\n").unwrap();
    let wrong = preview(&[]);
    assert!(wrong.code == 1 && wrong.err.contains("\n  schedule.cron[0]: minute, column 1: "), "{wrong:?}");
}

#[test]
fn fires_end_with_the_last_year_that_can_be_written() {
    let after = ["--after", "9999-12-31T23:59:58Z", "-o", "json"];
    let every = punctual(&[["job", "preview", "--every", "1s"].as_slice(), &after].concat()).json();
    assert_eq!(every["fireTimes"], json!(["9999-12-31T23:59:59Z"]));
}

#[test]
fn an_expression_without_quotes_is_answered_with_them() {
    for command in ["next", "validate"] {
        let said = punctual(&["cron", command, "0", "2", "Cargo.toml", "src", "tests"]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.err.contains("quotes") && said.err.contains(&format!("punctual cron {command} \"0 2 * * *\"")),
            "{said:?}"
        );
    }
}
