//! The tools over MCP: each that is listed can be used by who it is listed for, by a name that clients take, with hints.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    people::Person,
    publishing::{approved, manifest},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The longest name that a skill can have.
const LONG_NAME: &str = "statistics-about-all-the-words-of-a-long-text-in-languages-a";

/// A server with skills of an agent that is none of the callers.
async fn start() -> Result<(Server, Agent)> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
    let general = json!({"name": "general"});
    let made = ada.send(&server, "POST", "/api/channels", &general).await?;
    assert_eq!(made.0, 201, "{made:?}");
    Ok((server, ada))
}

/// Asks as a client of 2025-11-25.
async fn ask(server: &Server, token: &str, method: &str, params: Value) -> Result<Value> {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let request = server.http.post(format!("{}/mcp", server.url));
    let response = request.bearer_auth(token).json(&message).send().await?;
    Ok(response.json().await?)
}

async fn list(server: &Server, token: &str) -> Result<Vec<Value>> {
    let listed = ask(server, token, "tools/list", json!({})).await?;
    let tools = listed["result"]["tools"].as_array();
    assert!(listed["result"]["nextCursor"].is_null(), "one page");
    Ok(tools.with_context(|| format!("{listed:#}"))?.clone())
}

async fn call(server: &Server, token: &str, name: &str, arguments: Value) -> Result<Value> {
    let params = json!({"name": name, "arguments": arguments});
    ask(server, token, "tools/call", params).await
}

fn names(tools: &[Value]) -> Vec<String> {
    let names = tools.iter().filter_map(|tool| tool["name"].as_str());
    names.map(str::to_owned).collect()
}

async fn api_key(server: &Server, token: &str, scopes: Value) -> Result<String> {
    let request = server.http.post(format!("{}/api/keys", server.url));
    let body = json!({"name": "key", "scopes": scopes});
    let key: Value = request
        .bearer_auth(token)
        .json(&body)
        .send()
        .await?
        .json()
        .await?;
    let text = key["key"].as_str().map(str::to_owned);
    text.with_context(|| format!("{key:#}"))
}

/// A conversation of an account with itself.
async fn conversation(server: &Server, account: Uuid) -> Result<Uuid> {
    let made = "select (circles.create_conversation($1, '{\"with\": []}') -> 'ok' ->> 'id')::uuid";
    let made = sqlx::query_scalar(made).bind(account);
    Ok(made
        .fetch_one(&mut server.database.connect().await?)
        .await?)
}

