//! Who hears of what happens in a channel: the inbox is told, by whoever it concerns, and by nobody else.

use crate::functions::channels::actions::{channel, post};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};
use uuid::Uuid;

/// Writes down what the inbox is told, in its place.
const NOTED: &str = "
    drop function inbox.notify_readers(text, uuid[], text, text, text, text, uuid, text);
    create table public.noted (account uuid, kind text, body text, subject text);
    create function inbox.notify_readers(topic text, accounts uuid[], kind text, title text, text text, link text,
        by uuid default null, subject text default null) returns void
    language sql security definer as $$
        insert into public.noted select a, $3, $5, $8 from unnest($2) a
    $$;";

/// What was noted since the last look: kind and account, sorted.
async fn noted(server: &Server) -> Result<Vec<(String, Uuid)>> {
    let mut admin = server.database.connect().await?;
    let rows = sqlx::query_as(
        "with taken as (delete from public.noted returning kind, account) select * from taken order by 1, 2",
    );
    Ok(rows.fetch_all(&mut admin).await?)
}

#[tokio::test]
async fn only_whom_it_concerns_and_who_may_read_is_told() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let eve = Agent::sign_in(&server, "eve", 3).await?;
    server.database.execute(NOTED).await?;
    let id = channel(&server, &ada, "private", true).await?;
    let path = format!("/api/channels/{id}");
    let add = json!({ "account": "bob" });
    ada.send(&server, "POST", &format!("{path}/members"), &add)
        .await?;
    assert_eq!(noted(&server).await?, [("invitation".to_owned(), bob.id)]);

    // An outsider is told nothing, nor is code read as a mention, nor oneself.
    let first = post(&server, &ada, &id, "@eve @ada `@bob` and\n\n    @bob").await?;
    assert_eq!(noted(&server).await?, []);
    let message = format!("{path}/messages/{}", first["id"].as_str().context("id")?);
    for (body, told) in [("now @bob", 1), ("still @bob and @eve", 0)] {
        ada.send(&server, "PATCH", &message, &json!({ "body": body }))
            .await?;
        assert_eq!(noted(&server).await?.len(), told, "{body}");
    }
    post(&server, &bob, &id, "@all").await?;
    assert_eq!(noted(&server).await?, [], "a mere member can't call all");
    post(&server, &ada, &id, "@all").await?;
    assert_eq!(noted(&server).await?, [("mention".to_owned(), bob.id)]);
    let reply = json!({ "body": "yes", "reply_to": first["id"] });
    bob.send(&server, "POST", &format!("{path}/messages"), &reply)
        .await?;
    assert_eq!(noted(&server).await?, [("reply".to_owned(), ada.id)]);

    // Settings silence; so does leaving.
    let later = "2999-01-01T00:00:00Z";
    for settings in [
        json!({ "notify": "none" }),
        json!({ "notify": "all", "muted_until": later }),
    ] {
        let set = bob
            .send(&server, "PUT", &format!("{path}/settings"), &settings)
            .await?;
        assert_eq!(set.0, 200);
        post(&server, &ada, &id, "hey @bob").await?;
        assert_eq!(noted(&server).await?, []);
    }
    bob.send(
        &server,
        "PUT",
        &format!("{path}/settings"),
        &json!({ "notify": "mentions" }),
    )
    .await?;
    post(&server, &ada, &id, "hey @bob").await?;
    assert_eq!(noted(&server).await?, [("mention".to_owned(), bob.id)]);
    bob.send(&server, "POST", &format!("{path}/leave"), &json!({}))
        .await?;
    post(&server, &ada, &id, "hey @bob").await?;
    assert_eq!(noted(&server).await?, [], "a former member");

    // A team reaches its members, of those that may read; whoever is not in it can't call it.
    let team = "insert into identity.team (id, name) values ('00000000-0000-7000-8000-000000000001', 'crew');
        insert into identity.team_member (team_id, account_id, role)
        select '00000000-0000-7000-8000-000000000001', a.id, 'member' from identity.account a
        where a.name in ('ada', 'bob')";
    server.database.execute(team).await?;
    let public = channel(&server, &ada, "public", false).await?;
    post(&server, &ada, &public, "@crew").await?;
    assert_eq!(noted(&server).await?, [("mention".to_owned(), bob.id)]);
    eve.send(
        &server,
        "POST",
        &format!("/api/channels/{public}/join"),
        &json!({}),
    )
    .await?;
    post(&server, &eve, &public, "@crew").await?;
    assert_eq!(noted(&server).await?, []);
    post(&server, &ada, &id, "@crew").await?;
    assert_eq!(noted(&server).await?, [], "the team has an outsider");

    // At most 50 are told.
    let many = "insert into identity.account (id, kind, name)
        select platform.uuid_v7(), 'agent', 'many-' || n from generate_series(1, 80) n";
    server.database.execute(many).await?;
    let names: String = (1..=80).map(|n| format!("@many-{n} ")).collect();
    post(&server, &ada, &public, &names).await?;
    assert_eq!(noted(&server).await?.len(), 50);

    let (_, direct) = bob
        .send(&server, "POST", "/api/dms", &json!({ "to": ["ada"] }))
        .await?;
    assert_eq!(noted(&server).await?, []);
    post(&server, &bob, direct["id"].as_str().context("id")?, "hello").await?;
    assert_eq!(noted(&server).await?, [("direct".to_owned(), ada.id)]);
    Ok(())
}

