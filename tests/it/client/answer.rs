//! The client against answers that are almost JSON, and against those that are not JSON at all.

use crate::fixtures::{
    client::{ClientFixture, create, no_answer},
    raw_server::{Act, RawServer, answer, ok, token},
};
use mpscript::{
    api::{tag, user},
    client::CallError,
};

fn info() -> user::Info {
    user::Info { openid: "o".to_owned(), lang: None }
}

#[test]
fn remark_in_invalid_json_is_repaired() {
    let remarks: [(&[u8], &str); 5] = [
        (b"a\x01b\nc", "a\u{1}b\nc"),
        (b"\xe5\xb9\xbf\xe4", "广\u{FFFD}"),
        (br"x\ud83dy", "x\u{FFFD}y"),
        (br"\ude00", "\u{FFFD}"),
        (b"a\tb\\q\x1f", "a\tb\\q\u{1f}"),
    ];
    let body = |remark: &[u8]| [br#"{"subscribe":1,"openid":"o","remark":""#, remark, br#""}"#].concat();
    let answers: Vec<Act> = remarks.iter().map(|(wire, _)| ok(body(wire))).collect();
    let server = RawServer::in_turn([token("96_token")].into_iter().chain(answers));
    let fixture = ClientFixture::of(server.address());
    for (_, expected) in remarks {
        let user = fixture.call(&info()).expect("the answer can be read");
        assert_eq!(user.remark.as_deref(), Some(expected));
    }
}

#[test]
fn errmsg_in_invalid_json_is_repaired() {
    let body = b"{\"errcode\":40003,\"errmsg\":\"invalid\x02 openid \xff\"}";
    let server = RawServer::in_turn([token("96_token"), ok(body)]);
    let error = ClientFixture::of(server.address()).fail(&info());
    assert_eq!(error.errcode(), Some(40003), "{error}");
}

#[test]
fn unreadable_answer_is_reported_without_its_text() {
    let bodies: [(&[u8], &str); 8] = [
        (b"<html>walrus</html>", "19 bytes that are not a JSON object"),
        (b"<html>\"errcode\" walrus</html>", "it is not JSON"),
        (b"[\"walrus\"]", "10 bytes that are not a JSON object"),
        (b"", "it is empty"),
        (b"{\"tags\":\"walrus\"}", "`tags` is a string and must be an array"),
        (b"{\"errcode\":\"walrus\"}", "`errcode` is a string and must be an integer"),
        (b"{\"errcode\":0,\"errmsg\":\"ok\"}", "`tags` is missing and must be an array"),
        (b"{\"tags\":[{\"name\":\"walrus", "it ends too early (line 1, column 24)"),
    ];
    let answers: Vec<Act> = bodies.iter().map(|(body, _)| ok(body)).collect();
    let server = RawServer::in_turn([token("96_token")].into_iter().chain(answers));
    let fixture = ClientFixture::of(server.address());
    for (_, reason) in bodies {
        let error = fixture.fail(&tag::List {});
        assert!(matches!(error, CallError::Unreadable { .. }), "{error}");
        let expected = format!("tag::list got an answer that is not what the platform documents: {reason}");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn answer_over_the_size_limit_is_given_up() {
    // One byte over what is read; the call is none that would be made again.
    let longest = 4 << 20;
    let body = [b"{\"tag\":\"".as_slice(), &vec![b'a'; longest + 1]].concat();
    let server = RawServer::in_turn([token("96_token"), ok(body)]);
    let error = ClientFixture::of(server.address()).fail(&create());
    assert_eq!(no_answer(&error), ("the answer is over 4194304 bytes", 1, true));
}

#[test]
fn field_in_an_envelope_is_named_with_it() {
    let server = RawServer::in_turn([token("96_token"), ok("{}"), ok(r#"{"tag":{"id":"7"}}"#)]);
    let fixture = ClientFixture::of(server.address());
    for reason in ["`tag` is missing and must be an object", "`tag.id` is a string and must be an integer"] {
        let error = fixture.fail(&create()).to_string();
        assert!(error.ends_with(reason), "{error}");
    }
}

#[test]
fn details_of_another_openid_are_refused() {
    let server = RawServer::in_turn([token("96_token"), ok(r#"{"subscribe":1,"openid":"other"}"#)]);
    let error = ClientFixture::of(server.address()).fail(&info()).to_string();
    assert!(error.ends_with("it is about another openid"), "{error}");
}

#[test]
fn truncated_answer_counts_as_no_answer() {
    let cut = || {
        let mut bytes = answer("200 OK", "", r#"{"tag":{"id":134,"name":"广东"}}"#);
        bytes.truncate(bytes.len() - 4);
        Act::Answer(bytes)
    };
    let server = RawServer::in_turn([token("96_token"), cut()]);
    let error = ClientFixture::of(server.address()).fail(&create());
    assert_eq!((no_answer(&error).1, no_answer(&error).2), (1, true), "{error}");

    let whole = ok(r#"{"tags":[]}"#);
    let server = RawServer::in_turn([token("96_token"), cut(), Act::Drop, whole]);
    let tags = ClientFixture::of(server.address()).call(&tag::List {}).expect("the third try succeeds");
    assert!(tags.tags.is_empty());
}

#[test]
fn redirect_is_not_followed() {
    let elsewhere = RawServer::start(|_| ok("{}"));
    let location = format!("Location: http://{}/cgi-bin/tags/get\r\n", elsewhere.address());
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let server = RawServer::in_turn([token("96_token"), Act::Answer(answer(status, &location, ""))]);
        let error = ClientFixture::of(server.address()).fail(&tag::List {});
        assert_eq!(no_answer(&error).0, format!("HTTP status {}", &status[..3]));
        assert_eq!(no_answer(&error).1, 1, "{error}");
    }
    assert!(elsewhere.calls().is_empty(), "{:?}", elsewhere.calls());
}
