//! The server callback on paper: what is pushed, and what is answered.

use crate::api::callback::{parse, push, refused};
use mpscript::api::callback::{Article, Error, EventScene, FIELDS, Kind, MAX_BYTES, Message, Reply};
use serde_json::{Value, json};

/// Every message and event with its fields beside the common four.
#[allow(clippy::too_many_lines, reason = "a table with an entry for each kind of push")]
fn every_push() -> Vec<(&'static str, Value)> {
    let event = |event: &str, rest: Value| {
        let mut fields = json!({"MsgType": "event", "Event": event});
        fields.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        fields
    };
    let id = 23_892_468_385_179_204_i64;
    let pictures =
        json!({"Count": 1, "PicList": {"item": [{"PicMd5Sum": "1b5f7c23b5bf75682a53e7b6d163e185"}]}});
    let scanned = json!({"ScanType": "qrcode", "ScanResult": "1"});
    let mass = json!({"MsgID": 1_000_001_625, "Status": "err(30003)", "TotalCount": 0, "FilterCount": 0,
        "SentCount": 0, "ErrorCount": 0,
        "CopyrightCheckResult": {"Count": 2, "ResultList": {"item": [{"ArticleIdx": "1"}, {"ArticleIdx": "2"}]}},
        "ArticleUrlResult": {"Count": 1, "ResultList": {"item": [{"ArticleUrl": "http://a/?b=1&c=2"}]}}});
    let got = json!({"CardId": "pX", "IsGiveByFriend": 1, "UserCardCode": "12312312",
        "FriendUserName": "oF", "OuterId": "0", "OldUserCardCode": "", "OuterStr": "12b",
        "IsRestoreMemberCard": 0, "IsRecommendByFriend": 0, "UnionId": "o6"});
    let consumed = json!({"CardId": "pX", "UserCardCode": "1", "ConsumeSource": "FROM_API", "LocationName": "",
        "StaffOpenId": "oZ", "VerifyCode": "", "RemarkAmount": "", "OuterStr": "xxxx"});
    let chosen = json!({"List": [{"TemplateId": "T1", "SubscribeStatusString": "accept"}]});
    vec![
        ("text", json!({"MsgType": "text", "Content": "你好 <&> ]]", "MsgId": id, "BusinessId": "b"})),
        ("image", json!({"MsgType": "image", "PicUrl": "http://a?b&c", "MsgId": id, "MediaId": "m"})),
        (
            "voice",
            json!({"MsgType": "voice", "MediaId": "m", "Format": "amr", "MsgId": id, "Recognition": ""}),
        ),
        ("video", json!({"MsgType": "video", "MediaId": "m", "ThumbMediaId": "t", "MsgId": id})),
        ("shortvideo", json!({"MsgType": "shortvideo", "MediaId": "m", "ThumbMediaId": "t", "MsgId": id})),
        (
            "location",
            json!({"MsgType": "location", "Location_X": 23.134_521, "Location_Y": 113.358_803, "Scale": 20,
                "Label": "位置信息", "MsgId": id}),
        ),
        ("link", json!({"MsgType": "link", "Title": "t", "Description": "d", "Url": "u", "MsgId": id})),
        ("subscribe", event("subscribe", json!({"EventKey": ""}))),
        ("subscribe by code", event("subscribe", json!({"EventKey": "qrscene_98765", "Ticket": "T"}))),
        ("unsubscribe", event("unsubscribe", json!({"EventKey": ""}))),
        ("SCAN", event("SCAN", json!({"EventKey": "98765", "Ticket": "T"}))),
        (
            "LOCATION",
            event("LOCATION", json!({"Latitude": 31.267_813, "Longitude": 121.5, "Precision": 30.0})),
        ),
        ("CLICK", event("CLICK", json!({"EventKey": "KEY"}))),
        ("VIEW", event("VIEW", json!({"EventKey": "http://a/", "MenuId": "430168"}))),
        ("scancode_push", event("scancode_push", json!({"EventKey": "6", "ScanCodeInfo": scanned}))),
        ("scancode_waitmsg", event("scancode_waitmsg", json!({"EventKey": "6", "ScanCodeInfo": scanned}))),
        ("pic_sysphoto", event("pic_sysphoto", json!({"EventKey": "6", "SendPicsInfo": pictures}))),
        (
            "pic_photo_or_album",
            event("pic_photo_or_album", json!({"EventKey": "6", "SendPicsInfo": pictures})),
        ),
        ("pic_weixin", event("pic_weixin", json!({"EventKey": "6", "SendPicsInfo": pictures}))),
        (
            "view_miniprogram",
            event("view_miniprogram", json!({"EventKey": "pages/index", "MenuId": "MENUID"})),
        ),
        (
            "TEMPLATESENDJOBFINISH",
            event("TEMPLATESENDJOBFINISH", json!({"MsgID": 200_163_836, "Status": "failed:user block"})),
        ),
        ("MASSSENDJOBFINISH", event("MASSSENDJOBFINISH", mass)),
        (
            "user_authorization_revoke",
            event("user_authorization_revoke", json!({"OpenID": "o", "AppID": "wx", "RevokeInfo": "1"})),
        ),
        ("user_get_card", event("user_get_card", got)),
        ("user_del_card", event("user_del_card", json!({"CardId": "p", "UserCardCode": "1"}))),
        ("user_consume_card", event("user_consume_card", consumed)),
        ("card_pass_check", event("card_pass_check", json!({"CardId": "p"}))),
        ("card_not_pass_check", event("card_not_pass_check", json!({"CardId": "p", "RefuseReason": "r"}))),
        (
            "user_gifting_card",
            event(
                "user_gifting_card",
                json!({"CardId": "p", "UserCardCode": "1", "IsReturnBack": 0, "FriendUserName": "o", "IsChatRoom": 0}),
            ),
        ),
        (
            "card_sku_remind",
            event("card_sku_remind", json!({"CardId": "p", "Detail": "the card's quantity is equal to 0"})),
        ),
        (
            "PUBLISHJOBFINISH",
            event(
                "PUBLISHJOBFINISH",
                json!({"PublishEventInfo": {"publish_id": "2247503051", "publish_status": "2",
                    "article_detail": {"count": "1", "item": [{"idx": "1"}]}, "fail_idx": [1]}}),
            ),
        ),
        (
            "subscribe_msg_popup_event",
            event("subscribe_msg_popup_event", json!({"SubscribeMsgPopupEvent": chosen})),
        ),
        (
            "subscribe_msg_change_event",
            event("subscribe_msg_change_event", json!({"SubscribeMsgChangeEvent": chosen})),
        ),
        (
            "subscribe_msg_sent_event",
            event("subscribe_msg_sent_event", json!({"SubscribeMsgSentEvent": chosen})),
        ),
        // Seen by name only: what they hold is kept as it comes.
        ("user_view_card", event("user_view_card", json!({"CardId": "p", "SomethingNew": "1"}))),
        ("update_member_card", event("update_member_card", json!({"ModifyBonus": "100"}))),
    ]
}

