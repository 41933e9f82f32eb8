//! The page that a browser keeps, and shows where the server can't be reached: see `js/offline-worker.js`.

use axum::Router;
use axum::routing::get;
use maud::html;

use crate::frame::Page;
use crate::group::Group;
use crate::ui;

/// The group of this page.
pub static GROUP: Group = Group {
    places: &[],
    routes: || Router::new().route("/offline", get(offline)),
};

async fn offline() -> Page {
    let main = html! {
        section.offline {
            h1 { "The server can’t be reached" }
            p.lead { "You are offline, or the server is away. Nothing was lost or changed." }
            h2 { "What can still be read" }
            ul {
                li { "Pages in other tabs. They show what they showed, and catch up by themselves when the connection is back." }
                li { "What you were writing. A draft waits on its page, and a message that was not sent in its channel." }
            }
            // The address is that of the page that could not be loaded.
            (ui::actions(&html! { a.button href="" { "Try again" } }))
        }
    };
    Page::new("Offline", main)
}
