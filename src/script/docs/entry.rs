//! The entries of the reference, one for each function, and how they are collected.

use crate::{
    api::{self, Spec},
    script::{
        engine::reference::reference_engine,
        functions::endpoint,
        host::{
            catalog::{SOURCES, STAGES},
            modules::modules,
            stdlib,
        },
    },
};
use rhai::{Engine, FuncInfo};
use std::collections::BTreeSet;

/// The lines before and after an example in a document.
const EXAMPLE: &str = "```rhai";
const EXAMPLE_END: &str = "```";

/// Global functions by purpose, in the order in which a reader needs them.
const GLOBAL: &[(&str, &[&str])] = &[
    ("Audiences: sources", SOURCES),
    ("Audiences: stages", STAGES),
    (
        "Audiences: terminal operations",
        &["tag", "untag", "block", "unblock", "remark", "each", "count", "count_by", "to_array", "write_csv"],
    ),
    ("Everywhere", &["param", "sleep"]),
];

/// How a function can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What it is called on, for a function that reads as a method.
    pub on: Option<&'static str>,
    /// Names with types.
    pub parameters: Vec<(String, String)>,
    /// The type of its result; `()` for none.
    pub gives: String,
}

/// A function of the reference.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its chapter: a module, or the purpose of a global function.
    pub chapter: String,
    /// The module; empty for a global function.
    pub module: String,
    /// The name in its module.
    pub name: String,
    /// Every way to call it.
    pub signatures: Vec<Signature>,
    /// What it does, in paragraphs.
    pub doc: String,
    /// Scripts that show it; each runs on a sandbox.
    pub examples: Vec<String>,
    /// The declaration, for an endpoint.
    pub spec: Option<&'static Spec>,
}

impl Entry {
    /// `tag::attach`, or `followers`.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.module.is_empty() { self.name.clone() } else { format!("{}::{}", self.module, self.name) }
    }
}

impl Signature {
    /// `tag::attach(tagid: int, openid_list: Array)`.
    #[must_use]
    pub fn show(&self, full_name: &str) -> String {
        let parameters: Vec<String> =
            self.parameters.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
        let on = self.on.map(|on| format!("{on}.")).unwrap_or_default();
        let gives = if self.gives == "()" { String::new() } else { format!(" -> {}", self.gives) };
        format!("{on}{full_name}({}){gives}", parameters.join(", "))
    }
}

/// A function as the engine knows it.
struct Native {
    module: String,
    name: String,
    signature: Signature,
    comments: String,
}

/// Every function, chapter by chapter.
#[must_use]
pub fn entries() -> Vec<Entry> {
    // Functions of a plain engine belong to the language, which Rhai's own book describes.
    let standard: BTreeSet<String> =
        collect(&Engine::new()).into_iter().map(|native| native.signature.show(&native.name)).collect();
    let mut natives = collect(&reference_engine());
    natives.retain(|native| !standard.contains(&native.signature.show(&native.name)));
    natives.sort_by_cached_key(|native| (native.signature.parameters.len(), native.signature.show("")));
    let mut entries = Vec::new();
    for (chapter, names) in GLOBAL {
        let stages = stdlib::stages().iter().map(|(name, _)| *name).filter(|_| *names == STAGES);
        for name in names.iter().copied().chain(stages) {
            entries.extend(found(&natives, chapter, "", name));
        }
    }
    for area in areas() {
        let declared: Vec<&'static Spec> = api::all()
            .into_iter()
            .filter(|spec| spec.name.split_once("::").is_some_and(|(module, _)| module == area))
            .collect();
        let is_declared = |name: &str| declared.iter().any(|spec| spec.name == format!("{area}::{name}"));
        let mut others: Vec<&str> = natives
            .iter()
            .filter(|native| {
                native.module == area && !is_declared(&native.name) && !native.comments.is_empty()
            })
            .map(|native| native.name.as_str())
            .collect();
        others.sort_unstable();
        others.dedup();
        for spec in &declared {
            let name = spec.name.split_once("::").map_or("", |(_, name)| name);
            let entry = found(&natives, area, area, name);
            entries.extend(entry.map(|entry| Entry { spec: Some(spec), ..entry }));
        }
        for name in others {
            entries.extend(found(&natives, area, area, name));
        }
    }
    entries
}

/// The modules: those with endpoints in documentation order, then the others.
fn areas() -> Vec<&'static str> {
    let mut areas = Vec::new();
    let declared = api::all().into_iter().filter_map(|spec| Some(spec.name.split_once("::")?.0));
    for area in declared.chain(modules()) {
        if !areas.contains(&area) {
            areas.push(area);
        }
    }
    areas
}

fn found(natives: &[Native], chapter: &str, module: &str, name: &str) -> Option<Entry> {
    let mut overloads = natives
        .iter()
        .filter(|native| native.module == module && native.name == name && !native.comments.is_empty())
        .peekable();
    let (doc, examples) = split(&overloads.peek()?.comments);
    Some(Entry {
        chapter: chapter.to_owned(),
        module: module.to_owned(),
        name: name.to_owned(),
        signatures: overloads.map(|native| native.signature.clone()).collect(),
        doc,
        examples,
        spec: None,
    })
}

fn collect(engine: &Engine) -> Vec<Native> {
    engine.collect_fn_metadata(None, |info| Some(native(&info)), true)
}

