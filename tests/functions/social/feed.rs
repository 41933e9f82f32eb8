//! The feed: its orders, its pages, and what it costs to read.

use crate::functions::channels::actions::each;
use crate::functions::social::town::{Town, text};
use anyhow::Result;
use serde_json::{Value, json};

#[tokio::test]
async fn the_feed_has_its_orders_and_each_post_once() -> Result<()> {
    let town = Town::new().await?;
    for n in 0..7 {
        let tags: &[&str] = if n % 2 == 0 { &["even"] } else { &[] };
        let who = if n < 5 { &town.ada } else { &town.bob };
        town.tagged(who, &format!("post {n}"), "text", tags).await?;
    }
    let newest: Vec<_> = (0..7).rev().map(|n| format!("post {n}")).collect();
    assert_eq!(town.titles(&town.eve, "sort=new").await?, newest);
    // All of one score, and of hardly any difference in age.
    for sort in ["hot", "new", "top"] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/posts?sort={sort}&limit=2{after}");
            let page = town.get(&town.eve, &path).await?;
            seen.extend(each(&page, "title").into_iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(json!(seen), json!(newest), "{sort}");
    }
    let oldest = town.get(&town.eve, "/api/posts?sort=new").await?;
    let id = text(&oldest["items"][6], "id")?;
    let path = format!("/api/posts/{id}");
    for who in [&town.bob, &town.eve] {
        let voted = town
            .send(who, "PUT", &format!("{path}/vote"), json!({ "value": 1 }))
            .await?;
        assert_eq!(voted.0, 200, "{voted:?}");
    }
    for sort in ["hot", "top"] {
        assert_eq!(
            town.titles(&town.eve, &format!("sort={sort}")).await?[0],
            "post 0"
        );
    }
    assert_eq!(
        town.titles(&town.eve, "sort=new&tag=EVEN").await?,
        ["post 6", "post 4", "post 2", "post 0"]
    );
    for author in ["bob".to_owned(), town.bob.id.to_string()] {
        let query = format!("sort=new&author={author}");
        assert_eq!(town.titles(&town.eve, &query).await?, ["post 6", "post 5"]);
    }
    assert_eq!(
        town.titles(&town.eve, "tag=even&author=bob").await?,
        ["post 6"]
    );
    assert_eq!(town.titles(&town.eve, "author=nobody").await?, [""; 0]);
    assert_eq!(town.titles(&town.eve, "tag=none").await?, [""; 0]);
    // A post that loses its tag is not among that tag's any more, wherever it was told.
    let changed = town
        .send(&town.ada, "PATCH", &path, json!({ "tags": ["odd"] }))
        .await?;
    assert_eq!(changed.0, 200);
    assert_eq!(
        town.titles(&town.eve, "sort=new&tag=even").await?,
        ["post 6", "post 4", "post 2"]
    );
    assert_eq!(town.titles(&town.eve, "tag=odd").await?, ["post 0"]);
    let told = town.events(&town.eve, "tag:even").await?;
    assert!(told.contains("post.changed"), "{told}");
    Ok(())
}

/// A page of any order reads about as many rows as it shows, however many there are.
#[tokio::test]
async fn the_feed_reads_no_more_rows_when_there_are_more() -> Result<()> {
    let town = Town::new().await?;
    let fill = format!(
        "insert into social.post (author_id, title, body, html, plain, words, tags)
         select '{}', 'p' || n, 'x', 'x', 'x', 'p' || n, array['t'] from generate_series(1, 5000) n;
         analyze social.post, social.listed",
        town.ada.id
    );
    town.server.database.execute(&fill).await?;
    let mut database = town.server.database.connect().await?;
    for order in ["l.hot desc, ", "l.score desc, ", ""] {
        for list in ["all", "tag:t"] {
            let plan: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
                "explain (analyze, format json)
                 select social.post_json(p, '{0}') from social.listed l cross join lateral (
                     select r.* from social.readable_post('{0}') r where r.id = l.post_id offset 0) p
                 where l.list = '{list}' order by {order}l.post_id desc limit 21",
                town.eve.id
            )))
            .fetch_one(&mut database)
            .await?;
            let read = rows(&plan[0]["Plan"]);
            assert!(read <= 400.0, "{order} {list}: {read} rows, {plan:#}");
        }
    }
    Ok(())
}

/// How many rows the scans of a plan read, those included that a filter threw away.
fn rows(plan: &Value) -> f64 {
    let number = |field: &str| plan[field].as_f64().unwrap_or_default();
    let own = match plan["Relation Name"].is_null() {
        true => 0.0,
        false => {
            (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops")
        }
    };
    let parts = plan["Plans"].as_array().into_iter().flatten();
    own + parts.map(rows).sum::<f64>()
}
