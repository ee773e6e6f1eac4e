//! `mpscript token`: the token shown, renewed and reported, and the central service that serves it.

use crate::{
    cli::secrets::assert_hidden,
    daemon::metrics::send,
    fixtures::{
        account::{request, request_to},
        paths::POST_STABLE_TOKEN,
        program::{Folder, account_section},
        sandbox_process::SandboxProcess,
        slow_readers::SlowReaders,
    },
};
use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    process::{Child, Stdio},
};

const KEY: &str = "bearer-key-badger-5e1d93";

/// A folder whose account `shop` is the sandbox's.
fn folder(sandbox: &SandboxProcess) -> Folder {
    Folder::new().shop(&sandbox.url(), "")
}

/// A running service; ended when it is dropped.
struct Service {
    child: Child,
    place: String,
}

impl Service {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = folder.command(&[&["token", "serve"], arguments].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a pipe can be read");
        let Some((_, place)) = line.trim_end().split_once(" at ") else {
            let mut error = String::new();
            let _ = child.stderr.take().expect("a pipe").read_to_string(&mut error);
            panic!("{line}{error}")
        };
        let place = place.to_owned();
        Self { child, place }
    }

    fn ask(&self, method: &str, target: &str, key: &str, body: &Value) -> (u16, Value) {
        let bearer = format!("Bearer {key}");
        let headers = [("Authorization", bearer.as_str()), ("Connection", "close")];
        let request = request(method, target, &headers, body.to_string().as_bytes());
        let mut text = String::new();
        if let Some(address) = self.place.strip_prefix("http://") {
            let mut stream = TcpStream::connect(address).expect("the service listens");
            stream.write_all(&request).expect("the request can be sent");
            stream.read_to_string(&mut text).expect("the service closes the connection");
        } else {
            let mut stream = UnixStream::connect(&self.place).expect("the service listens");
            stream.write_all(&request).expect("the request can be sent");
            stream.read_to_string(&mut text).expect("the service closes the connection");
        }
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        assert!(head.to_lowercase().contains("cache-control: no-store"), "{head}");
        (status.expect("a status"), serde_json::from_str(body).expect("the body is JSON"))
    }

    fn token(&self, account: &str) -> (u16, Value) {
        self.ask("GET", &format!("/token?account={account}"), KEY, &json!({}))
    }

    /// Its address and port.
    fn address(&self) -> &str {
        self.place.strip_prefix("http://").expect("it listens on an address")
    }

