//! Web authorization: codes, people's tokens, profiles. Its page is in `authorize.rs`.

use super::profile;
use crate::{
    api::{
        WireSecret,
        answer::Empty,
        errcode,
        oauth::{self, BASE, CODE_LIFE, Grant, Profile, REFRESH_LIFE, USERINFO},
    },
    base::Secret,
    sandbox::{
        rules::simulate::Simulate,
        world::{
            api_error::ApiError,
            grants::{GrantCode, MAX_ENTRIES, Refreshable, Session},
            world::World,
        },
    },
};
/// Validity of a person's token in seconds.
const TOKEN_TTL: i64 = 7_200;

impl World {
    /// Issues a code for a person, valid once and for five minutes.
    pub(crate) fn issue_code(&mut self, number: u32, scope: &str) -> String {
        let code = self.characters(32);
        let expires = self.now() + CODE_LIFE;
        if self.oauth.codes.len() == MAX_ENTRIES {
            self.oauth.codes.clear();
        }
        self.oauth
            .codes
            .insert(code.clone(), GrantCode { number, scope: scope.to_owned(), expires, is_used: false });
        code
    }

    /// Whether a scope exists.
    pub(crate) fn is_scope(scope: &str) -> bool {
        [BASE, USERINFO].contains(&scope)
    }

    fn open_session(&mut self, session: &Session) -> String {
        let token = format!("96_{}", self.characters(86));
        if self.oauth.sessions.len() == MAX_ENTRIES {
            self.oauth.sessions.clear();
        }
        self.oauth.sessions.insert(token.clone(), session.clone());
        token
    }

    fn grant(&self, access_token: String, refresh_token: String, session: &Session) -> Grant {
        let unionid = self.unionid(session.number).filter(|_| session.scope == USERINFO);
        Grant {
            access_token: WireSecret(Secret::new(access_token)),
            expires_in: TOKEN_TTL,
            refresh_token: WireSecret(Secret::new(refresh_token)),
            openid: self.openids.openid(session.number),
            scope: session.scope.clone(),
            unionid,
            is_snapshotuser: None,
        }
    }

    /// The session of a person's token, if it is valid and belongs to `openid`.
    fn session(&self, token: &WireSecret, openid: &str) -> Result<&Session, ApiError> {
        let token = token.0.reveal();
        let is_well_formed =
            token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if token.is_empty() {
            return Err(ApiError::gateway(errcode::ACCESS_TOKEN_MISSING));
        }
        if !is_well_formed {
            return Err(ApiError::gateway(errcode::INVALID_ACCESS_TOKEN));
        }
        let session =
            self.oauth.sessions.get(token).ok_or_else(|| ApiError::gateway(errcode::INVALID_CREDENTIAL))?;
        if self.now() >= session.expires {
            return Err(ApiError::gateway(errcode::ACCESS_TOKEN_EXPIRED));
        }
        if self.openids.openid(session.number) != openid {
            return Err(ApiError::new(errcode::INVALID_OPENID));
        }
        Ok(session)
    }
}

impl Simulate for oauth::Exchange {
    fn simulate(self, world: &mut World) -> Result<Grant, ApiError> {
        if self.code.is_empty() {
            return Err(ApiError::new(errcode::OAUTH_CODE_MISSING));
        }
        let now = world.now();
        let code = world
            .oauth
            .codes
            .get_mut(&self.code)
            .ok_or_else(|| ApiError::new(errcode::INVALID_OAUTH_CODE))?;
        if code.is_used {
            return Err(ApiError::new(errcode::OAUTH_CODE_USED));
        }
        if now >= code.expires {
            return Err(ApiError::new(errcode::OAUTH_CODE_EXPIRED));
        }
        code.is_used = true;
        let session = Session { number: code.number, scope: code.scope.clone(), expires: now + TOKEN_TTL };
        let access_token = world.open_session(&session);
        let refresh_token = format!("96_{}", world.characters(86));
        if world.oauth.refreshables.len() == MAX_ENTRIES {
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
    fn simulate(self, world: &mut World) -> Result<Grant, ApiError> {
        let refresh_token = self.refresh_token.0.reveal().to_owned();
        if refresh_token.is_empty() {
            return Err(ApiError::new(errcode::REFRESH_TOKEN_MISSING));
        }
        let now = world.now();
        let refreshable = world
            .oauth
            .refreshables
            .get(&refresh_token)
            .cloned()
            .ok_or_else(|| ApiError::new(errcode::INVALID_REFRESH_TOKEN))?;
        if now >= refreshable.expires {
            return Err(ApiError::new(errcode::REFRESH_TOKEN_EXPIRED));
        }
        let session = Session { expires: now + TOKEN_TTL, ..refreshable.session };
        // A token that is still valid is kept, and its validity prolonged.
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
    fn simulate(self, world: &mut World) -> Result<Profile, ApiError> {
        let session = world.session(&self.access_token, &self.openid)?;
        if session.scope != USERINFO {
            return Err(ApiError::gateway(errcode::API_UNAUTHORIZED));
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
    fn simulate(self, world: &mut World) -> Result<Empty, ApiError> {
        world.session(&self.access_token, &self.openid).map(|_| Empty::default())
    }
}
