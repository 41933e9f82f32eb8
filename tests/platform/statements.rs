//! The SQL that functions, components, workers and the sandbox really send, found in their sources: each statement is
//! planned as its own role. So a misspelt column, a missing grant or a list without an index shows before anybody asks.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Result, anyhow, ensure};
use e2e::Database;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr, Statement};

#[path = "../../crates/guest/src/db/statement.rs"]
mod wrapping;

/// The calls of `guest::Db` that take a statement.
const CALLS: [&str; 4] = ["one", "optional", "many", "execute"];

/// What is read whole, or has one row for a key of the platform's own: no index would help.
const SMALL: [&str; 8] = [
    "applied_sql",
    "attestation_key",
    "chain",
    "function",
    "health",
    "role",
    "signing_key",
    "team_role",
];

/// A statement of a source file.
struct Found {
    file: String,
    sql: String,
}

/// A folder with SQL, and who sends it.
struct Folder {
    path: PathBuf,
    sender: Sender,
}

enum Sender {
    /// A component of the manifest, whose statements go through `guest::Db`.
    Component(String),
    /// A native process, by its role.
    Native(&'static str),
}

fn folders() -> Result<Vec<Folder>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![];
    for parent in ["functions", "components"] {
        for entry in fs::read_dir(root.join(parent))? {
            let entry = entry?;
            let component = entry.file_name().to_string_lossy().replace('-', "_");
            folders.push(Folder {
                path: entry.path().join("src"),
                sender: Sender::Component(component),
            });
        }
    }
    // The guard and idempotency, which every function has in it.
    for component in ["identity", "skills"] {
        folders.push(Folder {
            path: root.join("crates/guest/src"),
            sender: Sender::Component(component.into()),
        });
    }
    // The signing key, which those have in them that sign tokens.
    for component in ["identity", "people"] {
        folders.push(Folder {
            path: root.join("crates/principal/src"),
            sender: Sender::Component(component.into()),
        });
    }
    for (path, role) in [
        ("crates/sandbox/src", "gather_sandbox"),
        ("crates/host/src/jobs", "gather_worker"),
    ] {
        folders.push(Folder {
            path: root.join(path),
            sender: Sender::Native(role),
        });
    }
    Ok(folders)
}

pub fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources.extend(self::sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            // It makes statements of others' ones.
            && !path.ends_with("db/statement.rs")
        {
            sources.push(path);
        }
    }
    sources.sort();
    Ok(sources)
}

/// Whether a text is a statement and not prose that begins with such a word.
fn is_statement(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    match first {
        "select" => true,
        "insert" => second == "into",
        "delete" => second == "from",
        "update" => text.contains(" set ") || text.contains("\nset "),
        "with" => text.contains(" as ("),
        _ => false,
    }
}

pub fn literal(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else {
        return None;
    };
    let text: syn::LitStr = syn::parse_str(&literal.to_string()).ok()?;
    Some(text.value())
}

/// All statements, wherever they stand: in calls, constants, arms of a `match`, arguments of macros. `calls` gets the
/// first token of each call of [`CALLS`].
fn collect(tokens: TokenStream, statements: &mut Vec<String>, calls: &mut Vec<TokenTree>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Literal(_) => {
                statements.extend(literal(token).filter(|text| is_statement(text)))
            }
            TokenTree::Group(group) => {
                let is_call = group.delimiter() == Delimiter::Parenthesis
                    && at >= 2
                    && matches!(&tokens[at - 2], TokenTree::Punct(dot) if dot.as_char() == '.')
                    && matches!(&tokens[at - 1], TokenTree::Ident(name) if CALLS.iter().any(|call| name == call));
                if is_call {
                    calls.extend(group.stream().into_iter().next());
                }
                collect(group.stream(), statements, calls);
            }
            _ => {}
        }
    }
}

/// The statements of a folder. A call whose statement is neither a literal nor bound in the same file fails: nobody
/// could check it.
fn statements(folder: &Folder) -> Result<Vec<Found>> {
    let mut found = vec![];
    for path in sources(&folder.path)? {
        let file = path.display().to_string();
        let text = fs::read_to_string(&path)?;
        // Unit tests stand at the end, and send nothing.
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let tokens = TokenStream::from_str(text).map_err(|error| anyhow!("{file}: {error}"))?;
        let (mut statements, mut calls) = (vec![], vec![]);
        collect(tokens, &mut statements, &mut calls);
        if matches!(folder.sender, Sender::Native(_)) {
            calls.clear();
        }
        for call in calls {
            let is_found = match (&call, literal(&call)) {
                // What opens and ends a transaction needs no right and has no plan.
                (_, Some(sql)) => {
                    ["begin", "commit", "rollback"].contains(&sql.as_str())
                        || statements.contains(&sql)
                }
                (TokenTree::Ident(name), None) => {
                    // `Db` itself hands on what its callers gave.
                    ["let", "const", "static"]
                        .iter()
                        .any(|word| text.contains(&format!("{word} {name}")))
                        || text.contains(&format!("{name}: &str"))
                        || text.contains(&format!("{name}: &'static str"))
                }
                _ => false,
            };
            ensure!(is_found, "{file}: the statement at `{call}` is not found");
        }
        found.extend(statements.into_iter().map(|sql| Found {
            file: file.clone(),
            sql,
        }));
    }
    Ok(found)
}

