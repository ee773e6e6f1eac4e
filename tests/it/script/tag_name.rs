//! Names of tags that a script makes: none with blanks or control characters that make a twin, and a warning of one that
//! looks like another.

use crate::fixtures::{account::Account, program::run_on};
use serde_json::json;

/// Names that are refused, and the message and hint for each.
const REFUSED: [(&str, &str, &str); 6] = [
    ("VIP ", "\"VIP \", has a blank at its end or beginning", "write \"VIP\""),
    (" VIP ", "\" VIP \", has a blank at its end or beginning", "write \"VIP\""),
    ("客户\u{3000}", "\"客户\\u{3000}\", has a blank at its end or beginning", "write \"客户\""),
    ("\u{feff}客户", "\"\\u{feff}客户\", has a blank at its end or beginning", "write \"客户\""),
    ("a\\nb", "\"a\\nb\", has the control character U+000A in it", "write \"ab\""),
    ("客户\u{202e}", "\"客户\\u{202e}\", has the control character U+202E in it", "write \"客户\""),
];

/// The first line and the hint of what a script fails with.
fn refused(account: &Account, script: &str, arguments: &[&str]) -> (String, String) {
    let (error, hint) = run_on(account, script, arguments).0.error_and_hint();
    let reason = error.strip_prefix("the name of the tag, ").unwrap_or_else(|| panic!("{error}"));
    (reason.to_owned(), hint)
}

fn names_of_tags(account: &Account) -> usize {
    account.ask("/cgi-bin/tags/get", "")["tags"].as_array().expect("tags are listed").len()
}

#[test]
fn tag_with_a_misleading_name_is_not_made() {
    let account = Account::of(3);
    let before = names_of_tags(&account);
    for (name, message, hint) in REFUSED {
        for script in [
            format!("let name = \"{name}\"; followers().tag(name)"),
            format!("let name = \"{name}\"; tag::create(name)"),
            format!("let name = \"{name}\"; tag::update(2, name)"),
        ] {
            for arguments in [&[][..], &["--dry-run"]] {
                assert_eq!(
                    refused(&account, &script, arguments),
                    (message.to_owned(), hint.to_owned()),
                    "{script}"
                );
            }
        }
    }
    assert_eq!(names_of_tags(&account), before);
}

#[test]
fn present_tag_with_a_misleading_name_can_be_used() {
    let account = Account::of(3);
    account.tell("/cgi-bin/tags/create", json!({"tag": {"name": "VIP "}}));
    let script = "followers().tag(\"VIP \").changed + members(\"VIP \").untag(\"VIP \").changed";
    assert_eq!(run_on(&account, &format!("print({script})"), &[]).0.success(), "6\n");
}

#[test]
fn new_name_that_looks_like_another_is_warned_of() {
    for (present, new) in [("VIP", "ＶＩＰ"), ("VIP ", "VIP"), ("VIP", "V IP"), ("café", "cafe\u{301}")] {
        for (script, arguments) in [
            (format!("followers().tag(\"{new}\");"), &[][..]),
            (format!("followers().tag(\"{new}\");"), &["--dry-run"][..]),
            (format!("tag::create(\"{new}\");"), &[]),
            (format!("tag::create(\"{new}\");"), &["--dry-run"]),
            (format!("let t = tag::create(\"会员\"); tag::update(t.id, \"{new}\");"), &[]),
            (format!("let t = tag::create(\"会员\"); tag::update(t.id, \"{new}\");"), &["--dry-run"]),
        ] {
            let account = Account::of(3);
            account.tell("/cgi-bin/tags/create", json!({"tag": {"name": present}}));
            let finished = run_on(&account, &script, arguments).0;
            let warnings: Vec<&str> =
                finished.err.lines().filter(|line| line.starts_with("warning: ")).collect();
            let warning =
                format!("warning: the tag {new:?} looks like the tag {present:?} (100), and is another");
            assert_eq!(
                (finished.code, warnings),
                (Some(0), vec![warning.as_str()]),
                "{script} {arguments:?}"
            );
        }
    }
}

#[test]
fn tag_renamed_to_its_own_look_is_not_warned_of() {
    let account = Account::of(3);
    account.tell("/cgi-bin/tags/create", json!({"tag": {"name": "ＶＩＰ "}}));
    let finished = run_on(&account, "tag::update(100, \"VIP\");", &[]).0;
    assert_eq!((finished.code, finished.err.contains("looks like")), (Some(0), false), "{}", finished.err);
}
