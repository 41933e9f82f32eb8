//! The settings of the master key.

use clap::Args;

use super::HEADING;

/// The secret that the functions' secrets are derived from.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct Key {
    /// 32 bytes as base64 or hex, from which the functions' secrets are derived; prefer the variable, others can see
    /// flags [default: master.key in the state folder]
    #[arg(long, env = "GATHER_MASTER_KEY", hide_env_values = true)]
    pub master_key: Option<String>,
}
