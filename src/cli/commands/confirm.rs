//! Asks a person before something is changed.

use crate::{base::Cancel, base::Diagnostic, cli::output::Console, host::Host, script::ConfirmWrite};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether the answer to a `[y/N]` question is yes.
pub(crate) fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// Asks before each run that changes this account, which is marked as production.
pub(crate) fn confirm_production(
    host: &Host,
    console: &Arc<Console>,
    account: String,
    cancel: &Cancel,
) -> ConfirmWrite {
    let (host, console, cancel) = (host.clone(), Arc::clone(console), cancel.clone());
    Arc::new(move || {
        let refusal = |message: String| {
            let hint = "give --yes to change it without confirmation, or --dry-run to see what would change";
            Err(Diagnostic::new(message).hint(hint))
        };
        if !host.in_is_terminal {
            return refusal(format!(
                "account `{account}` is marked `production = true`, and there is no terminal to confirm at"
            ));
        }
        let question =
            format!("The script is about to change the account `{account}` (production). Continue? [y/N] ");
        match console.ask(&question, || (host.read_answer)(&cancel)) {
            Ok(answer) if is_yes(&answer) => Ok(()),
            _ => refusal(format!("changing the account `{account}` was not confirmed")),
        }
    })
}

/// Asks until the person has confirmed once, and never again after that.
pub(crate) fn confirm_once(confirm: ConfirmWrite) -> ConfirmWrite {
    let is_confirmed = AtomicBool::new(false);
    Arc::new(move || {
        if is_confirmed.load(Ordering::SeqCst) {
            return Ok(());
        }
        confirm()?;
        is_confirmed.store(true, Ordering::SeqCst);
        Ok(())
    })
}
