//! Compiles the protos with protox, so that no protoc is needed, and keeps the descriptor set as protox
//! encodes it: the way through prost's own types would drop the `google.api.http` options.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut files = Vec::new();
    for entry in fs::read_dir("proto/punctual/v1")? {
        files.push(PathBuf::from("punctual/v1").join(entry?.file_name()));
    }
    files.sort();

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let out_dir = env::var("OUT_DIR")?;
    fs::write(Path::new(&out_dir).join("descriptor_set.bin"), compiler.encode_file_descriptor_set())?;

    // No `connect` constructor on the clients: its name is that of ExecutorService's method.
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        .bytes(".punctual.v1")
        .emit_rerun_if_changed(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
