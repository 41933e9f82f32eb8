//! Mails people their one-time links and notices. Each mail is a link in the database; what it says
//! follows from the link's purpose. An attempt that is lost on the way may mail twice: the link is the
//! same.

mod letter;
mod outgoing;

use guest::{Db, Failure, Job, Problem, args, link_token, required_variable};
use letter::Recipient;
use outgoing::Unsent;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What to mail.
#[derive(Debug, Deserialize)]
pub struct Arguments {
    /// The link's row.
    pub link: Uuid,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// False: the link was used or has expired, so there was nothing to send any more.
    pub sent: bool,
}

#[derive(Debug, Deserialize)]
struct Found {
    mail: Option<Recipient>,
}

/// Sends one mail.
///
/// # Errors
/// The mail server or the database can't be reached: then again later. A mail that is refused is not
/// tried again.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Delivery, Failure> {
    let id = job.payload.link;
    let found: Found = db
        .one("select identity.outgoing_mail($1) as mail", args![id])
        .await?;
    let Some(recipient) = found.mail else {
        return Ok(Delivery { sent: false });
    };
    let public_url = required_variable("public_url").await.map_err(unset)?;
    let token = link_token(id).await.map_err(unset)?;
    let letter = recipient
        .letter(&public_url, &token)
        .map_err(|error| Failure::Final(error.to_owned()))?;
    // The owner reads these: neither has the address or anything that the mail says.
    outgoing::send(recipient.to, letter)
        .await
        .map_err(|unsent| match unsent {
            Unsent::Refused => Failure::Final("The mail was refused.".to_owned()),
            Unsent::Unavailable => Failure::Retry("The mail server took no mail.".to_owned()),
        })?;
    Ok(Delivery { sent: true })
}

fn unset(problem: Problem) -> Failure {
    Failure::Retry(format!("Not configured ({}).", problem.code()))
}

guest::export_job!(super::run);
