//! Mails one-time links and notices to people. Each mail belongs to a link in the database, whose purpose decides the
//! text. An attempt that is lost on the way may mail the same link twice.

mod letter;
mod outgoing;

use guest::{Db, Failure, Job, Problem, args, link_token, required_variable};
use letter::Recipient;
use outgoing::Unsent;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The arguments of the job.
#[derive(Debug, Deserialize)]
pub struct Arguments {
    /// The id of the link's row.
    pub link: Uuid,
}

/// The result of a delivery.
#[derive(Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Whether the mail was sent. False if the link was used or has expired, so that nothing had to be sent.
    pub sent: bool,
}

#[derive(Debug, Deserialize)]
struct Found {
    mail: Option<Recipient>,
}

/// Sends one mail.
///
/// # Errors
/// The mail server or the database can't be reached, which is tried again later. A refused mail is not tried again.
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
    // The job's owner reads these messages, so they contain neither the address nor anything of the mail.
    outgoing::send(recipient.to, letter)
        .await
        .map_err(|unsent| match unsent {
            Unsent::Refused => Failure::Final("The mail was refused.".to_owned()),
            Unsent::Unavailable => {
                Failure::Retry("The mail server did not accept the mail.".to_owned())
            }
        })?;
    Ok(Delivery { sent: true })
}

fn unset(problem: Problem) -> Failure {
    Failure::Retry(format!("Not configured ({}).", problem.code()))
}

guest::export_job!(super::run);
