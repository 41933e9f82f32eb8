//! Components made to do harm, each with how it must end: those of `tests/sandbox/hostile`, and those that are too
//! large to be written down.

use super::{
    oversized::made,
    written::{grant, runner},
};
use anyhow::{Context, Result, bail, ensure};
use e2e::root;
use sandbox::{End, Fault, LoadError, Runner};
use skill::Refusal;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// What a call may take: its deadline, and what a busy machine adds.
const IN_TIME: Duration = Duration::from_secs(3);

#[tokio::test]
async fn each_ends_as_it_must() -> Result<()> {
    let runner = runner()?;
    let mut all = of_folder(&root().join("tests/sandbox/hostile"))?;
    all.extend(made()?);
    let mut wrong = Vec::new();
    for hostile in &all {
        let end = end(&runner, hostile).await?;
        if !hostile.must.split(" | ").any(|must| must == end) {
            wrong.push(format!("{}: {end}, not {}", hostile.name, hostile.must));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// How it ends: a problem's code, or `answered` and the result.
async fn end(runner: &Runner, hostile: &Hostile) -> Result<String> {
    if let Err(refusal) = runner.inspect(&hostile.wasm).await? {
        let code = match refusal {
            Refusal::NotAComponent(_) => "not-a-component",
            Refusal::ImportRefused(_) => "import-refused",
            Refusal::NothingCallable(_) => "nothing-callable",
        };
        return Ok(code.to_owned());
    }
    let wasm = hostile.wasm.clone();
    let digest = skill::digest::of_bytes(&wasm);
    let skill = match runner.load(&digest, async { Ok(Some(wasm)) }).await {
        Ok(skill) => skill,
        Err(LoadError::Unusable(_)) => return Ok("skill-unusable".to_owned()),
        Err(error) => bail!("{}: {error:?}", hostile.name),
    };
    let arguments = serde_json::from_str(&hostile.arguments)?;
    let began = Instant::now();
    let mut grant = grant();
    grant.permissions.clock = hostile.has_clock;
    let outcome = runner.call(&skill, "attack", arguments, &grant).await;
    ensure!(
        began.elapsed() < IN_TIME,
        "{}: {:?}",
        hostile.name,
        began.elapsed()
    );
    Ok(match outcome.end {
        End::Answered(value) => format!("answered {value}"),
        End::Failed(value) => format!("failed {value}"),
        End::Ended(Fault::Internal(why)) => bail!("{}: {why}", hostile.name),
        End::Ended(fault) => fault.code().to_owned(),
    })
}

/// A component that is an attack, and how that must end.
pub struct Hostile {
    /// What it does.
    pub name: String,
    /// The component, or what claims to be one.
    pub wasm: Vec<u8>,
    /// JSON of the arguments of its tool `attack`.
    pub arguments: String,
    /// Whether it was granted the clock.
    pub has_clock: bool,
    /// A problem's code, or `answered` and the result; several with ` | ` between them where each is right.
    pub must: String,
}

impl Hostile {
    /// One without arguments.
    pub fn new(name: &str, must: &str, wasm: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            wasm,
            arguments: "{}".to_owned(),
            has_clock: false,
            must: must.to_owned(),
        }
    }

    /// One in the text format.
    pub fn text(name: &str, must: &str, wat: &str) -> Result<Self> {
        let wasm = wat::parse_str(wat).with_context(|| name.to_owned())?;
        Ok(Self::new(name, must, wasm))
    }
}

/// Those of a folder: the comment before the component says `must: <how it ends>`, and `arguments: <JSON>` where it
/// takes some, and `granted: clock` where it is.
fn of_folder(folder: &Path) -> Result<Vec<Hostile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // The tests stand beside them.
        if path.extension().is_some_and(|extension| extension == "rs") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path)?;
        let said = |what: &str| {
            let mut lines = text.lines().take_while(|line| line.starts_with(";; "));
            lines
                .find_map(|line| line.strip_prefix(";; ")?.strip_prefix(what))
                .map(str::to_owned)
        };
        let must =
            said("must: ").with_context(|| format!("{name} does not say how it must end"))?;
        let mut hostile = Hostile::text(&name, &must, &text)?;
        hostile.arguments = said("arguments: ").unwrap_or(hostile.arguments);
        hostile.has_clock = said("granted: ").as_deref() == Some("clock");
        found.push(hostile);
    }
    ensure!(!found.is_empty(), "{} is empty", folder.display());
    Ok(found)
}
