//! Several hosts: a call turns to the next when one does not answer, and comes back to the first.
//! The scripted servers take any token, so a call can move from one to the other.

use crate::fixtures::{
    client::{ClientFixture, create, no_answer},
    raw_server::{Act, RawServer, answer, ok, token},
};
use mpscript::{
    api::tag,
    client::{BaseUrl, DEFAULT_IN_FLIGHT},
    sandbox::DEFAULT_SECRET,
};
use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

const TAGS: &str = r#"{"tags":[]}"#;
const CREATED: &str = r#"{"tag":{"id":100,"name":"广东"}}"#;

/// A server that has a token for everybody and `act` for all else.
fn server(mut act: impl FnMut() -> Act + Send + 'static) -> RawServer {
    RawServer::start(move |request| if request.contains("stable_token") { token("96_token") } else { act() })
}

/// An address at which no server listens.
fn unused_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn fixture(hosts: &[SocketAddr]) -> ClientFixture {
    ClientFixture::at(hosts, DEFAULT_SECRET, DEFAULT_IN_FLIGHT)
}

/// How often a server was asked for something else than a token.
fn asked(server: &RawServer) -> usize {
    server.calls().iter().filter(|call| !call.contains("stable_token")).count()
}

#[test]
fn unreachable_host_moves_every_call_to_the_next() {
    let second = server(|| ok(CREATED));
    let fixture = fixture(&[unused_address(), second.address()]);
    // A write that must not be sent twice moves on too: it was never sent.
    assert_eq!(fixture.call(&create()).unwrap().id, 100);
    assert_eq!(asked(&second), 1);
}

#[test]
fn fault_after_sending_moves_only_idempotent_calls() {
    for fault in [|| Act::Drop, || Act::Answer(answer("502 Bad Gateway", "", "<html>"))] {
        let (first, second) = (server(fault), server(|| ok(TAGS)));
        let reader = fixture(&[first.address(), second.address()]);
        assert!(reader.call(&tag::List {}).unwrap().tags.is_empty());
        assert_eq!((asked(&first), asked(&second)), (1, 1));

        let writer = fixture(&[first.address(), second.address()]);
        let error = writer.fail(&create());
        assert_eq!((no_answer(&error).1, no_answer(&error).2), (1, true), "{error}");
        assert_eq!((asked(&first), asked(&second)), (2, 1));
    }
}

#[test]
fn errcode_does_not_change_the_host() {
    let (first, second) = (server(|| ok(r#"{"errcode":-1,"errmsg":"system error"}"#)), server(|| ok(TAGS)));
    let fixture = fixture(&[first.address(), second.address()]);
    assert_eq!(fixture.fail(&tag::List {}).errcode(), Some(-1));
    assert_eq!((asked(&first), asked(&second)), (5, 0));
}

/// A server whose first call fails.
fn server_that_fails_once() -> RawServer {
    let mut calls = 0;
    server(move || {
        calls += 1;
        if calls == 1 { Act::Drop } else { ok(TAGS) }
    })
}

#[test]
fn failed_first_host_is_used_again_after_the_clock_was_set_back() {
    let (first, second) = (server_that_fails_once(), server(|| ok(TAGS)));
    let fixture = fixture(&[first.address(), second.address()]);
    fixture.clock.advance(Duration::from_hours(1));
    fixture.call(&tag::List {}).unwrap();
    fixture.clock.reset();
    fixture.clock.advance(Duration::from_secs(30));
    fixture.call(&tag::List {}).unwrap();
    assert_eq!((asked(&first), asked(&second)), (2, 1));
}

#[test]
fn failed_first_host_is_avoided_and_used_again_later() {
    let (first, second) = (server_that_fails_once(), server(|| ok(TAGS)));
    let fixture = fixture(&[first.address(), second.address()]);
    for _ in 0..3 {
        fixture.call(&tag::List {}).unwrap();
    }
    assert_eq!((asked(&first), asked(&second)), (1, 3));
    fixture.clock.advance(Duration::from_secs(30));
    fixture.call(&tag::List {}).unwrap();
    assert_eq!((asked(&first), asked(&second)), (2, 3));
}

#[test]
fn platform_has_five_hosts() {
    let hosts: Vec<String> = BaseUrl::platform().iter().map(BaseUrl::host).collect();
    let expected = ["api", "api2", "sh.api", "sz.api", "hk.api"];
    assert_eq!(hosts, expected.map(|host| format!("{host}.weixin.qq.com")));
}
