//! The reference is complete and true: generated files are what the program generates, and every
//! example runs.
//!
//! `MPSCRIPT_WRITE=1 cargo test --test it reference` regenerates the files.

use crate::fixtures::{
    account::Account,
    program::{Folder, project},
};
use mpscript::{
    api::{Method, all, errcode::TABLE},
    cli::SETTING_NAMES,
    script::docs,
    store::TerminalKind,
};
use serde_json::json;
use std::{collections::BTreeMap, env, fs, path::Path};

/// The document of 2020, heading by heading: what it describes and which path or function that is.
const DOCUMENT: &[(&str, &str)] = &[
    ("获取 access_token", "/cgi-bin/token"),
    ("通过 code 换取网页授权 access_token", "/sns/oauth2/access_token"),
    ("刷新 access_token", "/sns/oauth2/refresh_token"),
    ("拉取用户信息 (snsapi_userinfo)", "/sns/userinfo"),
    ("检验授权凭证 (access_token) 是否有效", "/sns/auth"),
    ("获取用户基本信息", "/cgi-bin/user/info"),
    ("批量获取用户基本信息", "/cgi-bin/user/info/batchget"),
    ("获取用户列表", "/cgi-bin/user/get"),
    ("获取公众号的黑名单列表", "/cgi-bin/tags/members/getblacklist"),
    ("拉黑用户", "/cgi-bin/tags/members/batchblacklist"),
    ("取消拉黑用户", "/cgi-bin/tags/members/batchunblacklist"),
    ("设置用户备注名", "/cgi-bin/user/info/updateremark"),
    ("创建标签", "/cgi-bin/tags/create"),
    ("获取公众号已创建的标签", "/cgi-bin/tags/get"),
    ("编辑标签", "/cgi-bin/tags/update"),
    ("删除标签", "/cgi-bin/tags/delete"),
    ("获取标签下粉丝列表", "/cgi-bin/user/tag/get"),
    ("批量为用户打标签", "/cgi-bin/tags/members/batchtagging"),
    ("批量为用户取消标签", "/cgi-bin/tags/members/batchuntagging"),
    ("获取用户身上的标签列表", "/cgi-bin/tags/getidlist"),
    ("上传卡券 logo", "/cgi-bin/media/uploadimg"),
    ("创建卡券", "/card/create"),
];

/// What the document describes that is no endpoint.
const BESIDE: &[(&str, &str, &str, &str)] = &[
    (
        "验证服务器地址的有效性",
        "callback::verify",
        "POST /__sandbox/push with \"check\": true",
        "wechatpy.utils.check_signature",
    ),
    (
        "用户同意授权，获取 code",
        "oauth::authorize_url",
        "GET /connect/oauth2/authorize",
        "WeChatOAuth.authorize_url",
    ),
];

/// The calls of the other SDK by function, as `tests/conformance/` makes them.
pub(crate) fn conformance() -> BTreeMap<String, String> {
    let text = fs::read_to_string(project("tests/conformance/covered.txt")).unwrap();
    text.lines()
        .map(|line| {
            let (function, call) = line.split_once(' ').unwrap();
            (function.to_owned(), call.to_owned())
        })
        .collect()
}

/// Every endpoint of the document of 2020 with what stands behind it; each cell is looked at.
fn table() -> String {
    let conformance = conformance();
    let account = Account::of(1);
    let mut text = String::from(
        "## The document of 2020\n\n\
         Every endpoint of the platform's document, with its function, what the sandbox answers at, the JSON that \
         both are held to, and the call of another SDK (wechatpy) that is held to the same.\n\n\
         | document | function | sandbox | fixtures | wechatpy |\n|---|---|---|---|---|\n",
    );
    for (title, function, sandbox, call) in BESIDE {
        assert!(docs::look_up(function, SETTING_NAMES).is_ok(), "{function}");
        text.push_str(&format!("| {title} | `{function}` | `{sandbox}` | vectors | `{call}` |\n"));
    }
    for (title, path) in DOCUMENT {
        let spec = all().into_iter().find(|spec| spec.path == *path).unwrap_or_else(|| panic!("{path}"));
        let answer = match spec.method {
            Method::Get => account.get(path),
            Method::Post | Method::Upload => account.post(path, &json!({})),
        };
        assert_eq!(answer.status, 200, "{path}");
        let fixture = format!("tests/wire/{}", spec.name.replace("::", "."));
        for half in ["request", "response"] {
            assert!(project(&format!("{fixture}.{half}.json")).exists(), "{fixture}");
        }
        let call =
            conformance.get(spec.name).unwrap_or_else(|| panic!("{} is held to no other SDK", spec.name));
        text.push_str(&format!(
            "| {title} | `{}` | `{}` | `{fixture}.*.json` | `{call}` |\n",
            spec.name,
            spec.call()
        ));
    }
    text
}

/// Compares a generated file with the committed one, or writes it.
fn assert_current(path: &Path, text: &str) {
    if env::var_os("MPSCRIPT_WRITE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "{} is out of date: MPSCRIPT_WRITE=1 cargo test --test it reference",
        path.display()
    );
}

#[test]
fn reference_is_up_to_date() {
    assert_current(&project("docs/reference.md"), &docs::reference(&table(), SETTING_NAMES));
}

