//! What a card's fields hold, type by type. Lengths are in bytes of UTF-8: a Chinese character has three.
//!
//! Source: 创建卡券. Where the manual states no limit, none is stated here: what is not known must not
//! refuse what the platform would take.

/// A type of card.
#[derive(Debug)]
pub struct Type {
    /// As `card_type` names it; the object's name is the same in lower case.
    pub name: &'static str,
    /// In the console's words.
    pub zh: &'static str,
    /// A coupon (优惠券), which can no longer be made since 2021-04-01.
    pub is_coupon: bool,
    /// Its own fields, beside `base_info` and `advanced_info`.
    pub fields: &'static [Rule],
}

/// A field.
#[derive(Debug)]
pub struct Rule {
    /// As the platform names it.
    pub name: &'static str,
    /// What it may hold.
    pub holds: Holds,
    /// Whether a card without it is refused (41011).
    pub required: bool,
}

/// What a field may hold.
#[derive(Clone, Copy, Debug)]
pub enum Holds {
    /// Text of at most this many bytes (45021).
    Text(usize),
    /// Text without a stated limit.
    AnyText,
    /// The address of an uploaded picture, 128 bytes at the most (40141).
    Picture,
    /// One of these words; another is refused with the errcode.
    Word(&'static [&'static str], i64),
    /// A whole number from the first to the second; another is refused with the errcode.
    Number(i64, i64, i64),
    /// `true` or `false`.
    Flag,
    /// An object of these fields.
    Object(&'static [Rule]),
    /// A list of pictures, which may as well be one of them.
    Pictures,
    /// A list of whole numbers.
    Numbers,
    /// A list of these words.
    Words(&'static [&'static str], i64),
    /// A list of objects.
    Objects(&'static [Rule]),
    /// The card's life; see [`check`](super::check).
    Dates,
}

use crate::api::errcode;
use Holds::{AnyText, Dates, Flag, Number, Numbers, Object, Objects, Picture, Pictures, Text, Word, Words};

const fn required(name: &'static str, holds: Holds) -> Rule {
    Rule { name, holds, required: true }
}

const fn optional(name: &'static str, holds: Holds) -> Rule {
    Rule { name, holds, required: false }
}

/// The colours by name (GET /card/getcolors).
pub(super) const COLOURS: &[&str] = &[
    "Color010", "Color020", "Color030", "Color040", "Color050", "Color060", "Color070", "Color080",
    "Color081", "Color082", "Color090", "Color100", "Color101", "Color102",
];

const CODE_TYPES: &[&str] = &[
    "CODE_TYPE_TEXT",
    "CODE_TYPE_BARCODE",
    "CODE_TYPE_QRCODE",
    "CODE_TYPE_ONLY_BARCODE",
    "CODE_TYPE_ONLY_QRCODE",
    "CODE_TYPE_NONE",
];

/// The largest stock (40122).
pub(super) const MAX_QUANTITY: i64 = 100_000_000;

/// What every card says of itself.
pub const BASE_INFO: &[Rule] = &[
    required("logo_url", Picture),
    required("brand_name", Text(36)),
    required("code_type", Word(CODE_TYPES, errcode::INVALID_LOCATION)),
    required("title", Text(27)),
    required("color", Word(COLOURS, errcode::INVALID_COLOR)),
    required("notice", Text(48)),
    required("description", Text(3072)),
    required("sku", Object(&[required("quantity", Number(0, MAX_QUANTITY, errcode::INVALID_CARD_QUANTITY))])),
    required("date_info", Dates),
    optional("sub_title", Text(54)),
    optional("service_phone", Text(24)),
    optional("source", Text(36)),
    optional("use_custom_code", Flag),
    optional(
        "get_custom_code_mode",
        Word(&["GET_CUSTOM_CODE_MODE_DEPOSIT"], errcode::INVALID_CARD_PARAMETERS),
    ),
    optional("bind_openid", Flag),
    optional("location_id_list", Numbers),
    optional("use_all_locations", Flag),
    optional("center_title", Text(18)),
    optional("center_sub_title", Text(24)),
    optional("center_url", Text(128)),
    optional("center_app_brand_user_name", Text(128)),
    optional("center_app_brand_pass", Text(128)),
    optional("custom_url_name", Text(15)),
    optional("custom_url", Text(128)),
    optional("custom_url_sub_title", Text(18)),
    optional("custom_app_brand_user_name", Text(128)),
    optional("custom_app_brand_pass", Text(128)),
    optional("promotion_url_name", Text(15)),
    optional("promotion_url", Text(128)),
    optional("promotion_url_sub_title", Text(18)),
    optional("promotion_app_brand_user_name", Text(128)),
    optional("promotion_app_brand_pass", Text(128)),
    optional("use_limit", Number(1, i64::MAX, errcode::INVALID_CARD_PARAMETERS)),
    optional("get_limit", Number(1, i64::MAX, errcode::INVALID_CARD_PARAMETERS)),
    optional("can_share", Flag),
    optional("can_give_friend", Flag),
];

