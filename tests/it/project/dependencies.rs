//! What the program is built from, held to `deny.toml`: licences, forbidden crates, where crates come from.

use serde_json::Value;
use std::{env, fs, process::Command};

/// `deny.toml`.
fn rules() -> toml::Table {
    fs::read_to_string("deny.toml").expect("it is there").parse().expect("it is TOML")
}

/// Every package that is built on Linux, as cargo describes it.
fn packages() -> Vec<Value> {
    let platform = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments =
        ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", &platform];
    let reported = Command::new(cargo).args(arguments).output().expect("cargo starts");
    assert!(reported.status.success(), "{}", String::from_utf8_lossy(&reported.stderr));
    let metadata: Value = serde_json::from_slice(&reported.stdout).expect("it is JSON");
    metadata["packages"].as_array().expect("packages are a list").clone()
}

/// Whether an SPDX expression can be met with these licences; `/` is an old way to write `OR`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = expression.split_whitespace().collect();
    let mut at = 0;
    any_of(&tokens, &mut at, allowed)
}

fn any_of(tokens: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut holds = all_of(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        holds |= all_of(tokens, at, allowed);
    }
    holds
}

fn all_of(tokens: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut holds = one(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        holds &= one(tokens, at, allowed);
    }
    holds
}

fn one(tokens: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let token = tokens.get(*at).copied().unwrap_or_default();
    *at += 1;
    if token == "(" {
        let holds = any_of(tokens, at, allowed);
        *at += 1;
        return holds;
    }
    if tokens.get(*at) == Some(&"WITH") {
        // An exception only adds to what the licence permits.
        *at += 2;
    }
    allowed.contains(&token.trim_end_matches('+'))
}

#[test]
fn spdx_expressions_are_evaluated() {
    let allowed = ["MIT", "Unicode-3.0"];
    let cases = [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("Apache-2.0/MIT", true),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
    ];
    for (expression, holds) in cases {
        assert_eq!(is_allowed(expression, &allowed), holds, "{expression}");
    }
}

#[test]
fn licences_of_all_crates_are_allowed() {
    let rules = rules();
    let allowed = rules["licenses"]["allow"].as_array().expect("it is a list");
    let allowed: Vec<&str> = allowed.iter().filter_map(|name| name.as_str()).collect();
    let refused: Vec<String> = packages()
        .iter()
        .filter(|package| !is_allowed(package["license"].as_str().unwrap_or_default(), &allowed))
        .map(|package| format!("{} {}", package["name"], package["license"]))
        .collect();
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn forbidden_crates_are_not_built() {
    let rules = rules();
    let forbidden = rules["bans"]["deny"].as_array().expect("it is a list");
    let names: Vec<&str> = forbidden.iter().filter_map(|entry| entry["name"].as_str()).collect();
    let built = packages();
    let found: Vec<&str> = built
        .iter()
        .filter_map(|package| package["name"].as_str())
        .filter(|name| names.contains(name))
        .collect();
    assert_eq!(found, Vec::<&str>::new());
}

#[test]
fn crates_come_from_one_registry() {
    let elsewhere: Vec<String> = packages()
        .iter()
        .filter_map(|package| package["source"].as_str())
        .filter(|source| !source.starts_with("registry+"))
        .map(str::to_owned)
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
}
