//! What a push says: every kind of message and event with a sample of its fields, in the platform's order
//! and spelling.

use crate::{
    api::callback::{ENTRY, FIELDS, Kind, cdata, is_repeated, repeated_in},
    sandbox::world::world::World,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// One kind of push: its fields in the platform's order with a sample of each.
struct Sample {
    msg_type: &'static str,
    event: &'static str,
    fields: &'static str,
}

/// What people and the platform send (接收普通消息, 接收事件推送).
const SAMPLES: &[Sample] = &[
    message("text", r#"[["Content","你好"]]"#),
    message(
        "image",
        r#"[["PicUrl","http://mmbiz.qpic.cn/mmbiz_jpg/sandbox/0"],["MsgId",0],["MediaId","sandbox_media_id"]]"#,
    ),
    message("voice", r#"[["MediaId","sandbox_media_id"],["Format","amr"],["MsgId",0],["Recognition",""]]"#),
    message("video", r#"[["MediaId","sandbox_media_id"],["ThumbMediaId","sandbox_thumb_id"]]"#),
    message("shortvideo", r#"[["MediaId","sandbox_media_id"],["ThumbMediaId","sandbox_thumb_id"]]"#),
    message(
        "location",
        r#"[["Location_X",31.267813],["Location_Y",121.480003],["Scale",20],["Label","上海市"]]"#,
    ),
    message(
        "link",
        r#"[["Title","公众平台"],["Description","公众平台官网链接"],["Url","https://mp.weixin.qq.com/"]]"#,
    ),
    event("subscribe", r#"[["EventKey",""]]"#),
    event("unsubscribe", r#"[["EventKey",""]]"#),
    event("SCAN", r#"[["EventKey","98765"],["Ticket",""]]"#),
    event("LOCATION", r#"[["Latitude","31.267813"],["Longitude","121.480003"],["Precision","30.000000"]]"#),
    event("CLICK", r#"[["EventKey","V1001_TODAY"]]"#),
    event("VIEW", r#"[["EventKey","https://www.example.com/"],["MenuId","402147125"]]"#),
    event("scancode_push", r#"[["EventKey","6"],["ScanCodeInfo",{"ScanType":"qrcode","ScanResult":"1"}]]"#),
    event(
        "scancode_waitmsg",
        r#"[["EventKey","6"],["ScanCodeInfo",{"ScanType":"qrcode","ScanResult":"2"}]]"#,
    ),
    event(
        "pic_sysphoto",
        r#"[["EventKey","6"],["SendPicsInfo",{"Count":1,"PicList":[{"PicMd5Sum":"1b5f7c23b5bf75682a53e7b6d163e185"}]}]]"#,
    ),
    event(
        "pic_photo_or_album",
        r#"[["EventKey","6"],["SendPicsInfo",{"Count":1,"PicList":[{"PicMd5Sum":"5a75aaca956d97be686719218f275c6b"}]}]]"#,
    ),
    event(
        "pic_weixin",
        r#"[["EventKey","6"],["SendPicsInfo",{"Count":1,"PicList":[{"PicMd5Sum":"5a75aaca956d97be686719218f275c6b"}]}]]"#,
    ),
    event("view_miniprogram", r#"[["EventKey","pages/index/index"],["MenuId","402147125"]]"#),
    event("TEMPLATESENDJOBFINISH", r#"[["MsgID",200163836],["Status","success"]]"#),
    event(
        "MASSSENDJOBFINISH",
        r#"[["MsgID",1000001625],["Status","send success"],["TotalCount",100],["FilterCount",80],["SentCount",75],["ErrorCount",5]]"#,
    ),
    event(
        "user_get_card",
        r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["IsGiveByFriend",0],["UserCardCode","12312312"],["FriendUserName",""],["OuterId",0],["OldUserCardCode",""],["OuterStr","12b"],["IsRestoreMemberCard",0],["IsRecommendByFriend",0]]"#,
    ),
    event("user_del_card", r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["UserCardCode","12312312"]]"#),
    event(
        "user_consume_card",
        r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["UserCardCode","12312312"],["ConsumeSource","FROM_API"],["LocationName",""],["StaffOpenId",""],["VerifyCode",""],["RemarkAmount",""],["OuterStr",""]]"#,
    ),
    event("card_pass_check", r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"]]"#),
    event(
        "card_not_pass_check",
        r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["RefuseReason","非法代制"]]"#,
    ),
    event(
        "user_gifting_card",
        r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["UserCardCode","12312312"],["IsReturnBack",0],["FriendUserName",""],["IsChatRoom",0]]"#,
    ),
    event(
        "card_sku_remind",
        r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["Detail","the card's quantity is equal to 0"]]"#,
    ),
    event(
        "PUBLISHJOBFINISH",
        r#"[["PublishEventInfo",{"publish_id":"2247503051","publish_status":0,"article_id":"b5O2OUs25HBxRceL7hfReg","article_detail":{"count":1,"item":[{"idx":1,"article_url":"http://mp.weixin.qq.com/s?__biz=sandbox"}]}}]]"#,
    ),
    event(
        "subscribe_msg_popup_event",
        r#"[["SubscribeMsgPopupEvent",{"List":[{"TemplateId":"hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68","SubscribeStatusString":"accept","PopupScene":"0"}]}]]"#,
    ),
    event(
        "subscribe_msg_change_event",
        r#"[["SubscribeMsgChangeEvent",{"List":[{"TemplateId":"hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68","SubscribeStatusString":"reject"}]}]]"#,
    ),
    event(
        "subscribe_msg_sent_event",
        r#"[["SubscribeMsgSentEvent",{"List":[{"TemplateId":"hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68","MsgID":"1864323726461255680","ErrorCode":"0","ErrorStatus":"success"}]}]]"#,
    ),
    event("user_authorization_revoke", r#"[["OpenID",""],["AppID",""],["RevokeInfo","1"]]"#),
];

const fn message(msg_type: &'static str, fields: &'static str) -> Sample {
    Sample { msg_type, event: "", fields }
}

const fn event(event: &'static str, fields: &'static str) -> Sample {
    Sample { msg_type: "event", event, fields }
}

/// A push's fields in the platform's order: those that every push has, its kind's, and whatever else
/// was given.
pub(crate) fn fields_of(
    world: &mut World,
    to_user_name: &str,
    openid: &str,
    given: &Map<String, Value>,
) -> Result<Vec<(String, Value)>, String> {
    for (name, value) in given {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_name || value.is_null() {
            return Err(format!("`{name}` is no field that a push can have"));
        }
        if ["ToUserName", "FromUserName"].contains(&name.as_str()) {
            return Err(format!(
                "`{name}` is the account's or the person's: give \"openid\" beside \"message\""
            ));
        }
        if ["MsgType", "Event"].contains(&name.as_str()) && !value.is_string() {
            return Err(format!("`{name}` must be a string"));
        }
    }
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    let event = text("Event").unwrap_or_default();
    let msg_type = text("MsgType").unwrap_or(if event.is_empty() { "text" } else { "event" });
    let kinds = || SAMPLES.iter().map(|sample| sample.msg_type).collect::<BTreeSet<_>>();
    if !kinds().contains(msg_type) {
        let kinds: Vec<&str> = kinds().into_iter().collect();
        return Err(format!("there is no MsgType `{msg_type}`; it is one of {}", kinds.join(", ")));
    }
    let mut fields: Vec<(String, Value)> = vec![
        ("ToUserName".to_owned(), to_user_name.into()),
        ("FromUserName".to_owned(), openid.into()),
        ("CreateTime".to_owned(), world.now().into()),
        ("MsgType".to_owned(), msg_type.into()),
    ];
    if msg_type == "event" {
        if event.is_empty() {
            return Err("an event needs \"Event\", as in \"subscribe\"".to_owned());
        }
        fields.push(("Event".to_owned(), event.into()));
    }
    let sample = SAMPLES.iter().find(|sample| sample.msg_type == msg_type && sample.event == event);
    let sample: Vec<(String, Value)> =
        sample.and_then(|sample| serde_json::from_str(sample.fields).ok()).unwrap_or_default();
    fields.extend(sample);
    if msg_type != "event" && !fields.iter().any(|(name, _)| name == "MsgId") {
        fields.push(("MsgId".to_owned(), Value::from(0)));
    }
    for (name, value) in given {
        match fields.iter_mut().find(|(field, _)| field == name) {
            Some((_, field)) => *field = value.clone(),
            None => fields.push((name.clone(), value.clone())),
        }
    }
    // Who scanned a code to follow has its ticket, who came by another way has none.
    let by_code = |(name, value): &(String, Value)| {
        name == "EventKey" && value.as_str().is_some_and(|key| key.starts_with("qrscene_"))
    };
    if fields.iter().any(by_code) && !fields.iter().any(|(name, _)| name == "Ticket") {
        fields.push(("Ticket".to_owned(), world.ticket().into()));
    }
    for (name, value) in &mut fields {
        match name.as_str() {
            "MsgId" if value == &Value::from(0) => *value = world.next_message_id().into(),
            "Ticket" if value == "" => *value = world.ticket().into(),
            "OpenID" if value == "" => *value = openid.into(),
            "AppID" if value == "" => *value = world.options.appid.as_str().into(),
            _ => {}
        }
    }
    Ok(fields)
}

/// Tags joined by newlines, text in CDATA, numbers bare, no declaration: as the platform writes it.
pub(crate) fn xml(fields: &[(String, Value)]) -> String {
    let inner: Vec<String> = fields.iter().map(|(name, value)| element("xml", name, value)).collect();
    format!("<xml>{}\n</xml>", inner.join("\n"))
}

fn element(parent: &str, name: &str, value: &Value) -> String {
    if let (Value::Array(items), true) = (value, is_repeated(parent, name)) {
        return items.iter().map(|item| element(parent, name, item)).collect();
    }
    let is_number = |name: &str| {
        FIELDS.iter().any(|field| field.name == name && matches!(field.kind, Kind::Integer | Kind::Decimal))
    };
    let inner = match value {
        Value::Object(fields) => fields.iter().map(|(field, value)| element(name, field, value)).collect(),
        Value::Array(items) => {
            let entry = repeated_in(name).next().unwrap_or(ENTRY);
            items.iter().map(|item| element(name, entry, item)).collect()
        }
        Value::String(text) if is_number(name) && text.parse::<f64>().is_ok() => text.clone(),
        Value::String(text) => cdata(text),
        other => other.to_string(),
    };
    format!("<{name}>{inner}</{name}>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::callback::Message;
    use serde_json::json;

    #[test]
    fn every_sample_has_only_declared_fields() {
        for sample in SAMPLES {
            let fields: Vec<(String, Value)> = serde_json::from_str(sample.fields).unwrap();
            for (name, _) in fields {
                assert!(FIELDS.iter().any(|field| field.name == name), "{} {name}", sample.event);
            }
        }
    }

    #[test]
    fn repeated_element_is_parsed_as_the_array_that_was_pushed() {
        let list = |name: &str, count: usize| json!({name: vec![json!({"A": "1"}); count]});
        for count in 0..3 {
            for (name, inner) in [
                ("PicList", list("item", count)),
                ("ResultList", list("item", count)),
                ("article_detail", list("item", count)),
                ("PublishEventInfo", json!({"fail_idx": vec![1; count]})),
                ("SubscribeMsgPopupEvent", list("List", count)),
                ("SubscribeMsgChangeEvent", list("List", count)),
                ("SubscribeMsgSentEvent", list("List", count)),
                ("AroundBeacons", list("AroundBeacon", count)),
            ] {
                let pushed =
                    [("MsgType".to_owned(), json!("event")), ("In".to_owned(), json!({name: inner.clone()}))];
                let message = Message::parse(xml(&pushed).as_bytes()).unwrap();
                assert_eq!(message.get("In"), Some(json!({name: inner})), "{name} of {count}");
            }
        }
    }

    #[test]
    fn array_in_place_of_its_parent_s_elements_is_pushed_as_them() {
        for (name, entry) in [("PicList", "item"), ("SubscribeMsgPopupEvent", "List"), ("Unknown", "item")] {
            let pushed = [("MsgType".to_owned(), json!("event")), (name.to_owned(), json!([{"A": "1"}]))];
            let message = Message::parse(xml(&pushed).as_bytes()).unwrap();
            assert_eq!(message.get(name), Some(json!({entry: [{"A": "1"}]})));
        }
    }

    #[test]
    fn push_has_the_platform_s_form() {
        let fields = [("MsgType", json!("event")), ("Scale", json!(20)), ("Latitude", json!("31.267813"))];
        let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value)).into();
        assert_eq!(
            xml(&fields),
            "<xml><MsgType><![CDATA[event]]></MsgType>\n<Scale>20</Scale>\n<Latitude>31.267813</Latitude>\n</xml>"
        );
    }
}
