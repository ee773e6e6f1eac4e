//! The trait that every endpoint of the sandbox implements.

use crate::{
    api::Endpoint,
    sandbox::world::{api_error::ApiError, world::World},
};

/// The sandbox's half of an endpoint: its own rules. What the declaration says (credential,
/// rights, quota, the list's bound) has been checked already.
pub(crate) trait Simulate: Endpoint {
    /// Executes the call on the world.
    fn simulate(self, world: &mut World) -> Result<Self::Answer, ApiError>;
}
