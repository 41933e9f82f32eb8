//! Bodies whose size may not be known before they are read.

use std::future::ready;

use futures_util::{StreamExt, stream};
use worker::{Response, ResponseBody, ResponseBuilder, Result};

/// What was read of a body.
pub enum Read {
    /// All of it.
    Whole(Vec<u8>),
    /// More than was wanted: an answer that hands on the beginning, and the rest as it comes.
    Begun(Response),
}

/// Reads a body, unless it is larger than wanted.
pub async fn read(response: &mut Response, most: usize) -> Result<Read> {
    if !matches!(response.body(), ResponseBody::Stream(_)) {
        return Ok(Read::Whole(response.bytes().await?));
    }
    let mut stream = response.stream()?;
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        body.extend(chunk?);
        if body.len() > most {
            let whole = stream::once(ready(Ok(body))).chain(stream);
            let headers = response.headers().clone();
            let answer = ResponseBuilder::new()
                .with_headers(headers)
                .from_stream(whole)?;
            return Ok(Read::Begun(answer));
        }
    }
    Ok(Read::Whole(body))
}
