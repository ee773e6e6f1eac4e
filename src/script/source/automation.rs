//! Automations: files that declare in one literal constant when and how they run; handlers, which are named functions, do
//! the work.
//!
//! Everything is read without running a statement. Must never know when a cron expression fires: a trigger's timing is
//! kept as written, with its position, for the caller that parses it.

use super::{
    accounts::read_accounts,
    automation_keys::{AUTOMATION, PARAMETER, TRIGGER, names},
    literal::{Literal, LiteralErrors, LiteralValue},
    parameters::{Kind, Parameter},
    program::Program,
    trigger_spec::{HANDLER, Timing, TriggerSpec},
};
use crate::{
    base::{Diagnostic, closest_match, parse_percent},
    script::host::error::ScriptFailure,
};
use rhai::{ASTFlags, Stmt};
use std::{collections::BTreeMap, fmt::Display, time::Duration};

/// The declaration of an automation.
#[derive(Clone, Debug)]
pub struct Automation {
    /// What starts it.
    pub triggers: Vec<TriggerSpec>,
    /// What happens to a fire while a run of the automation is running. By default the fire is skipped.
    pub overlap: Overlap,
    /// What happens to fires that were missed while no daemon ran. By default the latest of the last six hours runs.
    pub catch_up: CatchUp,
    /// How many of its runs run at the same time. By default ten.
    pub max_parallel: usize,
    /// How many of its fires wait at the same time. By default a hundred.
    pub max_waiting: usize,
    /// A run that takes longer is stopped. By default twelve hours.
    pub timeout: Duration,
    /// How often a failed run is resumed. By default never.
    pub retries: u32,
    /// What its handlers are given.
    pub params: BTreeMap<String, Parameter>,
    /// The limits of each run.
    pub limits: LimitSpec,
    /// An address that is fetched after each success.
    pub ping: Option<String>,
    /// The accounts of the configuration that it works on. By default the account of the command.
    pub accounts: Vec<String>,
    /// Whether it has a failure hook: `fn on_failure(ctx, error)`.
    pub has_failure_hook: bool,
}

/// The limits that an automation declares for its runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitSpec {
    /// Maximum number of changes.
    pub changes: Option<u64>,
    /// Maximum share of followers that may fail, in thousandths of a per cent.
    pub errors: Option<u32>,
}

/// What happens to a fire while a run of the same automation is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// The fire is skipped.
    #[default]
    Forbid,
    /// The fire waits for the end of the run.
    Queue,
    /// The run is stopped, then the fire starts.
    Replace,
    /// Both run at the same time.
    Parallel,
}

/// What happens to fires that were missed while no daemon ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatchUp {
    /// Which of them run.
    pub policy: CatchUpPolicy,
    /// Only fires that were missed within this time run.
    pub within: Duration,
}

/// Which missed fires run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUpPolicy {
    /// None.
    None,
    /// The latest.
    Latest,
    /// All, in order.
    All,
}

impl Default for CatchUp {
    fn default() -> Self {
        Self { policy: CatchUpPolicy::Latest, within: Duration::from_hours(6) }
    }
}

/// The failure hook.
pub const ON_FAILURE: &str = "on_failure";

/// A handler takes the context and the parameters, or only the first of them, or nothing.
const MAX_PARAMETERS: usize = 2;

impl Program {
    /// Reads `const automation`; `None` for a script without it.
    ///
    /// # Errors
    /// When the constant can't be read, or the file has statements that are no declarations.
    pub fn automation(&self) -> Result<Option<Automation>, ScriptFailure> {
        let found = self.ast.statements().iter().find_map(|statement| match statement {
            Stmt::Var(variable, flags, position) if variable.0.name == "automation" => {
                Some((&variable.1, flags.contains(ASTFlags::CONSTANT), *position))
            }
            _ => None,
        });
        let Some((expression, is_constant, position)) = found else { return Ok(None) };
        self.read_automation(expression, is_constant, position).map(Some).map_err(ScriptFailure::in_script)
    }

