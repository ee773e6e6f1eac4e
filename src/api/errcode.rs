//! The platform's error codes: what each means, what class it is of, and what to do about it.
//!
//! The English texts are the server's own (全局返回码, and recorded answers where they differ).
//!
//! One file because it is one table, whose codes have their names here and nowhere else.

use crate::base::{Advice, Setting};
use Class::{Busy, Caller, Configuration, Quota, Rate, Token};

/// What a caller can do about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The platform is busy: the same call may succeed in a moment.
    Busy,
    /// The token is no longer good: fetch one and call again.
    Token,
    /// The day's calls are used up.
    Quota,
    /// The minute's calls are used up: go on in the next minute.
    Rate,
    /// The request itself is wrong.
    Caller,
    /// The account or this program is set up wrong; no call will succeed before that is mended.
    Configuration,
}

impl Class {
    /// The class in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Busy => "retry",
            Token => "token",
            Quota => "quota",
            Rate => "rate",
            Caller => "caller",
            Configuration => "configuration",
        }
    }
}

/// One code.
#[derive(Clone, Copy, Debug)]
pub struct Meaning {
    /// The number.
    pub code: i64,
    /// The server's own text.
    pub text: &'static str,
    /// What it means, in Chinese.
    pub zh: &'static str,
    /// What can be done about it.
    pub class: Class,
    /// What to do next; empty when the text says all.
    pub hint: Advice,
}

