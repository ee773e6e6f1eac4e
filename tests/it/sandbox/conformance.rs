//! The sandbox, held to an SDK that others wrote: wechatpy calls every endpoint and reads every push,
//! and each answer is compared field by field with the fixtures.
//!
//! The SDK is found through `MPSCRIPT_PYTHON`, a Python that has `tests/conformance/requirements.txt`.

use crate::{
    fixtures::{prerequisites, program::project, sandbox_process::SandboxProcess},
    project::reference::conformance,
};
use mpscript::sandbox::{DEFAULT_AES_KEY, DEFAULT_APPID, DEFAULT_CALLBACK_TOKEN, DEFAULT_SECRET};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    process::Command,
};

/// Fields that a fixture has and an answer may lack, with why.
const MAY_BE_ABSENT: &[(&str, &str)] = &[
    // The page after the last has neither; a tag's has no cursor either.
    ("user::list", "data"),
    ("tag::members", "data"),
    ("tag::members", "next_openid"),
    ("blacklist::list", "data"),
    // A permanent code does not expire.
    ("qrcode::create", "expire_seconds"),
    // Without --minute-limit there is no limit a minute, and a component's is a third party's.
    ("quota::get", "rate_limit"),
    ("quota::get", "component_rate_limit"),
];

/// Fields that an answer may have beyond its fixture, with why.
const MAY_BE_ADDED: &[(&str, &str)] = &[
    // Of an account that is bound to an Open Platform account, for snsapi_userinfo.
    ("oauth::exchange", "unionid"),
];

/// A Python with the SDK, if there is one.
pub(crate) fn python() -> Option<String> {
    let python = env::var("MPSCRIPT_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_sdk = Command::new(&python).args(["-c", "import wechatpy, cryptography"]).output();
    has_sdk.is_ok_and(|output| output.status.success()).then_some(python)
}

/// The kind of a value, and of everything in it: two answers agree when their shapes do.
fn differences(at: &str, function: &str, answer: &Value, fixture: &Value, found: &mut BTreeSet<String>) {
    // A person who does not follow has an openid and nothing else.
    let is_stranger = answer.get("subscribe").is_some_and(|subscribe| subscribe == 0);
    let may_be_absent = |name: &str| is_stranger || MAY_BE_ABSENT.contains(&(function, name));
    match (answer, fixture) {
        (Value::Object(answer), Value::Object(fixture)) => {
            for (name, value) in answer {
                match fixture.get(name) {
                    Some(expected) => differences(&format!("{at}.{name}"), function, value, expected, found),
                    None if MAY_BE_ADDED.contains(&(function, name.as_str())) => {}
                    None => drop(found.insert(format!("{at}.{name} is in no fixture"))),
                }
            }
            for name in fixture.keys().filter(|name| !answer.contains_key(*name) && !may_be_absent(name)) {
                found.insert(format!("{at}.{name} is missing"));
            }
        }
        (Value::Array(answer), Value::Array(fixture)) => {
            // Every entry is like one of the sample's.
            for entry in answer {
                let fits = fixture.iter().any(|expected| {
                    let mut faults = BTreeSet::new();
                    differences(at, function, entry, expected, &mut faults);
                    faults.is_empty()
                });
                if !fits && !fixture.is_empty() {
                    found.insert(format!("{at}[]: {entry} is like no entry of the fixture"));
                }
            }
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        (Value::Number(answer), Value::Number(fixture)) if answer.is_i64() == fixture.is_i64() => {}
        _ => drop(found.insert(format!("{at} is {answer}, and {fixture} in the fixture"))),
    }
}

#[test]
fn wechatpy_accepts_every_sandbox_answer() {
    let Some(python) = python() else { return prerequisites::missing("python") };
    let sandbox = SandboxProcess::start(&["--followers", "2000", "--unionid", "on"]);
    let output = Command::new(python)
        .arg(project("tests/conformance/drive.py"))
        .args([&sandbox.url(), DEFAULT_APPID, DEFAULT_SECRET, DEFAULT_CALLBACK_TOKEN, DEFAULT_AES_KEY])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));

    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut calls: BTreeMap<String, String> = BTreeMap::new();
    let mut faults = BTreeSet::new();
    let (mut compared, mut pushed) = (0, BTreeSet::new());
    for line in &lines {
        if let Some(push) = line["push"].as_str() {
            pushed.insert((line["mode"].to_string(), push.to_owned()));
        }
        let Some(function) = line["function"].as_str() else { continue };
        calls.entry(function.to_owned()).or_insert_with(|| line["sdk"].as_str().unwrap().to_owned());
        let answer = &line["answer"];
        if answer.get("errcode").is_some_and(|errcode| errcode != 0) {
            assert!(answer["errmsg"].is_string(), "{line}");
            continue;
        }
        let path = project(&format!("tests/wire/{}.response.json", function.replace("::", ".")));
        let fixture: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        differences(function, function, answer, &fixture, &mut faults);
        compared += 1;
    }
    assert_eq!(faults, BTreeSet::new());
    assert!(compared > 60 && pushed.len() > 90, "{compared} answers, {} pushes", pushed.len());

    // What was called is what the reference says was called.
    let lines: Vec<String> = calls.iter().map(|(function, call)| format!("{function} {call}")).collect();
    if env::var_os("MPSCRIPT_WRITE").is_some() {
        fs::write(project("tests/conformance/covered.txt"), lines.join("\n") + "\n").unwrap();
    }
    assert_eq!(calls, conformance(), "MPSCRIPT_WRITE=1 cargo test --test it conformance");
    let declared: BTreeSet<&str> = mpscript::api::all().iter().map(|spec| spec.name).collect();
    assert_eq!(calls.keys().map(String::as_str).collect::<BTreeSet<_>>(), declared);
}
