//! `mpscript config`, `init` and where the store is: each value with where it came from, and no secret.

use crate::fixtures::program::Folder;
use mpscript::sandbox::DEFAULT_APPID;
use std::{fs, os::unix::fs::PermissionsExt};

const SECRET: &str = "S3CRET-walrus-0f4d9b7a1c6e";

fn real(folder: &Folder) -> String {
    folder.path().canonicalize().unwrap().display().to_string()
}

#[test]
fn config_shows_each_value_with_its_source() {
    let config = "default = \"shop\"\n[accounts.shop]\nappid = \"wx1\"\nsecret_command = \"printf hush-hush\"\n\
                  token = \"classic\"\n[accounts.booth]\nappid = \"wx2\"\nsecret_env = \"BOOTH\"\n\
                  base_url = [\"https://api.weixin.qq.com\", \"https://sh.api.weixin.qq.com\"]\n";
    let folder = Folder::new().file("mpscript.toml", config).env("BOOTH", SECRET);
    let here = real(&folder);
    assert_eq!(
        folder.run(&["config"]).success(),
        format!(
            "file      {here}/mpscript.toml
accounts  booth, shop
account   shop  (default)
appid     wx1  ({here}/mpscript.toml [accounts.shop])
secret    ***  (secret_command)
token     classic  ({here}/mpscript.toml [accounts.shop])
base_url  https://api.weixin.qq.com, https://api2.weixin.qq.com, https://sh.api.weixin.qq.com, https://sz.api.weixin.qq.com, https://hk.api.weixin.qq.com  (default)
callback  none
store     {}/.local/state/mpscript/store.sqlite3  (default)
",
            folder.path().display()
        )
    );
    let booth = folder.run(&["config", "--account", "booth", "--store", "state.db"]).success();
    assert!(
        booth.contains("account   booth  (--account)\n")
            && booth.contains("secret    ***  (environment BOOTH)\n"),
        "{booth}"
    );
    assert!(booth.contains(&format!("store     {here}/state.db  (--store)\n")), "{booth}");
    let hosts = format!("https://sh.api.weixin.qq.com  ({here}/mpscript.toml [accounts.booth])\n");
    assert!(booth.contains(&hosts) && !booth.contains(SECRET), "{booth}");
    let one = folder.run(&["config", "--base-url", "http://127.0.0.1:9"]).success();
    assert!(one.contains("base_url  http://127.0.0.1:9  (--base-url)\n"), "{one}");
    let folder = folder.env("MPSCRIPT_APPID", "wx3").env("MPSCRIPT_SECRET", SECRET);
    let from_environment = folder.run(&["config"]).success();
    assert!(from_environment.contains("appid     wx3  (environment MPSCRIPT_APPID)\n"), "{from_environment}");
    assert!(
        from_environment.contains("secret    ***  (environment MPSCRIPT_SECRET)\n"),
        "{from_environment}"
    );
    assert!(
        Folder::new()
            .run(&["config", "--sandbox"])
            .success()
            .contains(&format!("account  {DEFAULT_APPID}  (--sandbox)\n"))
    );
}

#[test]
fn store_password_is_never_shown_nor_read_from_arguments() {
    let url = format!("postgres://mpscript:{SECRET}@127.0.0.1:9/state");
    let folder = Folder::with("tag::list()").account().env("MPSCRIPT_STORE", &url);
    let shown = folder.run(&["config"]).success();
    assert!(
        shown.contains("store     postgres://mpscript:***@127.0.0.1:9/state  (environment MPSCRIPT_STORE)\n"),
        "{shown}"
    );
    let message = folder.run(&["run", "script.rhai", "--base-url", "http://127.0.0.1:9"]).failure(2);
    assert!(
        message.starts_with("error: the store postgres://127.0.0.1:9/state can't be opened: "),
        "{message}"
    );
    assert!(!message.contains(SECRET), "{message}");
    assert_eq!(
        Folder::new().account().run(&["token", "status", "--store", &url]).failure(2),
        "error: --store with a password would show it to every user of this machine (ps)
  hint: set MPSCRIPT_STORE to it, or write `store = \"…\"` in mpscript.toml
"
    );
    // In libpq's other ways of writing it too.
    for other in [
        format!("postgres://mpscript@127.0.0.1:9/state?password={SECRET}"),
        format!("POSTGRES://mpscript:{SECRET}@127.0.0.1:9/state"),
        format!("host=127.0.0.1 password={SECRET}"),
    ] {
        let message = Folder::new().account().run(&["token", "status", "--store", &other]).failure(2);
        assert!(message.starts_with("error: --store with a password"), "{message}");
        let shown = Folder::new().account().env("MPSCRIPT_STORE", &other).run(&["config"]);
        assert!(!format!("{}{}", shown.out, shown.err).contains(SECRET), "{shown:?}");
    }
    let message = Folder::new().account().env("MPSCRIPT_STORE", "mysql://x/y").run(&["config"]).failure(2);
    assert!(
        message.starts_with("error: MPSCRIPT_STORE is neither a file nor a postgres:// URL\n"),
        "{message}"
    );
    let folder = Folder::new().account().file("mpscript.toml", format!("store = \"{url}\"\n"));
    fs::set_permissions(folder.path().join("mpscript.toml"), PermissionsExt::from_mode(0o644)).unwrap();
    let message = folder.run(&["config"]).failure(2);
    assert!(message.contains("mpscript.toml holds a secret and others can read it"), "{message}");
    fs::set_permissions(folder.path().join("mpscript.toml"), PermissionsExt::from_mode(0o600)).unwrap();
    assert!(folder.run(&["config"]).success().contains(":***@127.0.0.1:9/state"));
}