/// Elements as the platform spells them: text in CDATA, numbers bare.
fn elements(fields: &Value) -> String {
    let mut xml = String::new();
    for (name, value) in fields.as_object().unwrap() {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            let inner = match &value {
                Value::String(text) => format!("<![CDATA[{text}]]>"),
                Value::Object(_) => format!("\n{}", elements(&value)),
                number => number.to_string(),
            };
            xml.push_str(&format!("<{name}>{inner}</{name}>\n"));
        }
    }
    xml
}

#[test]
fn every_message_and_event_keeps_all_fields() {
    for (name, fields) in every_push() {
        let message = parse(&push(&elements(&fields)));
        let mut expected = json!({
            "ToUserName": "gh_7f083739789a",
            "FromUserName": "oia2TjjewbmiOUlr6X-1crbLOvLw",
            "CreateTime": 1_395_658_920,
        });
        expected.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        assert_eq!(serde_json::to_value(&message).unwrap(), expected, "{name}");
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(message.get(field).as_ref(), Some(value), "{name}: {field}");
        }
    }
}

#[test]
fn every_declared_field_occurs_in_a_documented_push() {
    let seen: String = every_push().iter().map(|(_, fields)| fields.to_string()).collect();
    for field in FIELDS {
        let is_common =
            ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Encrypt"].contains(&field.name);
        assert!(is_common || seen.contains(&format!("\"{}\"", field.name)), "{}", field.name);
    }
    assert!(FIELDS.iter().any(|field| field.kind == Kind::Decimal));
}