    /// What it logged, after it was stopped.
    fn log(mut self) -> String {
        let pid = self.child.id().to_string();
        std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("it can be signalled");
        let mut log = String::new();
        self.child.stderr.take().expect("a pipe").read_to_string(&mut log).expect("a pipe can be read");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
        log
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn access_token(answer: &Value) -> String {
    answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
}

#[test]
fn service_gives_and_renews_tokens_for_other_programs() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = folder(&sandbox).env("MPSCRIPT_TOKEN_KEY", KEY);
    let service = Service::start(&folder, &["--listen", "127.0.0.1:0"]);
    let (status, answer) = service.token("shop");
    let token = access_token(&answer);
    assert_eq!((status, answer["expires_in"].as_i64().is_some_and(|life| life > 7_000)), (200, true));
    assert_eq!(access_token(&service.token(DEFAULT_APPID).1), token, "by its AppID it is the same");
    assert_eq!(access_token(&service.ask("GET", "/token", KEY, &json!({})).1), token, "there is only one");
    assert_eq!(sandbox.calls(POST_STABLE_TOKEN), 1);
    let tags = sandbox.get(&format!("/cgi-bin/tags/get?access_token={token}"));
    assert!(tags["tags"].is_array(), "{tags}");

    sandbox.control("tokens/revoke", &json!({}));
    let stale = json!({"account": "shop", "stale": token});
    let (status, answer) = service.ask("POST", "/refresh", KEY, &stale);
    let renewed = access_token(&answer);
    assert_eq!((status, renewed != token), (200, true));
    // A client that comes late with the old one gets the new one, and nothing is fetched.
    let calls = sandbox.calls(POST_STABLE_TOKEN);
    assert_eq!(access_token(&service.ask("POST", "/refresh", KEY, &stale).1), renewed);
    assert_eq!(sandbox.calls(POST_STABLE_TOKEN), calls);

    let error =
        |(status, answer): (u16, Value)| (status, answer["error"].as_str().unwrap_or_default().to_owned());
    assert_eq!(error(service.token("other")), (404, "there is no such account here".to_owned()));
    let wrong = service.ask("GET", "/token", "another-key-0123456", &json!({}));
    assert_eq!(error(wrong), (401, "send Authorization: Bearer KEY".to_owned()));
    let nonsense = service.ask("POST", "/refresh", KEY, &json!({"account": "shop"}));
    assert_eq!(error(nonsense).0, 400);
    assert_eq!(error(service.ask("GET", "/", KEY, &json!({}))).0, 404);
    assert_eq!(service.ask("GET", "/healthz", "", &json!({})), (200, json!({"ok": true})));

    let log = service.log();
    assert!(log.contains("GET /token shop 200 from 127.0.0.1\n"), "{log}");
    assert!(
        log.contains("POST /refresh shop 200 from 127.0.0.1\n") && log.contains("GET /token 401 from"),
        "{log}"
    );
    assert_hidden("the service's log", &log, [token.as_str(), &renewed, DEFAULT_SECRET, KEY]);
}

#[test]
fn socket_is_accessible_to_its_owner_only() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = folder(&sandbox).file("key", format!("{KEY}\n"));
    let key = folder.path().join("key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let service = Service::start(&folder, &["--socket", "tokens.sock", "--key-file", "key"]);
    assert_eq!(service.token("shop").0, 200);
    let socket = folder.path().join("tokens.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(service.log().contains("GET /token shop 200 from this machine\n"));
    assert!(!socket.exists(), "it is cleared up");
}

#[test]
fn runs_with_token_url_use_the_service() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let central = folder(&sandbox).env("MPSCRIPT_TOKEN_KEY", KEY);
    let service = Service::start(&central, &["--listen", "127.0.0.1:0"]);
    let config = format!(
        "[accounts.shop]\nappid = \"{DEFAULT_APPID}\"\ntoken_url = \"{}\"\ntoken_key_env = \"K\"\nbase_url = \"{}\"\n",
        service.place,
        sandbox.url()
    );
    // It has no AppSecret, and needs none.
    let branch = Folder::with("print(tag::list().len())").file("mpscript.toml", config).env("K", KEY);
    assert_eq!(branch.run(&["run", "script.rhai"]).success(), "1\n");
    sandbox.control("tokens/revoke", &json!({}));
    assert_eq!(branch.run(&["run", "script.rhai"]).success(), "1\n");
    assert_eq!(sandbox.calls("GET /cgi-bin/tags/get"), 3);
    let log = service.log();
    assert!(log.contains(&format!("POST /refresh {DEFAULT_APPID} 200")), "{log}");
    let message = branch.run(&["run", "script.rhai"]);
    // The token in the store is still good; without one, the service is missed.
    assert_eq!(message.success(), "1\n");
    sandbox.control("tokens/revoke", &json!({}));
    let message = branch.run(&["run", "script.rhai"]).failure(2);
    assert!(
        message.starts_with("error: there is no access token: the token service 127.0.0.1:"),
        "{message}"
    );
}

#[test]
fn insecure_token_service_does_not_start() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = folder(&sandbox);
    let refused = |folder: &Folder, arguments: &[&str]| {
        folder.run(&[&["token", "serve"], arguments].concat()).failure(2)
    };
    assert_eq!(
        refused(&folder, &[]),
        "error: a token service needs a key
  hint: set MPSCRIPT_TOKEN_KEY, or name a file that only you can read with --key-file; `openssl rand -hex 32` makes a key
"
    );
    let folder = folder.env("MPSCRIPT_TOKEN_KEY", "short");
    assert!(refused(&folder, &[]).starts_with("error: the token service's key must have at least 16"));
    let folder = folder.env("MPSCRIPT_TOKEN_KEY", KEY);
    assert_eq!(
        refused(&folder, &["--listen", "0.0.0.0:7100"]),
        "error: 0.0.0.0:7100 can be reached from other machines, and tokens would travel in clear text
  hint: listen on 127.0.0.1, or put a proxy in front that terminates TLS and give --behind-proxy
"
    );
    let folder = folder.file("key", KEY);
    std::fs::set_permissions(folder.path().join("key"), PermissionsExt::from_mode(0o644)).unwrap();
    assert!(refused(&folder, &["--key-file", "key"]).contains("holds a secret and others can read it"));
}