    fn read_automation(
        &self,
        expression: &rhai::Expr,
        is_constant: bool,
        position: rhai::Position,
    ) -> Result<Automation, Diagnostic> {
        let errors = LiteralErrors(self);
        if !is_constant {
            return Err(errors.error_at(
                position,
                "`automation` is a variable",
                "write const automation = #{ on: […] };",
            ));
        }
        let does_more = self.ast.statements().iter().find(|statement| match statement {
            Stmt::Var(_, flags, _) => !flags.contains(ASTFlags::CONSTANT),
            Stmt::Import(..) | Stmt::Noop(..) => false,
            _ => true,
        });
        if let Some(statement) = does_more {
            let message = "an automation only declares: what it does belongs in functions";
            let hint = "move it into fn run(ctx, p) { … }; beside functions there are import and const";
            return Err(errors.error_at(statement.position(), message, hint));
        }
        let literal = Literal::read(expression).map_err(|position| {
            let message = "what an automation says of itself is written out: nothing in it is evaluated";
            errors.error_at(position, message, "write the value itself")
        })?;
        self.read_keys(&literal)
    }

    fn read_keys(&self, literal: &Literal) -> Result<Automation, Diagnostic> {
        let errors = LiteralErrors(self);
        let mut automation = Automation {
            triggers: Vec::new(),
            overlap: Overlap::default(),
            catch_up: CatchUp::default(),
            max_parallel: 10,
            max_waiting: 100,
            timeout: Duration::from_hours(12),
            retries: 0,
            params: BTreeMap::new(),
            limits: LimitSpec::default(),
            ping: None,
            accounts: Vec::new(),
            has_failure_hook: self.has_handler(ON_FAILURE),
        };
        let entries = errors.entries("an automation", literal, &names(AUTOMATION))?;
        if !entries.iter().any(|(name, _)| *name == "on") {
            let hint = "on: [ #{ cron: \"0 9 * * *\", tz: \"Asia/Shanghai\" } ]; on: [] runs by hand only";
            return Err(errors.error_at(literal.position, "the automation does not say when it runs", hint));
        }
        for (name, value) in entries {
            let at = value.position;
            let text = |wanted: &str| {
                value.as_text().ok_or_else(|| errors.error_at(at, format!("`{name}` is no text"), wanted))
            };
            match name {
                "on" => automation.triggers = self.read_triggers(value)?,
                "overlap" => {
                    const WORDS: [(&str, Overlap); 4] = [
                        ("forbid", Overlap::Forbid),
                        ("queue", Overlap::Queue),
                        ("replace", Overlap::Replace),
                        ("parallel", Overlap::Parallel),
                    ];
                    automation.overlap = parse_keyword(errors, name, value, &WORDS)?;
                }
                "catch_up" => automation.catch_up = read_catch_up(errors, value)?,
                "max_parallel" => automation.max_parallel = count(errors, name, value, 1, 100)?,
                "max_waiting" => automation.max_waiting = count(errors, name, value, 1, 10_000)?,
                "timeout" => {
                    automation.timeout = duration(errors, name, value)?;
                    if automation.timeout.is_zero() {
                        return Err(errors.error_at(at, "no run ends in no time", "timeout: \"2h\""));
                    }
                }
                "retries" => automation.retries = count(errors, name, value, 0, 10)?,
                "params" => automation.params = Parameter::read_all(errors, value)?,
                "limits" => automation.limits = read_limits(errors, value)?,
                "ping" => {
                    let url = text("ping: \"https://…\"")?;
                    let is_safe = url::Url::parse(&url).is_ok_and(|url| {
                        let is_here =
                            url.host_str().is_some_and(|host| ["127.0.0.1", "localhost"].contains(&host));
                        url.scheme() == "https" || (url.scheme() == "http" && is_here)
                    });
                    if !is_safe {
                        let message = format!("`{url}` is no address for a ping");
                        return Err(errors.error_at(
                            at,
                            message,
                            "an address with https://; plain http:// only on this machine",
                        ));
                    }
                    automation.ping = Some(url);
                }
                _ => automation.accounts = read_accounts(errors, value)?,
            }
        }
        Ok(automation)
    }

    /// Whether there is a function that can be a handler.
    pub(crate) fn has_handler(&self, name: &str) -> bool {
        self.handler_parameters(name).is_some()
    }

    /// How many of the context and the parameters a handler takes.
    pub(crate) fn handler_parameters(&self, name: &str) -> Option<usize> {
        let functions = self.ast.iter_functions().filter(|function| function.name == name);
        functions.map(|function| function.params.len()).filter(|count| *count <= MAX_PARAMETERS).max()
    }

