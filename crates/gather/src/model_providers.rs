//! Providers of models that the environment names: their keys go into the vault, they themselves into the gateway.

use std::{collections::BTreeMap, env, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use url::Url;
use uuid::Uuid;

use crate::{
    config::Model,
    embed, migrate,
    platform_secrets::{self, Destination},
    secrets::MasterKey,
};

/// Where Ollama listens if nobody says otherwise.
pub const OLLAMA: &str = "http://127.0.0.1:11434";
/// The time that a server on this machine has to answer.
const OLLAMA_WITHIN: Duration = Duration::from_millis(500);

/// A provider that a variable of the environment makes.
struct Known {
    name: &'static str,
    protocol: &'static str,
    key: &'static str,
    url: &'static str,
    /// The variable that names another address.
    url_variable: Option<&'static str>,
    /// The models of the aliases `default`, `small` and `embedding`.
    models: [Option<&'static str>; 3],
}

/// The aliases, in the order of [`Known::models`].
const ALIASES: [&str; 3] = ["default", "small", "embedding"];

const KNOWN: [Known; 3] = [
    Known {
        name: "openai",
        protocol: "openai",
        key: "OPENAI_API_KEY",
        url: "https://api.openai.com/v1",
        url_variable: Some("OPENAI_BASE_URL"),
        models: [
            Some("gpt-5.5"),
            Some("gpt-5.4-mini"),
            Some("text-embedding-3-small"),
        ],
    },
    Known {
        name: "anthropic",
        protocol: "anthropic",
        key: "ANTHROPIC_API_KEY",
        url: "https://api.anthropic.com",
        url_variable: Some("ANTHROPIC_BASE_URL"),
        models: [Some("claude-sonnet-5"), Some("claude-haiku-4-5"), None],
    },
    Known {
        name: "deepseek",
        protocol: "openai",
        key: "DEEPSEEK_API_KEY",
        url: "https://api.deepseek.com",
        url_variable: None,
        models: [Some("deepseek-chat"), Some("deepseek-chat"), None],
    },
];

/// The provider, and the alias, of the embedding model that comes with the platform.
const LOCAL: &str = "local";
/// The secret of that provider.
const LOCAL_KEY: &str = "GATHER_EMBED_KEY";
/// The secret of the provider that `GATHER_LLM_…` describes.
const OWN_KEY: &str = "GATHER_LLM_API_KEY";

/// A provider as it is put into the gateway.
struct Provider {
    name: &'static str,
    protocol: String,
    url: String,
    /// The name of the secret, and its value.
    key: Option<(&'static str, String)>,
    models: [Option<String>; 3],
}

/// The providers that are not described by variables of their own.
pub struct Own<'a> {
    /// The settings, which may describe one.
    pub settings: &'a Model,
    /// The models of the Ollama on this machine.
    pub ollama: Vec<String>,
    /// Where the embedding model that comes with the platform is served, if it is.
    pub local: Option<String>,
}

/// Keeps the providers that the environment names, and forgets the others.
///
/// # Errors
/// The database refuses, or an address is malformed.
pub async fn keep(database: &Url, key: &MasterKey, own: Own<'_>) -> Result<()> {
    let mut providers = named(|name| env::var(name).ok());
    providers.extend(configured(own.settings));
    if let Some(first) = own.ollama.first() {
        providers.push(Provider {
            name: "ollama",
            protocol: "openai".to_owned(),
            url: format!("{OLLAMA}/v1"),
            key: None,
            models: [Some(first.clone()), Some(first.clone()), None],
        });
    }
    // The last: whatever else has a model for embeddings comes first.
    providers.extend(own.local.map(|url| local(&url, key)));
    store(database, key, &providers).await
}

/// Keeps the embedding model that comes with the platform as the only provider, whatever the environment names.
///
/// # Errors
/// The database refuses, or the address is malformed.
pub async fn keep_local(database: &Url, key: &MasterKey, url: &str) -> Result<()> {
    store(database, key, &[local(url, key)]).await
}

fn local(url: &str, key: &MasterKey) -> Provider {
    Provider {
        name: LOCAL,
        protocol: "openai".to_owned(),
        url: format!("{}/v1", url.trim_end_matches('/')),
        key: Some((LOCAL_KEY, embed::service_key(key))),
        models: [None, None, Some(embedding::MODEL.to_owned())],
    }
}

async fn store(database: &Url, key: &MasterKey, providers: &[Provider]) -> Result<()> {
    let mut connection = migrate::connect(database).await?;
    let known = KNOWN.iter().map(|known| known.key);
    for name in known.chain([OWN_KEY, LOCAL_KEY]) {
        let is_set = providers
            .iter()
            .any(|one| one.key.as_ref().is_some_and(|(key, _)| *key == name));
        if !is_set {
            platform_secrets::drop(&mut connection, name).await?;
        }
    }
    for provider in providers {
        put(&mut connection, key, provider).await?;
    }
    let names: Vec<_> = providers.iter().map(|provider| provider.name).collect();
    sqlx::query("select llm.keep_platform_providers($1, $2)")
        .bind(&names)
        .bind(aliases(providers))
        .execute(&mut connection)
        .await
        .context("the providers of models can't be kept")?;
    connection.close().await?;
    Ok(())
}

/// The providers whose keys are set.
fn named(variable: impl Fn(&str) -> Option<String>) -> Vec<Provider> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let providers = KNOWN.iter().filter_map(|known| {
        let value = set(known.key)?;
        let url = known.url_variable.and_then(set);
        Some(Provider {
            name: known.name,
            protocol: known.protocol.to_owned(),
            url: url.unwrap_or_else(|| known.url.to_owned()),
            key: Some((known.key, value.trim().to_owned())),
            models: known.models.map(|model| model.map(str::to_owned)),
        })
    });
    providers.collect()
}

/// The provider that the settings describe.
fn configured(own: &Model) -> Option<Provider> {
    let (protocol, url) = (own.llm_provider.clone()?, own.llm_url.clone()?);
    let model = own.llm_model.clone();
    let key = own.llm_api_key.clone().filter(|key| !key.trim().is_empty());
    Some(Provider {
        name: "llm",
        protocol,
        url,
        key: key.map(|key| (OWN_KEY, key.trim().to_owned())),
        models: [model.clone(), model, None],
    })
}

/// The aliases, each with the first provider that has a model for it.
fn aliases(providers: &[Provider]) -> Value {
    let aliases = ALIASES.iter().enumerate().filter_map(|(at, alias)| {
        let found = providers
            .iter()
            .find_map(|one| Some((one.name, one.models[at].as_ref()?)));
        let (provider, model) = found?;
        Some((
            (*alias).to_owned(),
            json!({"provider": provider, "model": model}),
        ))
    });
    let local = providers.iter().find(|one| one.name == LOCAL);
    let local = local.map(|_| {
        (
            LOCAL.to_owned(),
            json!({"provider": LOCAL, "model": embedding::MODEL}),
        )
    });
    json!(aliases.chain(local).collect::<BTreeMap<_, _>>())
}

async fn put(connection: &mut PgConnection, key: &MasterKey, provider: &Provider) -> Result<()> {
    let url = Url::parse(&provider.url).with_context(|| {
        format!(
            "the address of the provider {} is none: {:?}",
            provider.name, provider.url
        )
    })?;
    let secret: Option<Uuid> = match &provider.key {
        Some((name, value)) => {
            let origin = url.origin().ascii_serialization();
            let (header, format) = match provider.protocol.as_str() {
                "anthropic" => ("x-api-key", "{}"),
                _ => ("authorization", "Bearer {}"),
            };
            let destination = Destination {
                component: "llm",
                origin: &origin,
                header,
                format,
            };
            Some(platform_secrets::put(connection, key, name, value, destination).await?)
        }
        None => None,
    };
    sqlx::query("select llm.put_platform_provider($1, $2, $3, $4)")
        .bind(provider.name)
        .bind(&provider.protocol)
        .bind(&provider.url)
        .bind(secret)
        .execute(connection)
        .await
        .with_context(|| format!("the provider {} can't be kept", provider.name))?;
    Ok(())
}

/// The models of an Ollama on this machine; none if there is no such server.
pub async fn ollama() -> Vec<String> {
    let asked = tokio::task::spawn_blocking(|| {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(OLLAMA_WITHIN))
            .build()
            .into();
        let mut answer = agent.get(format!("{OLLAMA}/api/tags")).call().ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        serde_json::from_str::<Value>(&text).ok()
    });
    let Ok(Some(tags)) = asked.await else {
        return Vec::new();
    };
    let models = tags["models"].as_array().into_iter().flatten();
    models
        .filter_map(|model| model["name"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_provider_gets_the_aliases() {
        let variables = |name: &str| match name {
            "ANTHROPIC_API_KEY" => Some("sk-ant".to_owned()),
            "OPENAI_API_KEY" => Some(" sk \n".to_owned()),
            "OPENAI_BASE_URL" => Some("http://127.0.0.1:9/v1".to_owned()),
            "DEEPSEEK_API_KEY" => Some(String::new()),
            _ => None,
        };
        let providers = named(variables);
        let names: Vec<_> = providers
            .iter()
            .map(|one| (one.name, one.url.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("openai", "http://127.0.0.1:9/v1"),
                ("anthropic", "https://api.anthropic.com")
            ]
        );
        assert_eq!(providers[0].key, Some(("OPENAI_API_KEY", "sk".to_owned())));
        assert_eq!(
            aliases(&providers)["default"],
            json!({"provider": "openai", "model": "gpt-5.5"})
        );
        let only = named(|name| (name == "ANTHROPIC_API_KEY").then(|| "k".to_owned()));
        assert_eq!(aliases(&only)["small"]["provider"], "anthropic");
        assert_eq!(aliases(&only).get("embedding"), None);
    }

    #[test]
    fn the_model_that_comes_along_is_the_last_for_embeddings() {
        let key = MasterKey::parse(&"ab".repeat(32)).expect("a key");
        let local = local("http://127.0.0.1:9/", &key);
        assert_eq!(local.url, "http://127.0.0.1:9/v1");
        let mut providers = named(|name| (name == "ANTHROPIC_API_KEY").then(|| "k".to_owned()));
        providers.push(local);
        let found = aliases(&providers);
        assert_eq!(found["embedding"], found["local"]);
        assert_eq!(found["local"]["provider"], "local");
        let mut openai = named(|name| (name == "OPENAI_API_KEY").then(|| "k".to_owned()));
        openai.append(&mut providers);
        assert_eq!(aliases(&openai)["embedding"]["provider"], "openai");
    }

    #[test]
    fn the_settings_describe_one_more() {
        let own = Model {
            llm_provider: Some("anthropic".to_owned()),
            llm_url: Some("http://127.0.0.1:9".to_owned()),
            llm_model: Some("m".to_owned()),
            llm_api_key: None,
        };
        let provider = configured(&own).expect("a provider");
        assert_eq!((provider.name, provider.key.is_none()), ("llm", true));
        assert_eq!(
            aliases(&[provider])["small"],
            json!({"provider": "llm", "model": "m"})
        );
    }
}