#[test]
fn token_commands_mask_renew_and_report_status() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = folder(&sandbox);
    let run = |arguments: &[&str]| folder.run(&[&["token"], arguments].concat()).success();
    let status = run(&["status"]);
    let store = folder.path().canonicalize().unwrap().join(".local/state/mpscript/store.sqlite3");
    assert_eq!(
        status,
        format!(
            "account  {DEFAULT_APPID} at {}
mode     stable
token    none in the store yet
forced   0 of 20 renewals today (Beijing time)
store    {}
",
            sandbox.url(),
            store.display()
        )
    );
    assert_eq!(sandbox.calls(POST_STABLE_TOKEN), 0, "it makes no call");
    let shown = run(&["show"]);
    assert!(
        shown.starts_with("***, good for 7,") && shown.ends_with(" seconds (--reveal shows it)\n"),
        "{shown}"
    );
    let token = run(&["show", "--reveal"]);
    assert_eq!(token.trim().len(), 136, "{token}");
    assert!(run(&["refresh"]).starts_with("a new token, good for 7,"));
    assert_ne!(run(&["show", "--reveal"]), token);
    let status = run(&["status"]);
    assert!(
        status.contains("\ntoken    number ") && status.contains("\nforced   1 of 20 renewals"),
        "{status}"
    );
    // A second one within thirty seconds is not to be had.
    let message = folder.run(&["token", "refresh", "--account", "shop"]);
    assert_eq!(message.code, Some(2), "{message:?}");
    assert!(
        message.err.contains("error: there is no access token: the platform returned the same one\n"),
        "{}",
        message.err
    );
}

#[test]
fn appid_of_two_accounts_is_ambiguous() {
    let (sandbox, test) =
        (SandboxProcess::start(&["--followers", "10"]), SandboxProcess::start(&["--followers", "10"]));
    let config = [account_section("real", &sandbox.url()), account_section("test", &test.url())].concat();
    let folder = Folder::new().accounts(&config);
    let service = Service::start(&folder.env("MPSCRIPT_TOKEN_KEY", KEY), &["--listen", "127.0.0.1:0"]);
    let (status, answer) = service.token(DEFAULT_APPID);
    assert_eq!(
        (status, &answer["error"]),
        (400, &json!("several accounts have this AppID: ask by the account's name"))
    );
    assert_eq!(service.ask("GET", "/token", KEY, &json!({})).0, 404, "nor is there an only one");
    assert_eq!((service.token("real").0, service.token("test").0), (200, 200));
    assert_eq!((sandbox.calls(POST_STABLE_TOKEN), test.calls(POST_STABLE_TOKEN)), (1, 1));
    // A branch names the one that it means.
    let config = format!(
        "[accounts.shop]\nappid = \"{DEFAULT_APPID}\"\ntoken_url = \"{}\"\ntoken_key_env = \"K\"\n\
         token_account = \"test\"\nbase_url = \"{}\"\n",
        service.place,
        test.url()
    );
    let branch = Folder::with("print(tag::list().len())").file("mpscript.toml", config).env("K", KEY);
    assert_eq!(branch.run(&["run", "script.rhai"]).success(), "1\n");
    let other = service.ask("GET", "/token/96_supersecret", KEY, &json!({}));
    assert_eq!(other.0, 404);
    let log = service.log();
    assert!(log.contains("GET /… 404 from") && !log.contains("supersecret"), "{log}");
}

