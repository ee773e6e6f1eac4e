//! The authorize page in a real browser: a person opens the link, chooses, and comes back with a code.

use crate::fixtures::{
    prerequisites,
    program::Folder,
    raw_server::{Act, RawServer},
    sandbox_process::SandboxProcess,
};
use fantoccini::{Client, ClientBuilder, Locator, error::CmdError, wd::WebDriverCompatibleCommand};
use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET};
use serde_json::json;
use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use url::Url;

/// Headless, and silent towards everybody but this machine.
const CHROMIUM: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=480,800",
];

/// A chromedriver on a port of its own; ended when it is dropped.
pub(crate) struct Driver {
    child: Child,
    port: u16,
    chromium: PathBuf,
}

/// Chromium and its driver, where they are on the path.
pub(crate) fn programs() -> Option<(PathBuf, PathBuf)> {
    let find = |name: &str| {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.exists())
    };
    Some((find("chromium")?, find("chromedriver")?))
}

impl Driver {
    pub(crate) fn start() -> Option<Self> {
        let (chromium, chromedriver) = programs()?;
        let mut command = Command::new(chromedriver);
        let child = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("chromedriver starts");
        let out = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let port = out.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        Some(Self { child, port: port.expect("chromedriver names its port"), chromium })
    }

    pub(crate) async fn browser(&self, profile: &Path) -> Client {
        let profile = format!("--user-data-dir={}", profile.display());
        let arguments: Vec<&str> = CHROMIUM.into_iter().chain([profile.as_str()]).collect();
        let options = json!({"args": arguments, "binary": self.chromium});
        let logs = json!({"browser": "ALL"});
        let capabilities =
            [("goog:chromeOptions".to_owned(), options), ("goog:loggingPrefs".to_owned(), logs)];
        let capabilities = capabilities.into_iter().collect();
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        let client =
            builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{}", self.port)).await;
        client.expect("a browser starts")
    }
}

/// Asks for what the browser has complained of since it was asked last.
#[derive(Debug)]
struct Complaints;

impl WebDriverCompatibleCommand for Complaints {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (hyper::Method, Option<String>) {
        (hyper::Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}

/// What a page has made the browser complain of: scripts that failed, files that were refused.
pub(crate) async fn complaints(browser: &Client) -> Result<Vec<String>, CmdError> {
    let logged = browser.issue_cmd(Complaints).await?;
    let logged = logged.as_array().cloned().unwrap_or_default();
    Ok(logged.iter().map(ToString::to_string).collect())
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a script prints on the sandbox that the browser visits.
fn printed(sandbox: &SandboxProcess, script: &str) -> String {
    let folder = Folder::new().env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", DEFAULT_SECRET);
    folder.run(&["run", "-e", script, "--base-url", &sandbox.url()]).success().trim().to_owned()
}

fn link(sandbox: &SandboxProcess, back: &str, scope: &str) -> String {
    let options = format!("#{{redirect_uri: \"{back}\", scope: \"{scope}\", state: \"abc123\"}}");
    printed(sandbox, &format!("print(oauth::authorize_url({options}))"))
}

/// The code in the address that the browser has come to.
async fn code(browser: &Client, back: &str) -> Result<String, CmdError> {
    browser.wait().for_element(Locator::Id("came-back")).await?;
    let address: Url = browser.current_url().await?;
    assert!(address.as_str().starts_with(back), "{address}");
    let value =
        |name: &str| address.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(value("state").as_deref(), Some("abc123"), "{address}");
    Ok(value("code").expect("there is a code"))
}

async fn visit(browser: &Client, sandbox: &SandboxProcess, back: &str) -> Result<(), CmdError> {
    let openid = printed(sandbox, "print(user::list().data.openid[2])");

    // A person sees who asks for what, and allows it as one of the followers.
    browser.goto(&link(sandbox, back, "snsapi_userinfo")).await?;
    assert_eq!(browser.find(Locator::Id("appid")).await?.text().await?, DEFAULT_APPID);
    assert_eq!(browser.find(Locator::Id("wanted")).await?.text().await?, "你的昵称、头像");
    assert_eq!(browser.find(Locator::Id("back")).await?.text().await?, back);
    assert!(!browser.find(Locator::Id("fragment")).await?.is_displayed().await?);
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("authorize.png"), browser.screenshot().await?)?;
    browser.find(Locator::Id("openid")).await?.select_by_value(&openid).await?;
    browser.find(Locator::Id("allow")).await?.click().await?;
    let given = code(browser, back).await?;
    let script = format!(
        "let grant = oauth::exchange(\"{given}\"); let person = oauth::userinfo(grant.access_token, grant.openid); \
         print(`${{person.openid}} ${{person.nickname}}`)"
    );
    assert_eq!(printed(sandbox, &script), format!("{openid} 李 雷"));

    // They refuse.
    browser.goto(&link(sandbox, back, "snsapi_userinfo")).await?;
    browser.find(Locator::Id("refuse")).await?.click().await?;
    let refused = browser.wait().for_element(Locator::Id("refused")).await?;
    assert_eq!(refused.text().await?, "你已拒绝授权，可以关闭此页面。");

    // No person is asked for an openid alone.
    browser.goto(&link(sandbox, back, "snsapi_base")).await?;
    let given = code(browser, back).await?;
    assert_eq!(printed(sandbox, &format!("print(oauth::exchange(\"{given}\").scope)")), "snsapi_base");

    // Nor is a follower who comes from the account's menu.
    browser.goto(&format!("{}/__sandbox/enter?openid={openid}&from=menu", sandbox.url())).await?;
    browser.goto(&link(sandbox, back, "snsapi_userinfo")).await?;
    let given = code(browser, back).await?;
    assert_eq!(printed(sandbox, &format!("print(oauth::exchange(\"{given}\").openid)")), openid);

    // A link without its fragment does not work.
    browser.delete_all_cookies().await?;
    browser.goto("about:blank").await?;
    let bare = link(sandbox, back, "snsapi_userinfo").replace("#wechat_redirect", "");
    browser.goto(&bare).await?;
    assert!(browser.find(Locator::Id("fragment")).await?.is_displayed().await?);
    assert!(!browser.find(Locator::Id("allow")).await?.is_enabled().await?);

    // The parameters in another order are no link either.
    browser
        .goto(
            &link(sandbox, back, "snsapi_userinfo")
                .replace("&state=abc123", "")
                .replace('?', "?state=abc123&"),
        )
        .await?;
    assert!(browser.find(Locator::Id("error")).await?.text().await?.starts_with("该链接无法访问"));
    Ok(())
}

#[test]
fn authorization_in_a_browser_returns_a_code() {
    let Some(driver) = Driver::start() else {
        return prerequisites::missing("chromium");
    };
    let sandbox = SandboxProcess::start(&["--followers", "100"]);
    let page = "<!doctype html><p id=\"came-back\">回来了</p>";
    let page = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    let server = RawServer::start(move |_| Act::Answer(page.clone().into_bytes()));
    let back = format!("http://{}/back", server.address());
    let profile = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let browser = driver.browser(profile.path()).await;
        let visited = visit(&browser, &sandbox, &back).await;
        browser.close().await.expect("the browser closes");
        visited.expect("the browser does what it is told");
    });
}