/// The plan of a statement for whatever arguments, made as whoever is connected: grants are checked, nothing is done.
async fn plan(connection: &mut PgConnection, sql: &str) -> Result<Vec<String>> {
    connection
        .execute(AssertSqlSafe(format!("prepare asked as {sql}")))
        .await?;
    let parameters: i32 = sqlx::query_scalar(
        "select cardinality(parameter_types) from pg_prepared_statements where name = 'asked'",
    )
    .fetch_one(&mut *connection)
    .await?;
    let nulls = vec!["null"; usize::try_from(parameters)?].join(", ");
    let arguments = match parameters {
        0 => String::new(),
        _ => format!("({nulls})"),
    };
    let explain = format!("explain execute asked{arguments}");
    let plan = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_all(&mut *connection)
        .await;
    connection.execute("deallocate asked").await?;
    Ok(plan?)
}

async fn connect(database: &Database, sender: &Sender) -> Result<PgConnection> {
    let mut connection = match sender {
        Sender::Component(component) => PgConnection::connect(&database.url_of(component)?).await?,
        Sender::Native(role) => {
            let mut connection = database.connect().await?;
            connection
                .execute(AssertSqlSafe(format!("set role {role}")))
                .await?;
            connection
        }
    };
    // With sequential scans made dear, a plan that still has one lacks an index.
    connection
        .execute(
            "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_sort = off",
        )
        .await?;
    Ok(connection)
}

/// What is sent for a statement: `guest::Db` wraps those that answer rows.
async fn sent(connection: &mut PgConnection, sender: &Sender, sql: String) -> String {
    let has_rows = match connection
        .prepare(AssertSqlSafe(sql.clone()).into_sql_str())
        .await
    {
        Ok(prepared) => !prepared.columns().is_empty(),
        // Its plan says why.
        Err(_) => false,
    };
    match sender {
        Sender::Component(_) if has_rows => wrapping::as_json(&sql),
        _ => sql,
    }
}

fn scanned_whole(plan: &[String]) -> Vec<&str> {
    let small: HashSet<_> = SMALL.into();
    plan.iter()
        .filter_map(|line| line.split_once("Seq Scan on "))
        .filter_map(|(_, table)| table.split_whitespace().next())
        .filter(|table| !small.contains(table))
        .collect()
}

#[tokio::test]
async fn every_statement_is_one_that_its_role_can_run_and_has_its_index() -> Result<()> {
    let database = Database::create().await?;
    let (mut faults, mut checked) = (vec![], 0);
    for folder in folders()? {
        let found = statements(&folder)?;
        if found.is_empty() {
            continue;
        }
        let mut connection = connect(&database, &folder.sender).await?;
        for Found { file, sql } in found {
            checked += 1;
            let sent = sent(&mut connection, &folder.sender, sql).await;
            match plan(&mut connection, &sent).await {
                Err(error) => faults.push(format!("{file}: {error}\n{sent}")),
                Ok(plan) => {
                    let tables = scanned_whole(&plan);
                    if !tables.is_empty() {
                        let plan = plan.join("\n");
                        faults.push(format!("{file}: no index for {tables:?}\n{sent}\n{plan}"));
                    }
                }
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(checked > 80, "only {checked} statements were found");
    Ok(())
}

#[tokio::test]
async fn a_faulty_statement_is_noticed() -> Result<()> {
    let database = Database::create().await?;
    let mut site = connect(&database, &Sender::Component("site".into())).await?;
    for (sql, fault) in [
        ("select statuss from health", "does not exist"),
        ("select * from identity.account", "permission denied"),
        (
            "delete from health where component = $1",
            "permission denied",
        ),
    ] {
        let error = plan(&mut site, sql).await.unwrap_err().to_string();
        assert!(error.contains(fault), "{sql}: {error}");
    }
    let mut jobs = connect(&database, &Sender::Component("jobs".into())).await?;
    let unindexed = plan(
        &mut jobs,
        "select * from job_view where error = $1 limit $2",
    )
    .await?;
    assert_eq!(scanned_whole(&unindexed), ["job"]);
    Ok(())
}

#[test]
fn statements_are_found_wherever_they_stand() {
    let source: TokenStream = r#"
        const A: &str = "select 1";
        fn f() { let sql = match x { _ => "delete from a" }; db.many(sql, args![]); }
        fn g() { try_join!(db.one("with a as (select 2) select * from a", args![])); }
        fn h() { problem("update the page"); problem("with care"); }
    "#
    .parse()
    .unwrap();
    let (mut statements, mut calls) = (vec![], vec![]);
    collect(source, &mut statements, &mut calls);
    assert_eq!(
        statements,
        [
            "select 1",
            "delete from a",
            "with a as (select 2) select * from a"
        ]
    );
    assert_eq!(calls.len(), 2);
}
