//! Manual pages from the definition of the commands, which is their help too.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::app::App;
use crate::failure::Failure;
use crate::view;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder to write them to [default: the page of `punctual` alone, to standard output]
    folder: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(App::command()).render(&mut page)?;
        return view::text(&String::from_utf8_lossy(&page));
    };
    let named = |error: std::io::Error| Failure::File { path: folder.display().to_string(), reason: error.to_string() };
    std::fs::create_dir_all(folder).map_err(named)?;
    clap_mangen::generate_to(App::command(), folder).map_err(named)
}
