//! `cargo run --example assets -- DIR`: writes the man page and the shell
//! completions to DIR. They are made from the definition of the command line,
//! at build time, so that the binary in the Pod need not carry them.
#![expect(clippy::print_stdout, reason = "no part of the program in the Pod")]

mod files;

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: cargo run --example assets -- DIR"));
    };
    for (name, content) in files::all()? {
        let path = folder.join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&path, content)?;
        println!("{}", path.display());
    }
    Ok(())
}
