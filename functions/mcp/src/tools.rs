//! Listing and calling tools.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guest::{Caller, Db, Problem, args, fetch_whole, vouch};
use operations::ENDPOINTS;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::names::{self, Name};
use crate::rpc::{Error, Revision};

/// The number of skills' tools on one page; the platform's own come on top of it.
const PAGE: i64 = 100;
/// The number of characters of an unknown tool's name that an error repeats.
const MAX_SHOWN_NAME: usize = 128;
/// The largest answer of an endpoint that is accepted.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// A tool of a skill.
#[derive(Debug, Deserialize)]
struct SkillTool {
    skill: String,
    tool: String,
    description: String,
    skill_description: String,
    input_schema: Value,
    output_schema: Value,
    permissions: Value,
}

/// The cursor of a page: the skill and the tool that it ends with.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor(String, String);

impl SkillTool {
    fn listed(&self) -> Value {
        let mut description = if self.description.is_empty() {
            self.skill_description.clone()
        } else {
            self.description.clone()
        };
        let name = names::listed(&self.skill, &self.tool);
        let whole = names::whole(&self.skill, &self.tool);
        if name != whole {
            description.push_str(&format!(
                "\n\nIts name is shortened; in full it is `{whole}`."
            ));
        }
        json!({
            "name": name,
            "title": format!("{}: {}", self.skill, self.tool),
            "description": description,
            "inputSchema": self.input_schema,
            "outputSchema": output_schema(&self.output_schema),
            "annotations": annotations(&self.permissions),
        })
    }
}

/// MCP's hints for clients, derived from a skill's permissions. A skill without network and store changes nothing, so
/// it only reads. What another skill changes is unknown, so MCP's cautious defaults apply.
fn annotations(permissions: &Value) -> Value {
    let has_network = permissions["http"]
        .as_array()
        .is_some_and(|origins| !origins.is_empty());
    if has_network || !permissions["kv"].is_null() {
        return json!({"readOnlyHint": false, "openWorldHint": has_network});
    }
    json!({"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false})
}

/// Wraps a schema into an object with the property `result`. MCP requires an object, while a result may be anything,
/// and a variant or an option may be an object only sometimes, so every result is wrapped.
fn output_schema(schema: &Value) -> Value {
    let mut inner = schema.clone();
    let dialect = inner
        .as_object_mut()
        .and_then(|inner| inner.remove("$schema"));
    let mut outer =
        json!({"type": "object", "properties": {"result": inner}, "required": ["result"]});
    if let Some(dialect) = dialect {
        outer["$schema"] = dialect;
    }
    outer
}

/// Lists one page of tools: the platform's own first, then the skills' by name.
pub async fn list(
    db: &Db,
    caller: &Caller,
    revision: Revision,
    params: &Map<String, Value>,
) -> Result<Value, Error> {
    let cursor = match params.get("cursor") {
        None | Some(Value::Null) => None,
        Some(cursor) => Some(decode(cursor).ok_or_else(|| {
            Error::invalid_params(revision, "`cursor` is not the `nextCursor` of a page.")
        })?),
    };
    let mut tools: Vec<Value> = Vec::new();
    if cursor.is_none() {
        let own = ENDPOINTS.iter().filter(|endpoint| endpoint.is_for(caller));
        tools.extend(own.map(|endpoint| endpoint.listed()));
    }
    let mut rows = if operations::may_invoke(caller) {
        of_skills(db, cursor).await?
    } else {
        Vec::new()
    };
    let more = rows.len() > PAGE as usize;
    rows.truncate(PAGE as usize);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|last| encode(&Cursor(last.skill.clone(), last.tool.clone())));
    tools.extend(rows.iter().map(SkillTool::listed));
    let mut result = json!({"tools": tools});
    if let Some(next) = next {
        result["nextCursor"] = json!(next);
    }
    if revision == Revision::Modern {
        // New skills appear within a minute; the list depends on the caller's scopes.
        result["ttlMs"] = json!(60_000);
        result["cacheScope"] = json!("private");
    }
    Ok(result)
}

/// The skills' tools after a cursor: one more than a page holds if there are more.
async fn of_skills(db: &Db, cursor: Option<Cursor>) -> Result<Vec<SkillTool>, Error> {
    let (skill, tool) = cursor.map(|Cursor(skill, tool)| (skill, tool)).unzip();
    db.many(
        "select skill, tool, description, skill_description, input_schema, output_schema, permissions
         from skills.callable_tool
         where $1::text is null or skill >= $1 and (skill, tool) > ($1, $2)
         order by skill, tool limit $3",
        args![skill, tool, PAGE + 1],
    )
    .await
    .map_err(unavailable)
}

/// The whole names of the skill and the tool that a name stands for; `None` if it stands for none.
async fn resolve(db: &Db, name: &str) -> Result<Option<(String, String)>, Error> {
    #[derive(Deserialize)]
    struct Row {
        skill: String,
        tool: String,
    }
    let (skill, tool, digest) = match names::read(name) {
        None => return Ok(None),
        Some(Name::Whole { skill, tool }) => return Ok(Some((skill.to_owned(), tool.to_owned()))),
        Some(Name::Shortened {
            skill,
            tool,
            digest,
        }) => (skill, tool, digest),
    };
    let row: Option<Row> = db
        .optional(
            "select skill, tool from skills.callable_tool
             where skill >= $1 and skill <= $1 || '~' and starts_with(tool, $2)
             and substr(sha256(convert_to(skill || '__' || tool, 'UTF8')), 1, 16) = $3",
            args![skill, tool, digest],
        )
        .await
        .map_err(unavailable)?;
    let found = row.filter(|row| names::listed(&row.skill, &row.tool) == name);
    Ok(found.map(|row| (row.skill, row.tool)))
}

fn unavailable(error: guest::db::Error) -> Error {
    let problem = Problem::from(error);
    Error {
        status: problem.status(),
        ..Error::bad(-32603, "The database can't be reached at the moment.")
    }
}

fn encode(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(cursor).unwrap_or_default())
}

