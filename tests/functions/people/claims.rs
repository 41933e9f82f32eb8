//! Several accounts claim one mail address: whoever proves it first has it, and nobody is locked out of it before.

use anyhow::{Context, Result};
use e2e::{
    Server,
    client::code,
    mailbox::{Mail, Mailbox},
    people::{PASSWORD, Person},
};
use gather::secrets::link_token;
use host::{
    MailOptions,
    jobs::{JobTimes, JobWorker},
};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use uuid::Uuid;

const ADDRESS: &str = "grace@example.org";
const STRANGERS: &str = "the strangers own password";
const NEW: &str = "a new and better one";

/// A server with mail. The stranger has registered with somebody else's address before its owner did.
struct Contest {
    server: Server,
    mailbox: Mailbox,
    _worker: JobWorker,
    stranger: Person,
    owner: Person,
}

impl Contest {
    async fn begin() -> Result<Self> {
        let server = Server::start().await?;
        let mailbox = Mailbox::open().await?;
        let mail = MailOptions {
            smtp_url: Some(mailbox.url.clone()),
            ..MailOptions::default()
        };
        let worker = server.worker_mailing(JobTimes::default(), mail).await?;
        let stranger = claim(&server, "stranger", STRANGERS).await?;
        let owner = claim(&server, "grace", PASSWORD).await?;
        mailbox.wait(ADDRESS, 2).await?;
        Ok(Self {
            server,
            mailbox,
            _worker: worker,
            stranger,
            owner,
        })
    }

    /// The link that was mailed to prove the address for an account.
    fn proof_of(&self, name: &str) -> Result<String> {
        let mails = self.mailbox.to(ADDRESS);
        let said = format!("for the account {name} at");
        let mail = mails.iter().find(|mail| mail.text.contains(&said));
        mail.with_context(|| format!("{mails:?}"))?.token()
    }

    /// The next mail to the address, after those that have come.
    async fn next_mail(&self, ask: RequestBuilder) -> Result<Mail> {
        let come = self.mailbox.to(ADDRESS).len();
        let response = ask.send().await?;
        assert_eq!(response.status(), 202);
        self.mailbox.wait(ADDRESS, come + 1).await
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}{path}", self.server.url);
        self.server.http.post(url).json(body)
    }

    fn forget(&self) -> RequestBuilder {
        self.post("/api/users/password/forgot", &json!({ "email": ADDRESS }))
    }

    fn verify_again(&self, person: &Person) -> RequestBuilder {
        person
            .request(&self.server, "POST", "/api/users/me/verification")
            .json(&json!({}))
    }

    fn reset(&self, token: &str, name: Option<&str>) -> RequestBuilder {
        let body = json!({ "token": token, "name": name, "password": NEW });
        self.post("/api/users/password/reset", &body)
    }

    fn verify(&self, token: &str, password: &str) -> RequestBuilder {
        let body = json!({ "token": token, "password": password });
        self.post("/api/users/verify", &body)
    }

    /// Forgets when mails were sent, so that the same can be sent again.
    async fn pass_a_minute(&self) -> Result<()> {
        let earlier = "update identity.link set created_at = created_at - interval '2 minutes'";
        self.server.database.execute(earlier).await
    }

    /// The names of the accounts that have proved the address.
    async fn proved(&self) -> Result<Vec<String>> {
        let names = sqlx::query_scalar(
            "select a.name from identity.person p join identity.account a on a.id = p.account_id
             where p.email = $1 and p.verified_at is not null",
        );
        let mut admin = self.server.database.connect().await?;
        Ok(names.bind(ADDRESS).fetch_all(&mut admin).await?)
    }
}

/// Registers somebody with the address.
async fn claim(server: &Server, name: &str, password: &str) -> Result<Person> {
    let new = json!({ "email": ADDRESS, "name": name, "password": password });
    let response = server.post("/api/users/register", &new).await?;
    assert_eq!(response.status(), 201);
    Person::sign_in(server, ADDRESS, password).await
}

async fn field(response: Response) -> Result<(u16, String, String)> {
    let status = response.status().as_u16();
    let body: Value = response.json().await?;
    let error = &body["errors"][0];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    Ok((status, text("field"), text("detail")))
}

