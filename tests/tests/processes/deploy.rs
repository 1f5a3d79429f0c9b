//! What `deploy` and the page on clusters tell the programs: every flag, variable and key that stands there exists, and the
//! settings go together. What no container engine and no Kubernetes is needed for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use punctual_tests::{Said, folder, program, root};
use serde_json::Value;

const PROGRAMS: [&str; 3] = ["scheduler-server", "executor-agent", "punctual"];
const CHART: &str = "deploy/helm/punctual";

/// What a program says that it takes, in all its commands.
#[derive(Default)]
struct Known {
    flags: BTreeSet<String>,
    variables: BTreeSet<String>,
}

impl Known {
    fn of(name: &str) -> Self {
        let mut known = Self::default();
        known.learn(name, &[]);
        known
    }

    fn learn(&mut self, name: &str, path: &[&str]) {
        let mut command = Command::new(program(name));
        let help = Said::of(command.args(path).arg("--help").env_remove("COLUMNS")).ok();
        let mut lists_commands = false;
        for line in help.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let flag = words.iter().take(2).find(|word| word.starts_with("--"));
            self.flags.extend(flag.map(|flag| flag.split(['[', '=']).next().unwrap_or(flag).to_owned()));
            let variable = line.split_once("[env: ").and_then(|(_, rest)| rest.split(['=', ']']).next());
            self.variables.extend(variable.map(str::to_owned));
            if !line.starts_with(' ') {
                lists_commands = line == "Commands:";
            } else if lists_commands && line.starts_with("  ") && !line.starts_with("   ") && words[0] != "help" {
                self.learn(name, &[path, &words[..1]].concat());
            }
        }
    }
}

fn known() -> BTreeMap<&'static str, Known> {
    PROGRAMS.map(|name| (name, Known::of(name))).into()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("no YAML ({error}): {text}"))
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Words as the names of flags and variables are, or the last parts of paths.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|letter: char| !letter.is_ascii_alphanumeric() && !"_-./".contains(letter));
    words.filter_map(|word| word.trim_end_matches('.').rsplit('/').next()).filter(|word| !word.is_empty())
}

#[test]
fn every_flag_and_variable_of_deploy_and_its_page_is_a_programs() {
    let known = known();
    let (mut flags, mut variables) = (0_u32, 0_u32);
    for file in files(&root().join("deploy")).into_iter().chain([root().join("docs/cluster.md")]) {
        // A command goes on after a backslash, and ends where another begins.
        for line in read(&file).replace("\\\n", " ").split(['\n', '&', '|', ';']) {
            let mut called = None;
            for word in words(line) {
                let place = || format!("{}: {word}: {line}", file.display());
                if let Some(name) = PROGRAMS.iter().find(|name| **name == word) {
                    called = Some(&known[name]);
                } else if word.starts_with("--") && word.len() > 2 {
                    // Flags of other programs, such as docker's, stand before ours or without them.
                    let is_named = line.contains(&format!("`{word}"));
                    let is_known = match called {
                        Some(called) => called.flags.contains(word),
                        None => !is_named || known.values().any(|known| known.flags.contains(word)),
                    };
                    flags += u32::from(called.is_some() || is_named);
                    assert!(is_known, "there is no such flag: {}", place());
                } else if word.starts_with("PUNCTUAL_") && !word.ends_with('_') {
                    variables += 1;
                    let is_known = known.values().any(|known| known.variables.contains(word));
                    assert!(is_known, "there is no such variable: {}", place());
                }
            }
        }
    }
    assert!(flags > 30 && variables > 40, "{flags} flags and {variables} variables were found");
}

/// The lines that set something, those too that are given as examples in comments, without their comment sign.
fn settings(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    let is_key = |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    lines.filter(|line| line.split_once(" = ").is_some_and(|(key, _)| is_key(key))).collect()
}

#[test]
fn every_key_of_the_files_for_systemd_is_a_setting() {
    let known = known();
    for (file, name) in [("server.toml", "scheduler-server"), ("agent.toml", "executor-agent")] {
        let text = read(format!("deploy/systemd/{file}"));
        let keys = settings(&text).into_iter().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key);
        // A label's name is the operator's.
        for key in keys.filter(|key| *key != "zone") {
            assert!(known[name].flags.contains(&format!("--{key}")), "{file}: {key}");
        }
    }
    let folder = folder();
    let text = read("deploy/systemd/server.toml");
    let mut lines: BTreeMap<&str, &str> = BTreeMap::new();
    lines.extend(settings(&text).into_iter().filter_map(|line| line.split_once(" = ")));
    let cluster: String = lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    for text in [text.as_str(), &cluster] {
        fs::write(folder.path().join("server.toml"), text).expect("because the folder is the test's");
        let mut migrate = Command::new(program("scheduler-server"));
        migrate.args(["migrate", "--config", "server.toml"]).current_dir(folder.path());
        Said::of(migrate.env("PUNCTUAL_NODE_DATABASE_URL", "sqlite://ledger.db")).ok();
    }
}