fn native(info: &FuncInfo) -> Native {
    let (namespace, metadata) = (&info.namespace, info.metadata);
    let mut parameters: Vec<(String, String)> = metadata
        .params_info
        .iter()
        .map(|parameter| {
            let (name, kind) = parameter.split_once(':').unwrap_or((parameter, "?"));
            (name.trim().to_owned(), kind.trim().to_owned())
        })
        .collect();
    let is_stage = namespace.is_empty() && stdlib::is_stage(&metadata.name, metadata.num_params);
    let mut on = is_stage.then_some("audience");
    if parameters.first().is_some_and(|(name, _)| name == "audience") {
        parameters.remove(0);
        on = Some("audience");
    }
    let gives = match metadata.return_type.as_str() {
        "" if is_stage => "Audience",
        "" if namespace == "card" => "Map",
        "" => "()",
        // The types of entries are for `check`: editors know none.
        gives => gives.split('<').next().unwrap_or(gives),
    };
    let of_library = info.script.iter().flat_map(|function| function.comments.iter().copied());
    let comments = metadata.comments.iter().map(rhai::Identifier::as_str).chain(of_library);
    let comments = comments.flat_map(str::lines);
    Native {
        module: namespace.to_string(),
        name: metadata.name.to_string(),
        signature: Signature { on, parameters, gives: gives.to_owned() },
        comments: comments.map(uncomment).collect::<Vec<_>>().join("\n"),
    }
}

fn uncomment(line: &str) -> &str {
    let line = line.trim_start().trim_start_matches("///");
    line.strip_prefix(' ').unwrap_or(line)
}

/// A document and its examples.
fn split(comments: &str) -> (String, Vec<String>) {
    let (mut doc, mut examples) = (String::new(), Vec::new());
    let mut lines = comments.lines();
    while let Some(line) = lines.next() {
        if line == EXAMPLE {
            let example: Vec<&str> = lines.by_ref().take_while(|line| *line != EXAMPLE_END).collect();
            examples.push(example.join("\n"));
        } else {
            doc.push_str(line);
            doc.push('\n');
        }
    }
    (doc.trim().to_owned(), examples)
}

/// The attributes of an endpoint's declaration: a label and a text for each.
pub(super) fn facts(spec: &'static Spec) -> Vec<(&'static str, String)> {
    use crate::api::{CallKind, Credential, InDryRun, Permission, Resend};
    let mut facts = vec![("platform", spec.call())];
    facts.push(("gives", endpoint::gives(spec).to_owned()));
    facts.push((
        "credential",
        match spec.credential {
            Credential::AccessToken => "the account's access token".to_owned(),
            Credential::AppSecret { .. } => "AppID and AppSecret".to_owned(),
            Credential::AppId { .. } => "AppID".to_owned(),
            Credential::UserToken => "a person's token of the web authorization".to_owned(),
        },
    ));
    facts.push((
        "rights",
        match spec.permission {
            Permission::Any => "every account",
            Permission::Certified => "certified 公众号 and 服务号 (仅认证); others get 48001",
            Permission::CertifiedService => "certified 服务号; others get 48001",
        }
        .to_owned(),
    ));
    if let Some(list) = spec.list {
        let text = format!(
            "{} entries of `{}` a call ({}); a longer list is cut into calls",
            list.max, list.field, list.errcode
        );
        facts.push(("limit", text));
    }
    if let Some(cursor) = spec.cursor {
        let text = format!(
            "{} openids a page; pass `{}` of the answer as `{}` for the next",
            cursor.page, cursor.answer, cursor.request
        );
        facts.push(("pages", text));
    }
    let quota = match (spec.daily.real, spec.daily.test) {
        _ if spec.path.starts_with("/sns/") => "none a day; 50,000 calls a minute".to_owned(),
        (None, _) => "not published; quota::get shows it".to_owned(),
        (Some(real), None) => format!("{} calls a day", crate::base::with_thousands(real)),
        (Some(real), Some(test)) => format!(
            "{} calls a day, {} for a test account (测试号)",
            crate::base::with_thousands(real),
            crate::base::with_thousands(test)
        ),
    };
    facts.push(("quota", quota));
    let resend = match (spec.kind, spec.resend) {
        (CallKind::Read, Resend::Idempotent | Resend::VerifyFirst) => {
            "reads; sent again when its answer is lost"
        }
        (CallKind::Read, Resend::Never) => "reads; never sent again when its answer is lost",
        (_, Resend::Idempotent) => "writes; sent again when its answer is lost, for twice is as good as once",
        (_, Resend::VerifyFirst) => {
            "writes; not sent again when its answer is lost: look first whether it took effect"
        }
        (_, Resend::Never) => "writes; never sent again when its answer is lost: a person must decide",
    };
    facts.push(("effect", resend.to_owned()));
    match (spec.kind, spec.in_dry_run) {
        (CallKind::Write, _) | (_, InDryRun::Sent) => {}
        (CallKind::Read, InDryRun::NotSent) => {
            facts.push(("dry run", "not sent, for it uses something up: a placeholder is given".to_owned()));
        }
        (CallKind::Read, InDryRun::NotSentWith(flag)) => {
            facts.push(("dry run", format!("not sent with `{flag}`: a placeholder is given")));
        }
    }
    facts
}