#[tokio::test]
async fn the_owner_of_an_address_gets_the_account_that_they_made() -> Result<()> {
    let contest = Contest::begin().await?;
    let mail = contest.next_mail(contest.forget()).await?;
    assert!(
        !mail.text.contains("stranger") && mail.text.contains("Several accounts"),
        "{}",
        mail.text
    );
    let token = mail.token()?;
    // Which one is said by who reads the mail.
    let (status, field_name, detail) = field(contest.reset(&token, None).send().await?).await?;
    assert_eq!((status, field_name.as_str()), (422, "name"));
    assert!(detail.ends_with(": stranger, grace"), "{detail}");
    let nobody = contest.reset(&token, Some("nobody")).send().await?;
    assert_eq!(field(nobody).await?.0, 422);
    let owners = contest.reset(&token, Some("grace")).send().await?;
    assert_eq!(owners.status(), 204);
    assert_eq!(contest.proved().await?, ["grace"]);
    let owner = Person::sign_in(&contest.server, ADDRESS, NEW).await?;
    assert_eq!(owner.id, contest.owner.id);
    let again = contest.reset(&token, Some("stranger")).send().await?;
    assert_eq!(code(again).await?, (410, "link-expired".to_owned()));

    // The other claim counts for nothing any more.
    let strangers = contest.proof_of("stranger")?;
    let late = contest.verify(&strangers, STRANGERS).send().await?;
    assert_eq!(code(late).await?, (409, "email-taken".to_owned()));
    contest.pass_a_minute().await?;
    let token = contest.next_mail(contest.forget()).await?.token()?;
    let refused = contest.reset(&token, Some("stranger")).send().await?;
    assert_eq!(field(refused).await?.1, "name");
    assert_eq!(contest.reset(&token, None).send().await?.status(), 204);
    assert_eq!(contest.proved().await?, ["grace"]);
    Ok(())
}

#[tokio::test]
async fn a_page_asks_for_the_account_where_several_claim_the_address() -> Result<()> {
    let contest = Contest::begin().await?;
    let token = contest.next_mail(contest.forget()).await?.token()?;
    let send = async |name: &str| {
        let form = format!("token={token}&name={name}&password=a+new+and+better+one");
        let url = format!("{}/account/reset", contest.server.url);
        let request = contest.server.http.post(url).body(form);
        let kind = "application/x-www-form-urlencoded";
        let response = request.header("content-type", kind).send().await?;
        anyhow::Ok((response.status().as_u16(), response.text().await?))
    };
    let (status, page) = send("").await?;
    assert!(
        status == 422 && page.contains("name=\"name\"") && page.contains("stranger, grace"),
        "{page}"
    );
    assert_eq!(send("grace").await?.0, 200);
    assert_eq!(contest.proved().await?, ["grace"]);
    Ok(())
}

#[tokio::test]
async fn however_many_claim_an_address_its_owner_can_prove_it() -> Result<()> {
    let contest = Contest::begin().await?;
    // More than are listed, and more than are mailed within an hour.
    let many = format!(
        "with made as (
             insert into identity.account (kind, name)
             select 'user', 'crowd-' || n from generate_series(1, 30) n returning id)
         insert into identity.person (account_id, email) select id, '{ADDRESS}' from made"
    );
    contest.server.database.execute(&many).await?;
    let token = contest.next_mail(contest.forget()).await?.token()?;
    let owners = contest.reset(&token, Some("grace")).send().await?;
    assert_eq!(owners.status(), 204);
    assert_eq!(contest.proved().await?, ["grace"]);
    Ok(())
}

#[tokio::test]
async fn every_answer_that_promises_a_mail_sends_one() -> Result<()> {
    let contest = Contest::begin().await?;
    let (server, owner) = (&contest.server, &contest.owner);
    contest.pass_a_minute().await?;
    let mail = contest.next_mail(contest.verify_again(owner)).await?;
    let proved = contest.verify(&mail.token()?, PASSWORD).send().await?;
    assert_eq!(proved.status(), 204);
    // There is nothing left to prove.
    let again = contest.verify_again(owner).send().await?;
    assert_eq!(code(again).await?, (409, "email-verified".to_owned()));
    // Who asks learns nothing, and the owner does.
    let mail = contest
        .next_mail(contest.verify_again(&contest.stranger))
        .await?;
    assert!(
        mail.text.contains("the account grace") && !mail.text.contains("token="),
        "{}",
        mail.text
    );
    // Without a password, choosing one proves the address.
    let forget =
        "update identity.person set password = null, password_version = null, verified_at = null";
    server.database.execute(forget).await?;
    contest.pass_a_minute().await?;
    let mail = contest.next_mail(contest.verify_again(owner)).await?;
    let chosen = contest.reset(&mail.token()?, Some("grace")).send().await?;
    assert_eq!(chosen.status(), 204);
    assert_eq!(contest.proved().await?, ["grace"]);
    let agent = e2e::agents::Agent::sign_in(server, "agent", 1).await?;
    let (status, _) = agent
        .send(server, "POST", "/api/users/me/verification", &json!({}))
        .await?;
    assert_eq!(status, 404, "agents have no address");
    Ok(())
}

