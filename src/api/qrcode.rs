//! QR codes with a scene (带参数的二维码): how a follower's scene comes to be.

use super::{
    DailyQuota, FieldKind, FieldType, Permission, Resend, Violation, answer::check_given, endpoint::endpoint,
};
use serde::{Deserialize, Serialize};

/// A temporary code with a number.
pub const QR_SCENE: &str = "QR_SCENE";
/// A temporary code with a text.
pub const QR_STR_SCENE: &str = "QR_STR_SCENE";
/// A permanent code with a number.
pub const QR_LIMIT_SCENE: &str = "QR_LIMIT_SCENE";
/// A permanent code with a text.
pub const QR_LIMIT_STR_SCENE: &str = "QR_LIMIT_STR_SCENE";

/// The longest validity of a temporary code in seconds: thirty days.
pub const MAX_SECONDS: i64 = 2_592_000;

/// Permanent codes with a number have one from 1 to this.
pub const MAX_PERMANENT: i64 = 100_000;

/// The longest text of a scene, in characters.
pub const MAX_SCENE_STR: usize = 64;

/// What a code stands for.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ActionInfo {
    /// The scene.
    pub scene: Scene,
}

impl FieldType for ActionInfo {
    const KIND: FieldKind = FieldKind::Map;
}

/// A number or a text.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Scene {
    /// Not 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene_id: Option<i64>,
    /// 1 to 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene_str: Option<String>,
}

/// A code.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Ticket {
    /// Shown as a picture at `https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=…`.
    pub ticket: String,
    /// Seconds; a permanent code has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_seconds: Option<i64>,
    /// What the code itself says, for those who draw it themselves.
    pub url: String,
}

fn is_ticket(_asked: &Create, ticket: &Ticket) -> Result<(), String> {
    check_given("ticket", &ticket.ticket)?;
    check_given("url", &ticket.url)
}

endpoint! {
    /// Makes a QR code with a scene.
    ///
    /// `action_name` is `QR_SCENE` or `QR_STR_SCENE` for a temporary code (30 days at the most),
    /// `QR_LIMIT_SCENE` or `QR_LIMIT_STR_SCENE` for a permanent one (100,000 of an account, 45029).
    /// `action_info` is `#{scene: #{scene_id: 123}}` or `#{scene: #{scene_str: "展台"}}`.
    /// Source: 生成带参数的二维码 (createQRCode).
    ///
    /// ```rhai
    /// let code = qrcode::create("QR_STR_SCENE", #{scene: #{scene_str: "展台-01"}}, 604800);
    /// print(code.url);
    /// ```
    "qrcode::create" = write POST "/cgi-bin/qrcode/create";
    request Create {
        /// Which of the four kinds.
        action_name: String,
        /// The scene: a number that is not 0 (1 to 100,000 for a permanent code), or 1 to 64 characters.
        action_info: ActionInfo,
        /// Seconds that a temporary code lasts, 2,592,000 at the most; a minute when left out.
        expire_seconds: Option<i64>,
    }
    answer Ticket;
    verify is_ticket;
    attributes {
        resend: Resend::Idempotent,
        permission: Permission::CertifiedService,
        daily: DailyQuota { real: Some(100_000), test: Some(10_000) },
        errors: &[-1, 40052, 40053, 45029],
    }
}

/// Permanent or temporary, with a number or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeKind {
    /// It never expires.
    pub is_permanent: bool,
    /// Its scene is a text.
    pub is_text: bool,
}

impl Create {
    /// The kind of the code, if it can be made.
    ///
    /// # Errors
    /// The kind is unknown (40052), or the scene or the validity is out of bounds (40053).
    pub fn check(&self) -> Result<CodeKind, Violation> {
        let (is_permanent, is_text) = match self.action_name.as_str() {
            QR_SCENE => (false, false),
            QR_STR_SCENE => (false, true),
            QR_LIMIT_SCENE => (true, false),
            QR_LIMIT_STR_SCENE => (true, true),
            _ => return Err(Violation::QrCodeKind),
        };
        let scene = &self.action_info.scene;
        let is_scene = if is_text {
            let characters = scene.scene_str.as_deref().unwrap_or_default().chars().count();
            (1..=MAX_SCENE_STR).contains(&characters)
        } else {
            let max = if is_permanent { MAX_PERMANENT } else { i64::from(u32::MAX) };
            (1..=max).contains(&scene.scene_id.unwrap_or_default())
        };
        let is_valid = |seconds: i64| is_permanent || (1..=MAX_SECONDS).contains(&seconds);
        if !is_scene || !self.expire_seconds.is_none_or(is_valid) {
            return Err(Violation::QrCodeInfo);
        }
        Ok(CodeKind { is_permanent, is_text })
    }
}
