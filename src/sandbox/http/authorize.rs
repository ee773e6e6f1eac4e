//! The authorize page of the web authorization: checks the link as the platform does, asks the
//! person, and sends them back with a code.

use crate::{
    api::oauth::{BASE, STATE_BYTES, USERINFO},
    sandbox::{
        rules::profile::nickname,
        world::{
            options::AccountKind,
            switches::{AUTHORIZE_PAGE, EMPTY_STATE},
            world::World,
        },
    },
};
use url::{Url, form_urlencoded};

/// People whom the page offers.
const OFFERED: usize = 20;

/// The parameters in the only order that the page takes.
const ORDER: [&str; 5] = ["appid", "redirect_uri", "response_type", "scope", "state"];

/// What the page answers.
#[derive(Debug)]
pub(crate) enum Page {
    Html(String),
    Redirect(Url),
}

/// Who opens the page, as `GET /__sandbox/enter` has set it in the browser.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visitor {
    pub openid: Option<String>,
    /// They come from the account's conversation or its menu, and are not asked.
    pub from_menu: bool,
}

impl Visitor {
    /// Reads a `Cookie` header.
    pub(crate) fn from_cookies(cookies: &str) -> Self {
        let value = |name: &str| {
            cookies
                .split(';')
                .filter_map(|cookie| cookie.trim().split_once('='))
                .find(|(key, _)| *key == name)
        };
        Self {
            openid: value("sandbox_openid").map(|(_, openid)| openid.to_owned()),
            from_menu: value("sandbox_from").is_some_and(|(_, from)| from == "menu"),
        }
    }
}

/// Answers the page's link.
pub(crate) fn open(world: &mut World, query: &str, visitor: &Visitor) -> Page {
    let link = match Link::read(world, query) {
        Ok(link) => link,
        Err((code, text)) => return error(code, text),
    };
    let visiting = visitor.openid.as_ref().and_then(|openid| world.number(openid).ok());
    let is_follower = |world: &World, number: u32| world.followers[number as usize].subscribed;
    if let Some(number) = visiting
        && world.options.account_kind == AccountKind::Test
        && !is_follower(world, number)
    {
        return error(10006, "必须关注此测试号");
    }
    let is_silent = link.scope == BASE
        || (visitor.from_menu && visiting.is_some_and(|number| is_follower(world, number)));
    let visitor = visiting.or_else(|| (!world.followers.is_empty()).then_some(0));
    match visitor {
        Some(number) if is_silent => Page::Redirect(link.back(world, number)),
        _ => ask(world, &link, visiting),
    }
}

/// Answers the person's choice.
pub(crate) fn decide(world: &mut World, query: &str) -> Page {
    let field = |name: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let link = match Link::read(world, &field("link").unwrap_or_default()) {
        Ok(link) => link,
        Err((code, text)) => return error(code, text),
    };
    if field("decision").as_deref() != Some("allow") {
        return html("已拒绝授权", "<p id=\"refused\">你已拒绝授权，可以关闭此页面。</p>");
    }
    match field("openid").and_then(|openid| world.number(&openid).ok()) {
        Some(number) => Page::Redirect(link.back(world, number)),
        // A user who has never followed the account.
        None => match world.newcomer() {
            Ok(number) => Page::Redirect(link.back(world, number)),
            Err(reason) => html("无法授权", &format!("<p>{reason}</p>")),
        },
    }
}

/// A link that is in order.
struct Link {
    whole: String,
    redirect_uri: Url,
    scope: String,
    state: String,
}

