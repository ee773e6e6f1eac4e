//! The token endpoints: classic tokens replace each other with five minutes of overlap, and the stable token is
//! independent of them.

use crate::{
    api::{WireSecret, token},
    base::Secret,
    sandbox::{
        rules::simulate::Simulate,
        world::{
            api_error::ApiError,
            tokens::{Kind, OVERLAP, TOKEN_TTL},
            world::World,
        },
    },
};

/// Random characters of a token; the documents ask callers to keep room for 512.
const CHARACTERS: usize = 133;

impl World {
    /// Issues a token instead of the current one, which still works for `overlap` seconds.
    fn issue(&mut self, kind: Kind, overlap: i64) -> token::Token {
        let now = self.now();
        let token = format!("96_{}", self.characters(CHARACTERS));
        self.tokens.issue(kind, token.clone(), now, overlap);
        token::Token { access_token: WireSecret(Secret::new(token)), expires_in: TOKEN_TTL }
    }
}

impl Simulate for token::Get {
    fn simulate(self, world: &mut World) -> Result<token::Token, ApiError> {
        Ok(world.issue(Kind::Classic, OVERLAP))
    }
}

impl Simulate for token::Stable {
    fn simulate(self, world: &mut World) -> Result<token::Token, ApiError> {
        let now = world.now();
        let book = &mut world.tokens;
        // Also a token in its last five minutes can be invalidated by force.
        let is_forced = self.force_refresh == Some(true) && book.has_stable() && book.take_forced(now);
        if is_forced {
            return Ok(world.issue(Kind::Stable, 0));
        }
        match book.present_stable(now) {
            Some((token, left)) => {
                world.tokens.answers += 1;
                Ok(token::Token { access_token: WireSecret(Secret::new(token)), expires_in: left })
            }
            None => Ok(world.issue(Kind::Stable, OVERLAP)),
        }
    }
}