const DAYS: &[&str] =
    &["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY", "HOLIDAY"];

const SERVICES: &[&str] =
    &["BIZ_SERVICE_DELIVER", "BIZ_SERVICE_FREE_PARK", "BIZ_SERVICE_WITH_PET", "BIZ_SERVICE_FREE_WIFI"];

/// What a card may say beside that.
pub const ADVANCED_INFO: &[Rule] = &[
    optional(
        "use_condition",
        Object(&[
            optional("accept_category", Text(512)),
            optional("reject_category", Text(512)),
            optional("least_cost", Number(0, i64::MAX, errcode::INVALID_CARD_PARAMETERS)),
            optional("object_use_for", Text(512)),
            optional("can_use_with_other_discount", Flag),
        ]),
    ),
    optional(
        "abstract",
        // The manual says 24, and its own sample has 57 bytes: so they are characters.
        Object(&[optional("abstract", Text(72)), optional("icon_url_list", Pictures)]),
    ),
    optional("text_image_list", Objects(&[optional("image_url", Picture), optional("text", Text(512))])),
    optional(
        "time_limit",
        Objects(&[
            required("type", Word(DAYS, errcode::INVALID_CARD_PARAMETERS)),
            optional("begin_hour", Number(0, 24, errcode::INVALID_CARD_PARAMETERS)),
            optional("end_hour", Number(0, 24, errcode::INVALID_CARD_PARAMETERS)),
            optional("begin_minute", Number(0, 59, errcode::INVALID_CARD_PARAMETERS)),
            optional("end_minute", Number(0, 59, errcode::INVALID_CARD_PARAMETERS)),
        ]),
    ),
    optional("business_service", Words(SERVICES, errcode::INVALID_CARD_PARAMETERS)),
];

/// A field of a member card that its owner names.
const CUSTOM_FIELD: &[Rule] =
    &[optional("name_type", AnyText), optional("name", AnyText), optional("url", Text(128))];

/// Every type that the manual knows.
pub const TYPES: &[Type] = &[
    Type {
        name: "GROUPON", zh: "团购券", is_coupon: true, fields: &[required("deal_detail", Text(3072))]
    },
    Type {
        name: "CASH",
        zh: "代金券",
        is_coupon: true,
        fields: &[
            // In fen; 0 is no least cost.
            optional("least_cost", Number(0, i64::MAX, errcode::INVALID_CARD_PARAMETERS)),
            required("reduce_cost", Number(1, i64::MAX, errcode::INVALID_CARD_PARAMETERS)),
        ],
    },
    Type {
        name: "DISCOUNT",
        zh: "折扣券",
        is_coupon: true,
        // 30 is thirty per cent off.
        fields: &[required("discount", Number(1, 99, errcode::INVALID_CARD_PARAMETERS))],
    },
    Type { name: "GIFT", zh: "兑换券", is_coupon: true, fields: &[required("gift", Text(3072))] },
    Type {
        name: "GENERAL_COUPON",
        zh: "优惠券",
        is_coupon: true,
        fields: &[required("default_detail", Text(3072))],
    },
    Type {
        name: "MEMBER_CARD",
        zh: "会员卡",
        is_coupon: false,
        fields: &[
            required("prerogative", Text(3072)),
            required("supply_bonus", Flag),
            required("supply_balance", Flag),
            optional("auto_activate", Flag),
            optional("wx_activate", Flag),
            optional("activate_url", Text(128)),
            optional("background_pic_url", Picture),
            optional("custom_field1", Object(CUSTOM_FIELD)),
            optional("custom_field2", Object(CUSTOM_FIELD)),
            optional("custom_field3", Object(CUSTOM_FIELD)),
            optional("discount", Number(1, 99, errcode::INVALID_CARD_PARAMETERS)),
        ],
    },
    Type {
        name: "GENERAL_CARD",
        zh: "礼品卡",
        is_coupon: false,
        fields: &[required("sub_card_type", Word(&["GIFT_CARD", "VOUCHER"], errcode::INVALID_CARD_TYPE))],
    },
    Type {
        name: "MEETING_TICKET",
        zh: "会议门票",
        is_coupon: false,
        fields: &[required("meeting_detail", AnyText), optional("map_url", Text(128))],
    },
    Type {
        name: "SCENIC_TICKET",
        zh: "景区门票",
        is_coupon: false,
        fields: &[optional("ticket_class", AnyText), optional("guide_url", Text(128))],
    },
    Type { name: "MOVIE_TICKET", zh: "电影票", is_coupon: false, fields: &[optional("detail", AnyText)] },
    Type {
        name: "BOARDING_PASS",
        zh: "飞机票",
        is_coupon: false,
        fields: &[
            required("from", AnyText),
            required("to", AnyText),
            required("flight", AnyText),
            optional("departure_time", Number(0, i64::MAX, errcode::INVALID_TIME)),
            optional("landing_time", Number(0, i64::MAX, errcode::INVALID_TIME)),
            optional("air_model", AnyText),
        ],
    },
];
