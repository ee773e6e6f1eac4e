//! Functions for texts and times that Rhai lacks, or defines differently from the platform: Beijing time, lengths in bytes;
//! and what the platform names by ids and words.

use crate::{
    api::user::CHANNELS,
    base::millis_as_secs,
    script::{
        audience::audience::TagRef,
        host::{
            env::RunEnv,
            error::{ScriptError, ScriptResult},
            register::described,
        },
    },
};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use rhai::{Array, Dynamic, Engine, EvalAltResult};
use std::sync::Arc;
use unicode_width::UnicodeWidthStr;

/// Beijing is eight hours ahead of UTC, all year.
const BEIJING: i32 = 8 * 3_600;

pub(crate) fn register(engine: &mut Engine, env: &Arc<RunEnv>) {
    described("display_width", &["text: String", "int"], DISPLAY_WIDTH)
        .register_into_engine(engine, |text: &str| i64::try_from(text.width()).unwrap_or(i64::MAX));
    described("unix_time", &["time: String", "int"], UNIX_TIME).register_into_engine(engine, read_time);
    described("beijing_time", &["seconds: int", "String"], BEIJING_TIME).register_into_engine(
        engine,
        |seconds: i64| match millis_as_secs(seconds) {
            None => Ok(beijing_time(seconds)),
            Some(fewer) => Err(seconds_for_milliseconds(seconds, fewer).raise()),
        },
    );
    described("channels", &["Array"], CHANNELS_DOC).register_into_engine(engine, || {
        CHANNELS.iter().map(|channel| Dynamic::from((*channel).to_owned())).collect::<Array>()
    });
    let env = Arc::clone(env);
    described("tag_id", &["tag: ?", "int"], TAG_ID)
        .register_into_engine(engine, move |tag: Dynamic| -> Result<i64, Box<EvalAltResult>> {
            TagRef::read(&tag)?.existing(&env)
        });
}

const DISPLAY_WIDTH: &str = "How many columns of a terminal a text takes: a Chinese character takes two.

    ```rhai
    print(display_width(\"展台 A\"));
    ```";

const UNIX_TIME: &str = "The seconds since 1970 of a time in Beijing, as the platform counts them.

    ```rhai
    print(unix_time(\"2026-01-31 09:00\"));
    ```";

const BEIJING_TIME: &str = "The seconds since 1970 that the platform gives, as a date and a time in Beijing.

    ```rhai
    print(beijing_time(user::batch(user::list().data.openid)[0].subscribe_time));
    ```";

const CHANNELS_DOC: &str = "The channels that followers come by (关注渠道), as `subscribe_scene` names them.

    ```rhai
    print(\"ADD_SCENE_QR_CODE\" in channels());
    ```";

const TAG_ID: &str =
    "A tag's id: of a tag that is given by its name, its id, or itself. A name or an id that no tag
    has is an error.

    ```rhai
    print(tag_id(\"星标组\"));
    ```";

/// Unix seconds of a time that a script gives as text.
pub(crate) fn read_time(time: &str) -> ScriptResult<i64> {
    unix_time(time).ok_or_else(|| {
        let message = format!("`{time}` is no time");
        ScriptError::usage(message, "write 2026-01-31, or 2026-01-31 09:00:00, in Beijing's time").raise()
    })
}

/// The error for milliseconds, of which `fewer` are the seconds.
pub(crate) fn seconds_for_milliseconds(given: i64, fewer: i64) -> ScriptError {
    let message = format!("beijing_time: {given} looks like milliseconds, and it takes seconds");
    ScriptError::usage(message, format!("write {fewer}, or / 1000"))
}

/// Unix seconds of a date, or of a date and a time, in Beijing.
fn unix_time(text: &str) -> Option<i64> {
    let text = text.trim();
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| date.and_time(NaiveTime::MIN));
    let times = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"];
    let time = times.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let time = time.or_else(date)?;
    Some(time.and_local_timezone(FixedOffset::east_opt(BEIJING)?).single()?.timestamp())
}

fn beijing_time(seconds: i64) -> String {
    let time = DateTime::from_timestamp(seconds, 0).zip(FixedOffset::east_opt(BEIJING));
    time.map_or_else(String::new, |(time, beijing)| {
        time.with_timezone(&beijing).format("%Y-%m-%d %H:%M:%S").to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_beijing_time() {
        // 2026-01-31 00:00 in Beijing is 2026-01-30 16:00 UTC.
        assert_eq!(unix_time("2026-01-31"), Some(1_769_788_800));
        assert_eq!(unix_time("2026-01-31 09:30"), Some(1_769_788_800 + 34_200));
        assert_eq!(unix_time(" 2026-01-31T09:30:05 "), Some(1_769_788_800 + 34_205));
        assert_eq!(beijing_time(1_769_788_800 + 34_205), "2026-01-31 09:30:05");
        for wrong in ["", "2026-02-30", "31.1.2026", "2026-01-31 25:00", "gestern"] {
            assert_eq!(unix_time(wrong), None, "{wrong}");
        }
    }
}
