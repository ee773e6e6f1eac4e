//! A sandbox in this process, and a plain HTTP/1.1 client that shows what is on the wire.

use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET, Options, Sandbox};
use serde_json::{Value, json};
use std::{
    cell::RefCell,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// An answer that takes longer is one that never comes.
const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) const JSON: &[(&str, &str)] = &[("Content-Type", "application/json; charset=utf-8")];

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In their order and their own case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header by its name in exactly this case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.text()).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// A request, letter by letter.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: api.weixin.qq.com\r\n");
    let length = body.len().to_string();
    let length = (method == "POST").then_some(("Content-Length", length.as_str()));
    for (name, value) in headers.iter().copied().chain(length) {
        head.extend([name, ": ", value, "\r\n"]);
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Whether the server has not closed a connection that was not used for a while.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket can be asked");
    let is_open = stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).expect("a socket can be waited for");
    is_open
}

/// Reads status and headers; nothing when the server has closed the connection.
fn read_head(stream: &mut impl BufRead) -> Option<Answer> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line) {
            Ok(0) if lines.is_empty() => return None,
            Err(error) if error.kind() == ErrorKind::ConnectionReset && lines.is_empty() => return None,
            read => assert!(read.expect("the head can be read") > 0, "the head ends early: {lines:?}"),
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let status = lines[0].split(' ').nth(1).and_then(|status| status.parse().ok());
    let headers = lines[1..].iter().map(|line| line.split_once(": ").expect("a header has a colon"));
    Some(Answer {
        status: status.expect("the first line has a status"),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: Vec::new(),
    })
}

/// A sandbox, one connection to it, and a token.
pub(crate) struct Account {
    sandbox: Sandbox,
    connection: RefCell<Option<BufReader<TcpStream>>>,
    token: RefCell<String>,
}

#[allow(clippy::needless_pass_by_value, reason = "a call reads as `tell(path, json!({…}))`")]
impl Account {
    /// A sandbox with these options, before any token was fetched.
    pub(crate) fn without_token(options: Options) -> Self {
        let sandbox = Sandbox::start(options).expect("the sandbox starts");
        Self { sandbox, connection: RefCell::default(), token: RefCell::default() }
    }

    pub(crate) fn with(options: Options) -> Self {
        let account = Self::without_token(options);
        account.renew();
        account
    }

