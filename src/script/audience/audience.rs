//! An audience: a source of followers, and stages. No call is made before a terminal operation (`terminals.rs`) runs it.

use super::{closure::Closure, openid_table::read_openids};
use crate::{
    api::{
        Endpoint,
        errcode::INVALID_TAG_ID,
        tag::{self, Tag, rules::MAX_NAME_BYTES},
    },
    base::{self, closest_match},
    bulk::{Change, ChangedByStep, CheckpointedJob, Listed, Paging, RecordedTag, Source, distinct},
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult},
        openid::check_openid,
        register::described,
        value::{Follower, describe_type},
    },
};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext};
use std::{fmt, sync::Arc};

/// Followers that are not listed yet.
#[derive(Clone)]
pub(crate) struct Audience {
    pub env: Arc<RunEnv>,
    pub source_ref: SourceRef,
    pub stages: Vec<Stage>,
}

/// Where an audience comes from, as the script wrote it: a tag's name is resolved only when the audience is run.
#[derive(Clone, Debug)]
pub(crate) enum SourceRef {
    Followers,
    Members(TagRef),
    Blacklisted,
    /// These openids, each once.
    Openids(Arc<[String]>),
    ChangedByStep {
        run: String,
        step: String,
        change: String,
    },
}

/// A tag as a script names it.
#[derive(Clone, Debug)]
pub(crate) enum TagRef {
    Id(i64),
    Name(String),
}

/// What narrows an audience down.
#[derive(Clone)]
pub(crate) enum Stage {
    Filter(Closure),
    Take(usize),
    Sample(usize),
}

impl SourceRef {
    /// What follows from page to page of it.
    const fn paging(&self) -> Paging {
        match self {
            Self::Followers | Self::Members(_) | Self::Blacklisted => Paging::ByOpenid,
            Self::Openids(_) => Paging::ByCount,
            Self::ChangedByStep { .. } => Paging::ByBatch,
        }
    }
}

impl TagRef {
    /// Reads a tag that a script gave by name, id or value.
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
            let why = match (name.len(), name.trim()) {
                (1.., "") => "it has only blanks".to_owned(),
                (bytes, _) => format!("it has {bytes} bytes"),
            };
            let message = format!("`{}` can't be a tag's name: {why}", name.as_str());
            let hint =
                format!("a name has 1 to {MAX_NAME_BYTES} bytes of UTF-8, which is ten Chinese characters");
            return Err(ScriptError::usage(message, hint).raise());
        }
        Ok(Self::Name(name.as_str().to_owned()))
    }

    /// Resolves the tag to its id. A name or an id that no tag has is an error.
    pub(crate) fn existing(&self, env: &RunEnv) -> Result<i64, Box<EvalAltResult>> {
        let tags = env.tags()?;
        let found = tags.iter().find(|tag| match self {
            Self::Id(id) => tag.id == *id,
            Self::Name(name) => tag.name == *name,
        });
        match (found, self) {
            (Some(tag), _) => Ok(tag.id),
            (None, Self::Id(id)) if env.journal.is_resumed() => Err(self.gone(env, *id, &tags)?.raise()),
            (None, _) => Err(self.unknown(&tags).raise()),
        }
    }

    /// The tag of an id is not there in a resumed run, which may have begun with it.
    fn gone(&self, env: &RunEnv, id: i64, tags: &[Tag]) -> ScriptResult<ScriptError> {
        let unknown = self.unknown(tags);
        // These two are no tags, in the first attempt neither.
        if id < 2 {
            return Ok(unknown);
        }
        let recorded = env.block_on(env.journal.recorded_tag(id));
        let recorded = recorded.map_err(|error| env.journal_error(&error.into()))?;
        let run = env.journal.run().unwrap_or("ID");
        let undo = format!("mpscript undo {run} undoes what the run did");
        let (message, hint) = match recorded {
            Some(RecordedTag { name, deleted_by: Some(step) }) => (
                format!("the tag {id}, `{name}`, was deleted by this run itself, in step {step}"),
                format!(
                    "a resumed script goes through all of its lines again: run what is left of it as a script of its own, or {undo}"
                ),
            ),
            known => {
                let name = known.map(|tag| format!(", `{}`,", tag.name)).unwrap_or_default();
                (
                    format!("the tag {id}{name} is not there any more: was it deleted since the run began?"),
                    format!(
                        "ids are not reused: run the script again with a tag that exists ({}()), or {undo}",
                        tag::List::SPEC.name
                    ),
                )
            }
        };
        Ok(ScriptError { errcode: unknown.errcode, ..ScriptError::usage(message, hint) })
    }

    fn unknown(&self, tags: &[Tag]) -> ScriptError {
        let see_all = || format!("{}() gives the account's tags", tag::List::SPEC.name);
        match self {
            Self::Id(id) => {
                let hint = match id {
                    0 => "0 stands for those without a tag: untagged() keeps them".to_owned(),
                    1 => "1 stands for the blacklist: blacklisted() lists it".to_owned(),
                    _ => see_all(),
                };
                let error = ScriptError::usage(format!("there is no tag with the id {id}"), hint);
                ScriptError { errcode: Some(INVALID_TAG_ID), ..error }
            }
            Self::Name(name) => {
                let near = closest_match(name, tags.iter().map(|tag| tag.name.as_str()));
                let hint = near.map_or_else(see_all, |near| format!("did you mean `{near}`?"));
                ScriptError::usage(format!("there is no tag `{name}`"), hint)
            }
        }
    }
}

