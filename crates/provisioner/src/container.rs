//! The container of an instance, as it is made: everything is taken from it that it does not need.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
    MountVolumeOptions, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use uuid::Uuid;

use crate::door::ADDRESS;
use crate::instance::Specification;

/// The label with the mark of the platform.
pub const PLATFORM: &str = "gather.platform";
/// The label with the id of the claw.
pub const CLAW: &str = "gather.claw";
/// The label with the generation.
pub const GENERATION: &str = "gather.generation";
/// The label with the origins that the instance may reach, with spaces between them.
pub const EGRESS: &str = "gather.egress";
/// The label of an instance with a volume.
pub const VOLUME: &str = "gather.volume";

/// Where the volume is. Podman gives a volume to the owner of the image's folder of that name, so no usual one is taken.
const DATA: &str = "/var/lib/claw";
/// Scratch space. Podman would make the last two by itself, without a limit.
const SCRATCH: [&str; 3] = ["/tmp", "/var/tmp", "/run"];
/// The users that systemd keeps for services that run for a while, which are nobody's on any machine.
const USERS: (u32, u32) = (61_184, 4_336);
/// Open files of a process.
const FILES: i64 = 4_096;
/// Processes of a user. Claws may share one by chance, so what bounds a claw is its number of processes in its container.
const PROCESSES: i64 = 16_384;
/// The size of the log that the runtime keeps.
const LOG_BYTES: &str = "4m";
/// Shared memory, which counts as memory of the instance.
const SHARED_BYTES: i64 = 16 << 20;

/// The user that a claw's program runs as: always the same one, to which its volume belongs, and rarely another claw's.
pub fn user_of(id: Uuid) -> u32 {
    let (_, _, _, last) = id.as_fields();
    let digits = last
        .iter()
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let offset = digits % u64::from(USERS.1);
    USERS.0 + u32::try_from(offset).unwrap_or(0)
}

/// What the runtime is asked for.
pub fn body(
    wanted: &Specification,
    mark: &str,
    name: &str,
    platform_url: &str,
) -> ContainerCreateBody {
    let user = user_of(wanted.id);
    let mut labels = HashMap::from([
        (PLATFORM.to_owned(), mark.to_owned()),
        (CLAW.to_owned(), wanted.id.to_string()),
        (GENERATION.to_owned(), wanted.generation.to_string()),
        (EGRESS.to_owned(), wanted.egress.join(" ")),
    ]);
    if wanted.volume {
        labels.insert(VOLUME.to_owned(), DATA.to_owned());
    }
    ContainerCreateBody {
        hostname: Some("claw".to_owned()),
        user: Some(format!("{user}:{user}")),
        env: Some(environment(wanted, platform_url)),
        image: Some(wanted.image.clone()),
        entrypoint: Some(wanted.command.clone()).filter(|command| !command.is_empty()),
        labels: Some(labels),
        network_disabled: Some(true),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }),
        host_config: Some(limits(wanted, name)),
        ..ContainerCreateBody::default()
    }
}

fn limits(wanted: &Specification, name: &str) -> HostConfig {
    let memory = i64::try_from(wanted.memory_bytes).unwrap_or(i64::MAX);
    let scratch = format!(
        "rw,nosuid,nodev,noexec,mode=1777,size={}",
        wanted.disk_bytes
    );
    let limit = |name: &str, value| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(value),
        hard: Some(value),
    };
    let volume = Mount {
        target: Some(DATA.to_owned()),
        source: Some(name.to_owned()),
        typ: Some(MountType::VOLUME),
        // A folder of the image's would be copied into it, with its owner.
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    };
    HostConfig {
        network_mode: Some("none".to_owned()),
        readonly_rootfs: Some(true),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        ipc_mode: Some("private".to_owned()),
        memory: Some(memory),
        // As much as the memory: none of it is in swap.
        memory_swap: Some(memory),
        shm_size: Some(SHARED_BYTES),
        nano_cpus: Some(i64::from(wanted.cpu_millis) * 1_000_000),
        pids_limit: Some(wanted.pids.into()),
        ulimits: Some(vec![
            limit("nofile", FILES),
            limit("nproc", PROCESSES),
            limit("core", 0),
        ]),
        tmpfs: Some(
            SCRATCH
                .map(|folder| (folder.to_owned(), scratch.clone()))
                .into(),
        ),
        mounts: wanted.volume.then(|| vec![volume]),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([(
                "max-size".to_owned(),
                LOG_BYTES.to_owned(),
            )])),
        }),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        ..HostConfig::default()
    }
}

/// The claw's environment, with the way to the platform.
fn environment(wanted: &Specification, platform_url: &str) -> Vec<String> {
    let proxy = format!("http://{ADDRESS}");
    let ours = [
        ("GATHER_URL", platform_url),
        ("HTTP_PROXY", &proxy),
        ("HTTPS_PROXY", &proxy),
        ("http_proxy", &proxy),
        ("https_proxy", &proxy),
        ("NO_PROXY", ""),
        ("no_proxy", ""),
        ("HOME", "/tmp"),
    ];
    let mut all: BTreeMap<&str, &str> = BTreeMap::new();
    let theirs = wanted.env.iter();
    all.extend(theirs.map(|(name, value)| (name.as_str(), value.as_str())));
    all.extend(ours);
    let all = all.into_iter();
    all.map(|(name, value)| format!("{name}={value}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claw_has_one_user_of_its_own() {
        let ids = (0..2_000_u128).map(|n| Uuid::from_u128(n * 0x9e37_79b9_7f4a_7c15));
        let users: Vec<_> = ids.map(user_of).collect();
        assert!(users.iter().all(|user| (61_184..65_520).contains(user)));
        let mut different = users.clone();
        different.sort_unstable();
        different.dedup();
        assert!(different.len() > 1_000, "{}", different.len());
    }

    #[test]
    fn the_way_to_the_platform_can_not_be_changed() {
        let wanted: Specification = serde_json::from_value(serde_json::json!({
            "id": Uuid::nil(), "generation": 1, "image": "", "cpu_millis": 1, "memory_bytes": 1, "disk_bytes": 1,
            "env": {"HTTP_PROXY": "http://elsewhere", "GATHER_URL": "http://elsewhere", "A": "1"},
        }))
        .unwrap();
        let variables = environment(&wanted, "https://gather.example");
        assert!(variables.contains(&"A=1".to_owned()));
        assert!(variables.contains(&"GATHER_URL=https://gather.example".to_owned()));
        assert!(
            !variables.iter().any(|v| v.contains("elsewhere")),
            "{variables:?}"
        );
    }
}
