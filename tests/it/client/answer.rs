//! The client against answers that are almost JSON, and against those that are not JSON at all.

use crate::fixtures::{
    client::{ClientFixture, create, no_answer},
    raw_server::{Act, RawServer, answer, ok, token},
};
use mpscript::{
    api::{Endpoint, WireSecret, blacklist, card, media, oauth, qrcode, tag, user},
    base::Secret,
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

/// Why the answer to a call is refused.
fn why<E: Endpoint>(request: &E, body: &str) -> String {
    let server = RawServer::in_turn([token("96_token"), ok(body)]);
    let error = ClientFixture::of(server.address()).fail(request).to_string();
    let start = format!("{} got an answer that is not what the platform documents: ", E::SPEC.name);
    error.strip_prefix(&start).unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn details_of_another_openid_are_refused() {
    assert_eq!(why(&info(), r#"{"subscribe":1,"openid":"other"}"#), "it is about another openid");
    let missing = "`openid` is missing and must be the one that was asked for";
    assert_eq!(why(&info(), r#"{"subscribe":1}"#), missing);
}

#[test]
fn different_details_of_one_openid_are_refused() {
    let user_list = vec![user::UserRef { openid: "o".to_owned(), lang: None }];
    let body = r#"{"user_info_list":[{"openid":"o","remark":"甲"},{"openid":"o","remark":"乙"}]}"#;
    assert_eq!(why(&user::Batch { user_list }, body), "it has two different entries of o");
}

#[test]
fn new_tag_that_is_another_is_refused() {
    let create = || tag::Create { name: "新来的".to_owned() };
    let other = r#"{"tag":{"id":134,"name":"VIP"}}"#;
    assert_eq!(why(&create(), other), "it is about another tag than \"新来的\"");
    let of_platform = r#"{"tag":{"id":2,"name":"新来的"}}"#;
    assert_eq!(why(&create(), of_platform), "the new tag has the id 2, and ids begin at 100");
}

#[test]
fn page_that_has_not_what_it_counts_is_refused() {
    let body = r#"{"total":3,"count":0,"data":{"openid":["o1","o2"]},"next_openid":"o2"}"#;
    let expected = "it counts 0 openids and has 2";
    assert_eq!(why(&user::List::default(), body), expected);
    assert_eq!(why(&tag::Members { tagid: 134, next_openid: None }, body), expected);
    assert_eq!(why(&blacklist::List::default(), body), expected);
}

#[test]
fn answer_whose_text_is_empty_is_refused() {
    assert_eq!(why(&card::Create::default(), r#"{"errcode":0,"card_id":""}"#), "`card_id` is empty");
    let ticket = r#"{"ticket":"","expire_seconds":60,"url":"http://weixin.qq.com/q/kZgfwMTm72WWPkovabbI"}"#;
    assert_eq!(why(&qrcode::Create::default(), ticket), "`ticket` is empty");
    assert_eq!(why(&qrcode::Create::default(), r#"{"ticket":"gQH47joAAA","url":" "}"#), "`url` is empty");
    assert_eq!(why(&media::UploadImage::default(), r#"{"url":""}"#), "`url` is empty");
}

#[test]
fn empty_token_is_refused() {
    let server = RawServer::in_turn([token("")]);
    let error = ClientFixture::of(server.address()).fail(&info()).to_string();
    assert!(error.ends_with("`access_token` is empty"), "{error}");
}

#[test]
fn grant_without_a_person_is_refused() {
    let grant = r#"{"access_token":"96_a","expires_in":7200,"refresh_token":"96_r","openid":"","scope":"snsapi_base"}"#;
    let server = RawServer::in_turn([ok(grant), ok(grant)]);
    let fixture = ClientFixture::of(server.address());
    let exchange = oauth::Exchange { code: "c".to_owned() };
    let refresh = oauth::Refresh { refresh_token: WireSecret(Secret::new("96_r")) };
    for error in [fixture.fail(&exchange), fixture.fail(&refresh)] {
        assert!(error.to_string().ends_with("`openid` is empty"), "{error}");
    }
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
