//! QR codes with a scene, and what a scan does.

use crate::{
    api::{
        Violation, errcode,
        qrcode::{self, CodeKind, Ticket},
    },
    sandbox::{
        rules::simulate::Simulate,
        world::{
            api_error::ApiError,
            codes::{Code, Scene},
            switches::QRCODE_DEFAULT_SECONDS,
            world::{BY_QR_CODE, World},
        },
    },
};

/// Limit of permanent codes of one account.
const MAX_PERMANENT: usize = 100_000;

impl World {
    /// The scene of a ticket that has not expired.
    pub(crate) fn scene_of(&self, ticket: &str) -> Result<Scene, String> {
        match self.codes.get(ticket) {
            None => Err(format!("there is no code with the ticket `{ticket}`")),
            Some(code) if code.expires.is_some_and(|expires| self.now() >= expires) => {
                Err(format!("the code with the ticket `{ticket}` has expired"))
            }
            Some(code) => Ok(code.scene.clone()),
        }
    }

    /// A new ticket.
    pub(crate) fn ticket(&mut self) -> String {
        format!("gQH4{}", self.characters(92))
    }

    /// A person scans a code, and follows from now on by this scene, unless they followed already.
    pub(crate) fn scan(&mut self, number: u32, scene: Scene) {
        if self.follower(number).subscribed {
            return;
        }
        self.subscribe(number);
        let follower = self.follower(number);
        follower.channel = BY_QR_CODE;
        (follower.qr_scene, follower.qr_scene_str) = match scene {
            Scene::Number(number) => (number, "".into()),
            Scene::Text(text) => (0, text.into()),
        };
    }
}

impl Simulate for qrcode::Create {
    fn simulate(self, world: &mut World) -> Result<Ticket, ApiError> {
        let CodeKind { is_permanent, is_text } = self.check()?;
        let scene = if is_text {
            Scene::Text(self.action_info.scene.scene_str.unwrap_or_default())
        } else {
            let id = self.action_info.scene.scene_id.unwrap_or_default();
            Scene::Number(u32::try_from(id).map_err(|_| Violation::QrCodeInfo)?)
        };
        let seconds = match self.expire_seconds {
            _ if is_permanent => None,
            None => world.switches.number(QRCODE_DEFAULT_SECONDS),
            seconds => seconds,
        };
        if is_permanent {
            if world.codes.permanent == MAX_PERMANENT {
                return Err(ApiError::new(errcode::TOO_MANY_QR_CODES));
            }
            world.codes.permanent += 1;
        }
        let ticket = world.ticket();
        let expires = seconds.map(|seconds: i64| world.now() + seconds);
        world.codes.insert(ticket.clone(), Code { scene, expires });
        let url = format!("http://weixin.qq.com/q/{}", world.characters(22));
        Ok(Ticket { ticket, expire_seconds: seconds, url })
    }
}
