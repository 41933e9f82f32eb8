//! Spin's interfaces as a guest sees them: what is allowed works, all else is refused.

use anyhow::Result;
use e2e::{Server, WORKERS};
use host::Limits;
use serde_json::Value;
use std::time::{Duration, Instant};

async fn probe() -> Result<Server> {
    Server::probe("", Limits::default()).await
}

async fn sql(server: &Server, sql: &str) -> Result<String> {
    sql_at(server, "/sql", sql).await
}

async fn sql_at(server: &Server, path: &str, sql: &str) -> Result<String> {
    let request = server
        .http
        .get(format!("{}{path}", server.url))
        .query(&[("sql", sql)]);
    Ok(request.send().await?.text().await?)
}

#[tokio::test]
async fn every_postgres_type_goes_there_and_back_both_ways() -> Result<()> {
    let server = probe().await?;
    let response = server.get("/types").await?;
    let text = response.text().await?;
    let rows: Vec<[String; 3]> = serde_json::from_str(&text).map_err(|_| anyhow::anyhow!(text))?;
    let seen: Vec<_> = rows
        .iter()
        .map(|[name, value, _]| format!("{name} = {value}"))
        .collect();
    let expected = include_str!("../fixtures/postgres_types.txt");
    assert_eq!(
        seen.join("\n"),
        expected.trim_end(),
        "the types as Spin publishes them"
    );
    for [name, called, streamed] in &rows {
        assert_eq!(called, streamed, "{name}: query and query-async differ");
    }
    Ok(())
}

