//! Web authorization: codes, people's tokens, profiles. Its page is in `authorize.rs`.

use super::profile;
use crate::{
    api::{
        Carried,
        answer::Done,
        errcode,
        oauth::{self, BASE, CODE_LIFE, Grant, Profile, REFRESH_LIFE, USERINFO},
    },
    base::Secret,
    sandbox::{
        http::route::Simulate,
        world::{api_error::Refusal, world::World},
    },
};
use std::collections::HashMap;

/// A person's token's life in seconds.
const LIFE: i64 = 7_200;

/// Entries of each kind that are remembered before all are forgotten.
const MOST: usize = 100_000;

#[derive(Clone, Debug)]
struct Code {
    number: u32,
    scope: String,
    expires: i64,
    is_used: bool,
}

#[derive(Clone, Debug)]
struct Session {
    number: u32,
    scope: String,
    expires: i64,
}

#[derive(Clone, Debug)]
struct Refreshable {
    access_token: String,
    session: Session,
    expires: i64,
}

/// Everything that was handed out.
#[derive(Debug, Default)]
pub(crate) struct OauthBook {
    codes: HashMap<String, Code>,
    sessions: HashMap<String, Session>,
    refreshables: HashMap<String, Refreshable>,
}

impl World {
    /// A code for somebody, good once and for five minutes.
    pub(crate) fn issue_code(&mut self, number: u32, scope: &str) -> String {
        let code = self.characters(32);
        let expires = self.now() + CODE_LIFE;
        if self.oauth.codes.len() == MOST {
            self.oauth.codes.clear();
        }
        self.oauth
            .codes
            .insert(code.clone(), Code { number, scope: scope.to_owned(), expires, is_used: false });
        code
    }

    /// Whether a scope exists.
    pub(crate) fn is_scope(scope: &str) -> bool {
        [BASE, USERINFO].contains(&scope)
    }

    fn open_session(&mut self, session: &Session) -> String {
        let token = format!("96_{}", self.characters(86));
        if self.oauth.sessions.len() == MOST {
            self.oauth.sessions.clear();
        }
        self.oauth.sessions.insert(token.clone(), session.clone());
        token
    }

    fn grant(&self, access_token: String, refresh_token: String, session: &Session) -> Grant {
        let unionid = self.unionid(session.number).filter(|_| session.scope == USERINFO);
        Grant {
            access_token: Carried(Secret::new(access_token)),
            expires_in: LIFE,
            refresh_token: Carried(Secret::new(refresh_token)),
            openid: self.openids.of(session.number),
            scope: session.scope.clone(),
            unionid,
            is_snapshotuser: None,
        }
    }

    /// The session of a person's token, if it is good and theirs.
    fn session(&self, token: &Carried, openid: &str) -> Result<&Session, Refusal> {
        let token = token.0.reveal();
        let is_well_formed =
            token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if token.is_empty() {
            return Err(Refusal::gateway(41001));
        }
        if !is_well_formed {
            return Err(Refusal::gateway(40014));
        }
        let session =
            self.oauth.sessions.get(token).ok_or_else(|| Refusal::gateway(errcode::INVALID_CREDENTIAL))?;
        if self.now() >= session.expires {
            return Err(Refusal::gateway(42001));
        }
        if self.openids.of(session.number) != openid {
            return Err(Refusal::new(errcode::INVALID_OPENID));
        }
        Ok(session)
    }
}

impl Simulate for oauth::Exchange {
    fn simulate(self, world: &mut World) -> Result<Grant, Refusal> {
        if self.code.is_empty() {
            return Err(Refusal::new(41008));
        }
        let now = world.now();
        let code = world.oauth.codes.get_mut(&self.code).ok_or_else(|| Refusal::new(40029))?;
        if code.is_used {
            return Err(Refusal::new(40163));
        }
        if now >= code.expires {
            return Err(Refusal::new(42003));
        }
        code.is_used = true;
        let session = Session { number: code.number, scope: code.scope.clone(), expires: now + LIFE };
        let access_token = world.open_session(&session);
        let refresh_token = format!("96_{}", world.characters(86));
        if world.oauth.refreshables.len() == MOST {
            world.oauth.refreshables.clear();
        }
        world.oauth.refreshables.insert(
            refresh_token.clone(),
            Refreshable {
                access_token: access_token.clone(),
                session: session.clone(),
                expires: now + REFRESH_LIFE,
            },
        );
        Ok(world.grant(access_token, refresh_token, &session))
    }
}

impl Simulate for oauth::Refresh {
    fn simulate(self, world: &mut World) -> Result<Grant, Refusal> {
        let refresh_token = self.refresh_token.0.reveal().to_owned();
        if refresh_token.is_empty() {
            return Err(Refusal::new(41003));
        }
        let now = world.now();
        let refreshable =
            world.oauth.refreshables.get(&refresh_token).cloned().ok_or_else(|| Refusal::new(40030))?;
        if now >= refreshable.expires {
            return Err(Refusal::new(42002));
        }
        let session = Session { expires: now + LIFE, ..refreshable.session };
        // A token that is alive is kept, with a renewed end.
        let is_alive =
            world.oauth.sessions.get(&refreshable.access_token).is_some_and(|session| now < session.expires);
        let access_token = if is_alive {
            world.oauth.sessions.insert(refreshable.access_token.clone(), session.clone());
            refreshable.access_token
        } else {
            world.open_session(&session)
        };
        if let Some(entry) = world.oauth.refreshables.get_mut(&refresh_token) {
            entry.access_token.clone_from(&access_token);
        }
        let grant = world.grant(access_token, refresh_token, &session);
        Ok(Grant { unionid: None, ..grant })
    }
}

impl Simulate for oauth::Userinfo {
    fn simulate(self, world: &mut World) -> Result<Profile, Refusal> {
        let session = world.session(&self.access_token, &self.openid)?;
        if session.scope != USERINFO {
            return Err(Refusal::gateway(48001));
        }
        let number = session.number;
        let person = profile::Profile::authorized(world, number);
        Ok(Profile {
            openid: self.openid,
            nickname: person.nickname,
            sex: person.sex,
            province: person.province.to_owned(),
            city: person.city.to_owned(),
            country: person.country.to_owned(),
            headimgurl: person.headimgurl,
            privilege: Vec::new(),
            unionid: world.unionid(number),
        })
    }
}

impl Simulate for oauth::Check {
    fn simulate(self, world: &mut World) -> Result<Done, Refusal> {
        world.session(&self.access_token, &self.openid).map(|_| Done::default())
    }
}
