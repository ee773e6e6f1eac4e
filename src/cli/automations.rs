//! Automations at the command line: by hand, and what is known of those that are served.

use super::{Failure, config};
use crate::{
    base::Diagnostic,
    host::Host,
    run::{schedule::zone, trigger::Trigger},
    script::{Automation, Call, HANDLER, Parameter, Program},
};
use chrono::{DateTime, Local};
use chrono_tz::Tz;
use std::{collections::BTreeMap, path::Path};

/// Fires of a trigger that are shown.
const NEXT: usize = 5;

/// The call of an automation's handler that somebody wants at this moment.
pub(super) fn by_hand(
    host: &Host,
    program: &Program,
    automation: &Automation,
    params: &[(String, String)],
) -> Result<Call, Failure> {
    let mut given = BTreeMap::new();
    for (name, value) in params {
        if given.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::usage(Diagnostic::new(format!("parameter `{name}` is given twice"))));
        }
    }
    let values = Parameter::values(&automation.params, &given).map_err(Failure::usage)?;
    let name = Path::new(&program.name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let now = host.clock.now_ms();
    let scheduled = DateTime::from_timestamp_millis(now).unwrap_or_default().with_timezone(&Local);
    Ok(Call {
        automation: name.unwrap_or_default(),
        handler: HANDLER.to_owned(),
        trigger: "hand".to_owned(),
        scheduled_ms: now,
        scheduled: scheduled.to_rfc3339(),
        params: values,
        ..Call::default()
    })
}

/// The zone of triggers that name none, and where it comes from.
pub(super) fn default_zone(host: &Host, config: Option<&Path>) -> Result<(Tz, &'static str), Failure> {
    let configured = config::read(host, config)?.and_then(|(_, file)| file.timezone);
    let machine = || host.variable("TZ").map(str::to_owned).or_else(|| host.zone.clone());
    let (name, source) = match (configured, machine()) {
        (Some(name), _) => (name, "the configuration's"),
        (None, Some(name)) => (name, "the machine's"),
        (None, None) => ("UTC".to_owned(), "the machine tells none"),
    };
    let zone = zone(name.trim_start_matches(':')).map_err(Failure::usage)?;
    Ok((zone, source))
}

/// An automation with its triggers; `None` for a script that is none.
pub(super) fn read(program: &Program, zone: Tz) -> Result<Option<(Automation, Vec<Trigger>)>, Diagnostic> {
    let Some(automation) = program.automation().map_err(|trouble| trouble.diagnostic)? else {
        return Ok(None);
    };
    let triggers = automation.triggers.iter().map(|text| Trigger::read(text, zone));
    let triggers = triggers.collect::<Result<Vec<Trigger>, Diagnostic>>()?;
    Ok(Some((automation, triggers)))
}

/// What an automation says of itself, with the next instants of its triggers.
pub(super) fn describe(automation: &Automation, triggers: &[Trigger], now: i64) -> String {
    let mut text = String::new();
    for trigger in triggers {
        let handler =
            if trigger.handler == HANDLER { String::new() } else { format!(" calls {}", trigger.handler) };
        text.push_str(&format!("\n  {}{handler}", trigger.schedule));
        let mut at = now;
        for _ in 0..NEXT {
            let Some(next) = trigger.schedule.after(at) else { break };
            text.push_str(&format!("\n    {}", trigger.schedule.show(next)));
            at = next;
        }
    }
    if triggers.is_empty() {
        text.push_str("\n  no triggers: it runs by hand");
    }
    for (name, parameter) in &automation.params {
        let init = parameter.init().map_or("must be given".to_owned(), |init| format!("{init} by default"));
        let help = if parameter.help.is_empty() { String::new() } else { format!(": {}", parameter.help) };
        text.push_str(&format!("\n  parameter {name} ({}, {init}){help}", parameter.kind.words()));
    }
    text
}