/// A definition whose runs wait for a signal.
fn definition() -> Value {
    json!({"nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}}})
}

/// Arguments for a tool of pipelines or schedules; what they name is the account's own.
async fn of_pipelines(server: &Server, tool: &str, account: Uuid) -> Result<Value> {
    let name = format!("p-{}", Uuid::now_v7());
    let mut connection = server.database.connect().await?;
    let made = "select pipelines.create_pipeline($1, $2, $3, 'sha256:' || repeat('0', 64))";
    let made = sqlx::query_scalar(made)
        .bind(account)
        .bind(&name)
        .bind(definition());
    let pipeline: Uuid = made.fetch_one(&mut connection).await?;
    let started = "select (pipelines.start($1, $2, null, 'null', null, 0, null) ->> 'run')::uuid";
    let started = sqlx::query_scalar(started).bind(pipeline).bind(account);
    let run: Uuid = started.fetch_one(&mut connection).await?;
    let action = json!({"type": "send_notification", "to": [account], "title": "Good morning"});
    let said = json!({"name": "Mornings", "times": {"timezone": "UTC", "cron": ["0 6 * * *"], "at": [], "anchor": 0,
        "jitter_ms": 0}, "action": action, "overlap": "skip", "catch_up_max": 1, "catch_up_within_ms": 1000});
    let put = "select pipelines.put_schedule($1, null, $2, 4000000000000, 4000000000000)";
    let put = sqlx::query_scalar(put).bind(account).bind(said);
    let schedule: Uuid = put.fetch_one(&mut connection).await?;
    Ok(match tool {
        "list_pipelines" | "list_runs" | "list_schedules" => json!({"limit": 2.0}),
        "validate_pipeline" => json!({"definition": definition()}),
        "create_pipeline" => json!({"name": format!("q{name}"), "definition": definition()}),
        "publish_pipeline_version" => {
            json!({"pipeline": name, "definition": definition(), "note": "The same."})
        }
        "start_run" => json!({"pipeline": pipeline, "input": {"a": 1}}),
        "read_run" | "list_steps" | "cancel_run" => json!({"run": run}),
        "signal_run" => json!({"run": run, "name": "go", "data": {"a": 1}}),
        "create_schedule" => json!({"name": "Mornings", "cron": ["0 6 * * *"], "action": action}),
        "pause_schedule" | "resume_schedule" => json!({"schedule": schedule}),
        other => anyhow::bail!("this test has no arguments for {other}"),
    })
}

/// Arguments for a tool of circles or claws; what they name is the account's own.
async fn of_circles(server: &Server, tool: &str, account: Uuid) -> Result<Value> {
    let name = format!("c{}", Uuid::now_v7().simple());
    let talk = conversation(server, account).await?;
    let mut connection = server.database.connect().await?;
    let turn = "insert into circles.turn (channel_id, agent_id, cause_seq, status, waiting_for)
        values ($1, $2, 1, 'waiting', 'speaker') returning id";
    let turn = sqlx::query_scalar(turn).bind(talk).bind(account);
    let turn: Uuid = turn.fetch_one(&mut connection).await?;
    let made = "with c as (insert into circles.circle (name) values ($1) returning id),
        m as (insert into circles.member (circle_id, account_id, role) select id, $2, 'owner' from c)
        insert into circles.proposal (circle_id, kind, text) select id, 'plan', 'Rest.' from c returning id";
    let made = sqlx::query_scalar(made).bind(&name).bind(account);
    let proposal: Uuid = made.fetch_one(&mut connection).await?;
    let new =
        json!({"name": &name[..30], "persona": "critic", "triggers": [], "held": ["admin:all"]});
    let made = "select claws.create_claw($1, $2, null, $3) #>> '{claw,id}'";
    let made = sqlx::query_scalar(made).bind(account).bind(new).bind(turn);
    let claw: String = made.fetch_one(&mut connection).await?;
    Ok(match tool {
        "create_conversation" => json!({"with": [account]}),
        "list_turns" | "list_claws" => json!({"limit": 2.0}),
        "cancel_turn" => json!({"turn": turn}),
        "complete_turn" => json!({"turn": turn, "pass": true}),
        "propose" => json!({"circle": name, "kind": "plan", "text": "Rest."}),
        "vote_proposal" => json!({"circle": name, "proposal": proposal, "value": 1}),
        _ => json!({"claw": claw}),
    })
}

/// Arguments with which a tool does something; a job is the caller's, and waits.
async fn arguments(server: &Server, tool: &str, account: Uuid) -> Result<Value> {
    Ok(match tool {
        "search_skills" | "list_jobs" => json!({"limit": 2.0}),
        "held_skills" | "who_am_i" | "list_channels" | "read_inbox" => json!({}),
        "read_feed" => json!({"sort": "new", "limit": 5.0}),
        "create_post" => json!({"title": "Hello", "body": "From an agent", "tags": ["mcp"]}),
        "read_comments" | "create_comment" => {
            let post: Uuid = sqlx::query_scalar(
                "insert into social.post (author_id, title, body, html, plain, words)
                 values ($1, 'Hello', 'x', 'x', 'x', 'x') returning id",
            )
            .bind(account)
            .fetch_one(&mut server.database.connect().await?)
            .await?;
            match tool {
                "read_comments" => json!({"post": post, "limit": 5.0}),
                _ => json!({"post": post, "body": "I agree."}),
            }
        }
        "read_channel" => json!({"channel": "general", "limit": 5.0}),
        "post_message" => {
            sqlx::query(
                "insert into channels.member (channel_id, account_id)
                 select id, $1 from channels.channel where name = 'general' on conflict do nothing",
            )
            .bind(account)
            .execute(&mut server.database.connect().await?)
            .await?;
            json!({"channel": "general", "body": "Hello"})
        }
        "search_memories" => json!({"query": "tea", "limit": 5.0}),
        "recall_memories" => json!({"query": "tea", "max_tokens": 500.0}),
        "add_memory" => {
            json!({"content": "Tea is green.", "scope": "agent", "scope_id": account, "importance": 1.0})
        }
        "forget_memory" => {
            let memory: Uuid = sqlx::query_scalar(
                "select (memory ->> 'id')::uuid from memory.add($1, jsonb_build_object('content', 'Forget me.',
                     'words', 'forget me.', 'scope', 'agent', 'scope_id', $1, 'tags', '[]'::jsonb, 'sources', '[]'::jsonb), '{}')",
            )
            .bind(account)
            .fetch_one(&mut server.database.connect().await?)
            .await?;
            json!({"memory": memory})
        }
        "list_circles" => json!({"limit": 2.0}),
        "read_conversation" | "say_in_conversation" => {
            let conversation = conversation(server, account).await?;
            match tool {
                "read_conversation" => json!({"conversation": conversation, "limit": 5.0}),
                _ => json!({"conversation": conversation, "body": "Hello"}),
            }
        }
        "read_turn" => {
            let turn: Uuid = sqlx::query_scalar(
                "insert into circles.turn (channel_id, agent_id, cause_seq) values ($1, $2, 1) returning id",
            )
            .bind(conversation(server, account).await?)
            .bind(account)
            .fetch_one(&mut server.database.connect().await?)
            .await?;
            json!({"turn": turn})
        }
        "create_conversation"
        | "list_turns"
        | "cancel_turn"
        | "complete_turn"
        | "propose"
        | "vote_proposal"
        | "list_claws"
        | "restart_claw"
        | "stop_claw" => of_circles(server, tool, account).await?,
        "search" => json!({"query": "adder", "type": "skill", "limit": 5.0}),
        "read_skill" => json!({"name": "adder"}),
        "rate_skill" => json!({"name": "adder", "rating": 5.0, "text": "It adds."}),
        "read_job" | "cancel_job" => {
            let job: Uuid = sqlx::query_scalar(
                "select jobs.enqueue('account-purge', '{}', $1, null, now() + interval '1 day')",
            )
            .bind(account)
            .fetch_one(&mut server.database.connect().await?)
            .await?;
            json!({"job": job})
        }
        "adder__add" => json!({"a": 40.0, "b": 2}),
        "adder__greet" => json!({"name": "Ada"}),
        other => of_pipelines(server, other, account).await?,
    })
}

