//! A language model that reads skills in their review.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::Args;
use url::Url;

use super::{HEADING, parse::http_url};

/// The language model.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct Model {
    /// A language model that reads skills in their review: `openai` or `anthropic`, the protocol [default: none]
    #[arg(long, env = "GATHER_LLM_PROVIDER", value_parser = ["openai", "anthropic"])]
    pub llm_provider: Option<String>,

    /// Its address up to the version, such as https://api.openai.com/v1
    #[arg(long, env = "GATHER_LLM_URL", value_parser = http_url)]
    pub llm_url: Option<String>,

    /// Its name
    #[arg(long, env = "GATHER_LLM_MODEL")]
    pub llm_model: Option<String>,

    /// Its key; prefer the variable, others can see flags
    #[arg(long, env = "GATHER_LLM_API_KEY", hide_env_values = true)]
    pub llm_api_key: Option<String>,
}

impl Model {
    /// The variables that tell the review about the language model.
    pub fn variables(&self) -> Result<BTreeMap<String, String>> {
        let Some(provider) = &self.llm_provider else {
            return Ok(BTreeMap::new());
        };
        let (Some(url), Some(model)) = (&self.llm_url, &self.llm_model) else {
            bail!(
                "--llm-provider needs --llm-url and --llm-model, for example https://api.openai.com/v1 and gpt-5"
            );
        };
        let origin = Url::parse(url)?.origin().ascii_serialization();
        let key = self.llm_api_key.clone().unwrap_or_default();
        let variables = [
            ("llm_provider", provider.clone()),
            ("llm_url", url.clone()),
            ("llm_origin", origin),
            ("llm_model", model.clone()),
            ("llm_api_key", key),
        ];
        Ok(variables
            .map(|(name, value)| (name.to_owned(), value))
            .into())
    }
}