    fn read_triggers(&self, literal: &Literal) -> Result<Vec<TriggerSpec>, Diagnostic> {
        const WANTED: &str = "on: [ #{ cron: \"0 9 * * 1-5\", tz: \"Asia/Shanghai\" }, #{ every: \"15m\" } ]";
        let errors = LiteralErrors(self);
        let LiteralValue::Array(entries) = &literal.value else {
            return Err(errors.error_at(literal.position, "`on` is no array of triggers", WANTED));
        };
        let mut triggers: Vec<TriggerSpec> = Vec::new();
        for entry in entries {
            let (mut timings, mut zone, mut jitter) = (Vec::new(), None, Duration::ZERO);
            let mut handler = (HANDLER.to_owned(), entry.position);
            for (name, value) in errors.entries("a trigger", entry, &names(TRIGGER))? {
                let text = || {
                    let message = format!("`{name}` is no text");
                    let wanted =
                        if name == "every" { "write every: \"15s\" or every: \"15m\"" } else { WANTED };
                    value.as_text().ok_or_else(|| errors.error_at(value.position, message, wanted))
                };
                match name {
                    "cron" => timings.push((Timing::Cron(text()?), value.position)),
                    "every" => timings.push((Timing::Every(text()?), value.position)),
                    "tz" => zone = Some(text()?),
                    "jitter" => jitter = duration(errors, name, value)?,
                    _ => handler = (text()?, value.position),
                }
            }
            let [(timing, at)] = &timings[..] else {
                let message = if timings.is_empty() {
                    "the trigger says neither `cron` nor `every`"
                } else {
                    "the trigger says both `cron` and `every`"
                };
                return Err(errors.error_at(entry.position, message, WANTED));
            };
            if matches!(timing, Timing::Every(_)) && zone.is_some() {
                let message = "an interval has no zone";
                return Err(errors.error_at(
                    entry.position,
                    message,
                    "leave `tz` out, or write cron for times of the day",
                ));
            }
            self.check_handler(&handler.0, handler.1)?;
            let span = self.span_at(None, None, *at);
            let trigger = TriggerSpec { timing: timing.clone(), zone, jitter, handler: handler.0, span };
            if triggers.iter().any(|known| known.key() == trigger.key()) {
                return Err(errors.error_at(
                    entry.position,
                    "the same trigger is there twice",
                    "leave one of them out",
                ));
            }
            triggers.push(trigger);
        }
        if triggers.is_empty() {
            self.check_handler(HANDLER, literal.position)?;
        }
        Ok(triggers)
    }

    fn check_handler(&self, name: &str, at: rhai::Position) -> Result<(), Diagnostic> {
        if self.has_handler(name) {
            return Ok(());
        }
        if let Some(function) = self.ast.iter_functions().find(|function| function.name == name) {
            let count = function.params.len();
            let message = format!("`{name}` takes {count} parameters, and a handler is given two");
            return Err(LiteralErrors(self).error_at(
                at,
                message,
                format!("write fn {name}(ctx, p) {{ … }}, or fewer of them"),
            ));
        }
        let names: Vec<&str> = self
            .ast
            .iter_functions()
            .map(|function| function.name)
            .filter(|name| !name.contains('$') && *name != ON_FAILURE)
            .collect();
        let hint = closest_match(name, names).map_or_else(
            || {
                format!(
                    "write fn {name}(ctx, p) {{ … }}; a handler takes the context and the parameters, or less"
                )
            },
            |near| format!("did you mean `{near}`?"),
        );
        Err(LiteralErrors(self).error_at(at, format!("there is no function `{name}` to call"), hint))
    }
}

/// A whole number within bounds.
fn count<T: TryFrom<u64> + Ord + Copy + Display>(
    errors: LiteralErrors,
    name: &str,
    literal: &Literal,
    min: T,
    max: T,
) -> Result<T, Diagnostic> {
    let given = literal.as_count().and_then(|count| T::try_from(count).ok());
    given.filter(|count| (&min..=&max).contains(&count)).ok_or_else(|| {
        let message = format!("`{name}` is no whole number from {min} to {max}");
        errors.error_at(literal.position, message, format!("{name}: {max}"))
    })
}

/// Parses a text that must be one of these words.
fn parse_keyword<T: Copy>(
    errors: LiteralErrors,
    name: &str,
    literal: &Literal,
    words: &[(&str, T)],
) -> Result<T, Diagnostic> {
    let given = literal.as_text().unwrap_or_default();
    words.iter().find(|(word, _)| *word == given).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let near = closest_match(&given, all.iter().copied());
        let hint = near
            .map_or_else(|| format!("{name}: \"{}\"", all[0]), |near| format!("did you mean \"{near}\"?"));
        errors.error_at(literal.position, format!("`{name}` must be one of {}", all.join(", ")), hint)
    })
}