#[test]
fn definitions_are_up_to_date() {
    let folder = project("stdlib/definitions");
    let definitions = docs::definitions();
    for (name, text) in &definitions {
        assert_current(&folder.join(name), text);
    }
    let present = fs::read_dir(folder).unwrap().count();
    assert_eq!(present, definitions.len(), "no definitions of what is gone");
}

#[test]
fn every_function_has_an_example() {
    let entries = docs::entries();
    for spec in all() {
        assert!(
            entries.iter().any(|entry| entry.full_name() == spec.name && entry.spec.is_some()),
            "{}",
            spec.name
        );
    }
    for entry in &entries {
        assert!(!entry.doc.is_empty() && !entry.examples.is_empty(), "{}", entry.full_name());
    }
    for name in [
        "followers",
        "filter",
        "tag",
        "from_scene",
        "param",
        "sleep",
        "api::get",
        "callback::verify",
        "oauth::authorize_url",
        "card::member_card",
    ] {
        assert!(entries.iter().any(|entry| entry.full_name() == name), "{name}");
    }
    for spec in all() {
        for code in spec.errors {
            assert!(
                TABLE.iter().any(|meaning| meaning.code == *code),
                "{}: {code} has no meaning",
                spec.name
            );
        }
    }
}

/// `check` asks the kind, and the engine has the type that is registered.
#[test]
fn terminal_operation_has_a_report_where_its_kind_says_so() {
    let mut operations = docs::entries();
    operations.retain(|entry| entry.chapter == "Audiences: terminal operations");
    let has_report = |entry: &docs::Entry| entry.signatures.iter().all(|way| way.gives == "Report");
    let registered: Vec<(&str, bool)> =
        operations.iter().map(|entry| (entry.name.as_str(), has_report(entry))).collect();
    let by_kind = |name: &str| TerminalKind::from_word(name).expect("it is a kind").returns_report();
    let expected: Vec<(&str, bool)> =
        operations.iter().map(|entry| (entry.name.as_str(), by_kind(&entry.name))).collect();
    assert_eq!(registered, expected);
    assert!(!operations.is_empty());
}

#[test]
fn every_example_runs_on_a_sandbox() {
    for entry in docs::entries() {
        for example in &entry.examples {
            let folder =
                Folder::new().file("scripts/logo.png", fs::read(project("scripts/logo.png")).unwrap());
            let finished = folder.run(&["run", "-e", example, "--sandbox", "--sandbox-followers", "200"]);
            assert_eq!(
                (finished.code, finished.err.as_str()),
                (Some(0), ""),
                "{}: {example}",
                entry.full_name()
            );
        }
    }
}

#[test]
fn docs_command_prints_one_entry() {
    let folder = Folder::new();
    assert_eq!(
        folder.run(&["docs", "tag::of"]).success(),
        "tag::of(openid: String) -> Array

  Gives the ids of one follower's tags.

  Source: 获取用户身上的标签列表 (getUserTags).

  openid           The follower's openid. (a string)

  platform         POST /cgi-bin/tags/getidlist
  gives            an array of ids
  credential       the account's access token
  rights           certified 公众号 and 服务号 (仅认证); others get 48001
  quota            not published; quota::get shows it
  effect           reads; sent again when its answer is lost

  errcodes, beside those of every call (mpscript docs errors)
    -1             system error — 系统繁忙
    40001          invalid credential, access_token is invalid or not latest — access_token 无效或不是最新的
    40003          invalid openid — 不合法的 OpenID
    41001          access_token missing — 缺少 access_token 参数
    42001          access_token expired — access_token 超时
    45009          reach max api daily quota limit — 接口调用超过每日限额

  example
    let openid = user::list().data.openid[0];
    print(tag::of(openid));
"
    );
    assert!(folder.run(&["docs", "User"]).success().contains("\n  qr_scene         "));
    assert!(
        folder.run(&["docs", "MEETING_TICKET"]).success().contains("\n  meeting_detail   text, required\n")
    );
    assert!(
        folder
            .run(&["docs", "base_info"])
            .success()
            .contains("\n  title            text, 27 bytes, required\n")
    );
    assert!(
        folder.run(&["docs", "Audience"]).success().contains("audience.from_scene(scene: ?) -> Audience\n")
    );
    assert_eq!(
        folder.run(&["docs", "40004"]).failure(2),
        "error: mpscript does not know the errcode 40004\n  hint: `mpscript docs errors` lists those it knows; \
         the platform's own list is 全局返回码\n"
    );
    assert_eq!(
        folder.run(&["docs", "45059"]).success(),
        "45059  can not tagging one user too much — 粉丝身上的标签数超过 20 个
  caller: the request itself is wrong
  hint: this follower has 20 tags already: take one off first
"
    );
    assert_eq!(
        folder.run(&["docs", "tag::atach"]).failure(2),
        "error: there is nothing called `tag::atach`\n  hint: did you mean `tag::attach`?\n"
    );
}

#[test]
fn docs_errors_lists_every_errcode() {
    let listed = Folder::new().run(&["docs", "errors"]).success();
    for meaning in TABLE {
        assert!(
            listed.contains(&format!("\n{:<11} {}", meaning.code, meaning.class.as_str())),
            "{}",
            meaning.code
        );
    }
    assert!(Folder::new().run(&["docs"]).success().starts_with("# Reference\n"));
}
