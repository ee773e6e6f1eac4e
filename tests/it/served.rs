//! A stand-alone `mpscript sandbox`, and a look at it from outside.

use crate::{
    program::{Finished, Folder, Running, TIMEOUT},
    support::{JSON, openids_of, request, token_target},
};
use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A stand-alone `mpscript sandbox`; ended when it is dropped.
pub(crate) struct Served {
    child: Child,
    address: String,
}

impl Served {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let mut command = folder.command(&[&["sandbox"], arguments].concat());
        let mut child = command.stderr(Stdio::null()).spawn().expect("the program starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("standard output is a pipe");
        BufReader::new(out).read_line(&mut line).expect("a pipe can be read");
        let address = line.trim_end().strip_prefix("sandbox listening on http://").map(str::to_owned);
        let Some(address) = address else {
            let _ = child.kill();
            panic!("the first line is {line:?}")
        };
        Self { child, address }
    }

    /// For `--base-url`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs `script.rhai` of a folder here.
    pub(crate) fn run(&self, folder: &Folder, arguments: &[&str]) -> Finished {
        self.start_run(folder, arguments).finish()
    }

    pub(crate) fn start_run(&self, folder: &Folder, arguments: &[&str]) -> Running {
        folder.start(&[&["run", "script.rhai", "--base-url", &self.url()], arguments].concat())
    }

    pub(crate) fn get(&self, target: &str) -> Value {
        self.exchange(&request("GET", target, &[("Connection", "close")], b""))
    }

    pub(crate) fn control(&self, route: &str, body: &Value) -> Value {
        let headers = [JSON, &[("Connection", "close")]].concat();
        let route = format!("/__sandbox/{route}");
        self.exchange(&request("POST", &route, &headers, body.to_string().as_bytes()))
    }

    fn exchange(&self, request: &[u8]) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("the sandbox listens");
        stream.write_all(request).expect("the request can be sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the sandbox closes the connection");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    pub(crate) fn stats(&self) -> Value {
        self.get("/__sandbox/stats")
    }

    /// How many calls of `"METHOD path"` there were.
    pub(crate) fn calls(&self, call: &str) -> u64 {
        self.stats()["calls"][call].as_u64().unwrap_or_default()
    }

    /// How many followers have the tag of this name; `None` if there is no such tag.
    pub(crate) fn tagged(&self, name: &str) -> Option<u64> {
        let tags = self.get("/__sandbox/tags");
        let tags = tags.as_array().expect("tags are a list");
        tags.iter().find(|tag| tag["name"] == name).and_then(|tag| tag["count"].as_u64())
    }

    /// Everybody whom the account's followers are.
    pub(crate) fn openids(&self) -> Vec<String> {
        let token = self.get(&token_target(DEFAULT_APPID, DEFAULT_SECRET));
        let token = token["access_token"].as_str().expect("there is a token").to_owned();
        openids_of(&self.get(&format!("/cgi-bin/user/get?access_token={token}")))
    }

    /// Waits until there were so many calls.
    #[track_caller]
    pub(crate) fn wait_for_calls(&self, call: &str, count: u64) {
        let since = Instant::now();
        while self.calls(call) < count {
            assert!(since.elapsed() < TIMEOUT, "no {count} calls of {call}: {}", self.stats());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