/// A token that is missing, wrong, replaced, malformed or too old.
pub const INVALID_CREDENTIAL: i64 = 40001;
/// The grant type is not the endpoint's.
pub const INVALID_GRANT_TYPE: i64 = 40002;
/// The openid is malformed, or not of this account.
pub const INVALID_OPENID: i64 = 40003;
/// A picture is empty or too large, or its address in a card is too long.
pub const INVALID_IMAGE_SIZE: i64 = 40009;
/// The AppID is not this account's.
pub const INVALID_APPID: i64 = 40013;
/// A token that is malformed, or that the platform does not know.
pub const INVALID_ACCESS_TOKEN: i64 = 40014;
/// A code of the web authorization that was never issued.
pub const INVALID_OAUTH_CODE: i64 = 40029;
/// A refresh token that was never issued.
pub const INVALID_REFRESH_TOKEN: i64 = 40030;
/// A list of openids is empty, or longer than one call takes.
pub const INVALID_OPENID_LIST_SIZE: i64 = 40032;
/// A body has `\uXXXX` escapes, where they are not taken.
pub const INVALID_CHARSET: i64 = 40033;
/// There is no such kind of QR code.
pub const INVALID_ACTION_NAME: i64 = 40052;
/// A QR code's scene or validity is out of bounds.
pub const INVALID_ACTION_INFO: i64 = 40053;
/// A card of a type that can't be made (any more).
pub const INVALID_CARD_TYPE: i64 = 40071;
/// A card's shops, or the form of its code, are wrong.
pub const INVALID_LOCATION: i64 = 40072;
/// A card has no colour that the platform knows.
pub const INVALID_COLOR: i64 = 40076;
/// A card's time has no form that the platform knows.
pub const INVALID_TIME: i64 = 40079;
/// A remark is too long.
pub const INVALID_REMARK: i64 = 40092;
/// A card's time is empty or has passed.
pub const BAD_DATE_RANGE: i64 = 40100;
/// A card's stock is out of bounds.
pub const INVALID_CARD_QUANTITY: i64 = 40122;
/// A member card has more custom fields than it may have.
pub const TOO_MANY_CUSTOM_FIELDS: i64 = 40124;
/// The AppSecret is wrong.
pub const INVALID_APPSECRET: i64 = 40125;
/// An uploaded file is neither a PNG nor a JPG.
pub const INVALID_IMAGE_FORMAT: i64 = 40137;
/// A card's picture was not uploaded before.
pub const INVALID_IMAGE_URL: i64 = 40141;
/// A card's parameter is out of bounds.
pub const INVALID_CARD_PARAMETERS: i64 = 40150;
/// A code of the web authorization that was used before.
pub const OAUTH_CODE_USED: i64 = 40163;
/// The caller's address is not in the account's whitelist.
pub const IP_NOT_IN_WHITELIST: i64 = 40164;
/// There is no such check of the network.
pub const INVALID_CHECK_ACTION: i64 = 40202;
/// There is no such operator of a network.
pub const INVALID_CHECK_OPERATOR: i64 = 40203;
/// A call has no token.
pub const ACCESS_TOKEN_MISSING: i64 = 41001;
/// A call has no AppID.
pub const APPID_MISSING: i64 = 41002;
/// A call has no refresh token.
pub const REFRESH_TOKEN_MISSING: i64 = 41003;
/// A call has no AppSecret.
pub const APPSECRET_MISSING: i64 = 41004;
/// An upload has no file.
pub const MEDIA_DATA_MISSING: i64 = 41005;
/// A call has no code of the web authorization.
pub const OAUTH_CODE_MISSING: i64 = 41008;
/// A card has no value for a required field.
pub const REQUIRED_FIELD_MISSING: i64 = 41011;
/// A token that has expired.
pub const ACCESS_TOKEN_EXPIRED: i64 = 42001;
/// A refresh token that has expired.
pub const REFRESH_TOKEN_EXPIRED: i64 = 42002;
/// A code of the web authorization that has expired.
pub const OAUTH_CODE_EXPIRED: i64 = 42003;
/// The endpoint takes GET only.
pub const REQUIRES_GET: i64 = 43001;
/// The endpoint takes POST only.
pub const REQUIRES_POST: i64 = 43002;
/// The person does not follow the account.
pub const NOT_SUBSCRIBED: i64 = 43004;
/// A POST has no body.
pub const EMPTY_BODY: i64 = 44002;
/// The day's quota is used up.
pub const DAILY_QUOTA: i64 = 45009;
/// The minute's quota is used up.
pub const MINUTE_QUOTA: i64 = 45011;
/// A card's text is too long.
pub const ARGUMENT_TOO_LONG: i64 = 45021;
/// The account has as many permanent QR codes as it may have.
pub const TOO_MANY_QR_CODES: i64 = 45029;
/// The account has as many tags as it may have.
pub const TOO_MANY_TAGS: i64 = 45056;
/// The tag has too many followers to be deleted.
pub const TOO_MANY_FOLLOWERS_OF_TAG: i64 = 45057;
/// The tag is the platform's own.
pub const SYSTEM_TAG: i64 = 45058;
/// The follower has as many tags as they may have.
pub const TOO_MANY_TAGS_OF_FOLLOWER: i64 = 45059;
/// A tag by that name exists, or the name is not allowed.
pub const INVALID_TAG_NAME: i64 = 45157;
/// A tag's name is longer than 30 bytes.
pub const TAG_NAME_TOO_LONG: i64 = 45158;
/// There is no such tag, or none that this part of the platform knows of yet.
pub const INVALID_TAG_ID: i64 = 45159;
/// The platform is still busy with another request for one of the openids.
pub const OPENID_BUSY: i64 = 45169;
/// Some openids failed and are named; the others succeeded.
pub const SOME_OPENIDS_FAILED: i64 = 45171;
/// There is no such person.
pub const UNKNOWN_USER: i64 = 46004;
/// The body is not JSON as the endpoint takes it.
pub const MALFORMED_BODY: i64 = 47001;
/// The account has no right to the endpoint.
pub const API_UNAUTHORIZED: i64 = 48001;
/// The month's quota clears are used up.
pub const TOO_MANY_CLEARS: i64 = 48006;
/// The openid is well-formed and not of this account.
pub const FOREIGN_OPENID: i64 = 49003;
/// The person's account is limited: frozen or deleted.
pub const USER_LIMITED: i64 = 50002;
/// The person no longer follows the account.
pub const UNSUBSCRIBED: i64 = 50005;
/// There is no such rid.
pub const UNKNOWN_RID: i64 = 76001;
/// A text that is not of a rid's form.
pub const INVALID_RID: i64 = 76002;
/// The account may not look up what it asks for.
pub const NO_PERMISSION: i64 = 76003;
/// The rid is too old to be looked up.
pub const RID_EXPIRED: i64 = 76004;
/// There is no such path.
pub const UNKNOWN_CGI_PATH: i64 = 76021;
/// The account may not look up this path's quota.
pub const CGI_PATH_FORBIDDEN: i64 = 76022;

/// Codes with which the platform refuses a whole batch for the sake of one openid.
pub const ONE_OPENID: &[i64] = &[
    INVALID_OPENID,
    TOO_MANY_TAGS_OF_FOLLOWER,
    FOREIGN_OPENID,
    USER_LIMITED,
    UNSUBSCRIBED,
    NOT_SUBSCRIBED,
    UNKNOWN_USER,
];

