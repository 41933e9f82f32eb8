//! Checks everything that serving needs, prints a line for each check, and says how to mend faults.

use std::{net::TcpListener, path::Path};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use sqlx::{Connection, PgConnection};
use url::Url;

use crate::{
    build,
    config::{DatabaseSettings, Key, Listen},
    database::check_for_functions,
    deployment::DeploymentSettings,
    health::Disk,
    manifest::Manifest,
    migrate,
    postgres::{Account, Cluster, Programs},
    secrets::MasterKey,
    toolchain::{TARGET, Toolchain},
};

/// The arguments of the check.
#[derive(Args, Debug)]
pub struct Doctor {
    #[command(flatten)]
    deployment: DeploymentSettings,

    #[command(flatten)]
    listen: Listen,
}

/// The result of one check.
enum Finding {
    /// The check passed.
    Good(String),
    /// The check failed, but `gather up` mends that.
    Later(String),
    /// The check failed, and needs the operator.
    Bad(String),
}

use Finding::{Bad, Good, Later};

/// Runs and prints all checks. Returns whether none needs the operator.
pub async fn run(settings: &Doctor) -> Result<bool> {
    let DeploymentSettings {
        project,
        key,
        database: given,
    } = &settings.deployment;
    let manifest = project.manifest();
    let state = manifest
        .as_ref()
        .map_err(|_| anyhow!("no manifest"))
        .and_then(|manifest| project.state_dir(manifest));
    let mut findings = vec![
        ("toolchain", toolchain()),
        ("manifest", manifest.as_ref().map_or_else(bad, found)),
    ];
    if let (Ok(manifest), Ok(state)) = (&manifest, &state) {
        findings.push(("components", components(manifest)));
        findings.push(("master key", master_key(key, state)));
        findings.push(("database", database(given, state).await));
        findings.push(("disk", disk(state)));
    }
    findings.push(("port", port(&settings.listen)));
    let mut good = true;
    for (name, finding) in findings {
        let (mark, text) = match finding {
            Good(text) => ("✓", text),
            Later(text) => ("·", text),
            Bad(text) => {
                good = false;
                ("✗", text)
            }
        };
        say!(
            "{mark} {name:<10} {}",
            text.replace('\n', "\n             ")
        );
    }
    say!(
        "{}",
        if good {
            "\nReady: `gather up`."
        } else {
            "\nSomething has to be done first: see the lines with ✗."
        }
    );
    Ok(good)
}

fn bad(error: &anyhow::Error) -> Finding {
    Bad(format!("{error:#}"))
}

fn found(manifest: &Manifest) -> Finding {
    Good(format!(
        "{} with {} components",
        manifest.path.display(),
        manifest.components.len()
    ))
}

fn toolchain() -> Finding {
    let check = || -> Result<Finding> {
        let toolchain = Toolchain::find()?;
        let version = toolchain.version()?;
        Ok(match toolchain.standard_library(TARGET) {
            Some(_) => Good(format!("Rust {version} with {TARGET}")),
            None => Later(format!(
                "Rust {version}; {TARGET} is missing and is installed by `gather build`"
            )),
        })
    };
    check().unwrap_or_else(|error| bad(&error))
}

fn components(manifest: &Manifest) -> Finding {
    let missing = manifest.components.iter().filter_map(|component| {
        let source = component
            .source
            .as_ref()
            .filter(|source| !source.is_file())?;
        (!component.built_by_cargo).then(|| {
            format!(
                "[component.{}] source {} does not exist",
                component.id,
                source.display()
            )
        })
    });
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        return Bad(missing.join("\n"));
    }
    match build::stale(manifest) {
        None => Good("built and fresh".to_owned()),
        Some(why) => Later(format!(
            "to be built ({why}); `gather build` does it, and `gather up` by itself"
        )),
    }
}

fn master_key(settings: &Key, state: &Path) -> Finding {
    if let Some(key) = &settings.master_key {
        return MasterKey::parse(key).map_or_else(
            |error| bad(&error),
            |_| Good("from the environment".to_owned()),
        );
    }
    match MasterKey::load(state) {
        Ok(Some(_)) => Good(format!(
            "in {}, readable by its owner only",
            state.display()
        )),
        Ok(None) => Later("made by the first start".to_owned()),
        Err(error) => bad(&error),
    }
}

async fn database(settings: &DatabaseSettings, state: &Path) -> Finding {
    let (whose, url) = match settings.url() {
        Err(error) => return bad(&error),
        Ok(Some(url)) => ("of DATABASE_URL", Some(url)),
        Ok(None) => ("of the private cluster", Cluster::running(state)),
    };
    let Some(url) = url else {
        return cluster_can_start(state);
    };
    if let Err(error) = check_for_functions(&url).await {
        return bad(&error);
    }
    let check = async {
        migrate::check(&url).await?;
        Ok(Good(format!(
            "PostgreSQL {} {whose} answers at {}:{}, newest schema",
            server_version(&url).await?,
            url.host_str().unwrap_or("?"),
            url.port().unwrap_or(5432)
        )))
    };
    check.await.unwrap_or_else(|error| bad(&error))
}

/// The server's version, without the suffix of a distribution.
async fn server_version(url: &Url) -> Result<String> {
    let mut connection = PgConnection::connect(url.as_str()).await?;
    let version: String =
        sqlx::query_scalar("select split_part(current_setting('server_version'), ' ', 1)")
            .fetch_one(&mut connection)
            .await?;
    connection.close().await?;
    Ok(version)
}

fn cluster_can_start(state: &Path) -> Finding {
    let check = || -> Result<Finding> {
        Account::choose()?;
        let when = if state.join("postgres.port").exists() {
            "is started"
        } else {
            "is made and started"
        };
        Ok(Later(match Cluster::programs(state)? {
            Programs::Here(binaries) => format!(
                "not running; a private cluster (PostgreSQL {} in {}) {when} by `gather up`",
                binaries.version(),
                binaries.folder().display()
            ),
            Programs::Incomplete { installed, .. } => format!(
                "not running; PostgreSQL {} in {} lacks pgvector; `gather up` adds it to a copy, with which a private cluster {when}",
                installed.version(),
                installed.folder().display()
            ),
            Programs::Absent { build, .. } => format!(
                "no fitting PostgreSQL is installed; `gather up` gets {} ({} MB from {}), with which a private cluster {when}",
                build.version,
                build.megabytes(),
                build.host()?
            ),
        }))
    };
    check().unwrap_or_else(|error| bad(&error))
}

fn disk(state: &Path) -> Finding {
    let folder = state
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    let check = || Disk::of(folder).with_context(|| format!("can't look at {}", folder.display()));
    match check() {
        Err(error) => bad(&error),
        Ok(disk) if disk.is_low() => Bad(format!(
            "only {} MiB are free at {}; free some space, or move --state-dir",
            disk.free_bytes >> 20,
            folder.display()
        )),
        Ok(disk) => Good(format!(
            "{} GiB free at {}",
            disk.free_bytes >> 30,
            folder.display()
        )),
    }
}

fn port(settings: &Listen) -> Finding {
    match TcpListener::bind(settings.listen) {
        Ok(_) => Good(format!("{} is free", settings.listen)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Bad(format!(
            "{} is in use; if that is not this server, choose another with --listen",
            settings.listen
        )),
        Err(error) => Bad(format!(
            "{} can't be used: {error}; choose another with --listen",
            settings.listen
        )),
    }
}