impl Audience {
    fn new(env: &Arc<RunEnv>, source_ref: SourceRef) -> Self {
        Self { env: Arc::clone(env), source_ref, stages: Vec::new() }
    }

    fn with_stage(&self, stage: Stage) -> Self {
        let mut audience = self.clone();
        audience.stages.push(stage);
        audience
    }

    /// Upper bound of followers to list: the smallest `take` before the first filter or sample.
    pub(crate) fn max_listed(&self) -> Option<usize> {
        let counts = self.stages.iter().map_while(|stage| match stage {
            Stage::Take(count) => Some(*count),
            Stage::Filter(_) | Stage::Sample(_) => None,
        });
        counts.min()
    }

    /// What its checkpoints fit to.
    pub(crate) fn checkpointed_job(&self) -> CheckpointedJob {
        let (mut takes, mut after_samples) = (Vec::new(), Vec::new());
        for (at, stage) in self.stages.iter().enumerate() {
            match stage {
                Stage::Take(count) => takes.push(*count),
                Stage::Sample(_) => after_samples.push(at + 1),
                Stage::Filter(_) => {}
            }
        }
        CheckpointedJob { paging: self.source_ref.paging(), takes, after_samples }
    }

    /// Upper bound of followers that pass every stage.
    pub(crate) fn max_matches(&self) -> Option<usize> {
        let counts = self.stages.iter().filter_map(|stage| match stage {
            Stage::Take(count) | Stage::Sample(count) => Some(*count),
            Stage::Filter(_) => None,
        });
        counts.min()
    }

    /// Whether a stage may reject followers, so that the number of matches can't be derived from the number listed.
    pub(crate) fn is_filtered(&self) -> bool {
        self.stages.iter().any(|stage| match stage {
            Stage::Filter(_) | Stage::Sample(_) => true,
            Stage::Take(_) => false,
        })
    }

    /// Whether a stage reads the followers' details.
    pub(crate) fn reads_details(&self) -> bool {
        self.stages.iter().any(|stage| match stage {
            Stage::Filter(_) => true,
            Stage::Take(_) | Stage::Sample(_) => false,
        })
    }

    /// What tells the audience from every other among the steps of a run. It is durable: see `StepIdentity::new`.
    pub(crate) fn durable_text(&self) -> String {
        let mut text = match &self.source_ref {
            SourceRef::Followers => "followers()".to_owned(),
            SourceRef::Blacklisted => "blacklisted()".to_owned(),
            SourceRef::Members(TagRef::Id(id)) => format!("members({id})"),
            SourceRef::Members(TagRef::Name(name)) => format!("members({name:?})"),
            SourceRef::Openids(openids) => format!("openids([{} openids])", openids.len()),
            SourceRef::ChangedByStep { run, step, change } => {
                format!("changed_by({run:?}, {step:?}, {change:?})")
            }
        };
        // Inside a loop, steps are matched by fingerprint, so the values a closure captured from the loop are part of it.
        let is_in_page = self.env.journal.is_in_page();
        for stage in &self.stages {
            text.push_str(&match stage {
                Stage::Filter(closure) if is_in_page => {
                    format!(".filter(…{})", closure.capture_fingerprint())
                }
                Stage::Filter(_) => ".filter(…)".to_owned(),
                Stage::Take(count) => format!(".take({count})"),
                Stage::Sample(count) => format!(".sample({count})"),
            });
        }
        if let SourceRef::Openids(openids) = &self.source_ref {
            text.push_str(&format!(" #{}", base::fingerprint(openids.iter().map(String::as_str))));
        }
        text
    }

