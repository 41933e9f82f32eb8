//! Answers that are more than a JSON body.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// An answer with status 201, the new object and its `Location`.
#[derive(Debug)]
pub struct Created<T> {
    /// The path of the new object, such as `/api/agents/…`.
    pub location: String,
    /// The new object.
    pub body: T,
}

impl<T> Created<T> {
    /// A new object at a location.
    pub fn at(location: impl Into<String>, body: T) -> Self {
        Self {
            location: location.into(),
            body,
        }
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Json(self.body)).into_response();
        if let Ok(location) = HeaderValue::from_str(&self.location) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}
