//! What a claw in a container tries, and does not get: the network, the machine, more rights.

use crate::provisioner::world::{Platform, World};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::collections::BTreeMap;
use tokio::net::TcpListener;
use uuid::Uuid;

/// What each attempt of a script printed: the script writes `<name>: <text>` for each.
fn results(lines: &[String]) -> BTreeMap<String, String> {
    let mut results = BTreeMap::<String, String>::new();
    for line in lines {
        if let Some((name, text)) = line.split_once(": ") {
            let said = results.entry(name.to_owned()).or_default();
            said.push_str(text);
            said.push('\n');
        }
    }
    results
}

/// Tries to connect without the proxy: `try <name> <host> <port>`.
const TRY: &str = r#"
try() { if printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 3 $2 $3 2>/dev/null | grep -q .; then echo "$1: reached"; else echo "$1: refused"; fi; }
tunnel() { echo "$1: $(printf "CONNECT $2 HTTP/1.1\r\nHost: $2\r\n\r\n" | nc -w 5 127.0.0.1 3128 | head -n 1)"; }
while ! nc -w 1 127.0.0.1 3128 </dev/null 2>/dev/null; do sleep 0.1; done
"#;

#[tokio::test]
async fn nothing_is_reached_but_the_platform() -> Result<()> {
    let Some(world) = World::start().await? else {
        return Ok(());
    };
    // Another service of this machine, which answers all who get there.
    let other = Platform::start().await?;
    let everywhere = TcpListener::bind("0.0.0.0:0").await?.local_addr()?.port();
    let (platform, port) = (world.platform.address, other.address.port());
    let script = format!(
        "{TRY}
try internet 1.1.1.1 80
try metadata 169.254.169.254 80
try loopback 127.0.0.1 {port}
try gateway 10.88.0.1 {everywhere}
try platform-itself 127.0.0.1 {}
tunnel tunnel-platform {platform}
tunnel tunnel-platform-by-name localhost:{}
tunnel tunnel-loopback 127.0.0.1:{port}
tunnel tunnel-loopback-v6 '[::1]:{port}'
tunnel tunnel-mapped '[::ffff:127.0.0.1]:{port}'
tunnel tunnel-decimal 2130706433:{port}
tunnel tunnel-metadata 169.254.169.254:80
tunnel tunnel-internet 1.1.1.1:443
tunnel listed-loopback loopback.inside:{port}
tunnel listed-metadata metadata.inside:80
tunnel listed-other-port loopback.inside:1
tunnel user {platform}@127.0.0.1:{port}
echo \"plain-platform: $(wget -q -O - --header 'X-Forwarded-For: 10.9.9.9' $GATHER_URL/a | grep -i -e platform: -e forwarded)\"
echo \"plain-loopback: $(wget -q -O - http://127.0.0.1:{port}/ 2>&1)\"
echo \"plain-metadata: $(wget -q -O - http://169.254.169.254/ 2>&1)\"
echo \"interfaces: $(ls /sys/class/net | grep -v '^lo$')\"
echo all done
sleep 1000",
        platform.port(),
        platform.port(),
    );
    let id = Uuid::now_v7();
    let mut wanted = world.specification(id, 1, &script);
    wanted["egress"] = json!([
        format!("http://loopback.inside:{port}"),
        "http://metadata.inside"
    ]);
    let (status, answer) = world.client.post("/provision", &wanted).await?;
    ensure!(status == 200, "{answer:#}");
    let lines = world.client.lines_until(id, "all done").await?;
    let results = results(&lines);
    let said = |name: &str| {
        results
            .get(name)
            .with_context(|| format!("{name}: {lines:#?}"))
    };
    for name in [
        "internet",
        "metadata",
        "loopback",
        "gateway",
        "platform-itself",
    ] {
        assert_eq!(said(name)?, "refused\n", "{name}");
    }
    assert!(said("tunnel-platform")?.contains(" 200 "), "{results:#?}");
    for name in [
        "tunnel-platform-by-name",
        "tunnel-loopback",
        "tunnel-loopback-v6",
        "tunnel-mapped",
        "tunnel-decimal",
        "tunnel-metadata",
        "tunnel-internet",
        "listed-loopback",
        "listed-metadata",
        "listed-other-port",
    ] {
        assert!(said(name)?.contains(" 403 "), "{name}: {results:#?}");
    }
    assert!(said("user")?.contains(" 400 "), "{results:#?}");
    let plain = said("plain-platform")?;
    assert!(
        plain.contains("GET /a HTTP/1.1") && !plain.contains("10.9.9.9"),
        "{plain}"
    );
    for name in ["plain-loopback", "plain-metadata"] {
        assert!(said(name)?.contains("403"), "{name}: {results:#?}");
    }
    assert_eq!(said("interfaces")?, "\n");
    Ok(())
}