    /// The source to list, with the tag's name resolved to its id.
    pub(crate) fn source(&self) -> Result<Source, Box<EvalAltResult>> {
        Ok(match &self.source_ref {
            SourceRef::Followers => Source::Followers,
            SourceRef::Blacklisted => Source::Blacklisted,
            SourceRef::Members(tag) => {
                let id = tag.existing(&self.env)?;
                // A tag that exists only in a dry run has no members.
                let is_placeholder = self.env.policy.dry.as_ref().is_some_and(|dry| dry.is_placeholder(id));
                if is_placeholder { Source::openids([]) } else { Source::Members(id) }
            }
            SourceRef::Openids(openids) => Source::Openids(Arc::clone(openids)),
            SourceRef::ChangedByStep { run, step, change } => {
                let Some(store) = self.env.store.clone() else {
                    let hint = "runs are recorded only where a store is configured";
                    return Err(ScriptError::usage("no runs are recorded here", hint).raise());
                };
                let change = Change::from_script_text(change).map_err(|error| {
                    ScriptError::usage(format!("changed_by: {error}"), "for example `attach 100` or `block`")
                        .raise()
                })?;
                let (run, step) = (run.clone(), step.clone());
                Source::ChangedByStep(ChangedByStep { store, run, step, change })
            }
        })
    }
}

/// As a script would write it.
impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source_ref {
            SourceRef::Followers => f.write_str("followers()"),
            SourceRef::Blacklisted => f.write_str("blacklisted()"),
            SourceRef::Members(TagRef::Id(id)) => write!(f, "members({id})"),
            SourceRef::Members(TagRef::Name(name)) => write!(f, "members({name:?})"),
            SourceRef::Openids(openids) => write!(f, "openids([{} openids])", openids.len()),
            SourceRef::ChangedByStep { run, step, change } => {
                write!(f, "changed_by({run:?}, {step:?}, {change:?})")
            }
        }?;
        self.stages.iter().try_for_each(|stage| match stage {
            Stage::Filter(_) => f.write_str(".filter(…)"),
            Stage::Take(count) => write!(f, ".take({count})"),
            Stage::Sample(count) => write!(f, ".sample({count})"),
        })
    }
}

/// A listed follower as a script sees them: a `User` if the details were fetched, else the openid.
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
        .register_into_engine(engine, move || Audience::new(&here, SourceRef::Followers));
    let here = Arc::clone(env);
    described("blacklisted", &["Audience"], BLACKLISTED)
        .register_into_engine(engine, move || Audience::new(&here, SourceRef::Blacklisted));
    let here = Arc::clone(env);
    described("members", &["tag: ?", "Audience"], MEMBERS).register_into_engine(
        engine,
        move |tag: Dynamic| -> Result<Audience, Box<EvalAltResult>> {
            Ok(Audience::new(&here, SourceRef::Members(TagRef::read(&tag)?)))
        },
    );
    let here = Arc::clone(env);
    described("openids", &["list: Array", "Audience"], OPENIDS).register_into_engine(
        engine,
        move |list: Array| -> Result<Audience, Box<EvalAltResult>> {
            let openids = list.iter().enumerate().map(|(at, entry)| read_openid(at, entry));
            let openids = openids.collect::<Result<Vec<_>, _>>()?;
            Ok(Audience::new(&here, SourceRef::Openids(distinct(here.mask_openids(openids)))))
        },
    );
    let here = Arc::clone(env);
    described("openids_from", &["file: String", "Audience"], OPENIDS_FROM).register_into_engine(
        engine,
        move |path: &str| -> Result<Audience, Box<EvalAltResult>> {
            let openids = read_openids(&here, path).map_err(ScriptError::raise)?;
            Ok(Audience::new(&here, SourceRef::Openids(distinct(openids))))
        },
    );
    let here = Arc::clone(env);
    described("changed_by", &["run: String", "step: String", "change: String", "Audience"], CHANGED_BY)
        .register_into_engine(engine, move |run: &str, step: &str, change: &str| {
            let (run, step, change) = (run.to_owned(), step.to_owned(), change.to_owned());
            Audience::new(&here, SourceRef::ChangedByStep { run, step, change })
        });
    described("filter", &["audience: Audience", "closure: FnPtr", "Audience"], FILTER).register_into_engine(
        engine,
        |context: NativeCallContext, audience: &mut Audience, closure: FnPtr| -> ScriptResult<Audience> {
            Ok(audience.with_stage(Stage::Filter(Closure::of_stage(&context, &closure)?)))
        },
    );
    described("take", &["audience: Audience", "count: int", "Audience"], TAKE).register_into_engine(
        engine,
        |audience: &mut Audience, count: i64| -> Result<Audience, Box<EvalAltResult>> {
            Ok(audience.with_stage(Stage::Take(read_count("take", count)?)))
        },
    );
    described("sample", &["audience: Audience", "count: int", "Audience"], SAMPLE).register_into_engine(
        engine,
        |audience: &mut Audience, count: i64| -> Result<Audience, Box<EvalAltResult>> {
            Ok(audience.with_stage(Stage::Sample(read_count("sample", count)?)))
        },
    );
}