#[test]
fn element_that_may_repeat_is_an_array_when_it_came_once() {
    let message = parse(&push(
        "<MsgType>event</MsgType><SubscribeMsgPopupEvent><List><TemplateId>T1</TemplateId></List></SubscribeMsgPopupEvent>",
    ));
    assert_eq!(message.get("SubscribeMsgPopupEvent"), Some(json!({"List": [{"TemplateId": "T1"}]})));
}

#[test]
fn element_that_may_repeat_is_an_empty_array_when_none_came() {
    let message = parse(&push(
        "<MsgType>event</MsgType><SendPicsInfo><Count>0</Count><PicList>\n</PicList></SendPicsInfo>\
         <PublishEventInfo><publish_status>0</publish_status></PublishEventInfo>",
    ));
    assert_eq!(message.get("SendPicsInfo"), Some(json!({"Count": 0, "PicList": {"item": []}})));
    assert_eq!(message.get("PublishEventInfo"), Some(json!({"publish_status": "0", "fail_idx": []})));
}

#[test]
fn entry_of_an_undeclared_list_is_an_array_when_it_came_once() {
    let message = parse(&push("<MsgType>event</MsgType><Of2027><item><A>1</A></item></Of2027>"));
    assert_eq!(message.get("Of2027"), Some(json!({"item": [{"A": "1"}]})));
}

#[test]
fn common_fields_are_typed() {
    let message = parse(&push(
        "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe]]></Event>\
         <EventKey><![CDATA[qrscene_98765]]></EventKey><Ticket><![CDATA[T]]></Ticket>",
    ));
    assert_eq!(message.to_user_name(), "gh_7f083739789a");
    assert_eq!(message.from_user_name(), "oia2TjjewbmiOUlr6X-1crbLOvLw");
    assert_eq!(message.create_time(), Some(1_395_658_920));
    assert_eq!(message.msg_type(), "event");
    assert_eq!(message.event(), Some("subscribe"));
    assert_eq!(message.event_key(), Some("qrscene_98765"));
    assert_eq!(message.scene(), Some(EventScene::Id(98_765)));
    assert_eq!((message.content(), message.msg_id()), (None, None));
}

#[test]
fn scene_is_parsed_as_number_or_text() {
    let scene = |event: &str, key: &str| {
        let message = parse(&push(&elements(&json!({"MsgType": "event", "Event": event, "EventKey": key}))));
        match message.scene() {
            Some(EventScene::Id(id)) => json!(id),
            Some(EventScene::Str(text)) => json!(text),
            None => Value::Null,
        }
    };
    assert_eq!(scene("SCAN", "98765"), json!(98_765));
    assert_eq!(scene("SCAN", "4294967295"), json!(4_294_967_295_u32));
    assert_eq!(scene("SCAN", "4294967296"), json!("4294967296"));
    assert_eq!(scene("SCAN", "007"), json!("007"));
    assert_eq!(scene("SCAN", "+7"), json!("+7"));
    assert_eq!(scene("subscribe", "qrscene_门店-北京"), json!("门店-北京"));
    assert_eq!(scene("subscribe", "qrscene_qrscene_1"), json!("qrscene_1"));
    assert_eq!(scene("subscribe", ""), Value::Null);
    assert_eq!(scene("subscribe", "last_trade_no_123"), Value::Null);
    assert_eq!(scene("CLICK", "98765"), Value::Null);
}

#[test]
fn escaped_text_is_decoded() {
    let content = |inner: &str| {
        let message = parse(&push(&format!("<MsgType>text</MsgType><Content>{inner}</Content>")));
        message.content().unwrap().to_owned()
    };
    assert_eq!(content("<![CDATA[ <b>&amp; ]]>"), " <b>&amp; ");
    assert_eq!(content("a &lt;b&gt; &amp;&apos;&quot; &#20013;&#x6587;"), "a <b> &'\" 中文");
    assert_eq!(content("<![CDATA[a]]]]><![CDATA[>b]]>"), "a]]>b");
    assert_eq!(content("\n  <![CDATA[a]]>\n  "), "a");
    assert_eq!(content("a<!-- nothing -->b"), "ab");
    assert_eq!(content(""), "");
    let declared =
        format!("\u{feff}<?xml version=\"1.0\"?>\n{}\n", push("<MsgType>text</MsgType><Content/>"));
    assert_eq!(parse(&declared).content(), Some(""));
    let mut broken = push("<MsgType>text</MsgType><Content><![CDATA[广?]]></Content>").into_bytes();
    let at = broken.iter().position(|byte| *byte == b'?').unwrap();
    broken[at] = 0xe4;
    assert_eq!(Message::parse(&broken).unwrap().content(), Some("广\u{FFFD}"));
}