/// The services of the compose file with the image of a program, and the variables of each.
fn services(image: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let compose = yaml(&read("deploy/compose/compose.yaml"));
    let services = compose["services"].as_object().expect("services").iter();
    let text = |value: &Value| value.as_str().expect("variables are texts").to_owned();
    services
        .filter(|(_, service)| service["image"] == image)
        .map(|(name, service)| {
            let variables = service["environment"].as_object().expect("variables").iter();
            (name.clone(), variables.map(|(name, value)| (name.clone(), text(value))).collect())
        })
        .collect()
}

#[test]
fn the_servers_of_the_compose_file_take_their_settings_and_agents_know_them_all() {
    let folder = folder();
    let servers = services("punctual/scheduler-server");
    let mut addresses = Vec::new();
    for (name, variables) in &servers {
        let mut serve = Command::new(program("scheduler-server"));
        serve.arg("serve").current_dir(folder.path()).envs(variables);
        // Settings that do not go together are refused before the ledger is looked for.
        let said = Said::of(serve.env("PUNCTUAL_NODE_DATABASE_URL", "postgres://punctual@127.0.0.1:1/punctual"));
        assert!(said.err.starts_with("error: the ledger postgres://127.0.0.1:1/punctual"), "{name}: {said:?}");
        assert_eq!(&variables["PUNCTUAL_NODE_NODE_ID"], name);
        assert_eq!(variables["PUNCTUAL_NODE_ADVERTISE"], variables["PUNCTUAL_SERVER"], "{name} looks after itself");
        addresses.push(variables["PUNCTUAL_NODE_ADVERTISE"].as_str());
    }
    let agents = services("punctual/executor-agent");
    assert_eq!((servers.len(), agents.len()), (3, 2));
    for (name, variables) in &agents {
        assert_eq!(variables["PUNCTUAL_AGENT_SERVER"], addresses.join(","), "{name}");
    }
}

/// The paths of all values that are no objects, or empty ones.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value.as_object().filter(|object| !object.is_empty()) {
        Some(object) => object.iter().for_each(|(key, value)| leaves(value, &format!("{path}.{key}"), found)),
        None => found.push(path.to_owned()),
    }
}

#[test]
fn every_value_of_the_chart_is_used_and_every_one_that_is_used_is_there() {
    let values = yaml(&read(format!("{CHART}/values.yaml")));
    let schema: Value = serde_json::from_str(&read(format!("{CHART}/values.schema.json"))).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    if let Err(error) = schema.validate(&values) {
        panic!("{}: {error}", error.instance_path());
    }
    let templates: String = files(&root().join(CHART).join("templates")).iter().map(read).collect();
    let mut used = BTreeSet::new();
    for place in templates.split("Values.").skip(1) {
        let path = place.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.').next();
        used.insert(path.expect("because there is always a first part").trim_end_matches('.').to_owned());
    }
    for path in &used {
        let found = path.split('.').try_fold(&values, |value, key| value.get(key));
        assert!(found.is_some(), "a template uses {path}, which values.yaml does not have");
    }
    let mut leaf_paths = Vec::new();
    leaves(&values, "", &mut leaf_paths);
    for path in leaf_paths {
        let path = path.trim_start_matches('.');
        let is_below = |used: &String| {
            path.strip_prefix(used.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        assert!(used.iter().any(is_below), "no template uses {path}");
    }
}

#[test]
fn systemd_takes_the_units() {
    let folder = folder();
    let units = ["punctual-server.service", "punctual-agent.service"];
    for unit in units {
        let text = read(format!("deploy/systemd/{unit}"));
        let programs = program("punctual").parent().expect("a folder").display().to_string();
        // It looks whether what it is to start is there.
        let text = text.replace("/usr/local/bin", &programs);
        fs::write(folder.path().join(unit), text).expect("because the folder is the test's");
    }
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).args(units.map(|unit| format!("./{unit}"))).current_dir(folder.path());
    let said = match verify.output() {
        Ok(said) => said,
        Err(error) => return eprintln!("SKIPPED: this test needs systemd-analyze ({error})"),
    };
    let complaints = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && !units.iter().any(|unit| complaints.contains(unit)), "{complaints}");
}