#[tokio::test]
async fn a_mention_that_is_edited_out_leaves_the_inbox() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = channel(&server, &ada, "general", false).await?;
    let message = post(&server, &ada, &id, "what does @bob think?").await?;
    let (_, inbox) = bob.get(&server, "/api/inbox").await?;
    assert_eq!(inbox["items"][0]["kind"], "mention", "{inbox:#}");
    let message = message["id"].as_str().context("id")?;
    let path = format!("/api/channels/{id}/messages/{message}");
    let without = json!({ "body": "what does anybody think?" });
    assert_eq!(ada.send(&server, "PATCH", &path, &without).await?.0, 200);
    let (_, inbox) = bob.get(&server, "/api/inbox").await?;
    assert_eq!(inbox["items"], json!([]));
    Ok(())
}

/// The kinds and texts of the unread items, the newest first.
async fn unread(server: &Server, who: &Agent) -> Result<Vec<(String, String)>> {
    let (_, list) = who.get(server, "/api/inbox?state=unread").await?;
    let items = list["items"].as_array().context("items")?.iter();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    Ok(items
        .map(|item| (text(item, "kind"), text(item, "text")))
        .collect())
}

#[tokio::test]
async fn each_message_or_mentions_or_nothing_reaches_the_inbox() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = channel(&server, &ada, "general", false).await?;
    let path = format!("/api/channels/{id}");
    let join = format!("{path}/join");
    let (_, joined) = bob.send(&server, "POST", &join, &json!({})).await?;
    assert_eq!(joined["notify"], "mentions", "{joined:#}");
    let told = |kind: &str, text: &str| (kind.to_owned(), text.to_owned());
    let wants = async |path: &str, notify: &str| {
        let settings = json!({ "notify": notify });
        let path = format!("{path}/settings");
        let set = bob.send(&server, "PUT", &path, &settings).await?;
        assert_eq!(set.0, 200, "{set:?}");
        anyhow::Ok(())
    };
    let read = async |path: &str, message: &Value| {
        let mark = json!({ "message_id": message["id"] });
        bob.send(&server, "PUT", &format!("{path}/read"), &mark)
            .await
    };
    post(&server, &ada, &id, "one").await?;
    assert_eq!(unread(&server, &bob).await?, []);

    // A channel that is busy has one item until it, or the channel, was read.
    wants(&path, "all").await?;
    let two = post(&server, &ada, &id, "two").await?;
    let three = post(&server, &ada, &id, "three").await?;
    assert_eq!(unread(&server, &bob).await?, [told("message", "two")]);
    let two = format!("{path}/messages/{}", two["id"].as_str().context("id")?);
    let edit = json!({ "body": "two and a half" });
    assert_eq!(ada.send(&server, "PATCH", &two, &edit).await?.0, 200);
    let edited = [told("message", "two and a half")];
    assert_eq!(unread(&server, &bob).await?, edited);
    assert_eq!(read(&path, &three).await?.0, 204);
    assert_eq!(unread(&server, &bob).await?, []);
    let four = post(&server, &ada, &id, "four").await?;
    assert_eq!(unread(&server, &bob).await?, [told("message", "four")]);
    let four = format!("{path}/messages/{}", four["id"].as_str().context("id")?);
    assert_eq!(ada.send(&server, "DELETE", &four, &json!({})).await?.0, 204);
    assert_eq!(unread(&server, &bob).await?, [], "its text is gone");
    let mention = post(&server, &ada, &id, "five, @bob").await?;
    let mentioned = [told("mention", "five, @bob")];
    assert_eq!(unread(&server, &bob).await?, mentioned, "told once");
    post(&server, &bob, &id, "one's own").await?;
    assert_eq!(unread(&server, &bob).await?, mentioned);

    for notify in ["mentions", "none"] {
        wants(&path, notify).await?;
        post(&server, &ada, &id, "to nobody").await?;
        assert_eq!(unread(&server, &bob).await?, mentioned, "{notify}");
    }
    read(&path, &mention).await?;

    // In a direct channel each message is told, unless its member wants less.
    let (_, direct) = ada
        .send(&server, "POST", "/api/dms", &json!({ "to": ["bob"] }))
        .await?;
    let id = direct["id"].as_str().context("id")?;
    let path = format!("/api/channels/{id}");
    post(&server, &ada, id, "hello").await?;
    wants(&path, "mentions").await?;
    post(&server, &ada, id, "still there?").await?;
    post(&server, &ada, id, "@bob?").await?;
    wants(&path, "none").await?;
    post(&server, &ada, id, "@bob!").await?;
    assert_eq!(
        unread(&server, &bob).await?,
        [
            told("mention", "@bob?"),
            told("direct", "hello"),
            told("mention", "five, @bob")
        ]
    );
    Ok(())
}
