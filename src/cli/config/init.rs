//! `mpscript init`: a configuration with comments, and a first script.

use super::file::FILE;
use crate::{
    cli::{args::InitArguments, failure::usage_error, output::exit},
    host::Host,
};
use std::{fs, io::Write, path::Path};

/// The script's name.
const SCRIPT: &str = "first.rhai";

const CONFIG: &str = include_str!("init.toml");
const FIRST: &str = include_str!("init.rhai");

pub(crate) fn execute(host: &Host, arguments: &InitArguments) -> anyhow::Result<u8> {
    let folder = match &arguments.folder {
        Some(folder) => host.folder.join(folder),
        None => host.folder.clone(),
    };
    let fail = |path: &Path, error: &std::io::Error| {
        let message = format!("can't write {}: {error}", path.display());
        usage_error(message, "give a folder that can be written")
    };
    fs::create_dir_all(&folder).map_err(|error| fail(&folder, &error))?;
    let (config, script) = (folder.join(FILE), folder.join(SCRIPT));
    if config.exists() {
        let message = format!("{} is there already", config.display());
        return Err(usage_error(message, "nothing was written; give another folder, or move it away"));
    }
    for (path, text) in [(&config, CONFIG), (&script, FIRST)] {
        if path.exists() {
            host.out.line(&format!("kept {}, which is there already", path.display()));
            continue;
        }
        // A secret may be written into it later: its owner's alone from the start.
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| fail(path, &error))?;
        host.out.line(&format!("wrote {}", path.display()));
    }
    let script = arguments.folder.as_deref().unwrap_or(Path::new("")).join(SCRIPT);
    host.out.line(&format!("try it: mpscript run {} --sandbox", script.display()));
    Ok(exit::DONE)
}
