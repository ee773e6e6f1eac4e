//! The names that a line may use at this moment: the commands of the session, and what a script can call.

use crate::script::{Variable, docs::Words};
use std::sync::Arc;

/// The names that exist at this moment.
#[derive(Clone, Default)]
pub(super) struct CompletionNames {
    /// The names of the reference.
    pub words: Arc<Words>,
    /// The session's variables.
    pub variables: Vec<Variable>,
    /// Its functions, with their parameters.
    pub functions: Vec<(String, String)>,
    /// The names of its imports.
    pub modules: Vec<String>,
    /// The account's tags.
    pub tags: Vec<String>,
}

/// Commands of the session, with what they do.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    (":help", "these commands"),
    (":vars", "the variables and their values"),
    (":time LINE", "evaluates a line and shows how long it took"),
    (":more", "the next rows of the last list"),
    (":load FILE", "evaluates a file here: its declarations stay"),
    (":run FILE", "runs a file as a script of its own"),
    (":edit", "opens the last line in $EDITOR, and evaluates what is saved"),
    (":save FILE", "writes the lines that succeeded as a script; with --automation as one for the daemon"),
    (
        ":undo",
        "undoes the last line: its variables, and after a confirmation what it changed on the account; repeat it for \
         earlier lines",
    ),
    (
        ":watch FILE",
        "runs a script in the background, and reruns it whenever it is saved; its output appears above the line",
    ),
    (":serve FOLDER", "serves a folder of automations in the background"),
    (":stop", "stops what is running in the background"),
    (":dry on|off", "turns on or off that lines change nothing and show what they would change"),
    (":account NAME", "switches to another account; without a name, shows the current one"),
    (":quota", "today's calls, and how many are left"),
    (":runs", "the recorded runs, newest first"),
    (":history", "the last typed lines"),
    (":reset", "forgets variables, functions and imports"),
    (":quit", "leaves, as Ctrl-D does"),
    ("?", "the reference; ?tag::attach one entry, ?45009 an errcode, ??NAME a function's source"),
];
