//! `mpscript docs`.

use crate::{
    base::Diagnostic,
    cli::{Failure, args::arguments::DocsArguments, output::exit},
    host::Host,
    script::docs,
};
use std::{fs, path::Path};

pub(crate) fn execute(host: &Host, arguments: &DocsArguments) -> Result<u8, Failure> {
    if let Some(folder) = &arguments.definitions {
        return write_definitions(host, &host.folder.join(folder));
    }
    let Some(name) = &arguments.name else {
        host.out.write(&docs::reference(""));
        return Ok(exit::DONE);
    };
    let text = docs::look_up(name).map_err(|near| {
        if name.parse::<i64>().is_ok() {
            let message = format!("{name} is no errcode that mpscript knows");
            let hint = "the platform's own list is 全局返回码; `mpscript docs errors` prints ours";
            return Failure::usage(Diagnostic::new(message).hint(hint));
        }
        let hint = near.map_or_else(
            || "`mpscript docs` prints everything, `mpscript docs errors` every errcode".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Failure::usage(Diagnostic::new(format!("there is nothing called `{name}`")).hint(hint))
    })?;
    host.out.line(&text);
    Ok(exit::DONE)
}

fn write_definitions(host: &Host, folder: &Path) -> Result<u8, Failure> {
    let write = || {
        fs::create_dir_all(folder)?;
        docs::definitions().into_iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
    };
    write().map_err(|error: std::io::Error| {
        let message = format!("can't write definitions into {}: {error}", folder.display());
        Failure::usage(Diagnostic::new(message).hint("give a folder that can be written"))
    })?;
    host.out.line(&format!("definitions written to {}", folder.display()));
    Ok(exit::DONE)
}
