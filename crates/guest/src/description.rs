//! The export `gather:function/description`, by which a function describes itself to its repository. No host calls it.

use utoipa_axum::router::OpenApiRouter;

use crate::guard::check_entries;

#[doc(hidden)]
pub use bindings::exports::gather::function::description::Guest;

#[doc(hidden)]
pub mod bindings {
    #![allow(missing_docs, reason = "generated")]
    spin_sdk::wit_bindgen::generate!({
        path: "../../wit",
        world: "gather:function/described",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        pub_export_macro: true,
    });
}

/// Renders the OpenAPI document of a function's routes as JSON.
///
/// # Errors
/// An operation's entry asks for something that does not exist, so that the function could not answer requests.
pub fn openapi(router: OpenApiRouter) -> Result<String, String> {
    let document = router.into_openapi();
    check_entries(&document)?;
    document.to_json().map_err(|error| error.to_string())
}
