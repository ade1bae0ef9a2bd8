//! The policy that the server was told to take: published at the start, and when its folder changes.
//!
//! The folder is read again and again instead of waiting for file events: a few dozen small files are read and hashed in
//! no time, and reading sees what events miss or report half way: renames, editors that write beside and move, the links
//! of a `ConfigMap`, network mounts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::domain::{Body, Outcome, PolicyPublish, PolicyText};
use crate::engine::{Engine, PolicySource, WriteError};
use crate::policy::{self, Problem};
use crate::policy_tool::read_folder;
use crate::watched::{self, Watched};

/// What was read: a text, or why there is none.
pub type Found = Result<PolicyText, Vec<Problem>>;

/// Reads a policy folder.
async fn read(folder: PathBuf) -> Found {
    let failed = |path: &Path, message: String| {
        let file = path.display().to_string();
        vec![Problem { file, line: 0, message, suggestion: "look at the log".to_owned() }]
    };
    let named = folder.clone();
    let read = tokio::task::spawn_blocking(move || read_folder(&folder)).await;
    read.unwrap_or_else(|error| Err(failed(&named, format!("reading failed: {error}"))))
}

/// Publishes a text unless it is the one that was last published from there; answers what is wrong with it.
async fn take(engine: &Arc<Engine>, name: &str, is_carried: bool, found: Found) -> Result<Vec<Problem>, WriteError> {
    let text = match found {
        Ok(text) => text,
        Err(problems) => return Ok(problems),
    };
    let hash = policy::text_hash(&text);
    // A version that was published over RPC since then stays, also over a restart.
    let (configured, serves) = engine.read(|state| (state.meta().configured_hash.clone(), state.policy().hash.clone()));
    if configured == hash {
        return Ok(Vec::new());
    }
    // What an operator published does not give way to what a new program carries.
    if is_carried && !configured.is_empty() && serves != configured {
        info!(source = name, "the policy that the program carries changed; the one that was published serves on");
        return Ok(Vec::new());
    }
    let problem = |message: String| {
        let suggestion = "mend it; an earlier version goes on serving".to_owned();
        vec![Problem { file: name.to_owned(), line: 0, message, suggestion }]
    };
    let judge = engine.clone();
    let judged = tokio::task::spawn_blocking(move || judge.judge_new(&text).map(|()| text)).await;
    let text = match judged {
        Ok(Ok(text)) => text,
        Ok(Err(problems)) => return Ok(problems),
        Err(error) => return Ok(problem(format!("checking failed: {error}"))),
    };
    let publish = PolicyPublish { text, author: name.to_owned(), is_configured: true, ..PolicyPublish::default() };
    let applied = engine.change_policy(None, Body::PublishPolicy(publish), None).await?;
    match applied.outcome.accepted() {
        Ok(outcome) => {
            if let Outcome::Policy(outcome) = outcome {
                let unchanged = outcome.is_unchanged;
                info!(version = outcome.version, unchanged, source = name, "published the policy");
            }
            Ok(Vec::new())
        }
        Err(rejection) => Ok(problem(rejection.to_string())),
    }
}

/// What the start made of the configured policy.
pub struct Begun {
    /// What is wrong with it; then an earlier version serves, if there is one.
    pub problems: Vec<Problem>,
    /// What was read.
    pub found: Found,
}

/// Publishes the configured policy at the start: that of the folder, or the one that the program carries.
///
/// # Errors
/// When writes fail.
pub async fn begin(
    engine: &Arc<Engine>,
    folder: Option<PathBuf>,
    carried: PolicyText,
    is_watched: bool,
) -> Result<Begun, WriteError> {
    let name = folder.as_ref().map_or_else(|| "embedded".to_owned(), |folder| folder.display().to_string());
    let last_read = Some(engine.clock().now());
    let is_carried = folder.is_none();
    let found = match folder {
        Some(folder) => read(folder).await,
        None => Ok(carried),
    };
    let problems = take(engine, &name, is_carried, found.clone()).await?;
    for problem in &problems {
        error!(%problem, source = name, "the configured policy has a problem");
    }
    engine.set_policy_source(PolicySource { name, is_watched, last_read, problems: problems.clone() });
    Ok(Begun { problems, found })
}

/// Says what the checks of this program find in the version that serves. It was judged by the program that took it, and
/// serves as far as this one understands it.
pub async fn look_at_serving(engine: &Arc<Engine>) {
    let engine = engine.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let text = engine.read(|state| Some(state.policy_row(state.policy().version)?.text.clone()));
        for problem in text.and_then(|text| engine.judge(&text).err()).unwrap_or_default() {
            warn!(%problem, "the version that serves was accepted before; this program would refuse it");
        }
    });
    if let Err(cause) = looked.await {
        warn!(%cause, "looking at the version that serves failed");
    }
}

/// Watches a policy folder until told to stop: publishes what it holds once it has changed and is the same in two
/// reads. A text with problems changes nothing but what the status says. `handled` is what the start took or refused.
pub async fn watch(
    engine: Arc<Engine>,
    folder: PathBuf,
    every: Duration,
    handled: Found,
    mut stopped: watch::Receiver<bool>,
) {
    let name = folder.display().to_string();
    let mut watched = Watched::new(handled);
    while watched::next(every, &mut stopped).await {
        let found = read(folder.clone()).await;
        let mut source = PolicySource { last_read: Some(engine.clock().now()), ..engine.policy_source() };
        if watched.is_new(&found) {
            match take(&engine, &name, false, found.clone()).await {
                Ok(problems) => {
                    for problem in &problems {
                        warn!(%problem, source = name, "the changed policy has a problem; the last good one serves on");
                    }
                    if problems.is_empty() && !source.problems.is_empty() {
                        info!(source = name, "the policy is mended");
                    }
                    source.problems = problems;
                    watched.handle(found);
                }
                // Not handled: it is tried again.
                Err(cause) => warn!(%cause, source = name, "the changed policy could not be published yet"),
            }
        }
        engine.set_policy_source(source);
    }
}