/// Everybody who can call: what they are, what they present, and the tools of theirs.
async fn callers(server: &Server) -> Result<Vec<(&'static str, String, Uuid)>> {
    let agent = Agent::sign_in(server, "bob", 2).await?;
    let guest = Agent::sign_in(server, "guest-agent", 3).await?;
    let demoted = format!(
        "select identity.set_roles('{}', '{{guest}}', null, null, null)",
        guest.id
    );
    server.database.execute(&demoted).await?;
    let guest_token = Agent::token(server, 3).await?;
    let person = Person::register(server, "grace").await?;
    let admin = Person::register(server, "root-user")
        .await?
        .into_admin(server)
        .await?;
    let reviewer = agent.with_scope(&server.database, "skills:review").await?;
    let callers = [
        (
            "an agent's key that may call",
            api_key(server, &agent.token, json!(["skills:call"])).await?,
            agent.id,
        ),
        (
            "a person's key without scopes",
            api_key(server, &person.token, json!([])).await?,
            person.id,
        ),
        (
            "an admin's key for everything",
            api_key(server, &admin.token, json!(["admin:all"])).await?,
            admin.id,
        ),
        ("an agent that reviews only", reviewer.token, agent.id),
        ("an agent", agent.token, agent.id),
        ("an agent that is a guest", guest_token, guest.id),
        ("a person", person.token.clone(), person.id),
        ("an admin", admin.token.clone(), admin.id),
    ];
    Ok(callers.into())
}

