//! Audiences: a source of people and the steps that narrow it down. Lazy: nothing is called
//! before an end (`jobs.rs`) runs it.

#![allow(
    deprecated,
    reason = "rhai marks its stored contexts so for being low-level; its exact version is pinned"
)]

use super::csv::read_openids;
use crate::{
    api::tag::{Tag, rules::MAX_NAME_BYTES},
    base::{closest_match, fingerprint},
    bulk::{ChangedByStep, Listed, Source},
    script::host::{
        env::RunEnv,
        error::ScriptError,
        register::described,
        value::{Follower, describe_type},
    },
};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext, NativeCallContextStore};
use serde_json::json;
use std::sync::Arc;

/// People, not yet listed.
#[derive(Clone)]
pub(crate) struct Audience {
    pub env: Arc<RunEnv>,
    pub origin: Origin,
    pub steps: Vec<Step>,
}

/// Where the people come from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Followers,
    Members(TagRef),
    Blacklisted,
    Openids(Source),
    Changed { run: String, step: String, change: String },
}

/// A tag as a script names it.
#[derive(Clone, Debug)]
pub(crate) enum TagRef {
    Id(i64),
    Name(String),
}

/// What narrows an audience down.
#[derive(Clone)]
pub(crate) enum Step {
    Filter(Closure),
    Take(usize),
    Sample(usize),
}

/// A script's closure with the surroundings that it was written in: its imports and constants are
/// there when it is called after the function that it was given to has returned.
#[derive(Clone)]
pub(crate) struct Closure {
    function: FnPtr,
    around: Arc<NativeCallContextStore>,
}

impl Closure {
    pub(crate) fn new(context: &NativeCallContext, function: FnPtr) -> Self {
        Self { function, around: Arc::new(context.store_data()) }
    }

    /// What it has of its surroundings, as far as that is a plain value, in few words.
    fn captured(&self) -> String {
        let values = self.function.curry().iter().map(Dynamic::flatten_clone);
        let plain = values.filter(|value| value.is_string() || value.is_int() || value.is_bool());
        let texts: Vec<String> = plain.map(|value| value.to_string()).collect();
        if texts.is_empty() {
            String::new()
        } else {
            format!(" #{}", fingerprint(texts.iter().map(String::as_str)))
        }
    }

    /// Calls the closure, on the script's own thread.
    pub(crate) fn call(&self, env: &RunEnv, argument: Dynamic) -> Result<Dynamic, Box<EvalAltResult>> {
        let engine = env.engine.get().and_then(std::sync::Weak::upgrade);
        let Some(engine) = engine else {
            return Err(ScriptError::usage("a closure outlived its script", "").raise());
        };
        let context = self.around.create_context(&engine);
        self.function.call_within_context(&context, (argument,))
    }
}

impl TagRef {
    /// Reads what a script names a tag by.
    pub(crate) fn read(value: &Dynamic) -> Result<Self, Box<EvalAltResult>> {
        if let Some(tag) = value.read_lock::<Tag>() {
            return Ok(Self::Id(tag.id));
        }
        if let Ok(id) = value.as_int() {
            return Ok(Self::Id(id));
        }
        let Ok(name) = value.as_immutable_string_ref() else {
            let message =
                format!("a tag is given by its name, its id or itself, not by {}", describe_type(value));
            return Err(ScriptError::usage(message, "").raise());
        };
        if name.trim().is_empty() || name.len() > MAX_NAME_BYTES {
            let message = format!("`{}` can't be a tag's name: it has {} bytes", name.as_str(), name.len());
            let hint =
                format!("a name has 1 to {MAX_NAME_BYTES} bytes of UTF-8, which is ten Chinese characters");
            return Err(ScriptError::usage(message, hint).raise());
        }
        Ok(Self::Name(name.as_str().to_owned()))
    }

    /// The tag's id; a name that no tag has is an error.
    pub(crate) fn existing(&self, env: &RunEnv) -> Result<i64, Box<EvalAltResult>> {
        match self {
            Self::Id(id) => Ok(*id),
            Self::Name(name) => {
                let tags = env.tags()?;
                if let Some(tag) = tags.iter().find(|tag| tag.name == *name) {
                    return Ok(tag.id);
                }
                let near = closest_match(name, tags.iter().map(|tag| tag.name.as_str()));
                let hint = near.map_or_else(
                    || "tag::list() gives the account's tags".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                Err(ScriptError::usage(format!("there is no tag `{name}`"), hint).raise())
            }
        }
    }
}

impl Audience {
    fn new(env: &Arc<RunEnv>, origin: Origin) -> Self {
        Self { env: Arc::clone(env), origin, steps: Vec::new() }
    }

    fn step(&self, step: Step) -> Self {
        let mut audience = self.clone();
        audience.steps.push(step);
        audience
    }