impl Link {
    /// Reads the page's query, or says which error it shows.
    fn read(world: &World, query: &str) -> Result<Self, (u32, &'static str)> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let get = |name: &str| {
            pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        match world.switches.get(AUTHORIZE_PAGE) {
            "10004" => return Err((10004, "此公众号被封禁")),
            "10009" => return Err((10009, "操作太频繁了，请稍后重试")),
            "10015" => return Err((10015, "公众号未授权第三方平台，请检查授权状态")),
            _ => {}
        }
        for (name, code, text) in [
            ("appid", 10012, "appid不能为空"),
            ("redirect_uri", 10011, "redirect_uri不能为空"),
            ("scope", 10010, "scope不能为空"),
        ] {
            if get(name).is_empty() {
                return Err((code, text));
            }
        }
        if get("state").is_empty() && world.switches.is(EMPTY_STATE, "10013") {
            return Err((10013, "state不能为空"));
        }
        let places: Vec<usize> =
            pairs.iter().filter_map(|(key, _)| ORDER.iter().position(|name| name == key)).collect();
        let is_in_order = places.is_sorted_by(|a, b| a < b);
        let state = get("state");
        let is_state = state.len() <= STATE_BYTES && state.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_in_order || get("response_type") != "code" || !is_state {
            return Err((0, "该链接无法访问：请检查参数是否填写正确、顺序是否正确"));
        }
        if get("appid") != world.options.appid {
            return Err((10016, "不支持微信开放平台的Appid，请使用公众号Appid"));
        }
        let has_right = matches!(world.options.account_kind, AccountKind::Service | AccountKind::Test);
        if !has_right || !World::is_scope(get("scope")) {
            return Err((10005, "此公众号并没有这些scope的权限"));
        }
        let is_allowed = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str() == Some(world.options.redirect_domain.as_str())
        };
        let Some(redirect_uri) = Url::parse(get("redirect_uri")).ok().filter(is_allowed) else {
            return Err((10003, "redirect_uri域名与后台配置不一致"));
        };
        Ok(Self {
            whole: query.to_owned(),
            redirect_uri,
            scope: get("scope").to_owned(),
            state: state.to_owned(),
        })
    }

    /// Where the person goes, with a code and the state at the end of the query.
    fn back(&self, world: &mut World, number: u32) -> Url {
        let code = world.issue_code(number, &self.scope);
        let mut back = self.redirect_uri.clone();
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &self.state);
        back
    }
}

/// Shows who asks for what, and lets the person choose.
fn ask(world: &World, link: &Link, visiting: Option<u32>) -> Page {
    let offered: Vec<u32> = match visiting {
        Some(number) => vec![number],
        None => (0_u32..)
            .zip(&world.followers)
            .filter(|(_, follower)| follower.subscribed)
            .map(|(number, _)| number)
            .take(OFFERED)
            .collect(),
    };
    let mut people = String::new();
    for number in offered {
        let openid = world.openids.openid(number);
        people.push_str(&format!("<option value=\"{openid}\">{} ({openid})</option>", nickname(number)));
    }
    if visiting.is_none() {
        people.push_str("<option value=\"\">没有关注过的访客</option>");
    }
    let wanted = if link.scope == USERINFO { "你的昵称、头像" } else { "你的身份" };
    let body = format!(
        "<p><b id=\"appid\">{appid}</b> 申请获得以下权限：</p><ul><li id=\"wanted\">{wanted}</li></ul>\
         <p>授权后将返回 <code id=\"back\">{back}</code></p>\
         <p id=\"fragment\" hidden>链接缺少 #wechat_redirect</p>\
         <form action=\"/connect/oauth2/authorize/decide\" method=\"get\">\
         <input type=\"hidden\" name=\"link\" value=\"{link}\">\
         <label>以谁的身份 <select name=\"openid\" id=\"openid\">{people}</select></label>\
         <p><button name=\"decision\" value=\"allow\" id=\"allow\">允许</button> \
         <button name=\"decision\" value=\"refuse\" id=\"refuse\">拒绝</button></p></form>\
         <script>if (location.hash !== '#wechat_redirect') {{\
         document.getElementById('fragment').hidden = false;\
         for (const button of document.querySelectorAll('button')) button.disabled = true; }}</script>",
        appid = escape(&world.options.appid),
        back = escape(link.redirect_uri.as_str()),
        link = escape(&link.whole),
    );
    html("网页授权", &body)
}

/// A page of the platform's own errors.
fn error(code: u32, text: &str) -> Page {
    let code = if code == 0 { String::new() } else { format!("错误码：<b id=\"code\">{code}</b> ") };
    html("出错了", &format!("<p id=\"error\">{code}{}</p>", escape(text)))
}

fn html(title: &str, body: &str) -> Page {
    Page::Html(format!(
        "<!doctype html><html lang=\"zh-CN\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <style>body{{font:16px/1.6 sans-serif;max-width:28em;margin:3em auto;padding:0 1em;color:#222}}\
         button{{font-size:1em;padding:.4em 2em;border:0;border-radius:.3em}}#allow{{background:#07c160;color:#fff}}\
         code,option,select{{font-size:.85em;max-width:100%}}#fragment,#error{{color:#b00020}}</style></head>\
         <body><h1>{title}</h1>{body}</body></html>"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