#[test]
fn invalid_number_stays_text() {
    let id = |text: &str| parse(&push(&format!("<MsgType>text</MsgType><MsgId>{text}</MsgId>"))).get("MsgId");
    assert_eq!(id("9223372036854775807"), Some(json!(i64::MAX)));
    assert_eq!(id("18446744073709551615"), Some(json!("18446744073709551615")));
    assert_eq!(id(" 12 "), Some(json!(12)));
    assert_eq!(id("1e3"), Some(json!("1e3")));
    assert_eq!(id(""), Some(json!("")));
    let nan = parse(&push("<MsgType>event</MsgType><Latitude>NaN</Latitude>"));
    assert_eq!(nan.get("Latitude"), Some(json!("NaN")));
}

#[test]
fn hostile_xml_is_refused() {
    let message = |inner: &str| format!("<xml><MsgType>text</MsgType>{inner}</xml>");
    assert_eq!(
        refused(
            "<!DOCTYPE xml [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><xml><MsgType>&a;</MsgType></xml>"
        ),
        "the XML has a document type, which no push has"
    );
    assert_eq!(
        refused("<!DOCTYPE lolz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]><xml>&b;</xml>"),
        "the XML has a document type, which no push has"
    );
    assert_eq!(
        refused(&message("<Content>&a;</Content>")),
        "the XML refers to the entity `a`, which no push does"
    );
    assert_eq!(refused(&message("<?php 1 ?>")), "the XML has a processing instruction, which no push has");
    assert_eq!(
        refused(&message("<Content>&#1;</Content>")),
        "the XML refers to the entity `#1`, which no push does"
    );
    let deep = |levels: usize| message(&format!("{}x{}", "<a>".repeat(levels), "</a>".repeat(levels)));
    assert!(Message::parse(deep(7).as_bytes()).is_ok());
    assert_eq!(refused(&deep(8)), "the XML is nested deeper than 8 elements");
    assert_eq!(refused(&"<xml>".repeat(10_000)), "the XML is nested deeper than 8 elements");
    let long = |bytes: usize| {
        let room = bytes - message("<Content></Content>").len();
        message(&format!("<Content>{}</Content>", "x".repeat(room)))
    };
    assert!(Message::parse(long(MAX_BYTES).as_bytes()).is_ok());
    assert_eq!(refused(&long(MAX_BYTES + 1)), "the XML has 65537 bytes, and a push has at most 65536");
    for (xml, reason) in [
        ("", "there is no `xml` in it"),
        ("hello", "there is text outside of `xml`"),
        ("{\"MsgType\":\"text\"}", "there is text outside of `xml`"),
        ("<xml><MsgType>text</MsgType>", "`xml` has no end"),
        ("<xml><MsgType>text", "`MsgType` has no end"),
        ("<xml><MsgType><![CDATA[text</MsgType></xml>", ""),
        ("<xml><MsgType>text</Event></xml>", ""),
        ("<xml><MsgType", ""),
        ("<xml></xml></xml>", ""),
        ("<xml>a & b</xml>", ""),
        ("<html><MsgType>text</MsgType></html>", "the outermost element is `html`, not `xml`"),
        ("<xml><MsgType>text</MsgType></xml><xml></xml>", "something follows the end of `xml`"),
        ("<xml><MsgType>text</MsgType></xml>text", "there is text outside of `xml`"),
        ("<xml>text<MsgType>text</MsgType></xml>", "`xml` has text beside elements"),
        ("<xml><MsgType>text</MsgType>text</xml>", "`xml` has text beside elements"),
        ("<xml><MsgType>text</MsgType><a;b>1</a;b></xml>", "`a;b` is no name of an element"),
        ("<xml>text</xml>", "`xml` has no elements"),
    ] {
        let error = refused(xml);
        assert!(
            error.starts_with("can't read the XML at byte ") && error.ends_with(reason),
            "{xml}: {error}"
        );
    }
    assert_eq!(refused("<xml></xml>"), "field `MsgType` is missing");
    assert_eq!(refused(&message("<MsgType>event</MsgType>")), "field `MsgType` is there twice");
    assert_eq!(
        refused(&message("<FromUserName>o1</FromUserName><FromUserName>o2</FromUserName>")),
        "field `FromUserName` is there twice"
    );
    // An undeclared element may repeat: both are kept.
    let message = parse(&message("<New>1</New><New>2</New>"));
    assert_eq!(message.get("New"), Some(json!(["1", "2"])));
}

