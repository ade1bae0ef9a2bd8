//! Changing the policy: judge a text, publish it, roll back, wait until it serves.

use std::time::Duration;

use super::Engine;
use super::error::WriteError;
use crate::clock::Stopwatch;
use crate::domain::{Body, Outcome, PolicyPublish, PolicyState, PolicyText, Rejection, RequestKey, Timestamp, Wanted};
use crate::policy::{self, Policy, Problem};
use crate::state::{Applied, State, behind_requests};
use crate::telemetry;

/// What was last read from where the server was told to take its policy from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySource {
    /// `embedded`, or the folder.
    pub name: String,
    /// Whether it is read again and again.
    pub is_watched: bool,
    /// When it was last read.
    pub last_read: Option<Timestamp>,
    /// What is wrong with it: while there is anything, an earlier version goes on serving.
    pub problems: Vec<Problem>,
}

impl Engine {
    /// What is wrong with a text, if it were published now. Compiles it: keep it off the path of requests.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn judge(&self, text: &PolicyText) -> Result<Policy, Vec<Problem>> {
        self.judge_while(&Wanted::to_the_end(), text)
    }

    /// The same as long as somebody wants to know.
    ///
    /// # Errors
    /// As above; what was found so far, perhaps nothing, once nobody wants to know any more.
    pub fn judge_while(&self, wanted: &Wanted, text: &PolicyText) -> Result<Policy, Vec<Problem>> {
        let mut dictionary = self.read(State::dictionary);
        behind_requests(|| policy::compile_while(wanted, text, 0, &mut dictionary))
    }

    /// Judges a text unless it is a version already: what was accepted once stays publishable.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn judge_new(&self, text: &PolicyText) -> Result<(), Vec<Problem>> {
        let hash = policy::text_hash(text);
        if self.read(|state| state.version_of(&hash).is_some()) { Ok(()) } else { self.judge(text).map(drop) }
    }

    /// Publishes a text that was judged, or rolls back, and waits until it serves: at most for `patience`, if there is
    /// one. Waits for another change of day or policy to finish first.
    ///
    /// # Errors
    /// When writes are refused or fail.
    pub async fn change_policy(
        &self,
        request: Option<RequestKey>,
        body: Body,
        patience: Option<Duration>,
    ) -> Result<Applied, WriteError> {
        let kind = if matches!(body, Body::RollbackPolicy { .. }) { "rollback" } else { "publish" };
        let waited = Stopwatch::start();
        let left = || patience.map_or(Duration::MAX, |patience| patience.saturating_sub(waited.elapsed()));
        let mut revisions = self.revisions.clone();
        loop {
            revisions.borrow_and_update();
            // Waits before it writes: every attempt logs the whole text.
            let is_busy = self.is_at_once(&body) && self.read(|state| state.transition().is_some());
            if is_busy && !left().is_zero() {
                // When the time is over the caller is told that another change is in the way.
                if let Ok(next) = tokio::time::timeout(left(), self.next_revision(&mut revisions)).await {
                    next?;
                }
                continue;
            }
            let applied = self.write(request.clone(), body.clone()).await?;
            if let Outcome::Policy(outcome) = &applied.outcome {
                telemetry::policy_change(kind, if outcome.is_unchanged { "unchanged" } else { "taken" });
                if let Ok(served) = tokio::time::timeout(left(), self.wait_for_policy(outcome.version)).await {
                    served?;
                }
                return Ok(applied);
            }
            // Pending: another change came first.
            if applied.outcome != Outcome::Rejected(Rejection::TransitionPending) || left().is_zero() {
                telemetry::policy_change(kind, "refused");
                return Ok(applied);
            }
        }
    }

    /// Whether a change of policy begins a second world as soon as it is taken.
    fn is_at_once(&self, body: &Body) -> bool {
        let Body::PublishPolicy(publish) = body else { return true };
        publish.effective_at.is_none_or(|at| at <= self.clock.now())
    }

    /// Publishes a text that was judged and waits until it serves.
    ///
    /// # Errors
    /// When writes are refused or fail.
    pub async fn publish_policy(&self, publish: impl Into<PolicyPublish> + Send) -> Result<Outcome, WriteError> {
        let body = Body::PublishPolicy(publish.into());
        Ok(self.change_policy(None, body, None).await?.outcome)
    }

    /// Waits until some policy serves.
    ///
    /// # Errors
    /// When the writer stops before.
    pub async fn wait_for_first_policy(&self) -> Result<(), WriteError> {
        let mut revisions = self.revisions.clone();
        loop {
            revisions.borrow_and_update();
            if self.read(|state| state.policy().version > 0) {
                return Ok(());
            }
            self.next_revision(&mut revisions).await?;
        }
    }

    /// Waits until a version's world is built, if it is being built.
    async fn wait_for_policy(&self, version: u64) -> Result<(), WriteError> {
        let mut revisions = self.revisions.clone();
        loop {
            revisions.borrow_and_update();
            if self.read(|state| state.policy_state(version)) != PolicyState::Preparing {
                return Ok(());
            }
            self.next_revision(&mut revisions).await?;
        }
    }

    /// Writes a `SetKillSwitch`: makes all weights neutral, or ends that.
    ///
    /// # Errors
    /// When writes are refused or fail.
    pub async fn set_kill_switch(&self, request: Option<RequestKey>, body: Body) -> Result<Applied, WriteError> {
        let applied = self.write(request, body).await?;
        telemetry::policy_change("kill_switch", if applied.outcome == Outcome::Done { "taken" } else { "refused" });
        Ok(applied)
    }

    /// What was last read of the configured policy.
    #[must_use]
    pub fn policy_source(&self) -> PolicySource {
        self.policy_source.read().clone()
    }

    /// Notes what was read of the configured policy.
    pub fn set_policy_source(&self, source: PolicySource) {
        *self.policy_source.write() = source;
    }
}
