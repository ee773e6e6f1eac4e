//! Quotas: looked at, and set back.

use super::{Permission, Resend, Violation, answer::Empty, endpoint::endpoint};
use serde::{Deserialize, Serialize};

/// An endpoint's quota as the platform counts it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Quotas {
    /// 0.
    #[serde(default)]
    pub errcode: i64,
    /// `ok`.
    #[serde(default)]
    pub errmsg: String,
    /// The day's.
    pub quota: Quota,
    /// The minute's, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// For third-party platforms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_rate_limit: Option<RateLimit>,
}

/// The day's calls.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Quota {
    /// Calls a day.
    pub daily_limit: i64,
    /// Calls made today.
    pub used: i64,
    /// Calls left today.
    pub remain: i64,
}

/// Calls within a short time.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct RateLimit {
    /// This many calls
    pub call_count: i64,
    /// within this many seconds.
    pub refresh_second: i64,
}

/// The day that quotas are counted by, a number that grows by one at midnight Beijing time. `now` is in
/// Unix seconds. (The hour is not documented; the platform's own time is the likeliest.)
#[must_use]
pub const fn day(now: i64) -> i64 {
    Reset::MIDNIGHT.day(now)
}

/// When the day's quotas come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Reset {
    /// Seconds after midnight Beijing time.
    after_midnight: i64,
}

impl Reset {
    /// At midnight Beijing time.
    pub const MIDNIGHT: Self = Self { after_midnight: 0 };

    /// At a time of the day in Beijing, `HH:MM` or `HH:MM:SS`.
    #[must_use]
    pub fn at(time: &str) -> Option<Self> {
        let mut parts = time.split(':').map(|part| part.parse::<u8>().ok().map(i64::from));
        let (hours, minutes) = (parts.next()??, parts.next()??);
        let seconds = parts.next().unwrap_or(Some(0))?;
        let is_time = hours < 24 && minutes < 60 && seconds < 60 && parts.next().is_none();
        is_time.then_some(Self { after_midnight: hours * 3600 + minutes * 60 + seconds })
    }

    /// The day that quotas are counted by. `now` is in Unix seconds.
    #[must_use]
    pub const fn day(self, now: i64) -> i64 {
        (now + 8 * 3600 - self.after_midnight).div_euclid(24 * 3600)
    }

    /// When they come back next, in Unix seconds.
    #[must_use]
    pub const fn next(self, now: i64) -> i64 {
        (self.day(now) + 1) * 24 * 3600 - 8 * 3600 + self.after_midnight
    }
}

endpoint! {
    /// Gives an endpoint's quota: the day's limit, what is used and what is left.
    ///
    /// Source: 查询 API 调用额度 (getApiQuota).
    ///
    /// ```rhai
    /// let left = quota::get("/cgi-bin/user/get").quota;
    /// print(`${left.remain} of ${left.daily_limit}`);
    /// ```
    "quota::get" = read POST "/cgi-bin/openapi/quota/get";
    request Get {
        /// The endpoint's path with its leading slash, as in `/cgi-bin/user/get`.
        cgi_path: String,
    }
    answer Quotas;
    attributes {
        permission: Permission::Any,
        errors: &[40013, 76003, 76021, 76022],
    }
}

endpoint! {
    /// Sets all daily quotas back. An account can do so ten times a month (48006), the console's
    /// button included.
    ///
    /// Source: 重置 API 调用次数 (`clearQuota`).
    ///
    /// ```rhai
    /// quota::clear();                     // this account's own
    /// ```
    "quota::clear" = write POST "/cgi-bin/clear_quota";
    request Clear {
        /// The account's own AppID, which is taken when it is left out.
        appid: Option<String>,
    }
    answer Empty;
    attributes {
        permission: Permission::Any,
        resend: Resend::VerifyFirst,
        errors: &[40013, 48006],
    }
}

impl Clear {
    /// Whether the AppID is the account's own.
    ///
    /// # Errors
    /// It is another one (40013).
    pub fn check(&self, own: &str) -> Result<(), Violation> {
        if self.appid.as_deref() == Some(own) { Ok(()) } else { Err(Violation::ForeignAppid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_day_starts_at_the_reset_time_in_beijing() {
        // 2026-11-25 23:59:59 in Beijing is 15:59:59 UTC.
        let before = 1_795_622_399;
        assert_eq!((day(before) + 1, Reset::MIDNIGHT.next(before)), (day(before + 1), before + 1));
        let reset = Reset::at("01:30").unwrap();
        assert_eq!((reset.day(before), reset.next(before)), (reset.day(before + 1), before + 1 + 5_400));
        assert_eq!(Reset::at("00:00:00"), Some(Reset::MIDNIGHT));
        for wrong in ["24:00", "1", "01:60", "01:00:00:00", "", "x:y", "-1:00"] {
            assert_eq!(Reset::at(wrong), None, "{wrong}");
        }
    }
}