fn decode(cursor: &Value) -> Option<Cursor> {
    let cursor: Cursor =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor.as_str()?).ok()?).ok()?;
    // PostgreSQL does not store texts with a zero character.
    let has_zero = [&cursor.0, &cursor.1]
        .iter()
        .any(|text| text.contains('\0'));
    (!has_zero).then_some(cursor)
}

/// Calls a tool as the caller.
pub async fn call(
    db: Db,
    caller: &Caller,
    headers: &HeaderMap,
    revision: Revision,
    params: &Map<String, Value>,
) -> Result<Value, Error> {
    let invalid = |what: String| Error::invalid_params(revision, what);
    let name = params
        .get("name")
        .and_then(Value::as_str)
        .ok_or_else(|| invalid("`name` is missing.".to_owned()))?;
    let arguments = match params.get("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(_) => return Err(invalid("`arguments` must be an object.".to_owned())),
    };
    let unknown = || {
        invalid(format!(
            "There is no tool {}.",
            name.chars().take(MAX_SHOWN_NAME).collect::<String>()
        ))
    };
    let of_a_skill = resolve(&db, name).await?;
    // The connection goes back before another component is asked.
    drop(db);
    if let Some((skill, tool)) = of_a_skill {
        let call = json!({"tool": tool, "arguments": arguments});
        let path = format!("/api/skills/{skill}/invoke");
        let answer = ask("skills", Method::POST, &path, Some(call), headers).await?;
        return of_skill(&answer).ok_or_else(unknown);
    }
    let endpoint = ENDPOINTS
        .iter()
        .find(|endpoint| endpoint.name == name && endpoint.is_for(caller));
    let endpoint = endpoint.ok_or_else(unknown)?;
    let (path, body) = match endpoint.request(arguments) {
        Ok(request) => request,
        Err(what) => return Ok(failed(what, Value::Null)),
    };
    let answer = ask(
        endpoint.component,
        endpoint.method.clone(),
        &path,
        body,
        headers,
    )
    .await?;
    Ok(of_endpoint(&answer))
}

/// An answer of another component: its status, and its body as JSON.
struct Answer {
    status: StatusCode,
    body: Value,
}