#[tokio::test]
async fn each_listed_tool_can_be_used_and_no_other() -> Result<()> {
    let (server, _) = start().await?;
    let callers = callers(&server).await?;
    let all = {
        let (_, admin, _) = callers.last().context("an admin")?;
        names(&list(&server, admin).await?)
    };
    assert_eq!(all.len(), 50, "an admin may use all: {all:?}");
    for (who, token, account) in &callers {
        let listed = names(&list(&server, token).await?);
        for tool in &all {
            let arguments = arguments(&server, tool, *account).await?;
            let answer = call(&server, token, tool, arguments).await?;
            let works = answer["result"]["isError"] == false;
            assert_eq!(
                works,
                listed.contains(tool),
                "{who}: {tool}: listed are {listed:?}, and it answers {answer:#}"
            );
        }
    }
    let count = async |who: &str| -> Result<usize> {
        let (_, token, _) = callers
            .iter()
            .find(|(name, ..)| *name == who)
            .context("somebody")?;
        Ok(list(&server, token).await?.len())
    };
    assert_eq!(count("a person").await?, 49);
    assert_eq!(count("a person's key without scopes").await?, 22);
    Ok(())
}

#[tokio::test]
async fn who_calls_is_told_whoever_it_is() -> Result<()> {
    let (server, ada) = start().await?;
    let person = Person::register(&server, "grace").await?;
    for (token, kind, name) in [
        (&ada.token, "agent", "ada"),
        (&person.token, "user", "grace"),
    ] {
        let answer = call(&server, token, "who_am_i", json!({})).await?;
        let me = &answer["result"]["structuredContent"];
        assert_eq!((&me["kind"], &me["name"]), (&json!(kind), &json!(name)));
    }
    Ok(())
}

#[tokio::test]
async fn without_a_token_nothing_is_listed_and_nothing_called() -> Result<()> {
    let (server, _) = start().await?;
    for (method, params) in [
        ("tools/list", json!({})),
        ("tools/call", json!({"name": "search_skills"})),
    ] {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        assert_eq!(server.post("/mcp", &message).await?.status(), 401);
    }
    Ok(())
}

