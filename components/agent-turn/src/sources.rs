//! Calls of tools of strangers' servers, which leave through the way out on behalf of the agent's owner.

use guest::Egress;
use mcp_client::{Definition, Fault, Revision, Server};
use serde_json::{Map, Value};

use crate::log::Source;
use crate::undertaking::{Done, MAX_ANSWER_BYTES, Reply};

/// The client of the way out, with the name by which it knows this component.
const EGRESS: Egress = Egress("agent-turn");

/// The end of a call.
pub enum Called {
    /// There is a result or an error.
    Done(Done),
    /// The server has another definition of the tool than the one that was accepted, and was not asked to call it.
    Changed,
}

/// Calls a tool of a server.
pub async fn call(
    source: &Source,
    definition: &Definition,
    arguments: &Map<String, Value>,
) -> Called {
    if source.names_secret && source.secret.is_none() {
        let why = "The secret that the server needs is not there any more.";
        return Called::Done(Err(why.to_owned().into()));
    }
    let server = Server {
        egress: EGRESS,
        url: source.url.clone(),
        account: source.account,
        headers: source.headers.clone().into_iter().collect(),
        secret: source.secret,
    };
    let revision = Revision::named(&source.revision).unwrap_or(Revision::Legacy);
    match server.call(revision, definition, arguments).await {
        Ok(Some(result)) => Called::Done(read(&result)),
        Ok(None) => Called::Changed,
        Err(fault) => Called::Done(Err(told(fault).into())),
    }
}

fn told(fault: Fault) -> String {
    let detail = fault.detail.replace('\0', "");
    match fault.refused {
        Some(code) => format!("{code}: {detail}"),
        None => detail,
    }
}

/// What a result says: its texts or, without any, its structured content.
fn read(result: &Value) -> Done {
    if result["resultType"]
        .as_str()
        .is_some_and(|kind| kind != "complete")
    {
        return Err(
            "The tool asks for more than its arguments, which is not possible here."
                .to_owned()
                .into(),
        );
    }
    let parts = result["content"].as_array().into_iter().flatten();
    let texts: Vec<String> = parts
        .map(|part| match part["type"].as_str() {
            Some("text") => part["text"].as_str().unwrap_or_default().to_owned(),
            other => format!("[{}, which is not shown]", other.unwrap_or("something")),
        })
        .collect();
    let text = match &result["structuredContent"] {
        structured if texts.is_empty() && !structured.is_null() => structured.to_string(),
        _ => texts.join("\n"),
    };
    if text.len() > MAX_ANSWER_BYTES {
        return Err("The result is larger than 1 MiB. Ask for less."
            .to_owned()
            .into());
    }
    let text = text.replace('\0', "");
    if result["isError"] == true {
        return Err(text.into());
    }
    Ok(Reply::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn results_become_texts() {
        let said = |result: Value| read(&result).map(|reply| reply.text);
        let text = json!({"type": "text", "text": "a"});
        let image = json!({"type": "image", "data": "xx"});
        assert_eq!(
            said(json!({"content": [text, image]})),
            Ok("a\n[image, which is not shown]".to_owned())
        );
        assert_eq!(
            said(json!({"structuredContent": {"a": 1}})),
            Ok(r#"{"a":1}"#.to_owned())
        );
        assert_eq!(
            said(json!({"content": [text], "isError": true})),
            Err("a".to_owned().into())
        );
        assert!(said(json!({"resultType": "input_required", "content": [text]})).is_err());
        assert!(said(json!({"content": [{"type": "text", "text": "x".repeat(2 << 20)}]})).is_err());
    }
}
