//! Times in seconds: a function that is given milliseconds refuses them and says what to write.

use crate::fixtures::program::Folder;

/// The first line and the hint of what a script fails with.
fn refused(script: &str) -> (String, String) {
    let folder = Folder::with(script).env("MPSCRIPT_CALLBACK_TOKEN", "spamtest");
    let folder = folder.env("MPSCRIPT_AES_KEY", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG");
    folder.run(&["run", "script.rhai", "--sandbox"]).error_and_hint()
}

#[test]
fn beijing_time_of_milliseconds_is_refused() {
    assert_eq!(
        refused("print(beijing_time(1769822999000));"),
        (
            "beijing_time: 1769822999000 looks like milliseconds, and it takes seconds".to_owned(),
            "write 1769822999, or / 1000".to_owned()
        )
    );
}

#[test]
fn encryption_at_a_time_in_milliseconds_is_refused() {
    for timestamp in ["1409304348000", "\"1409304348000\""] {
        assert_eq!(
            refused(&format!("callback::encrypt(\"<xml></xml>\", {timestamp}, \"xxxxxx\");")),
            (
                "callback::encrypt: `timestamp` 1409304348000 looks like milliseconds, and it takes seconds"
                    .to_owned(),
                "write 1409304348, or / 1000".to_owned()
            )
        );
    }
}

#[test]
fn since_and_before_of_a_number_say_the_text_to_write() {
    for (method, number) in [("since", "1769822999000"), ("before", "1769822999")] {
        let (message, _) = refused(&format!("followers().{method}({number}).count();"));
        assert_eq!(
            message,
            format!("{method} takes a time as text, not {number}: write {method}(\"2026-01-31 09:29:59\")")
        );
    }
}

#[test]
fn subscribe_time_compared_with_milliseconds_is_refused_before_the_run() {
    assert_eq!(
        refused("print(followers().filter(|u| u.subscribe_time >= 1769822999000).count());"),
        (
            "`subscribe_time` is in seconds, and this compares it with milliseconds".to_owned(),
            "write 1769822999".to_owned()
        )
    );
}