#[tokio::test]
async fn nulls_and_unknown_types_are_told_apart() -> Result<()> {
    let server = probe().await?;
    let text = server.text("/nulls").await?;
    assert!(
        text.contains("[DbValue::DbNull, DbValue::DbNull, DbValue::DbNull, DbValue::Unsupported("),
        "{text}"
    );
    assert!(text.contains(r#"DbDataType::Other("inet")"#), "{text}");
    Ok(())
}

#[tokio::test]
async fn many_rows_stream() -> Result<()> {
    let server = probe().await?;
    assert_eq!(server.text("/rows/0").await?, "0");
    assert_eq!(server.text("/rows/50000").await?, "50000");
    Ok(())
}

#[tokio::test]
async fn a_transaction_left_open_is_rolled_back_before_the_connection_is_used_again() -> Result<()>
{
    let server = probe().await?;
    for _ in 0..5 {
        assert_eq!(server.text("/leave-open").await?, "left open");
        // The same worker's pool gives the same connection: last in, first out.
        let left = sql(&server, "select count(*) from public.item where id = -1").await?;
        assert_eq!(left, "[[DbValue::Int64(0)]]");
        let state = sql(&server, "select pg_current_xact_id_if_assigned() is null").await?;
        assert_eq!(
            state, "[[DbValue::Boolean(true)]]",
            "still inside of the transaction"
        );
    }
    Ok(())
}

/// Two components with pools of their own, and eight connections for each worker.
async fn two_pools() -> Result<Server> {
    let second = r#"
[[trigger.http]]
route = "/second/..."
component = "second"
[component.second]
source = "{source}"
allowed_outbound_hosts = ["postgres://127.0.0.1:*"]
variables = { database_url = "{database}?sslmode=disable&application_name=second", greeting = "hello" }"#;
    let limits = Limits {
        database_connections: 8 * WORKERS,
        ..Limits::default()
    };
    Server::probe(second, limits).await
}

/// Runs a slow statement many times at once; answers how many ran at the same time.
async fn crowd(server: &Server, path: &str, count: usize) -> Result<usize> {
    let slow = || sql_at(server, path, "select pg_sleep(0.3)::text");
    let slow = futures::future::try_join_all((0..count).map(|_| slow()));
    let mut slow = std::pin::pin!(slow);
    let mut watch = server.database.connect().await?;
    let mut most = 0;
    loop {
        most = most.max(working(&mut watch).await?);
        tokio::select! {
            answers = &mut slow => {
                for answer in answers? {
                    assert_eq!(answer, "[[DbValue::Str(\"\")]]");
                }
                return Ok(most);
            }
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
}

/// How many of the crowd's statements run.
async fn working(watch: &mut sqlx::PgConnection) -> Result<usize> {
    let working = "select count(*) from pg_stat_activity where datname = current_database()
                   and query like '%pg_sleep(0.3)::text' and state = 'active' and pid <> pg_backend_pid()";
    let working: i64 = sqlx::query_scalar(working).fetch_one(watch).await?;
    Ok(usize::try_from(working)?)
}

/// Waits until those connections are closed that are to be, and no more than so many are open.
async fn until_open(server: &Server, most: usize) -> Result<()> {
    let open = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    let mut watch = server.database.connect().await?;
    let began = Instant::now();
    loop {
        let open: i64 = sqlx::query_scalar(open).fetch_one(&mut watch).await?;
        if usize::try_from(open)? <= most {
            return Ok(());
        }
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{open} connections are open"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_busy_function_gets_the_connections_that_idle_ones_do_not_need() -> Result<()> {
    let server = two_pools().await?;
    for path in ["/sql", "/second/sql"] {
        let working = crowd(&server, path, 16 * WORKERS).await?;
        assert!(
            working > 4 * WORKERS,
            "{path} had no more than its share: {working}"
        );
        until_open(&server, 8 * WORKERS).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_busy_function_leaves_connections_to_the_others() -> Result<()> {
    let server = two_pools().await?;
    // So many that the last of them wait for seconds.
    let mut busy = std::pin::pin!(crowd(&server, "/sql", 48 * WORKERS));
    let others = async {
        let mut watch = server.database.connect().await?;
        while working(&mut watch).await? <= 4 * WORKERS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for _ in 0..5 {
            let answer = sql_at(&server, "/second/sql", "select 7").await?;
            assert_eq!(answer, "[[DbValue::Int32(7)]]");
        }
        anyhow::Ok(())
    };
    tokio::select! {
        _ = &mut busy => anyhow::bail!("the others waited until the busy one was done"),
        answered = others => answered?,
    }
    busy.await?;
    Ok(())
}

/// One function cannot take what belongs to others by opening many pools.
#[tokio::test]
async fn many_addresses_of_one_function_share_its_connections() -> Result<()> {
    let server = two_pools().await?;
    let open = |n: usize| {
        let address = format!(
            "{}?sslmode=disable&application_name=n{n}",
            server.database.admin
        );
        let request = server.http.get(format!("{}/open", server.url));
        request.query(&[("address", address)]).send()
    };
    for n in 0..20 {
        assert_eq!(open(n).await?.text().await?, "open");
    }
    until_open(&server, 8 * WORKERS).await
}

#[tokio::test]
async fn session_settings_do_not_leak_to_the_next_request() -> Result<()> {
    let server = probe().await?;
    for _ in 0..4 {
        sql(&server, "set application_name = 'leaked'").await?;
        let name = sql(&server, "select current_setting('application_name')").await?;
        assert!(!name.contains("leaked"), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_statement_survives_a_migration_that_changes_its_result() -> Result<()> {
    let server = probe().await?;
    let select = "select * from public.item where id = 1";
    for _ in 0..4 {
        assert!(sql(&server, select).await?.contains("item 1"));
    }
    server
        .database
        .execute("alter table public.item add column extra int default 7")
        .await?;
    for _ in 0..4 {
        assert!(sql(&server, select).await?.contains("Int32(7)"));
    }
    Ok(())
}

#[tokio::test]
async fn only_allowed_addresses_are_connected_and_no_password_is_told() -> Result<()> {
    let server = probe().await?;
    let open = async |address: &str| -> Result<String> {
        let request = server
            .http
            .get(format!("{}/open", server.url))
            .query(&[("address", address)]);
        Ok(request.send().await?.text().await?)
    };
    let port = server.database.admin.port().unwrap_or(5432);
    assert_eq!(
        open(&format!("{}?sslmode=disable", server.database.admin)).await?,
        "open"
    );
    for address in [
        "postgres://u:hunter2@10.0.0.1/x",
        "postgres://u:hunter2@127.0.0.1:1/x",
        "host=/var/run/postgresql user=u password=hunter2",
        "host=127.0.0.1 hostaddr=10.0.0.1 user=u password=hunter2",
        "postgres://u:hunter2@127.0.0.1:1,10.0.0.1/x",
        "user=u password=hunter2",
        "no connection string, hunter2",
    ] {
        let answer = open(address).await?;
        assert!(answer.contains("ConnectionFailed"), "{address}: {answer}");
        assert!(!answer.contains("hunter2"), "{address}: {answer}");
    }
    let wrong = open(&format!(
        "postgres://postgres:hunter2@127.0.0.1:{port}/postgres"
    ))
    .await?;
    assert!(
        wrong.contains("ConnectionFailed") && !wrong.contains("hunter2"),
        "{wrong}"
    );
    Ok(())
}

#[tokio::test]
async fn database_errors_carry_code_and_constraint() -> Result<()> {
    let server = probe().await?;
    let text = sql(&server, "insert into public.item values (1, 'again')").await?;
    assert!(
        text.contains("23505") && text.contains("item_pkey"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn the_key_value_store_keeps_and_lists_and_refuses() -> Result<()> {
    let server = probe().await?;
    let url = |path: &str| format!("{}{path}", server.url);
    let put = server
        .http
        .put(url("/kv/default/a"))
        .body("one")
        .send()
        .await?;
    assert_eq!(put.status(), 204);
    server
        .http
        .put(url("/kv/default/a"))
        .body("two")
        .send()
        .await?;
    server
        .http
        .put(url("/kv/default/b"))
        .body(vec![0, 255])
        .send()
        .await?;
    assert_eq!(server.text("/kv/default/a").await?, "two");
    assert_eq!(server.text("/kv/default").await?, r#"["a","b"]"#);
    server.http.delete(url("/kv/default/a")).send().await?;
    server.http.delete(url("/kv/default/a")).send().await?;
    assert_eq!(server.get("/kv/default/a").await?.status(), 404);
    assert!(server.text("/kv/other/a").await?.contains("AccessDenied"));
    Ok(())
}

#[tokio::test]
async fn a_component_sees_its_own_variables_environment_and_files() -> Result<()> {
    let server = probe().await?;
    assert_eq!(server.text("/variable/greeting").await?, "hello");
    let missing = server.text("/variable/secret").await?;
    assert!(missing.contains("Undefined"), "{missing}");
    assert!(
        server
            .text("/variable/NOT-a-name")
            .await?
            .contains("InvalidName")
    );
    let environment: Value = server.get("/environment").await?.json().await?;
    assert_eq!(environment, serde_json::json!({ "COLOUR": "blue" }));
    assert_eq!(server.text("/file?path=/note.txt").await?, "mounted");
    for path in [
        "/file?path=/spin.toml",
        "/file?path=/../note.txt",
        "/file?path=/etc/passwd",
        "/file?path=/note.txt&write=x",
    ] {
        assert_eq!(server.get(path).await?.status(), 403, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn outgoing_requests_reach_listed_hosts_and_components_only() -> Result<()> {
    let hidden = format!(
        "[[trigger.http]]\nroute = {{ private = true }}\ncomponent = \"hidden\"\n\
         [component.hidden]\nsource = {:?}\n",
        e2e::component_file("probe")
    );
    let other = probe().await?;
    let hosts = [
        "http://hidden.spin.internal",
        "http://gone.spin.internal",
        &other.url,
    ];
    let server = Server::probe_reaching(&hosts, &hidden, Limits::default()).await?;
    let fetch = async |url: &str| -> Result<(u16, String)> {
        let response = server.get(&format!("/fetch?url={url}")).await?;
        Ok((response.status().as_u16(), response.text().await?))
    };
    let there = format!("{}/hello", other.url);
    assert_eq!(fetch(&there).await?, (200, "hello".into()));
    assert_eq!(
        fetch("http://hidden.spin.internal/hello").await?,
        (200, "hello".into())
    );
    let (status, error) = fetch("http://gone.spin.internal/").await?;
    assert!(
        status == 502 && error.contains("DestinationNotFound"),
        "{error}"
    );
    // The server itself, another port, another scheme, and metadata addresses are not listed.
    for url in [
        format!("{}/hello", server.url),
        "http://127.0.0.1:1/".into(),
        there.replace("http:", "https:"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://probe.spin.internal/hello".into(),
    ] {
        let (status, error) = fetch(&url).await?;
        assert!(
            status == 502 && error.contains("HttpRequestDenied"),
            "{url}: {error}"
        );
    }
    // A private route is no public one.
    assert_eq!(server.get("/hidden/hello").await?.status(), 404);
    Ok(())
}

#[tokio::test]
async fn what_a_guest_prints_does_not_reach_the_client() -> Result<()> {
    let server = probe().await?;
    assert_eq!(server.text("/log").await?, "logged");
    Ok(())
}

/// A Redis server of this test's own; `None` where the machine has none.
fn redis() -> Result<Option<(std::process::Child, String)>> {
    let port = gather::port::free(gather::port::TESTS)?;
    let started = std::process::Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .stdout(std::process::Stdio::null())
        .spawn();
    match started {
        Ok(child) => Ok(Some((child, format!("redis://127.0.0.1:{port}")))),
        Err(error) if std::env::var_os("GATHER_TESTS_SKIP_NONE").is_some() => {
            anyhow::bail!("redis-server is missing: {error}")
        }
        Err(error) => {
            println!("skipped: no redis-server ({error}); install it to run this test");
            Ok(None)
        }
    }
}

#[tokio::test]
async fn the_key_value_store_can_be_redis() -> Result<()> {
    let Some((mut child, url)) = redis()? else {
        return Ok(());
    };
    let served = async {
        let server = Server::probe_with_redis(&url).await?;
        let at = |path: &str| format!("{}{path}", server.url);
        for (key, value) in [("a", "one"), ("b*", "two"), ("a", "three")] {
            let put = server
                .http
                .put(at(&format!("/kv/default/{key}")))
                .body(value)
                .send()
                .await?;
            assert_eq!(put.status(), 204);
        }
        assert_eq!(server.text("/kv/default/a").await?, "three");
        assert_eq!(server.text("/kv/default").await?, r#"["a","b*"]"#);
        server.http.delete(at("/kv/default/a")).send().await?;
        assert_eq!(server.get("/kv/default/a").await?.status(), 404);
        assert!(server.text("/kv/other/a").await?.contains("AccessDenied"));
        anyhow::Ok(())
    };
    let served = served.await;
    child.kill()?;
    child.wait()?;
    served
}
