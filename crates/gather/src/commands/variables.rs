//! `gather variables`.

use std::io::IsTerminal;

use anyhow::Result;
use clap::Args;

use crate::{
    config::{Address, FunctionSettings},
    deployment::{Deployment, DeploymentSettings},
};

/// The settings of the functions.
#[derive(Args, Debug)]
pub struct Variables {
    #[command(flatten)]
    deployment: DeploymentSettings,

    #[command(flatten)]
    address: Address,

    #[command(flatten)]
    functions: FunctionSettings,
}

/// Prints the variables as shell commands.
pub fn run(settings: &Variables) -> Result<()> {
    let deployment = Deployment::new(&settings.deployment)?;
    let database = deployment.find_database()?;
    let public_url = settings.address.own_public_url();
    let sandbox_url = deployment.sandbox_url(&settings.functions);
    let egress_url = deployment.egress_url(&settings.functions);
    let functions = &settings.functions;
    for (name, value) in
        deployment.variables(functions, &database, &public_url, &sandbox_url, &egress_url)?
    {
        say!(
            "export SPIN_VARIABLE_{}='{}'",
            name.to_uppercase(),
            value.replace('\'', r"'\''")
        );
    }
    if std::io::stdout().is_terminal() {
        eprintln!("These are secrets, for: eval \"$(gather variables)\" && spin up");
    }
    Ok(())
}