#[test]
fn platform_error_passes_through_the_service() {
    let sandbox = SandboxProcess::start(&["--followers", "10", "--secret", "another"]);
    let central = folder(&sandbox).env("MPSCRIPT_TOKEN_KEY", KEY);
    let service = Service::start(&central, &["--listen", "127.0.0.1:0"]);
    for _ in 0..20 {
        let (status, answer) = service.token("shop");
        assert_eq!(status, 502);
        assert!(answer["error"].as_str().unwrap().contains("40125 invalid appsecret"), "{answer}");
    }
    assert!(
        sandbox.calls(POST_STABLE_TOKEN) <= 2,
        "what no second call would mend is not asked again at once"
    );
    let config = format!(
        "[accounts.shop]\nappid = \"{DEFAULT_APPID}\"\ntoken_url = \"{}\"\ntoken_key_env = \"K\"\nbase_url = \"{}\"\n",
        service.place,
        sandbox.url()
    );
    let branch = Folder::with("tag::list()").file("mpscript.toml", config).env("K", KEY);
    let message = branch.run(&["run", "script.rhai"]).failure(2);
    assert!(
        message.contains("answered with status 502") && message.contains("40125 invalid appsecret"),
        "{message}"
    );
}

/// A service of the sandbox's account.
fn service(sandbox: &SandboxProcess, more: &[&str]) -> Service {
    let folder = folder(sandbox).env("MPSCRIPT_TOKEN_KEY", KEY);
    Service::start(&folder, &[&["--listen", "127.0.0.1:0"], more].concat())
}

/// How many requests the lines of a log that hold this stand for, and how many lines they are.
fn logged(log: &str, what: &str) -> (u64, usize) {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(what)).collect();
    let count = |line: &&str| {
        let more =
            line.split_once(", and ").and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
        1 + more.unwrap_or_default()
    };
    (lines.iter().map(count).sum(), lines.len())
}

#[test]
fn requests_without_the_key_are_logged_with_a_count() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let service = service(&sandbox, &[]);
    let flood = request("GET", "/token", &[], b"").repeat(100);
    for _ in 0..20 {
        let mut stream = TcpStream::connect(service.address()).expect("the service listens");
        stream.write_all(&flood).expect("they can be sent");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).expect("the service closes the connection");
        assert_eq!(answers.matches("HTTP/1.1 401").count(), 100);
    }
    let log = service.log();
    let (requests, lines) = logged(&log, "GET /token 401 from 127.0.0.1");
    assert_eq!(requests, 2_000, "{log}");
    // One a second, on the slowest of machines.
    assert!(lines < 60, "{log}");
}

#[test]
fn health_checks_are_logged_with_a_count() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let service = service(&sandbox, &[]);
    let flood = request("GET", "/healthz", &[], b"").repeat(100);
    let (_, answers) = send(service.address(), &flood);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 99, "the first one is the head");
    let log = service.log();
    assert_eq!(logged(&log, "GET /healthz 200 from 127.0.0.1").0, 100, "{log}");
}

#[test]
fn token_is_given_while_clients_read_nothing() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let service = service(&sandbox, &[]);
    let mut readers = SlowReaders::of(service.address(), "/token");
    assert_eq!(service.ask("GET", "/healthz", "", &json!({})), (200, json!({"ok": true})));
    assert_eq!(service.token("shop").0, 200);
    assert!(readers.open() <= 128, "{}", readers.open());
}

#[test]
fn token_for_a_foreign_host_or_a_page_of_another_site_is_refused() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let service = service(&sandbox, &["--allow-host", "tokens.example.com"]);
    let bearer = format!("Bearer {KEY}");
    let status = |host: &str, origin: &[(&str, &str)]| {
        let headers = [&[("Authorization", bearer.as_str()), ("Connection", "close")], origin].concat();
        send(service.address(), &request_to(host, "GET", "/token", &headers, b"")).0
    };
    let misdirected = "HTTP/1.1 421 Misdirected Request";
    assert_eq!(status("evil.example", &[]), misdirected);
    assert_eq!(status("127.0.0.1", &[("Origin", "https://evil.example")]), "HTTP/1.1 403 Forbidden");
    assert_eq!(status("tokens.example.com", &[]), "HTTP/1.1 200 OK");
    assert_eq!(sandbox.calls(POST_STABLE_TOKEN), 1);
}