#[tokio::test]
async fn rights_and_files_of_the_machine_are_out_of_reach() -> Result<()> {
    let Some(world) = World::start().await? else {
        return Ok(());
    };
    let socket = world.engine.socket();
    let script = format!(
        r#"
can() {{ name=$1; shift; if ("$@") >/dev/null 2>&1; then echo "$name: yes"; else echo "$name: no"; fi; }}
can write-root sh -c 'echo x > /x'
can write-etc sh -c 'echo x > /etc/x'
can write-data sh -c 'echo x > /data/x'
can write-sys sh -c 'echo x > /sys/kernel/x'
can write-proc sh -c 'echo x > /proc/sys/kernel/hostname'
can write-trigger sh -c 'echo b > /proc/sysrq-trigger'
can read-memory cat /proc/kcore
can read-disk sh -c 'cat /dev/vda || cat /dev/sda'
can make-disk mknod /tmp/disk b 254 0
can engine ls {socket}
can docker sh -c 'ls /var/run/docker.sock || ls /run/podman/podman.sock'
can mount mount -t tmpfs none /tmp
can namespace unshare -n true
can namespace-of-users sh -c 'unshare -U -r -m mount -o remount,rw / || unshare -U -r sh -c "echo x > /x" || unshare -U -r mknod /tmp/disk b 254 0'
can write-tmp sh -c 'echo x > /tmp/x'
cp /bin/busybox /tmp/sh; chmod 4755 /tmp/sh
can run-from-tmp /tmp/sh true
can fill-tmp sh -c 'cat /dev/zero > /tmp/big'
echo "user: $(id -u)"
echo "status: $(grep -E '^(CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status)"
echo "processes: $(ls -d /proc/[0-9]* | grep -c .)"
echo "variables: $(env | grep -c -i -e secret -e master -e database)"
echo all done
sleep 1000"#,
        socket = socket.display()
    );
    let id = Uuid::now_v7();
    let wanted = world.specification(id, 1, &script);
    let (status, answer) = world.client.post("/provision", &wanted).await?;
    ensure!(status == 200, "{answer:#}");
    let lines = world.client.lines_until(id, "all done").await?;
    let results = results(&lines);
    let said = |name: &str| {
        results
            .get(name)
            .with_context(|| format!("{name}: {lines:#?}"))
    };
    for name in [
        "write-root",
        "write-etc",
        "write-data",
        "write-sys",
        "write-proc",
        "write-trigger",
        "read-disk",
        "make-disk",
        "engine",
        "docker",
        "mount",
        "namespace",
        "namespace-of-users",
        "run-from-tmp",
        "fill-tmp",
    ] {
        assert_eq!(said(name)?, "no\n", "{name}");
    }
    assert_eq!(said("write-tmp")?, "yes\n");
    let user: u32 = said("user")?.trim().parse()?;
    assert!(user >= 61_184, "{user}");
    let text = lines.join("\n");
    for line in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(
            text.contains(&format!("{line}:\t0000000000000000")),
            "{line}: {text}"
        );
    }
    assert!(text.contains("NoNewPrivs:\t1"), "{text}");
    assert!(text.contains("Seccomp:\t2"), "{text}");
    let processes: u32 = said("processes")?.trim().parse()?;
    assert!(processes < 8, "only its own: {processes}");
    assert_eq!(said("variables")?, "0\n");
    Ok(())
}

#[tokio::test]
async fn a_fork_bomb_ends_at_the_limit_and_harms_nobody() -> Result<()> {
    let Some(world) = World::start().await? else {
        return Ok(());
    };
    let id = Uuid::now_v7();
    let script = "n=0; while [ $n -lt 200 ]; do sleep 1000 & n=$((n+1)); done; echo \"all begun\"; sleep 1000";
    let wanted = world.specification(id, 1, script);
    let (status, answer) = world.client.post("/provision", &wanted).await?;
    ensure!(status == 200, "{answer:#}");
    // The shell can't make more, and gives up.
    world.client.ended_saying(id, "can't fork").await?;
    // The provisioner and the runtime work on.
    let other = Uuid::now_v7();
    let wanted = world.specification(other, 1, "echo alive; sleep 1000");
    let (status, answer) = world.client.post("/provision", &wanted).await?;
    ensure!(status == 200, "{answer:#}");
    world.client.lines_until(other, "alive").await?;
    Ok(())
}