#[tokio::test]
async fn of_two_who_prove_an_address_at_once_one_does() -> Result<()> {
    let contest = Contest::begin().await?;
    let (strangers, owners) = (contest.proof_of("stranger")?, contest.proof_of("grace")?);
    // Each has read that nobody has proved it.
    let held = contest
        .server
        .database
        .hold("select account_id from identity.person for update")
        .await?;
    let first = contest.verify(&owners, PASSWORD);
    let second = contest.verify(&strangers, STRANGERS);
    let [first, second] = contest.server.in_turn(held, first, second).await?;
    let mut answers = [first.status().as_u16(), second.status().as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [204, 409]);
    assert_eq!(contest.proved().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn of_two_links_to_one_address_that_are_used_at_once_one_counts() -> Result<()> {
    let contest = Contest::begin().await?;
    let mut admin = contest.server.database.connect().await?;
    let links: Vec<Uuid> = sqlx::query_scalar(
        "insert into identity.link (email, purpose, expires_at)
         select $1, 'reset', now() + interval '30 minutes' from generate_series(1, 2) returning id",
    )
    .bind(ADDRESS)
    .fetch_all(&mut admin)
    .await?;
    let token = |at: usize| link_token(&e2e::master_key(), links[at]);
    let held = contest
        .server
        .database
        .hold("select id from identity.link for update")
        .await?;
    // Against the order in which they are looked at.
    let first = contest.reset(&token(1), Some("grace"));
    let second = contest.reset(&token(0), Some("stranger"));
    let [first, second] = contest.server.in_turn(held, first, second).await?;
    let mut answers = [first.status().as_u16(), second.status().as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [204, 410]);
    assert_eq!(contest.proved().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_claim_forgives_no_guesses_at_anothers_password() -> Result<()> {
    let contest = Contest::begin().await?;
    let server = &contest.server;
    let sign_in = async |password: &str| {
        let given = json!({ "email": ADDRESS, "password": password });
        let request = contest.post("/api/sessions", &given);
        let response = request.header("x-forwarded-for", "198.51.100.1").send();
        anyhow::Ok(response.await?.status().as_u16())
    };
    for _ in 0..4 {
        assert_eq!(sign_in("a wrong guess").await?, 401);
    }
    // The stranger's own password does not begin the count anew, nor does leaving.
    assert_eq!(sign_in(STRANGERS).await?, 200);
    let leaving = json!({ "name": "stranger", "password": STRANGERS });
    assert_eq!(
        contest
            .stranger
            .send(server, "POST", "/api/accounts/me/delete", &leaving)
            .await?
            .0,
        204
    );
    assert_eq!(sign_in("a wrong guess").await?, 401);
    server
        .database
        .execute(crate::functions::people::guessing::LONGER)
        .await?;
    assert_eq!(sign_in("a wrong guess").await?, 429);
    Ok(())
}

#[tokio::test]
async fn who_leaves_frees_the_address_for_who_claims_it_too() -> Result<()> {
    let contest = Contest::begin().await?;
    let token = contest.next_mail(contest.forget()).await?.token()?;
    let taken = contest.reset(&token, Some("stranger")).send().await?;
    assert_eq!(taken.status(), 204, "by mistake");
    let late = contest.verify(&contest.proof_of("grace")?, PASSWORD);
    assert_eq!(
        code(late.send().await?).await?,
        (409, "email-taken".to_owned())
    );
    let by_mistake = Person::sign_in(&contest.server, ADDRESS, NEW).await?;
    let leaving = json!({ "name": "stranger", "password": NEW });
    assert_eq!(
        by_mistake
            .send(&contest.server, "POST", "/api/accounts/me/delete", &leaving)
            .await?
            .0,
        204
    );
    contest.pass_a_minute().await?;
    let mail = contest
        .next_mail(contest.verify_again(&contest.owner))
        .await?;
    let proved = contest.verify(&mail.token()?, PASSWORD).send().await?;
    assert_eq!(proved.status(), 204);
    assert_eq!(contest.proved().await?, ["grace"]);
    Ok(())
}
