//! CSV files: openids that come from one, audiences that go to one.

use crate::fixtures::{
    account::Account,
    paths::POST_BATCH_INFO,
    program::{Finished, Folder, counts, run_on},
    raw_server::{RawServer, ok, token},
    runs::newest_run_id,
    sandbox_process::SandboxProcess,
};
use serde_json::json;
use std::fs;

/// Runs a script where these files are, on an account; its output, its files are left behind.
fn run_with(account: &Account, folder: &Folder, script: &str) -> String {
    let url = format!("http://{}", account.address());
    folder.run(&["run", "-e", script, "--base-url", &url]).success()
}

#[test]
fn openids_round_trip_through_csv_without_details() {
    let account = Account::of(250);
    let script = "followers().take(120).write_csv(\"关注者.csv\");
        openids_from(\"关注者.csv\").tag(\"甲\");
        print(members(\"甲\").count());";
    let (finished, report) = run_on(&account, script, &[]);
    assert_eq!(finished.success(), "120\n");
    assert_eq!(report["calls"].get(POST_BATCH_INFO), None);
    let end = &report["operations"][0];
    assert_eq!((&end["operation"], &end["target"]), (&json!("write_csv"), &json!("关注者.csv")));
    assert_eq!(counts(end, ["matched", "changed", "skipped"]), [120, 0, 120]);
}

#[test]
fn csv_is_readable_by_excel_and_has_no_formulas() {
    let account = Account::of(30);
    let openids = account.openids();
    for (openid, remark) in openids.iter().zip(["=1+2", "张三,\"店长\"", "@ab", "-1"]) {
        account.tell("/cgi-bin/user/info/updateremark", json!({"openid": openid, "remark": remark}));
    }
    let tag = account.tag("甲");
    account.tell("/cgi-bin/tags/members/batchtagging", json!({"openid_list": [openids[0]], "tagid": tag}));
    let folder = Folder::new().account();
    let script =
        "let report = followers().take(5).write_csv(\"表.csv\", [\"openid\", \"remark\", \"tagid_list\"]);
        print(report.matched);";
    assert_eq!(run_with(&account, &folder, script), "5\n");
    let table = fs::read_to_string(folder.path().join("表.csv")).unwrap();
    let expected = format!(
        "\u{feff}openid,remark,tagid_list\r\n{},'=1+2,{tag}\r\n{},\"张三,\"\"店长\"\"\",\r\n{},'@ab,\r\n{},'-1,\r\n{},,\r\n",
        openids[0], openids[1], openids[2], openids[3], openids[4]
    );
    assert_eq!(table, expected);
    // What it wrote it reads.
    assert_eq!(run_with(&account, &folder, "print(openids_from(\"表.csv\").count())"), "5\n");
}

#[test]
fn unfinished_csv_keeps_the_previous_file() {
    let account = Account::of(300);
    let folder = Folder::new().account().file("表.csv", "openid\noOld\n");
    let script =
        "followers().filter(|u| if u.openid == \"\" { true } else { throw \"no\" }).write_csv(\"表.csv\")";
    let url = format!("http://{}", account.address());
    let refused = folder.run(&["run", "-e", script, "--base-url", &url]).failure(1);
    assert!(refused.starts_with("error: "), "{refused}");
    assert_eq!(fs::read_to_string(folder.path().join("表.csv")).unwrap(), "openid\noOld\n");
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{names:?}");
}

#[test]
fn openids_are_read_from_foreign_tables() {
    let account = Account::of(10);
    let openids = account.openids();
    // Excel's own: GBK, a column of names before, blanks, and one openid twice.
    let mut gbk = b"\xd0\xd5\xc3\xfb,OpenID \r\n".to_vec();
    for openid in [&openids[0], &openids[1], &openids[1]] {
        gbk.extend(b"\xd5\xc5\xc8\xfd, ");
        gbk.extend(openid.bytes());
        gbk.extend(b"\r\n");
    }
    gbk.extend(b"\xc0\xee\xcb\xc4,\r\n");
    let plain = format!("{}\n\n{}\n{}\n", openids[2], openids[3], openids[4]);
    let folder = Folder::new().account().file("gbk.csv", gbk).file("plain.txt", plain).file("empty.csv", "");
    let script = "print(openids_from(\"gbk.csv\").tag(\"甲\").changed);
        print(openids_from(\"plain.txt\").tag(\"乙\").changed);
        print(openids_from(\"empty.csv\").count());";
    assert_eq!(run_with(&account, &folder, script), "2\n3\n0\n");
}

#[test]
fn count_by_groups_by_the_closure_s_result() {
    let account = Account::of(400);
    let folder = Folder::new().account();
    let script = "print(followers().count_by(|u| u.openid.len()));
        print(followers().count_by(|u| ()));";
    let output = run_with(&account, &folder, script);
    let matched = matched(&account);
    assert_eq!(output, format!("#{{\"28\": {matched}}}\n#{{\"\": {matched}}}\n"));
}

/// Followers whose details are given: some have gone since they were listed.
fn matched(account: &Account) -> u64 {
    let (_, report) = run_on(account, "followers().each(|u| ());", &[]);
    report["matched"].as_u64().unwrap()
}

#[test]
fn invalid_table_or_column_is_refused_with_a_hint() {
    let folder = Folder::with("print(followers().write_csv(\"表.csv\", [\"opneid\"]));");
    assert_eq!(
        folder.run(&["run", "script.rhai", "--sandbox"]).failure(1),
        "error: a follower has no field `opneid`
 --> script.rhai:1:19
  |
1 | print(followers().write_csv(\"表.csv\", [\"opneid\"]));
  |                   ^^^^^^^^^
  |
  = hint: did you mean `openid`?
"
    );
    let folder = Folder::new().file("others.csv", "name,phone\n张三,1\n");
    let refused = folder.run(&["run", "-e", "openids_from(\"others.csv\").count()", "--sandbox"]).failure(1);
    assert!(
        refused.starts_with(
            "error: can't read openids from `others.csv`: its first line has 2 columns, and none is `openid`\n"
        ),
        "{refused}"
    );
    assert!(
        refused.contains("hint: give a CSV file with commas and a column `openid`, or one openid a line\n"),
        "{refused}"
    );
    let refused = folder.run(&["run", "-e", "openids_from(\"absent.csv\").count()", "--sandbox"]).failure(1);
    assert!(refused.contains("paths are relative to the folder that mpscript was started in: "), "{refused}");
    for (place, reason) in [
        (".", "it is a folder"),
        ("absent/a.csv", "No such file or directory (os error 2)"),
        ("/dev/stdout", "scripts may not touch it"),
        ("../a.csv", "it is outside of the folders that the script may use"),
    ] {
        let script = format!("followers().write_csv(\"{place}\")");
        let refused = folder.run(&["run", "-e", &script, "--sandbox"]).failure(1);
        assert!(
            refused.starts_with(&format!("error: can't write the table `{place}`: {reason}\n")),
            "{refused}"
        );
    }
}

/// What a run of a script says that writes a table here.
fn written_to(folder: &Folder, place: &str, more: &[&str]) -> Finished {
    let script = format!("followers().take(2).write_csv(\"{place}\");");
    folder.run(&[&["run", "-e", &script, "--sandbox"], more].concat())
}

#[test]
fn table_in_a_configured_folder_is_written() {
    let elsewhere = Folder::new();
    let out = elsewhere.path().display();
    let folder = Folder::new().file("mpscript.toml", format!("files = [\"{out}\"]\n"));
    written_to(&folder, &format!("{out}/表.csv"), &[]).success();
    assert!(elsewhere.path().join("表.csv").exists());
}

#[test]
fn table_that_a_parameter_names_is_written() {
    let elsewhere = Folder::new();
    let path = elsewhere.path().join("表.csv");
    let folder = Folder::with("followers().take(2).write_csv(param(\"to\"));");
    let to = format!("to={}", path.display());
    folder.run(&["run", "script.rhai", "--sandbox", "--param", &to]).success();
    assert!(path.exists());
}

#[test]
fn table_over_the_store_leaves_the_store() {
    let folder = Folder::new().env("MPSCRIPT_STORE", "store.sqlite3");
    let refused = written_to(&folder, "store.sqlite3", &[]).failure(1);
    assert!(refused.contains("`store.sqlite3`: scripts may not touch it"), "{refused}");
    assert!(fs::read(folder.path().join("store.sqlite3")).unwrap().starts_with(b"SQLite format 3"));
}

#[test]
fn table_over_the_configuration_leaves_the_configuration() {
    let folder = Folder::new().file("mpscript.toml", "timezone = \"Asia/Shanghai\"\n");
    written_to(&folder, "mpscript.toml", &[]).failure(1);
    let text = fs::read_to_string(folder.path().join("mpscript.toml")).unwrap();
    assert_eq!(text, "timezone = \"Asia/Shanghai\"\n");
}

#[test]
fn table_over_a_script_leaves_the_script() {
    let folder = Folder::with("print(\"甲\")");
    written_to(&folder, "script.rhai", &[]).failure(1);
    assert_eq!(fs::read_to_string(folder.path().join("script.rhai")).unwrap(), "print(\"甲\")");
}

#[test]
fn table_over_a_foreign_file_leaves_the_file() {
    let texts = [
        "姓名,电话\n张三,1\n",
        "oABC\noDEF\n",
        "openid,电话\noABC,1\n",
        "#!/bin/sh\necho 1\n",
        "\n",
        "\u{feff}",
    ];
    for text in texts {
        let folder = Folder::new().file("表.csv", text);
        let refused = written_to(&folder, "表.csv", &[]).failure(1);
        assert!(
            refused.contains("a file is there that is no table of followers' fields\n"),
            "{text}: {refused}"
        );
        assert_eq!(fs::read_to_string(folder.path().join("表.csv")).unwrap(), text);
    }
}

#[test]
fn table_of_an_earlier_run_or_an_empty_file_is_replaced() {
    for text in ["", "\u{feff}openid,remark,qr_scene\r\noABC,,0\r\n", "openid\noABC\n"] {
        let folder = Folder::new().file("表.csv", text);
        written_to(&folder, "表.csv", &[]).success();
        assert!(fs::read_to_string(folder.path().join("表.csv")).unwrap().starts_with("\u{feff}openid\r\n"));
    }
}

#[test]
fn table_is_written_under_the_name_of_a_table_only() {
    for name in ["x.sh", "profile", "表.xlsx", "x.csv.py"] {
        let folder = Folder::new();
        let refused = written_to(&folder, name, &[]).failure(1);
        assert!(refused.contains("its name ends in neither .csv nor .txt\n"), "{refused}");
        assert!(!folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn resumed_run_keeps_the_folders_that_it_was_started_with() {
    let sandbox = SandboxProcess::start(&["--followers", "200"]);
    let elsewhere = Folder::new();
    let to = format!("to={}", elsewhere.path().join("表.csv").display());
    let script = "followers().tag(\"甲\"); followers().write_csv(param(\"to\"));";
    let folder = Folder::with(script).account().env("MPSCRIPT_FAIL_POINT", "batch-outcome:2");
    assert_eq!(sandbox.run(&folder, &["--param", &to]).code, None);
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
    folder.run(&["resume", &newest_run_id(&folder), "--quiet"]).success();
    assert!(elsewhere.path().join("表.csv").exists());
}

#[test]
fn cells_with_control_characters_are_plain_in_a_table() {
    let openids =
        json!({"total": 1, "count": 1, "data": {"openid": ["o\u{1b}[2J\u{202e}甲\n乙"]}, "next_openid": ""});
    let server = RawServer::start(move |request| match request {
        request if request.contains("/cgi-bin/stable_token") => token("96_token"),
        _ => ok(openids.to_string()),
    });
    let folder = Folder::new().account();
    let url = format!("http://{}", server.address());
    folder.run(&["run", "-e", "followers().write_csv(\"表.csv\");", "--base-url", &url]).success();
    let table = fs::read_to_string(folder.path().join("表.csv")).unwrap();
    assert_eq!(table, "\u{feff}openid\r\no\u{fffd}[2J\u{fffd}甲 乙\r\n");
}

#[test]
fn ambiguous_openid_file_is_refused() {
    for (content, output) in [
        (
            "oabc\n\"odef\noghi\nojkl\n",
            "line 2 has no openid, but a text with other characters than A-Z a-z 0-9 _ -",
        ),
        ("标题\n张三,oabc\n", "its first line has one column, but line 2 has 2"),
    ] {
        let folder = Folder::new().file("list.csv", content);
        let refused =
            folder.run(&["run", "-e", "openids_from(\"list.csv\").count()", "--sandbox"]).failure(1);
        assert!(refused.contains(&format!("can't read openids from `list.csv`: {output}\n")), "{refused}");
    }
}

#[test]
fn concurrent_csv_writers_do_not_mix_lines() {
    let account = Account::of(20);
    let folder = Folder::new().account();
    let script = "followers().take(8).each(|u| if u.openid != \"\" {
            openids_from(\"a.csv\").write_csv(\"b.csv\");
        });";
    let folder = folder.file("a.csv", account.openids().join("\n"));
    let url = format!("http://{}", account.address());
    let arguments = ["run", "-e", script, "--base-url", &url];
    let runs = [0; 3].map(|_| folder.start(&arguments));
    for run in runs {
        run.finish().success();
    }
    let table = fs::read_to_string(folder.path().join("b.csv")).unwrap();
    assert_eq!(table.lines().count(), 21, "{table}");
    let parts = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".part"));
    assert_eq!(parts.count(), 0);
}

/// What `openids_from(…).count()` prints of a table with this content, or its error.
fn count_of(name: &str, content: impl Into<Vec<u8>>) -> String {
    let folder = Folder::new().file(name, content.into());
    let finished =
        folder.run(&["run", "-e", &format!("openids_from(\"{name}\").count()"), "--sandbox", "--quiet"]);
    if finished.code == Some(0) { finished.out } else { finished.err }
}

#[test]
fn quotation_mark_that_is_never_closed_is_named_with_its_line() {
    let table = "nick,openid\n老李,oAAA\n\"老王,oBBB\n小李,oCCC\n小张,oDDD\n";
    let refused = count_of("q.csv", table);
    assert!(refused.contains("a quotation mark that line 3 opens is never closed"), "{refused}");
}

#[test]
fn quoted_cell_that_holds_rows_is_refused() {
    let table = "nick,openid\n\"老王,oAAA\n小李,oBBB\n小张\",oCCC\n";
    let refused = count_of("q.csv", table);
    assert!(refused.contains("the quoted cell of line 2 holds lines that look like rows"), "{refused}");
}

#[test]
fn quotation_mark_in_a_column_in_the_middle_is_refused() {
    for (table, lines) in [
        ("openid,nick,city\noAAA,\"Bob,Paris\noBBB,Ann\",Rome\noCCC,Zoe,Oslo\n", (2, 3)),
        ("nick,city,openid\nBob,\"Paris,oAAA\nAnn,Rome\",oBBB\nZoe,Oslo,oCCC\n", (2, 3)),
        ("nick,openid,city,zip\nBob,oAAA,\"Paris,1\nAnn,oBBB,Ro\"me,2\nZoe,oCCC,Oslo,3\n", (2, 3)),
        (
            "openid,nick,city\r\noAAA,Bob,Paris\r\noBBB,\"Ann,Rome\r\noCCC,Zoe,Oslo\r\noDDD,Li\",Wien\r\n",
            (3, 5),
        ),
        // The last line has a cell with a delimiter of its own.
        ("openid,nick,city\noAAA,\"Bob,Paris\noBBB,Ann,\"Rome, Italy\"\n", (2, 3)),
        // The header itself.
        ("openid,\"nick,city\noAAA,Bob\",Paris\noBBB,Ann,Rome\n", (1, 2)),
        // Lines without their last cells, with openids of the usual length.
        (
            "openid,nick,city\noA1defghijklmnopqrstuvwxyz00,\"老王\noB2defghijklmnopqrstuvwxyz00,小李\",罗马\n",
            (2, 3),
        ),
    ] {
        let refused = count_of("q.csv", table);
        let (first, last) = lines;
        let reason =
            format!("the quoted cell of line {first} holds lines that look like rows, up to line {last}\n");
        assert!(refused.contains(&reason), "{table}: {refused}");
    }
}

#[test]
fn quoted_cell_with_delimiters_and_line_ends_of_its_own_is_read() {
    for table in [
        "openid,备注\noAAA,\"你好, 老王\n再见, 小李\"\noBBB,\n",
        "openid,备注,城市\noAAA,\"电话:\n- 1, 2\n\n- 3, 4\",罗马\noBBB,,\n",
        "昵称,备注,openid\n老王,\"一, 二, 三\n四\",oAAA\n小李,,oBBB\n",
        "openid,\"昵称\n(微信, QQ)\"\noAAA,老王\noBBB,小李\n",
    ] {
        assert_eq!(count_of("q.csv", table), "2\n", "{table}");
    }
}

#[test]
fn header_that_is_repeated_below_is_no_person() {
    for table in [
        "openid\noAAA\nopenid\noBBB\n",
        "\u{feff}openid,nick\noAAA,老王\n\u{feff}openid,nick\noBBB,小李\n",
        "导出名单\nopenid,nick\noAAA,老王\nopenid,nick,\noBBB,小李\n",
        "id\noAAA\nid\noBBB\n",
    ] {
        assert_eq!(count_of("q.csv", table), "2\n", "{table}");
    }
}

#[test]
fn header_of_another_table_below_is_refused() {
    for table in [
        "openid,nick\noAAA,老王\nnick,openid\n小李,oBBB\n",
        "openid,nick\noAAA,老王\nopenid,remark\noBBB,小李\n",
        "oAAA\noBBB\nopenid\noCCC\n",
    ] {
        let refused = count_of("q.csv", table);
        assert!(refused.contains("line 3 is the header of another table\n"), "{table}: {refused}");
    }
}

#[test]
fn nickname_that_is_a_header_is_no_header() {
    assert_eq!(count_of("q.csv", "openid,nick\noAAA,openid\noBBB,小李\n"), "2\n");
}

#[test]
fn two_columns_of_openids_are_refused() {
    for (header, columns) in [("openid,openid", "1 and 2"), ("nick,openid,城市,user_openid", "2 and 4")] {
        let refused = count_of("q.csv", format!("{header}\noAAA,oBBB,罗马,oCCC\n"));
        let reason = format!("line 1 names columns {columns} as those of openids\n");
        assert!(refused.contains(&reason), "{header}: {refused}");
    }
}

#[test]
fn line_with_more_cells_than_the_header_is_refused() {
    let refused = count_of("q.csv", "nick,openid\n老王,小李,oAAA\n小张,oBBB\n");
    assert!(refused.contains("line 2 has 3 cells, and the first line has 2"), "{refused}");
}

#[test]
fn line_that_ends_before_the_openids_is_refused() {
    let refused = count_of("q.csv", "nick,openid\n老王,oAAA\n小张\n");
    assert!(refused.contains("line 3 ends before the column `openid`"), "{refused}");
}

#[test]
fn empty_cells_at_the_end_of_a_line_are_left_out() {
    assert_eq!(count_of("q.csv", "nick,openid\n老王,oAAA,,\n,,\n\n小张,oBBB\n"), "2\n");
}

#[test]
fn header_below_a_title_is_read() {
    assert_eq!(count_of("q.csv", "导出名单\nopenid\noAAA\noBBB\n"), "2\n");
}

#[test]
fn header_in_the_spelling_of_another_program_is_read() {
    for header in ["open_id", "OpenIDs", "user_openid", "id", "user_id", "\u{feff}\u{feff}openid"] {
        assert_eq!(count_of("c.csv", format!("{header}\noAAA\noBBB\n")), "2\n", "{header}");
    }
    assert_eq!(count_of("c.csv", "昵称,open_id\n老王,oAAA\n"), "1\n");
}

#[test]
fn quoted_cell_with_a_line_end_of_its_own_is_read() {
    assert_eq!(count_of("q.csv", "nick,openid\n\"老王\n的店\",oAAA\n\"说\"\"好\"\"\",oBBB\n"), "2\n");
}

#[test]
fn delimiter_of_the_first_line_is_accepted() {
    assert_eq!(count_of("a.tsv", "openid\t昵称\noAAA\t老王,小李\noBBB\t小张\n"), "2\n");
    assert_eq!(count_of("a.csv", "openid;昵称\noAAA;老王\n"), "1\n");
}

#[test]
fn table_in_utf_16_is_read() {
    let bytes: Vec<u8> =
        "\u{feff}用户标识\r\noAAA\r\noBBB\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(count_of("u.txt", bytes), "2\n");
}

#[test]
fn excel_workbook_is_named() {
    assert!(count_of("w.xlsx", "PK\u{3}\u{4}").contains("it is an Excel workbook"));
}

#[test]
fn cell_that_cannot_be_an_openid_is_refused_before_any_call() {
    for cell in ["oA，", "oA B", "用户"] {
        let refused = count_of("c.csv", format!("openid,n\noAAA,1\n{cell},2\n"));
        assert!(
            refused.contains("line 3 has no openid, but a text with other characters"),
            "{cell}: {refused}"
        );
    }
}

#[test]
fn invisible_blanks_around_an_openid_are_no_part_of_it() {
    assert_eq!(count_of("b.csv", "openid,n\n\u{3000}oAAA\u{a0},1\n\u{200b}oBBB,2\n"), "2\n");
}
