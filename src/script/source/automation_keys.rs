//! What an automation may say of itself, key by key, with what each means and is by default: for the reader of the
//! literal, and for the reference.

/// A key with what it means.
pub(crate) type Key = (&'static str, &'static str);

/// Keys of `const automation`.
pub(crate) const AUTOMATION: &[Key] = &[
    ("on", "The triggers, in an array; `[]` runs by hand only. Must be given."),
    (
        "overlap",
        "What becomes of a fire while a run is under way: `\"forbid\"` leaves it out, `\"queue\"` lets it wait, \
         `\"replace\"` stops the run for it, `\"parallel\"` runs both. By default `\"forbid\"`.",
    ),
    (
        "catch_up",
        "Which of the fires run that nobody was there for, once somebody is: `\"none\"`, `\"latest\"`, `\"all\"`, or \
         `#{ policy: \"all\", within: \"2h\" }`, none of them longer ago than `within`. By default the latest, within \
         `\"6h\"`.",
    ),
    ("timeout", "A run that takes longer is stopped, and its fire is `timed_out`. By default `\"12h\"`."),
    (
        "retries",
        "How often a run that has failed is gone on with, from its journal: first after 10 s, then after twice as long \
         each time, up to 10 min. 0 to 10; by default 0.",
    ),
    ("params", "What handlers are given, name by name. By default nothing."),
    (
        "limits",
        "`#{ changes: 50000, errors: \"1%\" }`: more changes, or more failures after 1,000 followers, end a run. By \
         default there are none.",
    ),
    ("ping", "An address with https:// that is fetched after each success. By default none."),
    ("account", "The account of mpscript.toml that it works on. By default the configuration's own choice."),
];

/// Keys of a trigger.
pub(crate) const TRIGGER: &[Key] = &[
    (
        "cron",
        "Five fields, minute, hour, day of the month, month, day of the week (0 and 7 are Sunday), or `@hourly`, \
         `@daily`, `@weekly`, `@monthly`, `@yearly`. A trigger has this or `every`.",
    ),
    ("every", "An interval from `\"1s\"`, counted from 1970-01-01 UTC. A trigger has this or `cron`."),
    (
        "tz",
        "The zone of `cron`, as in `\"Asia/Shanghai\"`. By default `timezone` of mpscript.toml, else the machine's.",
    ),
    ("jitter", "Runs begin up to so much later, each fire always by the same. By default `\"0s\"`."),
    ("handler", "The function that is called. By default `\"run\"`."),
];

/// Keys of a parameter that is more than a value.
pub(crate) const PARAMETER: &[Key] = &[
    (
        "type",
        "`\"int\"`, `\"float\"`, `\"bool\"` or `\"text\"` (`\"string\"` is the same). By default what `init` is.",
    ),
    ("init", "Its value where nobody says otherwise. Must be given where there are triggers."),
    ("help", "What it is for. By default nothing."),
    ("min", "The least that it may be. By default there is none."),
    ("max", "The most that it may be. By default there is none."),
    ("one_of", "It is one of these. By default it may be any."),
];

/// What a handler is given first.
pub(crate) const CTX: &[Key] = &[
    ("run", "The run's id."),
    ("automation", "The automation's name, its file's stem."),
    ("trigger", "What has started it, as in `cron 0 9 * * 1-5`; by hand `hand`."),
    (
        "scheduled",
        "The instant that it is the fire of, RFC 3339 in the trigger's zone; by hand when it was started.",
    ),
    ("scheduled_at", "The same in seconds since 1970-01-01 UTC."),
    (
        "state",
        "A map that is kept for the next run when this one is done: `ctx.state.n = (ctx.state?.n ?? 0) + 1`. Of two that run at the same time (`overlap: \"parallel\"`, or one by hand) each begins with what was kept before both, and the one that ends last is kept.",
    ),
];

/// What `on_failure` is given second.
pub(crate) const FAILURE: &[Key] = &[
    ("message", "What went wrong."),
    ("state", "`failed`, `timed_out` or `parked`."),
    ("run", "The id of the run that failed; empty when it could not begin."),
    ("handler", "The function that it was of."),
    ("scheduled", "The instant that it was the fire of, RFC 3339."),
];

/// The names alone.
pub(crate) fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|(name, _)| *name).collect()
}
