//! Where the server is and how to print: a flag beats its variable, a variable beats the file.

use std::path::PathBuf;
use std::{env, fs, io};

use clap::{Args, ValueEnum};
use serde::Deserialize;
use tls::{ClientFiles, with_scheme};

use crate::failure::Failure;

const SERVER: &str = "http://127.0.0.1:7117";
const NAMESPACE: &str = "default";

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// For people: columns, relative times
    #[default]
    Table,
    /// For programs: canonical JSON, times in UTC
    Json,
}

/// The flags of every command, each with its variable.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Flags {
    /// URL of a server, or its HOST:PORT for http [default: http://127.0.0.1:7117]
    #[arg(long, global = true, value_name = "URL", env = "PUNCTUAL_SERVER", hide_env_values = true)]
    pub server: Option<String>,
    /// Namespace of the jobs and runs; `-` in lists for all [default: default]
    #[arg(long, short, global = true, value_name = "NAME", env = "PUNCTUAL_NAMESPACE", hide_env_values = true)]
    pub namespace: Option<String>,
    /// Authorities in PEM that the server's certificate may come from [default: the system's]
    #[arg(long, global = true, value_name = "FILE", env = "PUNCTUAL_TLS_CA", hide_env_values = true)]
    pub tls_ca: Option<PathBuf>,
    /// Certificate in PEM that is shown to the server
    #[arg(long, global = true, value_name = "FILE", env = "PUNCTUAL_TLS_CERT", hide_env_values = true)]
    pub tls_cert: Option<PathBuf>,
    /// Key of --tls-cert, in PEM
    #[arg(long, global = true, value_name = "FILE", env = "PUNCTUAL_TLS_KEY", hide_env_values = true)]
    pub tls_key: Option<PathBuf>,
    /// Name that the server's certificate must have [default: the one in the URL]
    #[arg(long, global = true, value_name = "NAME", env = "PUNCTUAL_TLS_SERVER_NAME", hide_env_values = true)]
    pub tls_server_name: Option<String>,
    /// How to print [default: table]
    #[arg(long, short, global = true, value_name = "FORMAT", env = "PUNCTUAL_OUTPUT", hide_env_values = true)]
    pub output: Option<Output>,
    /// File with the token to sign in with
    #[arg(long, global = true, value_name = "FILE", env = "PUNCTUAL_TOKEN_FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
}

/// The keys of the file; an unknown one is refused, so that a misspelt key does not go unnoticed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    server: Option<String>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_server_name: Option<String>,
    namespace: Option<String>,
    output: Option<Output>,
    token_file: Option<PathBuf>,
}

/// What holds for this call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub server: String,
    pub tls: ClientFiles,
    pub namespace: String,
    pub output: Output,
    pub token_file: Option<PathBuf>,
}

impl Settings {
    /// Reads `~/.config/punctual.toml`, if there is one.
    pub fn load(flags: Flags) -> Result<Self, Failure> {
        let Some(path) = file() else { return Self::resolve(flags, "") };
        let wrong = |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", path.display()));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(wrong(&error)),
        };
        Self::resolve(flags, &text).map_err(|error| wrong(&error))
    }

    /// What `flags` say, else what `file` says, else the defaults.
    fn resolve(flags: Flags, file: &str) -> Result<Self, Failure> {
        let file: File =
            toml::from_str(file).map_err(|error| Failure::Usage(error.to_string().trim_end().to_owned()))?;
        Ok(Self {
            server: with_scheme(flags.server.or(file.server).as_deref().unwrap_or(SERVER)),
            tls: ClientFiles {
                ca: flags.tls_ca.or(file.tls_ca),
                cert: flags.tls_cert.or(file.tls_cert),
                key: flags.tls_key.or(file.tls_key),
                server_name: flags.tls_server_name.or(file.tls_server_name),
            },
            namespace: flags.namespace.or(file.namespace).unwrap_or_else(|| NAMESPACE.to_owned()),
            output: flags.output.or(file.output).unwrap_or_default(),
            token_file: flags.token_file.or(file.token_file),
        })
    }
}

fn file() -> Option<PathBuf> {
    Some(env::home_dir()?.join(".config").join("punctual.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let flags = Flags { namespace: Some("flag".to_owned()), ..Flags::default() };
        let settings = Settings::resolve(flags, "namespace = \"file\"\noutput = \"json\"\n").unwrap();
        assert_eq!(
            settings,
            Settings {
                server: SERVER.to_owned(),
                tls: ClientFiles::default(),
                namespace: "flag".to_owned(),
                output: Output::Json,
                token_file: None
            }
        );
    }

    #[test]
    fn a_server_without_a_scheme_is_spoken_to_in_plain_http() {
        let server = |text: &str| {
            let flags = Flags { server: Some(text.to_owned()), ..Flags::default() };
            Settings::resolve(flags, "").unwrap().server
        };
        assert_eq!(server("localhost:7117"), "http://localhost:7117");
        assert_eq!(server("https://localhost:7117"), "https://localhost:7117");
    }

    #[test]
    fn a_misspelt_key_of_the_file_is_named() {
        let error = Settings::resolve(Flags::default(), "namespce = \"x\"").unwrap_err().to_string();
        assert!(error.contains("namespce"), "{error}");
    }
}