#[test]
fn push_of_thousands_of_elements_is_parsed() {
    let many: String = (0..5_500).flat_map(|n| ["<a".to_owned(), n.to_string(), "/>".to_owned()]).collect();
    let message = parse(&format!("<xml>{}<MsgType>text</MsgType>{many}</xml>", " ".repeat(15_000)));
    assert_eq!(message.get("a5499"), Some(json!("")));
}

fn reply(reply: &Reply) -> Result<String, Error> {
    reply.to_xml(&parse(&push("<MsgType>text</MsgType><Content>hi</Content>")), 1_395_658_921)
}

#[test]
fn every_reply_has_the_platform_s_form() {
    let head = "<xml><ToUserName><![CDATA[oia2TjjewbmiOUlr6X-1crbLOvLw]]></ToUserName>\
                <FromUserName><![CDATA[gh_7f083739789a]]></FromUserName><CreateTime>1395658921</CreateTime>";
    let given = [
        (
            json!({"MsgType": "text", "Content": "你好"}),
            "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好]]></Content>",
        ),
        (
            json!({"MsgType": "image", "Image": {"MediaId": "m"}}),
            "<MsgType><![CDATA[image]]></MsgType><Image><MediaId><![CDATA[m]]></MediaId></Image>",
        ),
        (
            json!({"MsgType": "voice", "MediaId": "m"}),
            "<MsgType><![CDATA[voice]]></MsgType><Voice><MediaId><![CDATA[m]]></MediaId></Voice>",
        ),
        (
            json!({"MsgType": "video", "Video": {"MediaId": "m", "Description": "d"}, "Title": null}),
            "<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m]]></MediaId>\
             <Description><![CDATA[d]]></Description></Video>",
        ),
        (
            json!({"MsgType": "music", "ThumbMediaId": "t", "HQMusicUrl": "h"}),
            "<MsgType><![CDATA[music]]></MsgType><Music><HQMusicUrl><![CDATA[h]]></HQMusicUrl>\
             <ThumbMediaId><![CDATA[t]]></ThumbMediaId></Music>",
        ),
        (
            json!({"MsgType": "news", "Articles": [{"Title": "t", "Url": "u"}]}),
            "<MsgType><![CDATA[news]]></MsgType><ArticleCount>1</ArticleCount><Articles><item>\
             <Title><![CDATA[t]]></Title><Description><![CDATA[]]></Description><PicUrl><![CDATA[]]></PicUrl>\
             <Url><![CDATA[u]]></Url></item></Articles>",
        ),
        (
            json!({"MsgType": "transfer_customer_service"}),
            "<MsgType><![CDATA[transfer_customer_service]]></MsgType>",
        ),
        (
            json!({"MsgType": "transfer_customer_service", "TransInfo": {"KfAccount": "a@b"}}),
            "<MsgType><![CDATA[transfer_customer_service]]></MsgType><TransInfo>\
             <KfAccount><![CDATA[a@b]]></KfAccount></TransInfo>",
        ),
    ];
    for (fields, rest) in given {
        let read = Reply::from_fields(fields.as_object().unwrap()).unwrap();
        assert_eq!(reply(&read).unwrap(), format!("{head}{rest}</xml>"));
    }
}

#[test]
fn reply_can_be_parsed_back() {
    let content = "]]> <b>&amp;</b> ]]]]>> 你好\n]]>".to_owned();
    let xml = reply(&Reply::Text { content: content.clone() }).unwrap();
    let read = parse(&xml);
    assert_eq!(read.content(), Some(content.as_str()));
    assert_eq!(read.to_user_name(), "oia2TjjewbmiOUlr6X-1crbLOvLw");
    let articles = vec![Article { title: "t]]>".to_owned(), ..Article::default() }; 8];
    let read = parse(&reply(&Reply::News { articles }).unwrap());
    assert_eq!(read.get("ArticleCount"), Some(json!("8")));
    assert_eq!(read.get("Articles").unwrap()["item"][7]["Title"], "t]]>");
}

