//! Receipts of turns: signed statements of what an agent did. The platform's published keys alone verify them.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use guest::{Caller, Db, Path, Problem, Result, Sandbox, args};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

/// The client of the sandbox, which has the key, with the name by which it knows this function.
const SANDBOX: Sandbox = Sandbox("circles");

/// A signed statement: a DSSE envelope with an in-toto statement, as receipts of skills are.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = TurnReceipt)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The media type of the payload.
    payload_type: String,
    /// The statement, encoded as base64.
    payload: String,
    /// The signatures of the statement.
    signatures: Vec<Signature>,
}

/// A signature over the payload and its type.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = TurnReceiptSignature)]
struct Signature {
    /// The id of the key in the JWKS.
    keyid: String,
    /// The Ed25519 signature: 64 bytes, encoded as base64.
    sig: String,
}

#[derive(Debug, Deserialize)]
struct Row {
    has_ended: bool,
    receipt: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Signed {
    envelope: Receipt,
}

/// Reads the receipt of a turn that has ended: a signed statement of its persona, its steps and what they used.
///
/// The steps are a chain of hashes. What tools were given and answered, and what the models said, is in it as digests
/// alone. A receipt of a skill's call is in its step.
#[utoipa::path(
    get, path = "/api/turns/{turn}/receipt", tag = "turns", operation_id = "turn_receipt",
    params(("turn" = Uuid, Path, description = "The turn's id.")),
    responses(
        (status = 200, body = Receipt),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`turn-running`: it has not ended"),
        (status = 503, description = "`sandbox-unavailable`"),
    ),
    security(("token" = []))
)]
pub async fn get(
    db: Db,
    caller: Caller,
    headers: HeaderMap,
    Path(turn): Path<Uuid>,
) -> Result<Json<Receipt>> {
    let row: Option<Row> = db
        .optional(
            "select t.finished_at is not null as has_ended, receipt_of(t) as receipt from find_turn($1, $2) t",
            args![caller.id, turn],
        )
        .await?;
    let row = row.ok_or_else(|| Problem::not_found("turn"))?;
    if !row.has_ended {
        return Err(Problem::conflict(
            "turn-running",
            "The turn has not ended. Its receipt is about the whole of it.",
        ));
    }
    let statement = statement(turn, row.receipt)?;
    let answer = SANDBOX
        .ask(
            "/attest",
            &json!({"statement": statement}),
            headers.get("x-request-id"),
        )
        .await?;
    if answer.status() != StatusCode::OK {
        return Err(Sandbox::unexpected("signing a receipt", answer.status()));
    }
    let signed: Signed = serde_json::from_slice(answer.body()).map_err(Problem::internal)?;
    Ok(Json(signed.envelope))
}

/// The in-toto statement of a receipt. Its subject is the last hash of the chain.
fn statement(turn: Uuid, mut receipt: Map<String, Value>) -> Result<Value> {
    let steps = receipt.get_mut("steps").and_then(Value::as_array_mut);
    steps.into_iter().flatten().for_each(conceal);
    let last = turn_receipt::seal(&mut receipt).map_err(Problem::internal)?;
    Ok(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": format!("turn:{turn}"), "digest": {"sha256": last}}],
        "predicateType": turn_receipt::PREDICATE,
        "predicate": receipt,
    }))
}

/// Replaces what was given and answered by its digest.
fn conceal(step: &mut Value) {
    let Some(step) = step.as_object_mut() else {
        return;
    };
    for name in ["arguments", "calls"] {
        let value = step.remove(name).filter(|value| !value.is_null());
        let digest = value.map(|value| turn_receipt::of_json(&value));
        step.insert(format!("{name}_sha256"), json!(digest));
    }
    let text = step.remove("text");
    let digest = text
        .as_ref()
        .and_then(Value::as_str)
        .map(turn_receipt::of_text);
    step.insert("result_sha256".to_owned(), json!(digest));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_and_answered_is_there_as_digests_alone() {
        let step = json!({"number": 1, "kind": "tool", "arguments": {"a": "canary"}, "text": "canary", "calls": null});
        let receipt = json!({"status": "completed", "steps": [step]});
        let receipt = receipt.as_object().cloned().unwrap_or_default();
        let made = statement(Uuid::nil(), receipt).expect("a statement");
        assert!(!made.to_string().contains("canary"), "{made:#}");
        let step = &made["predicate"]["steps"][0];
        assert_eq!(step["result_sha256"], turn_receipt::of_text("canary"));
        assert_eq!(step["calls_sha256"], Value::Null);
        assert_eq!(made["subject"][0]["digest"]["sha256"], step["hash"]);
    }
}