/// Looks a code up.
#[must_use]
pub fn meaning(code: i64) -> Option<&'static Meaning> {
    TABLE.iter().find(|meaning| meaning.code == code)
}

/// The class of a code; one that is not in the table is the caller's to look at.
#[must_use]
pub fn class(code: i64) -> Class {
    meaning(code).map_or(Caller, |meaning| meaning.class)
}

/// The server's text for a code.
#[must_use]
pub fn text(code: i64) -> &'static str {
    meaning(code).map_or("unknown error", |meaning| meaning.text)
}

const fn row(code: i64, class: Class, text: &'static str, zh: &'static str, hint: &'static str) -> Meaning {
    Meaning { code, text, zh, class, hint: Advice::plain(hint) }
}

const SECRET_HINT: &str = "compare it with 设置与开发 > 基本配置 > 开发者密码(AppSecret) in the console, and reset it there if it is lost";
const APPID_HINT: &str =
    "copy the AppID (开发者ID) from 设置与开发 > 基本配置 in the console; it begins with wx";
const WHITELIST_HINT: &str = "add the address that the message names to 设置与开发 > 基本配置 > IP白名单 in the console; it takes effect within minutes";
const RISK_HINT: &str = "the administrator gets a WeChat message about this call: let them confirm it, or add the address to IP白名单";
const SLOWER_HINT: Advice =
    Advice::naming(Setting::InFlight, "wait for the next minute, or make fewer calls at once with {}");
const RETRY_HINT: &str = "try again in a moment";
const OPENID_HINT: &str =
    "check that it belongs to this account, follows it, and has no blank or line end around it";
const TAG_HINT: &str = "list the tags with tag::list(); a tag made a moment ago may need a few seconds";
const PERMISSION_HINT: &str =
    "look at 设置与开发 > 接口权限 in the console: the account lacks this right (most need 微信认证)";

