//! The README and the pages of `docs` promise that a test runs their commands. This is the test.
//!
//! A block `sh` is run by a shell and a block `python` by Python, in the order of the page, against a server of the
//! page's own; each must succeed. A block `text` right after one is all that it prints on standard output; `…` in it
//! stands for anything.

use std::env;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use punctual_tests::{
    Agent, Cli, Etcd, Postgres, Process, Said, Server, folder, grpcurl, program, python, root, sqlite,
};

/// Where a server listens, and where `dev` has its data, as the pages have it.
const ADDRESS: &str = "127.0.0.1:7117";
const DATA: &str = "punctual-data";
/// Where the page on clusters has another server, Postgres, and its ledger there.
const ANOTHER: &str = "127.0.0.1:7118";
const POSTGRES: &str = "127.0.0.1:5432";
const LEDGER: &str = "postgres://punctual@127.0.0.1:5432/punctual";

/// What is run, and what it prints, if the page says so.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
    prints: Option<String>,
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// What is under a heading of the second level.
fn section(page: &str, heading: &str) -> String {
    let under = page.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    under.collect::<Vec<_>>().join("\n")
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines();
    // Only blank lines have come since the block that ended last, which is one that is run.
    let mut follows = false;
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            follows &= line.is_empty();
            continue;
        };
        assert!(!language.contains(' '), "{line}: a block that is not run is `text`, and promises nothing");
        let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let text = inside.join("\n");
        let runs = matches!(language, "sh" | "python");
        if runs {
            blocks.push(Block { language: language.to_owned(), text, prints: None });
        } else if language == "text"
            && follows
            && let Some(ran) = blocks.last_mut()
        {
            ran.prints = Some(text);
        }
        follows = runs;
    }
    blocks
}

