//! The library of functions and components: the database, the caller, problems, pages and typed input.
//!
//! A function crate is a route list, types, and handlers with their SQL:
//!
//! ```ignore
//! pub fn router() -> OpenApiRouter {
//!     OpenApiRouter::new().routes(routes!(posts::list, posts::create))
//! }
//! guest::export!(router);
//! ```

#[cfg(target_os = "wasi")]
#[global_allocator]
static ALLOCATOR: allocator::BySize<talc::wasm::WasmDynamicTalc> =
    allocator::BySize::new(talc::wasm::new_wasm_dynamic_allocator());

mod accept;
mod acting;
mod address;
#[cfg(any(target_os = "wasi", test))]
mod allocator;
mod answer;
mod body;
mod caller;
mod client;
mod clock;
mod conditional;
pub mod db;
#[cfg(target_os = "wasi")]
#[doc(hidden)]
pub mod description;
pub mod dialect;
mod egress;
mod entry;
#[cfg(target_os = "wasi")]
#[doc(hidden)]
pub mod exchange;
mod extract;
mod fetch;
mod given;
mod guard;
pub mod html;
mod idempotency;
mod if_match;
pub mod job;
mod later;
mod limits;
mod link;
pub mod log;
pub mod openapi;
mod outcome;
mod page;
mod problem;
mod problems;
mod public;
mod respond;
mod retry_after;
mod sandbox;
mod serve;
mod service;
mod signature;
pub mod task;
mod token;
mod variable;
mod visitor;
#[cfg(target_os = "unknown")]
mod workers;

pub use accept::prefers_html;
pub use acting::Acting;
pub use address::own_address;
pub use answer::Created;
pub use caller::{ALL, Caller, Kind, OWN_ACCOUNT, SCOPES, Via};
pub use client::{Client, SESSION_COOKIE, cookie};
pub use conditional::is_known;
pub use db::Db;
pub use egress::{Egress, Forward, Handed, REFUSED, SECRET_VERSION};
pub use extract::{Input, MAX_BODY_BYTES, OptionalInput, Path, Query, read as read_body};
pub use fetch::{FetchError, fetch, fetch_whole, limit_silence};
pub use given::given;
pub use guard::{API_KEY_PREFIX, csrf_token, guarded};
pub use idempotency::Unkept;
pub use if_match::{IfMatch, Precondition};
pub use job::{Failure, Job};
pub use later::Later;
pub use limits::account_quota;
pub use link::{link_token, open_link};
pub use outcome::{Outcome, Refusal};
pub use page::{Items, Moment, Page, PageParams};
pub use problem::{FieldError, Problem, Result};
#[doc(hidden)]
pub use problems::check as check_problems;
pub use respond::respond;
pub use retry_after::retry_after;
pub use sandbox::Sandbox;
pub use serve::serve;
pub use token::{AccessClaims, Actor, TOKEN_SECONDS, TOKEN_TYPE};
pub use variable::{hex_key, required_variable, variable};
pub use visitor::vouch;

/// Items of other crates that [`export!`] needs.
#[doc(hidden)]
pub mod exported {
    pub use axum::Router;
    pub use spin_sdk::wasip3;
    pub use spin_sdk::wit_bindgen;
}

/// Exports the function: `guest::export!(router)`, where `router` is a function that returns an
/// [`utoipa_axum::router::OpenApiRouter`]. It is called once for each instance.
///
/// In native builds this expands to nothing, so that unit tests link.
#[macro_export]
macro_rules! export {
    ($router:path) => {
        #[cfg(target_os = "unknown")]
        mod exported {
            #[unsafe(no_mangle)]
            extern "Rust" fn gather_router() -> $crate::exported::Router {
                $crate::guarded($router())
            }
        }

        #[cfg(target_os = "wasi")]
        mod exported {
            use $crate::exported::wasip3::http::types::{ErrorCode, Request, Response};

            std::thread_local! {
                static ROUTER: $crate::exported::Router = $crate::guarded($router());
            }

            struct Function;
            $crate::exported::wasip3::http::service::export!(Function with_types_in $crate::exported::wasip3);
            $crate::exchange::bindings::export!(Function with_types_in $crate::exchange::bindings);
            $crate::description::bindings::export!(Function with_types_in $crate::description::bindings);

            impl $crate::description::Guest for Function {
                fn openapi() -> Result<String, String> {
                    $crate::description::openapi($router())
                }
            }

            impl $crate::exchange::Guest for Function {
                async fn answer(request: $crate::exchange::Request) -> $crate::exchange::Reply {
                    $crate::exchange::answer(ROUTER.with(Clone::clone), request).await
                }
            }

            impl $crate::exported::wasip3::exports::http::handler::Guest for Function {
                async fn handle(request: Request) -> Result<Response, ErrorCode> {
                    $crate::serve(ROUTER.with(Clone::clone), request).await
                }
            }
        }
    };
}