/// Every code that the documents name, in order.
pub const TABLE: &[Meaning] = &[
    row(-1, Busy, "system error", "系统繁忙", RETRY_HINT),
    row(
        INVALID_CREDENTIAL,
        Token,
        "invalid credential, access_token is invalid or not latest",
        "access_token 无效或不是最新的",
        "another program may be fetching tokens of this account: let all of them use the stable token",
    ),
    row(INVALID_GRANT_TYPE, Caller, "invalid grant_type", "不合法的凭证类型", ""),
    row(INVALID_OPENID, Caller, "invalid openid", "不合法的 OpenID", OPENID_HINT),
    row(40005, Caller, "invalid file type", "不合法的文件类型", "send a JPG or PNG"),
    row(INVALID_IMAGE_SIZE, Caller, "invalid image size", "不合法的图片大小", "send a picture under 1 MB"),
    row(INVALID_APPID, Configuration, "invalid appid", "不合法的 AppID", APPID_HINT),
    row(INVALID_ACCESS_TOKEN, Token, "invalid access_token", "不合法的 access_token", ""),
    row(
        INVALID_OAUTH_CODE,
        Caller,
        "invalid code",
        "无效的 oauth_code",
        "a code is good once and for five minutes: let the person open the authorize page again",
    ),
    row(
        INVALID_REFRESH_TOKEN,
        Caller,
        "invalid refresh_token",
        "不合法的 refresh_token",
        "let the person authorize again",
    ),
    row(40031, Caller, "invalid openid list", "不合法的 openid 列表", ""),
    row(
        INVALID_OPENID_LIST_SIZE,
        Caller,
        "invalid openid list size",
        "openid 列表长度不合法",
        "the list is empty, or longer than one call takes",
    ),
    row(
        INVALID_CHARSET,
        Caller,
        "invalid charset. please check your request, if include \\uxxxx will create fail!",
        "不合法的请求字符",
        "send plain UTF-8, not \\uXXXX escapes",
    ),
    row(40035, Caller, "invalid args size", "不合法的参数", ""),
    row(40050, Caller, "invalid timeline type", "不合法的分组 id", ""),
    row(40051, Caller, "invalid group name", "分组名字不合法", ""),
    row(INVALID_ACTION_NAME, Caller, "invalid action name", "action_name 不合法", ""),
    row(INVALID_ACTION_INFO, Caller, "invalid action info, please check document", "action_info 不合法", ""),
    row(40056, Caller, "invalid serial code", "不合法的 Code 码", ""),
    row(40070, Caller, "invalid sku info", "库存信息不合法", ""),
    row(
        INVALID_CARD_TYPE,
        Caller,
        "invalid card type",
        "卡券类型不合法",
        "GROUPON, CASH, DISCOUNT, GIFT and GENERAL_COUPON can no longer be made since 2021-04-01",
    ),
    row(INVALID_LOCATION, Caller, "invalid location id", "不合法的门店或 code_type", ""),
    row(40073, Caller, "invalid card id", "不合法的卡券 ID", ""),
    row(INVALID_COLOR, Caller, "invalid color id", "不合法的颜色", ""),
    row(40078, Caller, "invalid card status", "不合法的卡券状态", ""),
    row(INVALID_TIME, Caller, "invalid time", "不合法的时间", ""),
    row(40080, Caller, "invalid card ext", "不合法的 CardExt", ""),
    row(
        INVALID_REMARK,
        Caller,
        "invalid remark name",
        "备注名不合法",
        "a remark is shorter than 30 bytes of UTF-8: at most nine Chinese characters",
    ),
    row(40097, Caller, "invalid args", "参数不正确", ""),
    row(40099, Caller, "code consumed", "Code 已被核销", ""),
    row(BAD_DATE_RANGE, Caller, "bad date range", "有效期不合法", ""),
    row(40113, Caller, "unsupported file type", "不支持的文件类型", "send a JPG or PNG"),
    row(40116, Caller, "invalid code", "不合法的 Code 码", ""),
    row(INVALID_CARD_QUANTITY, Caller, "invalid card quantity", "库存数量不合法", ""),
    row(TOO_MANY_CUSTOM_FIELDS, Caller, "too many custom field!", "自定义字段过多", ""),
    row(INVALID_APPSECRET, Configuration, "invalid appsecret", "无效的 AppSecret", SECRET_HINT),
    row(40127, Caller, "invalid user-card status", "用户卡券状态不合法", ""),
    row(40130, Caller, "invalid openid list size, at least two openid", "至少需要两个 openid", ""),
    row(INVALID_IMAGE_FORMAT, Caller, "invalid image format", "不合法的图片格式", "send a JPG or PNG"),
    row(
        INVALID_IMAGE_URL,
        Caller,
        "invalid image url",
        "图片地址不合法",
        "take the address from media::upload_image",
    ),
    row(INVALID_CARD_PARAMETERS, Caller, "invalid card parameters", "卡券参数不合法", ""),
    row(40151, Caller, "invalid card info, text/pic hit antispam", "卡券内容被拦截", ""),
    row(40152, Caller, "invalid group id", "标签 id 不合法", TAG_HINT),
    row(
        OAUTH_CODE_USED,
        Caller,
        "code been used",
        "oauth_code 已使用",
        "a code is good once: let the person open the authorize page again",
    ),
    row(
        IP_NOT_IN_WHITELIST,
        Configuration,
        "invalid ip, not in whitelist",
        "调用接口的 IP 地址不在白名单中",
        WHITELIST_HINT,
    ),
    row(40201, Caller, "invalid check url", "回调 URL 不合法", ""),
    row(INVALID_CHECK_ACTION, Caller, "invalid check action", "检测动作不合法", ""),
    row(INVALID_CHECK_OPERATOR, Caller, "invalid check operator", "检测运营商不合法", ""),
    row(40226, Caller, "high risk user, not allowed to login", "高风险用户,拦截登录", ""),
    row(
        40243,
        Configuration,
        "AppSecret frozen",
        "AppSecret 已被冻结",
        "thaw it under 设置与开发 > 基本配置 in the console",
    ),
    row(ACCESS_TOKEN_MISSING, Caller, "access_token missing", "缺少 access_token 参数", ""),
    row(APPID_MISSING, Configuration, "appid missing", "缺少 appid 参数", APPID_HINT),
    row(REFRESH_TOKEN_MISSING, Caller, "refresh_token missing", "缺少 refresh_token 参数", ""),
    row(APPSECRET_MISSING, Configuration, "appsecret missing", "缺少 secret 参数", SECRET_HINT),
    row(MEDIA_DATA_MISSING, Caller, "media data missing", "缺少多媒体文件数据", ""),
    row(OAUTH_CODE_MISSING, Caller, "missing code", "缺少 oauth code", ""),
    row(41009, Caller, "missing openid", "缺少 openid", ""),
    row(
        REQUIRED_FIELD_MISSING,
        Caller,
        "missing required fields! please check document and request json!",
        "缺少必填字段",
        "",
    ),
    row(41012, Caller, "missing card id", "缺少 cardid 参数", ""),
    row(ACCESS_TOKEN_EXPIRED, Token, "access_token expired", "access_token 超时", ""),
    row(
        REFRESH_TOKEN_EXPIRED,
        Caller,
        "refresh_token expired",
        "refresh_token 超时",
        "let the person authorize again",
    ),
    row(
        OAUTH_CODE_EXPIRED,
        Caller,
        "code expired",
        "oauth_code 超时",
        "a code is good for five minutes: let the person open the authorize page again",
    ),
    row(
        42007,
        Caller,
        "access_token and refresh_token exception",
        "用户修改微信密码,token 失效",
        "let the person authorize again",
    ),
    row(REQUIRES_GET, Caller, "require GET method", "需要 GET 请求", ""),
    row(REQUIRES_POST, Caller, "require POST method", "需要 POST 请求", ""),
    row(43003, Caller, "require https", "需要 HTTPS 请求", ""),
    row(
        NOT_SUBSCRIBED,
        Caller,
        "require subscribe",
        "需要接收者关注",
        "the person does not follow the account (any more)",
    ),
    row(43009, Caller, "custom code not authorised", "无自定义 Code 权限", ""),
    row(43010, Caller, "balance not authorised", "无储值权限", ""),
    row(43019, Caller, "require remove blacklist", "需要将接收者从黑名单中移除", ""),
    row(EMPTY_BODY, Caller, "empty post data", "POST 的数据包为空", ""),
    row(44005, Caller, "empty list size", "列表为空", ""),
    row(
        DAILY_QUOTA,
        Quota,
        "reach max api daily quota limit",
        "接口调用超过每日限额",
        "the quota comes back at midnight Beijing time; the console shows it under 设置与开发 > 接口权限",
    ),
    Meaning {
        code: MINUTE_QUOTA,
        class: Rate,
        text: "api minute-quota reach limit, must slower, retry next minute",
        zh: "接口调用太频繁",
        hint: SLOWER_HINT,
    },
    row(45015, Caller, "response out of time limit or subscription is canceled", "回复时间超过限制", ""),
    row(45016, Caller, "can't modify sys group", "系统分组,不允许修改", ""),
    row(45019, Caller, "too many openid, please input less", "openid 过多", ""),
    row(ARGUMENT_TOO_LONG, Caller, "some argument may be out of length limit!", "参数长度超限", ""),
    row(TOO_MANY_QR_CODES, Caller, "qrcode count out of limit", "二维码数量超限", ""),
    row(45030, Caller, "cardid lacks the API", "该 cardid 无此接口权限", ""),
    row(45031, Caller, "stock is out of limit", "库存为 0", ""),
    row(45033, Caller, "get_limit reached", "用户领取次数超过限制", ""),
    row(45047, Caller, "out of response count limit", "客服下行条数超过上限", ""),
    row(
        TOO_MANY_TAGS,
        Caller,
        "too many tag now, no need to add new",
        "标签数过多,不能超过 100 个",
        "delete an unused tag with tag::delete(id)",
    ),
    row(
        TOO_MANY_FOLLOWERS_OF_TAG,
        Caller,
        "can't delete the tag that has too many fans",
        "标签下粉丝数超过 10 万",
        "take the tag off followers until 100,000 or fewer have it, then delete it",
    ),
    row(
        SYSTEM_TAG,
        Caller,
        "can't modify sys tag",
        "不能修改系统默认保留的标签",
        "tags 0, 1 and 2 are the platform's own",
    ),
    row(
        TOO_MANY_TAGS_OF_FOLLOWER,
        Caller,
        "can not tagging one user too much",
        "粉丝身上的标签数超过 20 个",
        "this follower has 20 tags already: take one off first",
    ),
    row(45065, Caller, "clientmsgid exist", "相同 clientmsgid 已存在", ""),
    row(45102, Caller, "this api have been blocked temporarily.", "接口暂时被封禁", ""),
    row(45103, Caller, "This API has been unsupported", "接口已停用", ""),
    row(
        INVALID_TAG_NAME,
        Caller,
        "invalid tag name",
        "标签名非法,或与其他标签重名",
        "the name may be empty, the platform's own, or another tag's: look with tag::list()",
    ),
    row(
        TAG_NAME_TOO_LONG,
        Caller,
        "tag name too long",
        "标签名长度超过 30 个字节",
        "a name is at most 30 bytes of UTF-8: ten Chinese characters",
    ),
    row(INVALID_TAG_ID, Caller, "invalid tag id", "非法的标签", TAG_HINT),
    row(45160, Caller, "invalid category to create card", "类目不支持创建卡券", ""),
    row(OPENID_BUSY, Busy, "openid much req", "同一 openid 请求过于频繁", RETRY_HINT),
    row(
        SOME_OPENIDS_FAILED,
        Caller,
        "some openid fail",
        "部分 openid 操作失败",
        "the others were done; fail_openid_list names those that were not",
    ),
    row(UNKNOWN_USER, Caller, "user no exist", "不存在的用户", OPENID_HINT),
    row(MALFORMED_BODY, Caller, "data format error", "解析 JSON/XML 内容错误", ""),
    row(
        47002,
        Caller,
        "data format error, do NOT use json unicode encode (\\uxxxx\\uxxxx), please use utf8 encoded text!",
        "请使用 UTF-8 文本",
        "",
    ),
    row(API_UNAUTHORIZED, Configuration, "api unauthorized", "api 功能未授权", PERMISSION_HINT),
    row(
        48004,
        Configuration,
        "api forbidden for irregularities, view detail on mp.weixin.qq.com",
        "api 接口被封禁",
        "the console says why",
    ),
    row(
        TOO_MANY_CLEARS,
        Caller,
        "forbid to clear quota because of reaching the limit",
        "清零次数达到上限",
        "",
    ),
    row(FOREIGN_OPENID, Caller, "not match openid with appid", "传入的 openid 不属于此 AppID", OPENID_HINT),
    row(50001, Caller, "api unauthorized or user unauthorized", "用户未授权该 api", ""),
    row(
        USER_LIMITED,
        Caller,
        "user limited",
        "用户受限",
        "the person's WeChat account may be frozen or deleted",
    ),
    row(
        50004,
        Configuration,
        "user not allow to use accesstoken, maybe for punishment",
        "禁止使用 token 接口",
        "the console says why",
    ),
    row(
        UNSUBSCRIBED,
        Caller,
        "user is unsubscribed",
        "用户未关注公众号",
        "the person does not follow the account (any more)",
    ),
    row(61004, Configuration, "access clientip is not registered", "调用 IP 未登记", WHITELIST_HINT),
    row(61007, Configuration, "api is unauthorized to component", "未授权给第三方平台", ""),
    row(
        61016,
        Configuration,
        "function category of API need be confirmed by component",
        "需要第三方平台确认权限集",
        "",
    ),
    row(UNKNOWN_RID, Caller, "rid not found", "rid 不存在", ""),
    row(INVALID_RID, Caller, "rid is invalid", "rid 为空或者格式错误", ""),
    row(NO_PERMISSION, Caller, "could not query the rid, no permission", "当前账号无权查询该 rid", ""),
    row(RID_EXPIRED, Caller, "rid expired", "rid 已过期", "a rid can be looked up for seven days"),
    row(UNKNOWN_CGI_PATH, Caller, "cgi_path not found, please check", "cgi_path 填错了", ""),
    row(CGI_PATH_FORBIDDEN, Caller, "could not use this cgi_path,no permission", "无权查询该 cgi_path", ""),
    row(
        89501,
        Configuration,
        "this ip is waiting for the administrator's confirmation",
        "此 IP 正在等待管理员确认",
        RISK_HINT,
    ),
    row(
        89503,
        Configuration,
        "this call must be confirmed by the administrator",
        "此 IP 调用需要管理员确认",
        RISK_HINT,
    ),
    row(
        89506,
        Configuration,
        "this ip was refused by the administrator twice within 24 hours",
        "24 小时内该 IP 被管理员拒绝调用两次",
        RISK_HINT,
    ),
    row(
        89507,
        Configuration,
        "this ip was refused by the administrator within an hour",
        "1 小时内该 IP 被管理员拒绝调用一次",
        RISK_HINT,
    ),
    row(268_487_001, Busy, "system busy, please try again", "系统繁忙", RETRY_HINT),
    row(268_487_002, Busy, "system busy, please try again", "系统繁忙", RETRY_HINT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errcodes_are_ordered_and_unique() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }
}