    /// How many people need be listed at the most: what is taken before anybody is looked at.
    pub(crate) fn limit(&self) -> Option<usize> {
        self.steps
            .iter()
            .map_while(|step| match step {
                Step::Take(count) => Some(*count),
                Step::Filter(_) | Step::Sample(_) => None,
            })
            .min()
    }

    /// How many people pass its steps at the most.
    pub(crate) fn most(&self) -> Option<usize> {
        let counts = self.steps.iter().filter_map(|step| match step {
            Step::Take(count) | Step::Sample(count) => Some(*count),
            Step::Filter(_) => None,
        });
        counts.min()
    }

    /// Whether a step lets only some pass.
    pub(crate) fn is_filtered(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Filter(_) | Step::Sample(_)))
    }

    /// Whether a step looks at details.
    pub(crate) fn looks_at_details(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Filter(_)))
    }

    /// What it is, in words that no other audience of the script shares by chance.
    pub(crate) fn told_apart(&self) -> String {
        // On a page of a loop steps are known again by their words: what a closure has of the loop's own is one of them.
        let is_in_page = self.env.journal.is_in_page();
        let text = self.in_words(|closure| if is_in_page { closure.captured() } else { String::new() });
        let Origin::Openids(Source::Openids(openids)) = &self.origin else { return text };
        let digest = fingerprint(openids.iter().map(String::as_str));
        format!("{text} #{digest}")
    }

    /// What it is; `of` tells more of a closure.
    fn in_words(&self, of: impl Fn(&Closure) -> String) -> String {
        let mut text = match &self.origin {
            Origin::Followers => "followers()".to_owned(),
            Origin::Blacklisted => "blacklisted()".to_owned(),
            Origin::Members(TagRef::Id(id)) => format!("members({id})"),
            Origin::Members(TagRef::Name(name)) => format!("members({name:?})"),
            Origin::Openids(Source::Openids(openids)) => format!("openids([{} openids])", openids.len()),
            Origin::Openids(source) => format!("{source:?}"),
            Origin::Changed { run, step, change } => format!("changed_by({run:?}, {step:?}, {change:?})"),
        };
        for step in &self.steps {
            text.push_str(&match step {
                Step::Filter(closure) => format!(".filter(…{})", of(closure)),
                Step::Take(count) => format!(".take({count})"),
                Step::Sample(count) => format!(".sample({count})"),
            });
        }
        text
    }

    /// The source to list; a tag's name becomes its id.
    pub(crate) fn source(&self) -> Result<Source, Box<EvalAltResult>> {
        Ok(match &self.origin {
            Origin::Followers => Source::Followers,
            Origin::Blacklisted => Source::Blacklisted,
            Origin::Members(tag) => {
                let id = tag.existing(&self.env)?;
                // A tag that a dry run only thinks of has nobody.
                let is_placeholder = self.env.dry.as_ref().is_some_and(|dry| dry.is_placeholder(id));
                if is_placeholder { Source::openids([]) } else { Source::Members(id) }
            }
            Origin::Openids(source) => source.clone(),
            Origin::Changed { run, step, change } => {
                let Some(store) = self.env.store.clone() else {
                    let hint = "runs are recorded where there is a store";
                    return Err(ScriptError::usage("no run is recorded here", hint).raise());
                };
                // As JSON it stands in the journal.
                let (run, step, change) = (run.clone(), step.clone(), json!(change).to_string());
                Source::ChangedByStep(ChangedByStep { store, run, step, change })
            }
        })
    }
}

impl std::fmt::Display for Audience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.in_words(|_| String::new()))
    }
}

/// Somebody as a script sees them.
pub(crate) fn to_value(person: &Listed) -> Dynamic {
    match &person.user {
        Some(user) => Dynamic::from(Follower(Arc::clone(user))),
        None => Dynamic::from(person.openid.clone()),
    }
}