/// Whether it was said as the page has it.
fn is_like(said: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| said.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// Runs all blocks; `tools` are programs that they call beside Punctual's own.
#[track_caller]
fn run(page: &str, tools: &[PathBuf]) {
    run_with(page, tools, |_, _| ());
}

/// As [`run`], with something of `start`'s beside the server.
#[track_caller]
fn run_with<T>(page: &str, tools: &[PathBuf], start: impl FnOnce(&Path, &Server) -> T) {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let _beside = start(folder.path(), &server);
    symlink("data", folder.path().join(DATA)).expect("because the folder is the test's");
    run_at(page, tools, folder.path(), &server);
}

/// Runs all blocks in a folder, against a server that is there.
#[track_caller]
fn run_at(page: &str, tools: &[PathBuf], folder: &Path, server: &Server) {
    let page = page.replace(ADDRESS, &server.address());
    let blocks = blocks(&page);
    assert!(!blocks.is_empty(), "the page has commands");
    let programs = [program("punctual")];
    let folders = programs.iter().chain(tools).filter_map(|program| program.parent());
    let found = env::var_os("PATH").expect("a PATH");
    let path = folders.filter(|folder| !folder.as_os_str().is_empty()).map(PathBuf::from);
    let path = env::join_paths(path.chain(env::split_paths(&found))).expect("because no folder has a colon");
    for block in blocks {
        // -e: the first command that fails ends it; -v: and is the last that it has shown.
        let (program, flag) = match block.language.as_str() {
            "sh" => (PathBuf::from("sh"), "-evc"),
            _ => (python().expect("because a page with Python is not run without"), "-c"),
        };
        let mut command = Command::new(program);
        command.args([flag, &block.text]).current_dir(folder);
        command.env("PATH", &path).env("HOME", folder).env("PUNCTUAL_SERVER", server.url());
        // Whoever has a proxy does not reach this machine through it.
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let said = Said::of(&mut command);
        assert_eq!(said.code, Some(0), "{}\n{}\n{}", block.text, said.out, said.err);
        if let Some(shown) = block.prints {
            assert!(is_like(said.out.trim_end(), &shown), "{}\nprints\n{}\nnot\n{shown}", block.text, said.out);
        }
    }
}

#[test]
fn every_command_of_the_readmes_tour_works() {
    run(&section(&read("README.md"), "## Tour"), &[]);
}

#[test]
fn every_command_of_the_page_on_schedules_prints_what_it_shows() {
    run(&read("docs/schedules.md"), &[]);
}

#[test]
fn every_command_of_the_page_on_execution_prints_what_it_shows() {
    run(&read("docs/execution.md"), &[]);
}

#[test]
fn every_command_of_the_api_guide_prints_what_it_shows() {
    let (Some(grpcurl), Some(_)) = (grpcurl(), python()) else { return };
    run(&read("docs/api.md"), &[grpcurl]);
}

#[test]
fn every_command_of_the_page_on_tasks_prints_what_it_shows() {
    run(&read("docs/tasks.md"), &[]);
}

#[test]
fn every_command_of_the_page_on_handlers_prints_what_it_shows() {
    run_with(&read("docs/writing-a-handler.md"), &[], |folder, server| {
        let worker = Process::start("worker", folder, "examples/worker", &[&server.url()]);
        server.has_agents(2);
        worker
    });
}

#[test]
fn the_page_on_handlers_shows_the_example_that_runs() {
    let example = read("executor-agent/examples/worker.rs");
    assert!(read("docs/writing-a-handler.md").contains(&format!("```rust\n{example}```\n")), "the example has changed");
}

#[test]
fn every_command_of_the_page_on_operating_prints_what_it_shows() {
    let Some(sqlite) = sqlite() else { return };
    run(&read("docs/operating-a-single-node.md"), &[sqlite]);
}

#[test]
fn every_command_of_the_page_on_clusters_works() {
    let (Some(etcd), Some(postgres)) = (Etcd::start(1), Postgres::start()) else { return };
    let (folder, endpoints) = (folder(), etcd.endpoints().join(","));
    let [one, other] = ["one", "other"].map(|name| {
        let own = folder.path().join(name);
        std::fs::create_dir(&own).expect("because the folder is the test's");
        Server::on_database(&own, &postgres.url(), &["--etcd", &endpoints, "--node-id", name])
    });
    let _agent = Agent::start(folder.path(), "worker-1", &one, &["--server", &other.url()]);
    one.has_agents(1);
    let page = read("docs/cluster.md").replace(LEDGER, &postgres.url()).replace(ANOTHER, &other.address());
    let page = page.replace(POSTGRES, &format!("127.0.0.1:{}", postgres.port()));
    run_at(&page, &[postgres.program("pg_dump")], folder.path(), &one);
}

/// `2026-01-15 09:00`, with the seconds if there are any.
fn shown(fire: &str) -> String {
    let fire = fire.replace('T', " ");
    let fire = fire.strip_suffix('Z').unwrap_or(&fire);
    fire.strip_suffix(":00").unwrap_or(fire).to_owned()
}

#[test]
fn the_expressions_of_the_page_on_schedules_fire_as_its_tables_say() {
    let page = read("docs/schedules.md");
    let folder = folder();
    let cli = Cli::new(folder.path(), "http://127.0.0.1:1");
    let mut expressions = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [expression, _, fires] = cells[..] else { continue };
        if !fires.starts_with("20") {
            continue;
        }
        expressions += 1;
        let expression = expression.trim_matches('`');
        let count = fires.split(", ").count().to_string();
        let next =
            ["cron", "next", expression, "--job", "report", "--after", "2026-01-01T00:00:00Z", "--count", &count];
        let answer = cli.json(&next);
        let found = answer["fireTimes"].as_array().expect("a list").iter();
        let found: Vec<String> = found.map(|fire| shown(fire.as_str().expect("an instant"))).collect();
        assert_eq!(found.join(", "), fires, "{expression}");
    }
    assert!(expressions > 20, "the page has tables of expressions, of which {expressions} were found");
}

/// What GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    heading.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
}

#[test]
fn the_links_of_the_readme_and_the_pages_lead_somewhere() {
    let docs = std::fs::read_dir(root().join("docs")).expect("a folder").flatten().map(|entry| entry.path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    for page in pages.chain([root().join("README.md")]) {
        let text = std::fs::read_to_string(&page).expect("because it was listed");
        let links = text.split("](").skip(1).filter_map(|link| link.split_once(')'));
        for (link, _) in links.filter(|(link, _)| !link.contains("://")) {
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            if !fragment.is_empty() {
                let text = std::fs::read_to_string(&target).expect("a page");
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.map(anchor).any(|anchor| anchor == fragment);
                assert!(found, "{}: {link}: there is no such heading", page.display());
            }
        }
    }
}

#[test]
fn what_is_printed_is_compared_to_the_letter_but_for_ellipses() {
    assert!(is_like("a\nb", "a\nb"));
    assert!(is_like("run 17 of a, 3 s ago", "run … of a, … ago"));
    assert!(!is_like("a\nb", "a"));
    assert!(!is_like("run 17 of b, 3 s ago", "run … of a, … ago"));
}
