//! The arguments of the commands about an account and its configuration.

use super::shared::TargetArgs;
use crate::base::http::read_name;
use clap::{Args, Subcommand};
use std::{net::SocketAddr, path::PathBuf};

#[derive(Args, Debug)]
pub(crate) struct TokenArguments {
    #[command(subcommand)]
    pub command: TokenCommand,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Show the token, masked; fetch one if there is none
    Show {
        /// Print the token itself, and nothing else
        #[arg(long)]
        reveal: bool,
    },
    /// Replace the token with a new one
    Refresh,
    /// Show what the store knows about the token, without a call
    Status,
    /// Serve the token to other programs (中控服务器)
    Serve(TokenServeArguments),
}

#[derive(Args, Debug)]
pub(crate) struct TokenServeArguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7100")]
    pub listen: SocketAddr,
    /// Listen on this Unix socket instead
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    pub socket: Option<PathBuf>,
    /// The file with the bearer key, if it is not in `MPSCRIPT_TOKEN_KEY`; readable only by you
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Allow a public address: a proxy in front terminates TLS
    #[arg(long)]
    pub behind_proxy: bool,
    /// A name by which it may be addressed, beside localhost and its address; may be repeated
    #[arg(long, value_name = "NAME", value_parser = read_name)]
    pub allow_host: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct QuotaArguments {
    /// Ask the platform: one call per endpoint
    #[arg(long)]
    pub live: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ConfigArguments {
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Args, Debug)]
pub(crate) struct InitArguments {
    /// Where to write them, if not in the current folder
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}