const FOLLOWERS: &str = "All followers of the account (关注者).

    No call is made before a terminal operation runs it.

    ```rhai
    print(followers().count());
    ```";

const BLACKLISTED: &str = "Everyone on the blacklist (黑名单).

    ```rhai
    print(blacklisted().count());
    ```";

const MEMBERS: &str = "All followers with a tag, which is given by name, by id, or as a `Tag`.

    A name or an id that no tag has is an error.

    ```rhai
    print(members(\"星标组\").count());
    ```";

const OPENIDS: &str = "The followers with these openids; duplicates are removed.

    ```rhai
    let page = user::list();
    print(openids(page.data.openid).take(3).count());
    ```";

const OPENIDS_FROM: &str =
    "The followers whose openids are in a CSV file: in its `openid` column, or one per line. Duplicates are removed.

    The path is relative to the folder that mpscript was started in. A script may use the files under its own folder and
    under those that `files` in mpscript.toml names; one that is run by hand also those under the folder that it is started
    in, and what a `--param` names.

    ```rhai
    followers().take(5).write_csv(\"关注者.csv\");
    print(openids_from(\"关注者.csv\").count());
    ```";

const CHANGED_BY: &str = "The followers that a step of a recorded run changed in the given way.

    The scripts that `mpscript undo` generates use it; `mpscript undo ID --dry-run` shows one.";

const FILTER: &str = "Keeps the followers for which the closure returns `true`.

    The closure is given a `User`: details are fetched a hundred at a time, one page ahead. It runs later, with the
    values that the variables it reads have now; a variable that it changes (`n += 1`) is shared, and changes when the
    audience is run.

    ```rhai
    print(followers().filter(|u| u.subscribe_scene == \"ADD_SCENE_QR_CODE\").count());
    ```";

const TAKE: &str = "Keeps the first `count` followers; listing stops after them.

    ```rhai
    print(followers().take(5).count());
    ```";

const SAMPLE: &str =
    "Keeps `count` followers drawn at random with equal probability, in their original order.

    The whole audience is listed and passes the earlier stages first; the drawn followers are held in memory.

    ```rhai
    print(followers().sample(10).tag(\"抽样\").changed);
    ```";

/// The number of followers that a stage is given.
pub(crate) fn read_count(stage: &str, count: i64) -> Result<usize, Box<EvalAltResult>> {
    usize::try_from(count).map_err(|_| {
        ScriptError::usage(format!("{stage} needs a count of 0 or more, not {count}"), "").raise()
    })
}

/// The openid of an entry of the list that `openids` is given.
pub(crate) fn read_openid(at: usize, entry: &Dynamic) -> Result<String, Box<EvalAltResult>> {
    let openid = match entry.read_lock::<Follower>() {
        Some(user) => user.0.openid.clone().unwrap_or_default(),
        None => entry.as_immutable_string_ref().map(|openid| openid.as_str().to_owned()).map_err(|_| {
            let message =
                format!("openids takes an array of strings, but one entry is {}", describe_type(entry));
            ScriptError::usage(message, "for example openids([\"oABC…\", \"oDEF…\"])").raise()
        })?,
    };
    check_openid(&format!("openids: entry {}", at + 1), &openid).map_err(ScriptError::raise)?;
    Ok(openid)
}
