//! The application of the probe, whose routes tests call.

use crate::component_file;
use url::Url;

/// A manifest with the probe, whose database is the given one.
pub(super) fn manifest(database: &Url, hosts: &[&str], settings: &str) -> String {
    let component = component_file("probe");
    let postgres = format!("postgres://127.0.0.1:{}", database.port().unwrap_or(5432));
    let hosts: Vec<_> = hosts.iter().copied().chain([postgres.as_str()]).collect();
    format!(
        r#"spin_manifest_version = 2
[application]
name = "probe"
[[trigger.http]]
route = "/..."
component = "probe"
[component.probe]
source = {component:?}
key_value_stores = ["default"]
allowed_outbound_hosts = {hosts:?}
files = ["*.txt"]
environment = {{ COLOUR = "blue" }}
variables = {{ database_url = "{database}?sslmode=disable", greeting = "hello" }}
{settings}
"#
    )
}
