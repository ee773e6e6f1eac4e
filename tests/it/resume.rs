//! Runs that were cut off at any instant, and gone on with.

use crate::{
    postgres::cluster,
    program::{Finished, Folder},
    served::Served,
};
use serde_json::{Value, json};

const SCRIPT: &str = "print(followers().from_scene(98765).tag(\"展台\").changed);";

/// On SQLite, and on PostgreSQL where there is one.
pub(crate) fn on_each_store(work: impl Fn(&dyn Fn(Folder) -> Folder)) {
    work(&|folder| folder);
    if cluster().is_some() {
        work(&|folder| {
            let url = cluster().expect("it is there").database();
            folder.env("MPSCRIPT_STORE", url.reveal())
        });
    }
}

fn newest(folder: &Folder) -> Value {
    let runs = folder.run(&["runs", "--json"]).success();
    let runs: Value = serde_json::from_str(&runs).expect("it is JSON");
    runs[0].clone()
}

fn id(folder: &Folder) -> String {
    newest(folder)["id"].as_str().expect("a run has an id").to_owned()
}

fn resume(folder: &Folder) -> Finished {
    folder.run(&["resume", &id(folder), "--quiet", "--report", "report.json"])
}

#[test]
fn a_run_that_is_killed_at_any_kind_of_instant_goes_on_where_it_was() {
    let points =
        [("batch-intent", 3), ("batch-call", 3), ("batch-outcome", 3), ("checkpoint", 1), ("batch-call", 1)];
    on_each_store(|with_store| {
        for (point, number) in points {
            let sandbox = Served::start(&["--followers", "12000", "--scene", "98765=1234"]);
            let folder = with_store(Folder::with(SCRIPT).account())
                .env("MPSCRIPT_FAIL_POINT", &format!("{point}:{number}"));
            let killed = sandbox.run(&folder, &["--in-flight", "4"]);
            assert_eq!((killed.code, killed.out.as_str()), (None, ""), "{point}: {}", killed.err);
            assert_eq!(newest(&folder)["state"], json!("interrupted"));
            let before = sandbox.calls("GET /cgi-bin/user/get");
            let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
            assert_eq!(resume(&folder).success(), "1234\n", "{point}");
            assert_eq!(sandbox.tagged("展台"), Some(1234), "{point}");
            let report = folder.json("report.json");
            let counts =
                ["listed", "matched", "changed", "already", "unread"].map(|name| report[name].clone());
            assert_eq!(json!(counts), json!([12000, 1234, 1234, 0, 0]), "{point}: {report}");
            assert!(sandbox.calls("GET /cgi-bin/user/get") - before <= 2, "{point}");
            assert_eq!(sandbox.calls("POST /cgi-bin/tags/create"), 1, "{point}");
            let again = resume(&folder).success();
            assert_eq!(again, format!("run {} has ended: done\n", id(&folder)));
        }
    });
}