#[tokio::test]
async fn an_integer_may_be_written_with_a_fraction() -> Result<()> {
    let (server, _) = start().await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    for (tool, whole, broken) in [
        ("search_skills", r#"{"limit": 1.0}"#, r#"{"limit": 1.5}"#),
        ("list_jobs", r#"{"limit": 2e0}"#, r#"{"limit": 0.2e0}"#),
        (
            "rate_skill",
            r#"{"name": "adder", "rating": 5.0}"#,
            r#"{"name": "adder", "rating": 4.5}"#,
        ),
        (
            "adder__add",
            r#"{"a": 4e1, "b": 2.0}"#,
            r#"{"a": 4.1, "b": 2}"#,
        ),
    ] {
        for (arguments, is_refused) in [(whole, false), (broken, true)] {
            let text = format!(
                r#"{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {{"name": "{tool}", "arguments": {arguments}}}}}"#
            );
            let request = bob.request(&server, "POST", "/mcp").body(text);
            let answer: Value = request.send().await?.json().await?;
            assert_eq!(
                answer["result"]["isError"], is_refused,
                "{tool} {arguments}: {answer:#}"
            );
        }
    }
    let path = "/api/skills/adder/reviews";
    for (rating, status) in [("4.0", 200), ("4e0", 200), ("4.5", 422), ("6.0", 422)] {
        let request = bob
            .request(&server, "PUT", path)
            .header("content-type", "application/json")
            .body(format!("{{\"rating\": {rating}}}"));
        assert_eq!(request.send().await?.status(), status, "{rating}");
    }
    Ok(())
}

#[tokio::test]
async fn long_names_are_shortened_and_called_by_that() -> Result<()> {
    let (server, ada) = start().await?;
    let other = LONG_NAME.replace("-a", "-b");
    assert_eq!((LONG_NAME.len(), other.len()), (60, 60));
    for name in [LONG_NAME, &other] {
        approved(&server, &ada, &manifest(name, "1.0.0"), "adder").await?;
    }
    let tools = list(&server, &ada.token).await?;
    let mut all = names(&tools);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), tools.len(), "each name stands once: {all:?}");
    for tool in &tools {
        let name = tool["name"].as_str().context("a name")?;
        let is_plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        assert!(is_plain && name.len() <= 64, "{name}");
    }
    let mut shortened = Vec::new();
    for skill in [LONG_NAME, &other] {
        let title = format!("{skill}: add");
        let tool = tools
            .iter()
            .find(|tool| tool["title"] == title.as_str())
            .context(title)?;
        let name = tool["name"].as_str().context("a name")?;
        let whole = format!("{skill}__add");
        let words = tool["description"].as_str().unwrap_or_default();
        assert!(words.contains(&whole), "{words}");
        for name in [name, &whole] {
            let called = call(&server, &ada.token, name, json!({"a": 40, "b": 2})).await?;
            let result = &called["result"];
            assert_eq!(
                result["structuredContent"]["result"], 42,
                "{name}: {called:#}"
            );
        }
        shortened.push(name.to_owned());
    }
    // The beginnings of one with the digest of the other.
    let digest = |name: &str| name.rsplit('_').next().unwrap_or_default().to_owned();
    let mixed = shortened[0]
        .replace(&digest(&shortened[0]), &digest(&shortened[1]))
        .replace("__add", "__greet");
    for unknown in [mixed, format!("{}0", shortened[0]), "a__b_zz".to_owned()] {
        let answer = call(&server, &ada.token, &unknown, json!({"a": 1, "b": 2})).await?;
        assert_eq!(answer["error"]["code"], -32602, "{unknown}: {answer:#}");
    }
    let again = list(&server, &ada.token).await?;
    assert_eq!(names(&again), names(&tools), "they stay what they are");
    Ok(())
}

#[tokio::test]
async fn tools_say_what_a_call_can_do() -> Result<()> {
    let (server, ada) = start().await?;
    for (name, permissions) in [
        ("keeper", json!({"kv": {"max_bytes": 1024}})),
        ("caller", json!({"http": ["https://api.example.org"]})),
    ] {
        let mut manifest = manifest(name, "1.0.0");
        manifest["permissions"] = permissions;
        approved(&server, &ada, &manifest, "adder").await?;
    }
    let tools = list(&server, &ada.token).await?;
    let reads = json!({"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false});
    let replaces = json!({"readOnlyHint": false, "destructiveHint": true, "idempotentHint": true, "openWorldHint": false});
    for (name, expected) in [
        ("search_skills", &reads),
        ("read_skill", &reads),
        ("list_jobs", &reads),
        ("read_job", &reads),
        ("who_am_i", &reads),
        ("rate_skill", &replaces),
        ("cancel_job", &replaces),
        ("read_channel", &reads),
        ("read_inbox", &reads),
        ("read_feed", &reads),
        ("read_comments", &reads),
        ("search", &reads),
        ("search_memories", &reads),
        ("forget_memory", &replaces),
        (
            "post_message",
            &json!({"readOnlyHint": false, "destructiveHint": false, "idempotentHint": false, "openWorldHint": false}),
        ),
        ("adder__add", &reads),
        (
            "keeper__add",
            &json!({"readOnlyHint": false, "openWorldHint": false}),
        ),
        (
            "caller__add",
            &json!({"readOnlyHint": false, "openWorldHint": true}),
        ),
    ] {
        let tool = tools.iter().find(|tool| tool["name"] == name);
        let tool = tool.with_context(|| name.to_owned())?;
        assert_eq!(&tool["annotations"], expected, "{name}");
    }
    Ok(())
}
