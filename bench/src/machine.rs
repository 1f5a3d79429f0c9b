//! What a figure was measured on.

/// A line about the machine, and a warning where the build makes figures worthless.
pub(crate) fn describe() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("machine: {cores} cores{}, shared by server, agent and this program", model());
    if cfg!(debug_assertions) {
        println!("warning: a debug build; only `cargo xtask bench` gives figures worth comparing");
    }
}

/// The processor's name, where the system tells.
fn model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(String::new, |(_, name)| format!(" of {}", name.trim()))
}