pub(crate) fn register(engine: &mut Engine, env: &Arc<RunEnv>) {
    engine
        .register_type_with_name::<Audience>("Audience")
        .register_fn("to_string", |audience: &mut Audience| audience.to_string())
        .register_fn("to_debug", |audience: &mut Audience| audience.to_string());
    let here = Arc::clone(env);
    described("followers", &["Audience"], FOLLOWERS)
        .register_into_engine(engine, move || Audience::new(&here, Origin::Followers));
    let here = Arc::clone(env);
    described("blacklisted", &["Audience"], BLACKLISTED)
        .register_into_engine(engine, move || Audience::new(&here, Origin::Blacklisted));
    let here = Arc::clone(env);
    described("members", &["tag: ?", "Audience"], MEMBERS).register_into_engine(
        engine,
        move |tag: Dynamic| -> Result<Audience, Box<EvalAltResult>> {
            Ok(Audience::new(&here, Origin::Members(TagRef::read(&tag)?)))
        },
    );
    let here = Arc::clone(env);
    described("openids", &["list: Array", "Audience"], OPENIDS).register_into_engine(
        engine,
        move |list: Array| -> Result<Audience, Box<EvalAltResult>> {
            let openids = list.iter().map(read_openid).collect::<Result<Vec<_>, _>>()?;
            Ok(Audience::new(&here, Origin::Openids(Source::openids(openids))))
        },
    );
    let here = Arc::clone(env);
    described("openids_from", &["path: String", "Audience"], OPENIDS_FROM).register_into_engine(
        engine,
        move |path: &str| -> Result<Audience, Box<EvalAltResult>> {
            let openids = read_openids(&here.folder, path).map_err(ScriptError::raise)?;
            Ok(Audience::new(&here, Origin::Openids(openids)))
        },
    );
    let here = Arc::clone(env);
    described("changed_by", &["run: String", "step: String", "change: String", "Audience"], CHANGED_BY)
        .register_into_engine(engine, move |run: &str, step: &str, change: &str| {
            let (run, step, change) = (run.to_owned(), step.to_owned(), change.to_owned());
            Audience::new(&here, Origin::Changed { run, step, change })
        });
    described("filter", &["audience: Audience", "closure: FnPtr", "Audience"], FILTER).register_into_engine(
        engine,
        |context: NativeCallContext, audience: &mut Audience, closure: FnPtr| {
            audience.step(Step::Filter(Closure::new(&context, closure)))
        },
    );
    described("take", &["audience: Audience", "count: int", "Audience"], TAKE).register_into_engine(
        engine,
        |audience: &mut Audience, count: i64| -> Result<Audience, Box<EvalAltResult>> {
            Ok(audience.step(Step::Take(read_count("take", count)?)))
        },
    );
    described("sample", &["audience: Audience", "count: int", "Audience"], SAMPLE).register_into_engine(
        engine,
        |audience: &mut Audience, count: i64| -> Result<Audience, Box<EvalAltResult>> {
            Ok(audience.step(Step::Sample(read_count("sample", count)?)))
        },
    );
}

const FOLLOWERS: &str = "Everybody who follows the account (关注者).

    Nothing is called before an end.

    ```rhai
    print(followers().count());
    ```";

const BLACKLISTED: &str = "Everybody on the blacklist (黑名单).

    ```rhai
    print(blacklisted().count());
    ```";

const MEMBERS: &str = "Everybody who has a tag: given by its name, its id, or itself.

    A name that no tag has is an error.

    ```rhai
    print(members(\"星标组\").count());
    ```";

const OPENIDS: &str = "The people with these openids, each once.

    ```rhai
    let page = user::list();
    print(openids(page.data.openid).take(3).count());
    ```";

const OPENIDS_FROM: &str =
    "The people whose openids are in a CSV file, each once: in its column `openid`, or one a line.

    The path is relative to the folder that mpscript was started in.

    ```rhai
    followers().take(5).write_csv(\"关注者.csv\");
    print(openids_from(\"关注者.csv\").count());
    ```";

const CHANGED_BY: &str = "The people whom a step of a recorded run changed in one way.

    `mpscript undo` is written with it; `mpscript undo ID --dry-run` shows the script.";

const FILTER: &str = "Those for whom the closure gives `true`.

    The closure sees a `User`; everybody's details are fetched, a hundred at a time, a page ahead.

    ```rhai
    print(followers().filter(|u| u.subscribe_scene == \"ADD_SCENE_QR_CODE\").count());
    ```";

const TAKE: &str = "The first so many; what comes after them is not listed.

    ```rhai
    print(followers().take(5).count());
    ```";

const SAMPLE: &str = "So many of them, drawn at random, each as likely as any other; they keep their order.

    All are listed, and looked at by the steps before, first; the drawn ones are held in memory.

    ```rhai
    print(followers().sample(10).tag(\"抽样\").changed);
    ```";

fn read_count(step: &str, count: i64) -> Result<usize, Box<EvalAltResult>> {
    usize::try_from(count)
        .map_err(|_| ScriptError::usage(format!("{step} needs a count from 0, not {count}"), "").raise())
}

fn read_openid(entry: &Dynamic) -> Result<String, Box<EvalAltResult>> {
    if let Some(user) = entry.read_lock::<Follower>() {
        return Ok(user.0.openid.clone().unwrap_or_default());
    }
    entry.as_immutable_string_ref().map(|openid| openid.as_str().to_owned()).map_err(|_| {
        let message = format!("openids takes an array of strings, but one entry is {}", describe_type(entry));
        ScriptError::usage(message, "for example openids([\"oABC…\", \"oDEF…\"])").raise()
    })
}