#[test]
fn failing_secret_command_is_reported_without_its_output() {
    let run = |command: &str| {
        let config = format!("[accounts.shop]\nappid = \"wx1\"\nsecret_command = \"{command}\"\n");
        let folder = Folder::with("tag::list()").file("mpscript.toml", config);
        let shown = folder.run(&["config"]).success();
        assert!(shown.contains("secret    not there: secret_command of account `shop` "), "{shown}");
        folder.run(&["run", "script.rhai"]).failure(2)
    };
    let hint = "  hint: it is a shell command that prints the AppSecret and nothing else\n";
    assert_eq!(
        run(&format!("echo {SECRET} >&2; exit 3")),
        format!("error: secret_command of account `shop` ended with exit status: 3\n{hint}")
    );
    assert_eq!(run("true"), format!("error: secret_command of account `shop` printed nothing\n{hint}"));
}

#[test]
fn contradicting_sources_are_refused() {
    let run = |lines: &str| {
        let config = format!("[accounts.shop]\nappid = \"wx1\"\n{lines}\n");
        Folder::new().file("mpscript.toml", config).run(&["config"]).failure(2)
    };
    assert_eq!(
        run("secret_env = \"A\"\ntoken = \"classic\"\ntoken_file = \"x\""),
        "error: account `shop` has several sources of tokens
  hint: give one of token, token_command, token_file and token_url
"
    );
    assert!(run("token_url = \"http://example.com\"").contains("is plain HTTP"));
    assert_eq!(
        run("token_url = \"http://127.0.0.1:7100\"\ntoken_key_env = \"NONE\""),
        "error: token_key_env of account `shop` names no environment variable that is set
  hint: set it to the key of the token service
"
    );
}

#[test]
fn init_writes_a_working_configuration_and_script() {
    let folder = Folder::new();
    let here = real(&folder);
    assert_eq!(
        folder.run(&["init", "shop"]).success(),
        format!(
            "wrote {here}/shop/mpscript.toml
wrote {here}/shop/first.rhai
try it: mpscript run shop/first.rhai --sandbox
"
        )
    );
    let config = folder.path().join("shop/mpscript.toml");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    let printed =
        folder.run(&["run", "shop/first.rhai", "--sandbox", "--sandbox-followers", "100"]).success();
    assert!(printed.contains("ADD_SCENE_QR_CODE: "), "{printed}");
    let folder = folder.env("SHOP_SECRET", SECRET);
    let shown = folder.run(&["config", "--config", "shop/mpscript.toml"]).success();
    assert!(shown.contains("account   shop  (default)\n"), "{shown}");
    // What is in comments is right too.
    let text = fs::read_to_string(&config).unwrap();
    let uncommented = text.replace("# secret_command", "#").replace("secret_env", "# secret_env");
    let uncommented = uncommented.replace("# secret_file", "secret_file");
    fs::write(folder.path().join("shop/shop.secret"), SECRET).unwrap();
    fs::set_permissions(folder.path().join("shop/shop.secret"), PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&config, uncommented.replace("# token = ", "token = ").replace("# base_url", "base_url"))
        .unwrap();
    let shown = folder.run(&["config", "--config", "shop/mpscript.toml"]).success();
    assert!(shown.contains("token     classic") && shown.contains("shop.secret)"), "{shown}");
    assert_eq!(
        folder.run(&["init", "shop"]).failure(2),
        format!(
            "error: {here}/shop/mpscript.toml is there already
  hint: nothing was written; give another folder, or move it away
"
        )
    );
}

#[test]
fn init_keeps_an_existing_first_script() {
    let folder = Folder::new().file("first.rhai", "print(\"你好\");");
    let here = real(&folder);
    assert_eq!(
        folder.run(&["init"]).success(),
        format!(
            "wrote {here}/mpscript.toml
kept {here}/first.rhai, which is there already
try it: mpscript run first.rhai --sandbox
"
        )
    );
    assert_eq!(fs::read_to_string(folder.path().join("first.rhai")).unwrap(), "print(\"你好\");");
}

#[test]
fn damaged_store_is_reported_before_any_call() {
    let folder = Folder::with("tag::list()").account().file("broken.db", "my diary\n".repeat(500));
    let run = |arguments: &[&str]| {
        folder
            .run(&[&["run", "script.rhai", "--base-url", "http://127.0.0.1:9"], arguments].concat())
            .failure(2)
    };
    let here = real(&folder);
    assert_eq!(
        run(&["--store", "broken.db"]),
        format!(
            "error: {here}/broken.db is no store of mpscript, or is damaged
  hint: move the file away to start with an empty store (tokens are fetched again, today's counts are lost), or restore it
"
        )
    );
    assert!(run(&["--store", "."]).contains(" can't be opened: "), "{}", run(&["--store", "."]));
}

#[test]
fn quota_minute_that_is_no_span_is_refused() {
    let folder = Folder::new().env("MPSCRIPT_QUOTA_MINUTE", "两秒");
    let refused = folder.run(&["run", "-e", "print(1);", "--sandbox"]).failure(2);
    assert_eq!(
        refused,
        "error: MPSCRIPT_QUOTA_MINUTE: `两秒` is not a span of time\n  hint: write a number with its unit, as in 500ms or \
         2s; unset it for the platform's minute\n"
    );
}
