//! The report about this machine's disk for the status endpoint, since functions can't see the disk.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use nix::sys::statvfs::statvfs;
use sqlx::{PgPool, postgres::PgPoolOptions};
use url::Url;

const INTERVAL: Duration = Duration::from_secs(10);
const LOW_BYTES: u64 = 512 << 20;

/// The space on a file system.
#[derive(Debug, Clone, Copy)]
pub struct Disk {
    /// The bytes that an ordinary user can still write.
    pub free_bytes: u64,
    /// The size of the file system, in bytes.
    pub total_bytes: u64,
}

impl Disk {
    /// Reads the space of the file system that `path` is on.
    pub fn of(path: &std::path::Path) -> nix::Result<Self> {
        let found = statvfs(path)?;
        #[allow(
            clippy::useless_conversion,
            clippy::unnecessary_cast,
            reason = "the types differ between operating systems"
        )]
        let bytes = |blocks| (blocks as u64).saturating_mul(found.fragment_size() as u64);
        Ok(Self {
            free_bytes: bytes(found.blocks_available()),
            total_bytes: bytes(found.blocks()),
        })
    }

    /// Whether so little is left that the database will soon refuse to write.
    pub fn is_low(self) -> bool {
        self.free_bytes < LOW_BYTES || self.free_bytes < self.total_bytes / 50
    }
}

/// Reports the disk that `folder` is on, again and again, until it is dropped.
pub async fn report_disk(database: Url, folder: PathBuf) {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy(database.as_str());
    let pool = match pool {
        Ok(pool) => pool,
        Err(error) => return tracing::warn!(%error, "the disk's state can't be reported"),
    };
    let mut failing = false;
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match report_once(&pool, &folder).await {
            Ok(()) => failing = false,
            // Once, not every ten seconds: the database's own failure is logged by those who need it.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "the disk's state can't be reported");
            }
            Err(_) => {}
        }
    }
}

async fn report_once(pool: &PgPool, folder: &std::path::Path) -> anyhow::Result<()> {
    let asked = Instant::now();
    let disk = Disk::of(folder)?;
    let latency_ms = asked.elapsed().as_secs_f64() * 1000.0;
    let status = if disk.is_low() { "degraded" } else { "healthy" };
    let detail = serde_json::json!({
        "free_bytes": disk.free_bytes,
        "total_bytes": disk.total_bytes,
        "latency_ms": latency_ms,
    });
    sqlx::query("select platform.report_health('disk', $1, $2::text::jsonb)")
        .bind(status)
        .bind(detail.to_string())
        .execute(pool)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_room_or_not() {
        let disk = Disk::of(std::path::Path::new("/")).unwrap();
        assert!(disk.total_bytes > 0 && disk.free_bytes <= disk.total_bytes);
        let with = |free_bytes, total_bytes| {
            Disk {
                free_bytes,
                total_bytes,
            }
            .is_low()
        };
        assert!(!with(10 << 30, 100 << 30));
        assert!(with(1 << 30, 100 << 30), "one part in a hundred is low");
        assert!(with(400 << 20, 1 << 30), "less than 512 MiB is low");
        assert!(!with(600 << 20, 1 << 30));
    }
}
