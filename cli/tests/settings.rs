//! Every global setting of `punctual` is a flag, a variable and a key of the file, and all three have the same effect.

use clap::{CommandFactory as _, FromArgMatches as _};
use punctual_cli::app::App;
use punctual_cli::settings::{Flags, Settings as Held};
use punctual_tests::{File, Flag, Key, Settings, hold};

const FLAGS: [Flag; 8] = [
    Flag::new("server", Key::Text, ["http://one.example", "http://other.example"]),
    Flag::new("namespace", Key::Text, ["one", "other"]),
    Flag::new("token-file", Key::Text, ["one", "other"]),
    Flag::new("tls-ca", Key::Text, ["one", "other"]),
    Flag::new("tls-cert", Key::Text, ["one", "other"]),
    Flag::new("tls-key", Key::Text, ["one", "other"]),
    Flag::new("tls-server-name", Key::Text, ["one", "other"]),
    Flag::new("output", Key::Text, ["json", "table"]),
];

fn read(call: &[String]) -> Result<String, String> {
    let matches = App::command().try_get_matches_from(call).map_err(|refusal| refusal.to_string())?;
    let flags = Flags::from_arg_matches(&matches).map_err(|refusal| refusal.to_string())?;
    Held::load(flags).map(|settings| format!("{settings:#?}")).map_err(|refusal| refusal.to_string())
}

#[test]
fn every_global_setting_is_a_flag_a_variable_and_a_key() {
    let settings = Settings {
        test: "every_global_setting_is_a_flag_a_variable_and_a_key",
        command: App::command(),
        prefix: "PUNCTUAL_",
        call: &["punctual", "status"],
        file: File::Home(".config/punctual.toml"),
        read,
    };
    hold(&settings, &FLAGS);
}