#[test]
fn reply_the_platform_would_not_show_is_refused() {
    let error = |error: Error| (error.to_string(), error.hint().unwrap_or_default());
    let text = |content: String| reply(&Reply::Text { content });
    assert!(text("x".repeat(2_048)).is_ok());
    assert_eq!(
        error(text("中".repeat(683)).unwrap_err()),
        (
            "the reply's text has 2049 bytes, and may have 2048".to_owned(),
            "a Chinese character has three bytes; send the rest as another message".to_owned()
        )
    );
    for count in [0, 9] {
        let articles = vec![Article::default(); count];
        assert_eq!(
            reply(&Reply::News { articles }).unwrap_err().to_string(),
            format!("the reply has {count} articles, and must have 1 to 8")
        );
    }
    let nobody = parse("<xml><MsgType>text</MsgType></xml>");
    assert_eq!(
        Reply::Text { content: "x".to_owned() }.to_xml(&nobody, 0).unwrap_err().to_string(),
        "field `FromUserName` is missing"
    );
    let read = |fields: Value| error(Reply::from_fields(fields.as_object().unwrap()).unwrap_err());
    assert_eq!(read(json!({})).0, "field `MsgType` is missing");
    assert_eq!(
        read(json!({"MsgType": "txt"})),
        (
            "there is no reply of MsgType `txt`".to_owned(),
            "it is text, image, voice, video, music, news or transfer_customer_service".to_owned()
        )
    );
    assert_eq!(
        read(json!({"MsgType": "text", "Contents": "x"})),
        (
            "a reply of MsgType `text` has no field `Contents`".to_owned(),
            "did you mean `Content`?".to_owned()
        )
    );
    assert_eq!(read(json!({"MsgType": "text"})).0, "a reply of MsgType `text` needs the field `Content`");
    assert_eq!(
        read(json!({"MsgType": "text", "Content": 1})).0,
        "field `Content` of the reply must be a text"
    );
    assert_eq!(
        read(json!({"MsgType": "image", "MediaId": "a", "Image": {"MediaId": "b"}})).0,
        "field `MediaId` is there twice"
    );
    assert_eq!(
        read(json!({"MsgType": "news", "Articles": [{"Titel": "t"}]})),
        ("a reply of MsgType `news` has no field `Titel`".to_owned(), "did you mean `Title`?".to_owned())
    );
    assert_eq!(
        read(json!({"MsgType": "news", "Articles": "x"})).0,
        "field `Articles` of the reply must be a list of objects with Title, Description, PicUrl and Url"
    );
}

#[test]
fn control_characters_of_a_push_are_stripped_from_every_reply_field() {
    let message = parse(&push("<MsgType>text</MsgType><Content>甲\u{2}乙\u{FFFE}</Content>"));
    let content = message.content().unwrap();
    let given = [
        json!({"MsgType": "text", "Content": content}),
        json!({"MsgType": "image", "MediaId": content}),
        json!({"MsgType": "music", "ThumbMediaId": content, "Title": content, "HQMusicUrl": content}),
        json!({"MsgType": "news", "Articles": [{"Title": content, "Description": content, "Url": content}]}),
        json!({"MsgType": "transfer_customer_service", "KfAccount": content}),
    ];
    for fields in given {
        let xml = reply(&Reply::from_fields(fields.as_object().unwrap()).unwrap()).unwrap();
        assert!(xml.contains("<![CDATA[甲乙]]>") && !xml.contains(['\u{2}', '\u{FFFE}']), "{xml}");
    }
}

#[test]
fn reply_of_nothing_but_control_characters_is_refused_as_empty() {
    let fields = json!({"MsgType": "text", "Content": "\u{2}\u{1}"});
    let error = Reply::from_fields(fields.as_object().unwrap()).unwrap_err();
    assert!(matches!(error, Error::ReplyNeeds { msg_type: "text", field: "Content" }), "{error}");
}
