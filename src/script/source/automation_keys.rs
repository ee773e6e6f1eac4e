//! The keys of `const automation` and its parts, each with its meaning and default: read by the parser of the literal and
//! by the reference.

/// A key with what it means.
pub(crate) type Key = (&'static str, &'static str);

/// Keys of `const automation`.
pub(crate) const AUTOMATION: &[Key] = &[
    ("on", "The triggers, in an array; `[]` runs by hand only. Must be given."),
    (
        "overlap",
        "What a fire does while a run of the same handler is running: `\"forbid\"` skips the fire, `\"queue\"` lets it wait, `\"replace\"` stops the run, `\"parallel\"` runs both. By default `\"forbid\"`. Different handlers of an automation run one after another, except with `\"parallel\"`.",
    ),
    (
        "catch_up",
        "Which of the fires that were missed while no daemon was running are run later: `\"none\"`, `\"latest\"`, `\"all\"`, or `#{ policy: \"all\", within: \"2h\" }` for those no longer ago than `within`. By default the latest, within `\"6h\"`.",
    ),
    (
        "max_parallel",
        "How many runs of it run at the same time, with `overlap: \"parallel\"`: further fires are skipped. As many runs of `on_failure` run at the same time with any `overlap`: further ones wait. 1 to 100; by default 10.",
    ),
    (
        "max_waiting",
        "How many fires of it wait at the same time, for another run of it to end, for a place, or for a retry: further fires are skipped. Those that `catch_up` runs later are not counted. 1 to 10,000; by default 100.",
    ),
    ("timeout", "A run that takes longer is stopped, and its fire is `timed_out`. By default `\"12h\"`."),
    (
        "retries",
        "How often a failed run is retried, resuming from its journal: first after 10 s, then after twice as long each time, up to 10 min. 0 to 10; by default 0.",
    ),
    ("params", "What handlers are given, name by name. By default nothing."),
    (
        "limits",
        "`#{ changes: 50000, errors: \"1%\" }`: more changes, or a larger share of failures after 1,000 followers, stop a run. By default there are none.",
    ),
    ("ping", "An https:// address that is fetched after each success. By default none."),
    (
        "account",
        "The account of mpscript.toml that it works on, or a list of them: `\"shop\"`, `[\"shop\", \"booth\"]`. It fires once for each, and each has a `ctx.state` of its own. By default the account that `mpscript serve` is given.",
    ),
];

/// Keys of a trigger.
pub(crate) const TRIGGER: &[Key] = &[
    (
        "cron",
        "Five fields, minute, hour, day of the month, month, day of the week (0 and 7 are Sunday), or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. A trigger has this or `every`.",
    ),
    ("every", "An interval from `\"1s\"`, counted from 1970-01-01 UTC. A trigger has this or `cron`."),
    (
        "tz",
        "The zone of `cron`, as in `\"Asia/Shanghai\"`. By default `timezone` of mpscript.toml, else the machine's.",
    ),
    (
        "jitter",
        "The maximum delay of a fire, which is random per fire and always the same for one fire. By default `\"0s\"`.",
    ),
    ("handler", "The function that is called. By default `\"run\"`."),
];

/// Keys of a parameter that is more than a value.
pub(crate) const PARAMETER: &[Key] = &[
    (
        "type",
        "`\"int\"`, `\"float\"`, `\"bool\"` or `\"text\"` (`\"string\"` is the same). By default what `init` is.",
    ),
    ("init", "Its default value. Required if there are triggers."),
    ("help", "What it is for. By default nothing."),
    ("min", "Its minimum. By default there is none."),
    ("max", "Its maximum. By default there is none."),
    ("one_of", "The allowed values. By default any."),
];

/// Fields of `ctx`, the first argument of a handler.
pub(crate) const CTX: &[Key] = &[
    ("run", "The run's id."),
    ("automation", "The automation's name: its file's name without `.rhai`."),
    ("trigger", "What started it, as in `cron 0 9 * * 1-5`; `hand` if it was started by hand."),
    (
        "scheduled",
        "The time of its fire, RFC 3339 in the trigger's zone; by hand, the time at which it was started.",
    ),
    ("scheduled_at", "The same in seconds since 1970-01-01 UTC."),
    (
        "state",
        "A map that is saved for the next run when this one succeeds: `ctx.state.n = (ctx.state?.n ?? 0) + 1`. Two runs at the same time (`overlap: \"parallel\"`, or one by hand) both start with the map saved before, and the one that ends last overwrites the other's.",
    ),
];

/// Fields of the second argument of `on_failure`.
pub(crate) const FAILURE: &[Key] = &[
    ("message", "What went wrong."),
    ("state", "`failed`, `timed_out` or `parked`."),
    ("run", "The id of the failed run; empty if it could not start."),
    ("handler", "The handler that failed."),
    ("scheduled", "The time of its fire, RFC 3339."),
];

/// The names of the keys.
pub(crate) fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|(name, _)| *name).collect()
}
