//! Recurring jobs. Each scheduled time begins one job, on the worker that is first, and times
//! that were missed while no worker ran are made up for.

use futures::{FutureExt, future::BoxFuture, future::Shared};
use graphile_worker_crontab_runner::cron_main;
use graphile_worker_crontab_types::Crontab;
use graphile_worker_database::{Database, Schema};
use graphile_worker_lifecycle_hooks::HookRegistry;
use tokio::sync::watch;

/// Begins the jobs of `crontabs` at their times until `stopped`.
pub async fn run(
    database: Database,
    schema: Schema,
    crontabs: Vec<Crontab>,
    mut stopped: watch::Receiver<bool>,
) {
    if crontabs.is_empty() {
        return;
    }
    let stop: Shared<BoxFuture<'static, ()>> = async move {
        // An error means that the sender is gone: stopped, too.
        _ = stopped.wait_for(|stopped| *stopped).await;
    }
    .boxed()
    .shared();
    let hooks = HookRegistry::default();
    if let Err(error) = cron_main(&database, schema, &crontabs, false, stop, &hooks).await {
        tracing::error!(%error, "recurring jobs have stopped");
    }
}
