//! Pictures: checked before they are sent, sent whole at every attempt, and accepted under both part names.

use crate::fixtures::{
    account::{Account, errcode, request},
    program::Folder,
    raw_server::{Act, RawServer, ok, token},
};
use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET, Options};

const UPLOAD: &str = "/cgi-bin/media/uploadimg";

/// As small as a PNG's head.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// The body of a form with one file.
fn form(part: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--AaB03x\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"图.png\"\r\n\
         Content-Type: image/png\r\n\r\n"
    );
    [head.as_bytes(), content, b"\r\n--AaB03x--\r\n"].concat()
}

fn upload(account: &Account, part: &str, content: &[u8]) -> serde_json::Value {
    let headers = [("Content-Type", "multipart/form-data; boundary=AaB03x")];
    let request = request("POST", &account.target(UPLOAD, ""), &headers, &form(part, content));
    account.attempt(&request).unwrap().json()
}

#[test]
fn picture_is_uploaded_under_an_ascii_name() {
    let server = RawServer::start(|request| match request {
        request if request.contains("/cgi-bin/stable_token") => token("96_T0KEN"),
        _ => ok(r#"{"url":"http:\/\/mmbiz.qpic.cn\/mmbiz_png\/x\/0"}"#),
    });
    let folder = Folder::with("print(media::upload_image(\"我的 标志.gif\").url)").file("我的 标志.gif", PNG);
    let folder = folder.env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", DEFAULT_SECRET);
    let url = format!("http://{}", server.address());
    let finished = folder.run(&["run", "script.rhai", "--base-url", &url]);
    assert_eq!(finished.success(), "http://mmbiz.qpic.cn/mmbiz_png/x/0\n");
    let sent = &server.exchanges()[1].request;
    let disposition = "Content-Disposition: form-data; name=\"media\"; filename=\"image.png\"\r\n";
    assert!(sent.contains(disposition) && sent.contains("Content-Type: image/png\r\n"), "{sent}");
    assert!(!sent.contains("标志"), "{sent}");
}

#[test]
fn picture_is_sent_whole_at_every_attempt() {
    let mut dropped = 0;
    let server = RawServer::start(move |request| match request {
        request if request.contains("/cgi-bin/stable_token") => token("96_T0KEN"),
        _ if dropped < 2 => {
            dropped += 1;
            Act::Drop
        }
        _ => ok(r#"{"url":"http://mmbiz.qpic.cn/mmbiz_png/x/0"}"#),
    });
    let folder = Folder::with("media::upload_image(\"logo.png\")").file("logo.png", PNG);
    let folder = folder.env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", DEFAULT_SECRET);
    folder.run(&["run", "script.rhai", "--base-url", &format!("http://{}", server.address())]).success();
    let bodies: Vec<bool> =
        server.exchanges()[1..].iter().map(|exchange| exchange.request.contains("IHDR")).collect();
    assert_eq!(bodies, [true, true, true]);
}

#[test]
fn invalid_picture_is_refused_before_sending() {
    let account = Account::of(3);
    let folder = Folder::with("media::upload_image(param(\"path\"))")
        .file("tag.png", "GIF89a")
        .file("empty.png", "")
        .file("large.png", [PNG, &vec![0; 1 << 20]].concat());
    let refused = |path: &str| {
        let path = format!("path={path}");
        let url = format!("http://{}", account.address());
        let folder = folder.command(&["run", "script.rhai", "--base-url", &url, "--param", &path]);
        let mut command = folder;
        command.env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", DEFAULT_SECRET);
        let output = command.output().unwrap();
        String::from_utf8(output.stderr).unwrap().lines().next().unwrap().to_owned()
    };
    let error = "error: media::upload_image: can't send";
    assert_eq!(refused("tag.png"), format!("{error} `tag.png`: it is neither a PNG nor a JPG (40137)"));
    assert_eq!(refused("empty.png"), format!("{error} `empty.png`: it is empty (40009)"));
    let too_large = "it is too large: the platform takes pictures under 1 MB (40009)";
    assert_eq!(refused("large.png"), format!("{error} `large.png`: {too_large}"));
    assert_eq!(refused("."), format!("{error} `.`: it is a folder"));
    assert_eq!(refused("none.png"), format!("{error} `none.png`: No such file or directory (os error 2)"));
    assert_eq!(
        account.get("/__sandbox/stats").json()["calls"][format!("POST {UPLOAD}")],
        serde_json::Value::Null
    );
}

#[test]
fn uploaded_picture_gets_a_platform_url() {
    let account = Account::of(3);
    let folder = Folder::with("print(media::upload_image(\"logo.png\").url)").file("logo.png", PNG).account();
    let url =
        folder.run(&["run", "script.rhai", "--base-url", &format!("http://{}", account.address())]).success();
    assert!(url.starts_with("http://mmbiz.qpic.cn/mmbiz_png/") && url.ends_with("/0\n"), "{url}");
    assert!(url.len() <= 128, "a card's logo_url has 128 bytes: {url}");
}

#[test]
fn upload_accepts_both_part_names_and_refuses_invalid_files() {
    let account = Account::of(3);
    for part in ["media", "buffer"] {
        assert!(upload(&account, part, PNG)["url"].is_string(), "{part}");
    }
    assert!(upload(&account, "media", &[0xff, 0xd8, 0xff])["url"].as_str().unwrap().contains("mmbiz_jpg"));
    assert_eq!(errcode(&upload(&account, "file", PNG)), 41005);
    assert_eq!(errcode(&account.tell(UPLOAD, serde_json::json!({"media": "x"}))), 41005);
    assert_eq!(errcode(&upload(&account, "media", &[PNG, &vec![0; 1 << 20]].concat())), 40009);
    assert_eq!(errcode(&upload(&account, "media", b"")), 40009);
    assert_eq!(errcode(&upload(&account, "media", b"GIF89a")), 40137);
    for other in [40005, 40113] {
        account.control("switches", serde_json::json!({"picture_errcode": other}));
        assert_eq!(errcode(&upload(&account, "media", b"GIF89a")), other);
    }
    let get = account.get(&account.target(UPLOAD, "")).json();
    assert_eq!(errcode(&get), 43002);
    let stranger = Account::without_token(Options { followers: 1, ..Options::default() });
    assert_eq!(errcode(&upload(&stranger, "media", PNG)), 41001);
}