/// Asks another component with the caller's own token.
async fn ask(
    component: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
    headers: &HeaderMap,
) -> Result<Answer, Error> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{component}.spin.internal{path}"));
    for name in [AUTHORIZATION.as_str(), "x-request-id", "traceparent"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let body = match body {
        Some(body) => {
            request = request.header(CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    let unavailable = |cause: String| {
        guest::error!("a component can't be asked", cause = cause);
        Error {
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..Error::bad(
                -32603,
                "A part of the platform can't be reached at the moment.",
            )
        }
    };
    let mut request = request
        .body(body)
        .map_err(|error| unavailable(error.to_string()))?;
    vouch(&mut request, headers)
        .await
        .map_err(|problem| unavailable(problem.to_string()))?;
    let answer: Response<_> = fetch_whole(request, MAX_ANSWER_BYTES)
        .await
        .map_err(|error| unavailable(error.to_string()))?;
    Ok(Answer {
        status: answer.status(),
        body: serde_json::from_slice(answer.body()).unwrap_or_default(),
    })
}

/// Turns a skill's answer into a result; `None` if the tool does not exist.
fn of_skill(answer: &Answer) -> Option<Value> {
    let code = answer.body["code"].as_str().unwrap_or_default();
    if answer.status == StatusCode::NOT_FOUND && ["not-found", "unknown-tool"].contains(&code) {
        return None;
    }
    if answer.status != StatusCode::OK {
        return Some(of_problem(&answer.body));
    }
    let result = &answer.body["result"];
    Some(json!({
        "content": [{"type": "text", "text": text(result)}],
        "structuredContent": {"result": result},
        "isError": false,
        "_meta": {"gather/usage": answer.body["usage"], "gather/receipt": answer.body["receipt"]},
    }))
}

fn of_endpoint(answer: &Answer) -> Value {
    if !answer.status.is_success() {
        return of_problem(&answer.body);
    }
    let structured = if answer.body.is_object() {
        answer.body.clone()
    } else {
        json!({"result": answer.body})
    };
    json!({"content": [{"type": "text", "text": text(&answer.body)}], "structuredContent": structured, "isError": false})
}

/// A string is shown as it is, any other value as JSON.
fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A failed result with a text that the model can read and act on.
fn of_problem(problem: &Value) -> Value {
    let mut lines = vec![
        problem["detail"]
            .as_str()
            .unwrap_or("It failed.")
            .to_owned(),
    ];
    if !problem["error"].is_null() {
        lines.push(text(&problem["error"]));
    }
    for error in problem["errors"].as_array().into_iter().flatten() {
        let part = |name: &str| error[name].as_str().unwrap_or_default();
        lines.push(format!("{}: {}", part("field"), part("detail")));
    }
    failed(lines.join("\n"), problem.clone())
}

fn failed(text: String, problem: Value) -> Value {
    let mut result = json!({"content": [{"type": "text", "text": text}], "isError": true});
    if !problem.is_null() {
        result["_meta"] = json!({"gather/problem": problem});
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_becomes_a_field_of_an_object() {
        let schema = json!({"$schema": "x", "type": "integer"});
        assert_eq!(
            output_schema(&schema),
            json!({"$schema": "x", "type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]})
        );
    }

    #[test]
    fn answers_become_results() {
        let answer = |status: u16, body: Value| Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            body,
        };
        let good = of_skill(&answer(
            200,
            json!({"result": 3, "usage": {}, "receipt": {}}),
        ))
        .expect("a result");
        assert_eq!(
            (&good["content"][0]["text"], &good["structuredContent"]),
            (&json!("3"), &json!({"result": 3}))
        );
        let failed = of_skill(&answer(
            422,
            json!({"code": "skill-failed", "detail": "No.", "error": "nobody"}),
        ))
        .expect("a result");
        assert_eq!(
            (&failed["isError"], &failed["content"][0]["text"]),
            (&json!(true), &json!("No.\nnobody"))
        );
        assert!(of_skill(&answer(404, json!({"code": "unknown-tool"}))).is_none());
    }

    #[test]
    fn a_cursor_comes_back_and_nonsense_is_none() {
        let cursor = decode(&json!(encode(&Cursor("a".into(), "b".into())))).expect("a cursor");
        assert_eq!((cursor.0.as_str(), cursor.1.as_str()), ("a", "b"));
        assert!(decode(&json!("nonsense")).is_none());
        assert!(decode(&json!(7)).is_none());
        assert!(decode(&json!(encode(&Cursor("a\0".into(), "b".into())))).is_none());
    }
}
