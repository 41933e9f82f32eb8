//! The commands, one in each file, with the settings that it takes.

pub mod build;
pub mod egress;
pub mod embed;
pub mod keys;
pub mod migrate;
mod process;
pub mod provisioner;
pub mod realtime;
pub mod sandbox;
pub mod serve;
mod serving;
pub mod up;
pub mod variables;
pub mod worker;

use anyhow::Result;

use crate::{
    admin, agent, audit, backup, circle, claw,
    cli::{Cli, Command},
    demo, doctor, live, llm, memory, new, pipeline, schedule, secret, skill, traces, webhook,
};
use process::runtime;

/// Runs the command. Returns `false` after a failure that has been explained.
pub fn run(cli: Cli) -> Result<bool> {
    let done = run_command(cli);
    traces::stop();
    done
}

fn run_command(cli: Cli) -> Result<bool> {
    match cli.command {
        None => up::run(&cli.up)?,
        Some(Command::Up(settings)) => up::run(&settings)?,
        Some(Command::Serve(settings)) => serve::run(&settings)?,
        Some(Command::Build(settings)) => build::run(&settings)?,
        Some(Command::Migrate(settings)) => migrate::run(&settings)?,
        Some(Command::Worker(settings)) => worker::run(&settings)?,
        Some(Command::Sandbox(settings)) => sandbox::run(&settings)?,
        Some(Command::Egress(settings)) => egress::run(&settings)?,
        Some(Command::Embed(settings)) => embed::run(&settings)?,
        Some(Command::Provisioner(settings)) => provisioner::run(&settings)?,
        Some(Command::Realtime(settings)) => realtime::run(&settings)?,
        Some(Command::SandboxChild { work }) => crate::sandbox::child(work)?,
        Some(Command::Doctor(settings)) => return runtime()?.block_on(doctor::run(&settings)),
        Some(Command::Variables(settings)) => variables::run(&settings)?,
        Some(Command::Keys(command)) => keys::run(command)?,
        Some(Command::Admin(command)) => runtime()?.block_on(admin::run(command))?,
        Some(Command::Audit(command)) => return runtime()?.block_on(audit::run(command)),
        Some(Command::Backup(settings)) => {
            process::start_logging(&settings.log)?;
            runtime()?.block_on(backup::run(&settings))?;
        }
        Some(Command::Restore(settings)) => {
            process::start_logging(&settings.log)?;
            runtime()?.block_on(backup::run_restore(&settings))?;
        }
        Some(Command::Demo(options)) => demo::run(&options)?,
        Some(Command::Agent(command)) => agent::run(command)?,
        Some(Command::Chat(options)) => return live::chat(*options),
        Some(Command::Events(command)) => return live::events(command),
        Some(Command::Skill(command)) => return skill::run(command),
        Some(Command::Llm(command)) => return llm::run(command),
        Some(Command::Circle(command)) => circle::run(command)?,
        Some(Command::Turn(command)) => circle::run_turn(command)?,
        Some(Command::Webhook(command)) => webhook::run(&command)?,
        Some(Command::Memory(command)) => memory::run(&command)?,
        Some(Command::Pipeline(command)) => pipeline::run(&command)?,
        Some(Command::Schedule(command)) => schedule::run(&command)?,
        Some(Command::Claw(command)) => claw::run(&command)?,
        Some(Command::Secret(command)) => secret::run(&command)?,
        Some(Command::Hook(command)) => webhook::run_hook(&command)?,
        Some(Command::New(command)) => new::run(&command)?,
    }
    Ok(true)
}
