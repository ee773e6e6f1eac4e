//! `mpscript docs`.

use crate::{
    cli::{
        args::{DocsArguments, SETTING_NAMES},
        failure::usage_error,
        output::exit,
    },
    host::Host,
    script::docs,
};
use std::{fs, path::Path};

pub(crate) fn execute(host: &Host, arguments: &DocsArguments) -> anyhow::Result<u8> {
    if let Some(folder) = &arguments.definitions {
        return write_definitions(host, &host.folder.join(folder));
    }
    let Some(name) = &arguments.name else {
        host.out.write(&docs::reference("", SETTING_NAMES));
        return Ok(exit::DONE);
    };
    let text = docs::look_up(name, SETTING_NAMES).map_err(|near| {
        if name.parse::<i64>().is_ok() {
            let message = format!("mpscript does not know the errcode {name}");
            let hint = "`mpscript docs errors` lists those it knows; the platform's own list is 全局返回码";
            return usage_error(message, hint);
        }
        let hint = near.map_or_else(
            || "`mpscript docs` prints everything, `mpscript docs errors` every errcode".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        usage_error(format!("there is nothing called `{name}`"), hint)
    })?;
    host.out.line(&text);
    Ok(exit::DONE)
}

fn write_definitions(host: &Host, folder: &Path) -> anyhow::Result<u8> {
    let write = || {
        fs::create_dir_all(folder)?;
        docs::definitions().into_iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
    };
    write().map_err(|error: std::io::Error| {
        let message = format!("can't write definitions into {}: {error}", folder.display());
        usage_error(message, "give a folder that can be written")
    })?;
    host.out.line(&format!("definitions written to {}", folder.display()));
    Ok(exit::DONE)
}