    /// So many followers, none of whom has left while there are fewer than a thousand.
    pub(crate) fn of(followers: u32) -> Self {
        Self::with(Options { followers, ..Options::default() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.sandbox.address()
    }

    /// A connection of its own.
    pub(crate) fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(self.address()).expect("the sandbox listens");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a socket can have a timeout");
        stream.set_nodelay(true).expect("a socket can have no delay");
        BufReader::new(stream)
    }

    /// Sends on the kept connection; nothing when the server closes it without an answer.
    pub(crate) fn attempt(&self, request: &[u8]) -> Option<Answer> {
        let kept = self.connection.take().filter(|kept| is_open(kept.get_ref()));
        let mut connection = kept.unwrap_or_else(|| self.connect());
        connection.get_mut().write_all(request).expect("the request can be sent");
        let mut answer = read_head(&mut connection)?;
        let length = answer.header("Content-Length").and_then(|length| length.parse().ok());
        answer.body = vec![0; length.expect("an answer has a Content-Length")];
        connection.read_exact(&mut answer.body).expect("the body has its length");
        if answer.header("Connection") != Some("close") {
            self.connection.replace(Some(connection));
        }
        Some(answer)
    }

    /// Sends on a connection of its own and reads until the server closes it.
    pub(crate) fn once(&self, request: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.get_mut().write_all(request).expect("the request can be sent");
        let mut answer = read_head(&mut connection).expect("there is an answer");
        connection.read_to_end(&mut answer.body).expect("the server closes the connection");
        answer
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.attempt(&request("GET", target, &[], b"")).expect("there is an answer")
    }

    pub(crate) fn post(&self, target: &str, body: &Value) -> Answer {
        self.attempt(&request("POST", target, JSON, body.to_string().as_bytes())).expect("there is an answer")
    }

    /// The address of a call with the present token; `query` follows it.
    pub(crate) fn target(&self, path: &str, query: &str) -> String {
        format!("{path}?access_token={}{query}", self.token.borrow())
    }

    /// A GET with the token; `query` begins with `&` unless it is empty.
    pub(crate) fn ask(&self, path: &str, query: &str) -> Value {
        self.get(&self.target(path, query)).json()
    }

    /// A POST with the token.
    pub(crate) fn tell(&self, path: &str, body: Value) -> Value {
        self.post(&self.target(path, ""), &body).json()
    }

    /// A control call that succeeds.
    pub(crate) fn control(&self, route: &str, body: Value) -> Value {
        let answer = self.post(&format!("/__sandbox/{route}"), &body);
        assert_eq!(answer.status, 200, "{route} {body}: {}", answer.text());
        answer.json()
    }

    /// A control call that is refused: the reason.
    pub(crate) fn refused_control(&self, route: &str, body: Value) -> String {
        let answer = self.post(&format!("/__sandbox/{route}"), &body);
        assert_eq!(answer.status, 400, "{route} {body}: {}", answer.text());
        answer.json()["error"].as_str().expect("a refusal has its reason").to_owned()
    }

    /// Turns the sandbox's clock forward and says what time it is there.
    pub(crate) fn advance(&self, by: &str) -> i64 {
        self.control("clock", json!({"advance": by}))["now"].as_i64().expect("the time is a number")
    }

    /// Fetches a classic token, which later calls carry.
    pub(crate) fn renew(&self) -> String {
        let token = token_of(&self.get(&token_target(DEFAULT_APPID, DEFAULT_SECRET)).json());
        self.carry(&token);
        token
    }

    /// Later calls carry this token.
    pub(crate) fn carry(&self, token: &str) {
        token.clone_into(&mut self.token.borrow_mut());
    }

    /// The errcode that a call with this token gets; 0 when the token works.
    pub(crate) fn errcode_with(&self, token: &str) -> i64 {
        errcode(&self.get(&format!("/cgi-bin/tags/get?access_token={token}")).json())
    }

    /// Every openid that `user/get` lists.
    pub(crate) fn openids(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.ask("/cgi-bin/user/get", &format!("&next_openid={cursor}"));
            if page["count"] == 0 {
                return all;
            }
            all.extend(openids_of(&page));
            cursor.clone_from(all.last().expect("the page has openids"));
        }
    }

    /// Makes a tag and gives its id.
    pub(crate) fn tag(&self, name: &str) -> i64 {
        let answer = self.tell("/cgi-bin/tags/create", json!({"tag": {"name": name}}));
        answer["tag"]["id"].as_i64().unwrap_or_else(|| panic!("{name}: {answer}"))
    }

    /// The ids of a follower's tags.
    pub(crate) fn tags_of(&self, openid: &str) -> Value {
        let mut answer = self.tell("/cgi-bin/tags/getidlist", json!({"openid": openid}));
        assert_eq!(errcode(&answer), 0, "{answer}");
        answer["tagid_list"].take()
    }
}

pub(crate) fn token_target(appid: &str, secret: &str) -> String {
    format!("/cgi-bin/token?grant_type=client_credential&appid={appid}&secret={secret}")
}

pub(crate) fn token_of(answer: &Value) -> String {
    answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
}

pub(crate) fn openids_of(page: &Value) -> Vec<String> {
    let openids = page["data"]["openid"].as_array().unwrap_or_else(|| panic!("no openids: {page}"));
    openids.iter().map(|openid| openid.as_str().expect("an openid is a text").to_owned()).collect()
}

/// A success has no errcode, or 0.
pub(crate) fn errcode(answer: &Value) -> i64 {
    answer.get("errcode").map_or(0, |errcode| errcode.as_i64().expect("an errcode is a number"))
}

/// What a write that has nothing to tell answers.
pub(crate) fn ok() -> Value {
    json!({"errcode": 0, "errmsg": "ok"})
}

/// Well-formed, and nobody's here.
pub(crate) const FOREIGN: &str = "otvxTs4dckWG7imySrJd6jSi0CWE";