fn duration(errors: LiteralErrors, name: &str, literal: &Literal) -> Result<Duration, Diagnostic> {
    let read = literal.as_text().and_then(|text| humantime::parse_duration(&text).ok());
    read.ok_or_else(|| {
        let message = format!("`{name}` is no length of time");
        errors.error_at(literal.position, message, format!("for example {name}: \"90s\", \"15m\" or \"2h\""))
    })
}

fn read_catch_up(errors: LiteralErrors, literal: &Literal) -> Result<CatchUp, Diagnostic> {
    const WORDS: [(&str, CatchUpPolicy); 3] =
        [("none", CatchUpPolicy::None), ("latest", CatchUpPolicy::Latest), ("all", CatchUpPolicy::All)];
    let mut catch_up = CatchUp::default();
    if literal.as_text().is_some() {
        catch_up.policy = parse_keyword(errors, "catch_up", literal, &WORDS)?;
        return Ok(catch_up);
    }
    for (name, value) in errors.entries("`catch_up`", literal, &["policy", "within"])? {
        match name {
            "policy" => catch_up.policy = parse_keyword(errors, name, value, &WORDS)?,
            _ => catch_up.within = duration(errors, name, value)?,
        }
    }
    Ok(catch_up)
}

fn read_limits(errors: LiteralErrors, literal: &Literal) -> Result<LimitSpec, Diagnostic> {
    const WANTED: &str = "write limits: #{changes: 50000, errors: \"1%\"}, both or one of them";
    let mut limits = LimitSpec::default();
    for (name, value) in errors.entries("`limits`", literal, &["changes", "errors"])? {
        let error = |message: &str| errors.error_at(value.position, message, WANTED);
        if name == "changes" {
            let count = value.as_count().ok_or_else(|| error("`changes` is no whole number from 0"))?;
            limits.changes = Some(count);
        } else {
            let share = value.as_text().and_then(|share| parse_percent(&share));
            limits.errors = Some(share.ok_or_else(|| error("`errors` is no share like \"1%\""))?);
        }
    }
    Ok(limits)
}

impl Parameter {
    /// The parameters of an automation: `#{ scene: #{ type: "int", init: 98765, help: "…" } }`, or `#{ scene: 98765 }`.
    fn read_all(errors: LiteralErrors, literal: &Literal) -> Result<BTreeMap<String, Self>, Diagnostic> {
        const WANTED: &str = "params: #{ scene: #{ type: \"int\", init: 98765, help: \"QR scene id\" } }";
        let LiteralValue::Map(entries) = &literal.value else {
            return Err(errors.error_at(literal.position, "`params` is no map", WANTED));
        };
        let mut params = BTreeMap::new();
        for (name, at, value) in entries {
            let mut parameter = Self::default();
            let LiteralValue::Map(_) = &value.value else {
                parameter.init = Some(value.value());
                parameter.kind = Kind::from_value(&value.value()).ok_or_else(|| {
                    errors.error_at(
                        value.position,
                        format!("parameter `{name}` is neither a map nor a plain value"),
                        WANTED,
                    )
                })?;
                params.insert(name.clone(), parameter);
                continue;
            };
            let mut kind = None;
            for (key, value) in errors.entries(&format!("parameter `{name}`"), value, &names(PARAMETER))? {
                match key {
                    "type" => kind = Some(parse_keyword(errors, key, value, &Kind::WORDS)?),
                    "init" => parameter.init = Some(value.value()),
                    "help" => parameter.help = value.as_text().unwrap_or_default(),
                    "min" => parameter.min = Some(value.value()),
                    "max" => parameter.max = Some(value.value()),
                    _ => match &value.value {
                        LiteralValue::Array(all) => {
                            parameter.one_of = all.iter().map(Literal::value).collect();
                        }
                        _ => {
                            return Err(errors.error_at(
                                value.position,
                                "`one_of` is no array",
                                "one_of: [1, 2, 3]",
                            ));
                        }
                    },
                }
            }
            let of_init = parameter.init.as_ref().and_then(Kind::from_value);
            parameter.kind = kind.or(of_init).ok_or_else(|| {
                let message = format!("parameter `{name}` has neither a type nor a value to begin with");
                errors.error_at(*at, message, WANTED)
            })?;
            if let Some(init) = &parameter.init {
                parameter.check(name, init).map_err(|message| {
                    errors.error_at(value.position, message, "its `init` must be what it may be")
                })?;
            }
            params.insert(name.clone(), parameter);
        }
        Ok(params)
    }
}
