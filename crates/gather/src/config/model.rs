//! A provider of language models besides those whose keys have variables of their own.

use anyhow::{Result, bail};
use clap::Args;

use super::{HEADING, parse::http_url};

/// The language model.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct Model {
    /// A provider of language models, by the protocol that it speaks: `openai` or `anthropic` [default: none]
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
    /// Checks that the settings describe a whole provider, or none.
    pub fn check(&self) -> Result<()> {
        if self.llm_provider.is_some() && (self.llm_url.is_none() || self.llm_model.is_none()) {
            bail!(
                "--llm-provider needs --llm-url and --llm-model, for example https://api.openai.com/v1 and gpt-5.5"
            );
        }
        Ok(())
    }
}
