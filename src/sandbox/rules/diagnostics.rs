//! What an operator asks the platform about itself: quotas, refused requests, addresses.

use crate::{
    api::{
        answer::Empty,
        errcode,
        network::{self, Dns, IpList, NetworkReport, Ping},
        quota::{self, Quota, Quotas, RateLimit},
        rid::{self, Request, RidInfo},
    },
    sandbox::{
        rules::simulate::Simulate,
        world::{api_error::ApiError, call::Call, world::World},
    },
};

/// How long a rejected request can be looked up: seven days, in seconds.
const RID_TTL: i64 = 7 * 24 * 3600;

/// Limit of quota clears a month.
const MAX_CLEARS_A_MONTH: usize = 10;

/// A month for this limit: thirty days, in seconds.
const MONTH: i64 = 30 * 24 * 3600;

impl World {
    /// Remembers a rejected request for `rid::get`, without its credentials.
    pub(crate) fn remember_rejected(&mut self, rid: String, call: &Call, response: &str) {
        let hidden = ["access_token", "secret", "refresh_token"];
        let query = call.query.iter().filter(|(name, _)| !hidden.contains(&name.as_str()));
        let request_url = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let request = Request {
            invoke_time: self.now(),
            cost_in_ms: i64::try_from(self.options.latency.as_millis()).unwrap_or_default(),
            request_url,
            request_body: String::from_utf8_lossy(&call.body).into_owned(),
            response_body: response.to_owned(),
            client_ip: Some(call.peer.to_string()),
        };
        self.rejected.push(rid, request);
    }
}

impl Simulate for rid::Get {
    fn simulate(self, world: &mut World) -> Result<RidInfo, ApiError> {
        let parts: Vec<&str> = self.rid.split('-').collect();
        let is_part = |part: &&str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if parts.len() != 3 || !parts.iter().all(is_part) {
            return Err(ApiError::new(errcode::INVALID_RID));
        }
        let found = world.rejected.get(&self.rid).cloned();
        let request = found.ok_or_else(|| ApiError::new(errcode::UNKNOWN_RID))?;
        if world.now() - request.invoke_time >= RID_TTL {
            return Err(ApiError::new(errcode::RID_EXPIRED));
        }
        Ok(RidInfo { errcode: 0, errmsg: "ok".to_owned(), request })
    }
}

impl Simulate for quota::Get {
    fn simulate(self, world: &mut World) -> Result<Quotas, ApiError> {
        if !self.cgi_path.starts_with('/') {
            return Err(ApiError::new(errcode::NO_PERMISSION));
        }
        if self.cgi_path.starts_with("/sns/") {
            return Err(ApiError::new(errcode::CGI_PATH_FORBIDDEN));
        }
        let specs = crate::api::all();
        let spec = specs
            .iter()
            .find(|spec| spec.path == self.cgi_path)
            .ok_or_else(|| ApiError::new(errcode::UNKNOWN_CGI_PATH))?;
        let (limit, used) = world.usage.limit_and_used(spec, world.now(), &world.options, &world.switches);
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Quotas {
            errcode: 0,
            errmsg: "ok".to_owned(),
            quota: Quota {
                daily_limit: number(limit),
                used: number(used),
                remain: number(limit.saturating_sub(used)),
            },
            rate_limit: world
                .options
                .minute_limit
                .map(|limit| RateLimit { call_count: number(limit), refresh_second: 60 }),
            component_rate_limit: None,
        })
    }
}

impl Simulate for quota::Clear {
    fn simulate(self, world: &mut World) -> Result<Empty, ApiError> {
        self.check(&world.options.appid)?;
        let now = world.now();
        world.clears.retain(|at| now - at < MONTH);
        if world.clears.len() >= MAX_CLEARS_A_MONTH {
            return Err(ApiError::new(errcode::TOO_MANY_CLEARS));
        }
        world.clears.push(now);
        world.usage.clear_day();
        Ok(Empty::default())
    }
}

impl Simulate for network::CallbackIp {
    fn simulate(self, _world: &mut World) -> Result<IpList, ApiError> {
        Ok(IpList { ip_list: ["101.226.62.77", "101.226.103.0/25"].map(str::to_owned).to_vec() })
    }
}

impl Simulate for network::ApiIp {
    fn simulate(self, _world: &mut World) -> Result<IpList, ApiError> {
        Ok(IpList { ip_list: ["101.226.212.27", "182.254.11.176"].map(str::to_owned).to_vec() })
    }
}

impl Simulate for network::Check {
    fn simulate(self, _world: &mut World) -> Result<NetworkReport, ApiError> {
        let (dns, ping) = match self.action.as_str() {
            "dns" => (true, false),
            "ping" => (false, true),
            "all" => (true, true),
            _ => return Err(ApiError::new(errcode::INVALID_CHECK_ACTION)),
        };
        if !["CHINANET", "UNICOM", "CAP", "DEFAULT"].contains(&self.check_operator.as_str()) {
            return Err(ApiError::new(errcode::INVALID_CHECK_OPERATOR));
        }
        let ip = "127.0.0.1".to_owned();
        let operator = if self.check_operator == "DEFAULT" { "CAP".to_owned() } else { self.check_operator };
        Ok(NetworkReport {
            dns: dns.then(|| vec![Dns { ip: ip.clone(), real_operator: operator.clone() }]),
            ping: ping.then(|| {
                vec![Ping {
                    ip,
                    from_operator: operator,
                    package_loss: "0%".to_owned(),
                    time: "23.079ms".to_owned(),
                }]
            }),
        })
    }
}
