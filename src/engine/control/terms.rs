//! What control has to keep of budgets, read from policy and ledger, and what was spent of each account. Guarantees and
//! caps are read in slices ([`super::reading`]).

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::domain::{AccountKey, Scene, Scope, Timestamp, count_to_f64};
use crate::state::{NodeAccounts, State};
use crate::traffic::control::{BudgetKind, BudgetTerm, MemberTerm};
use crate::traffic::{Limit, Programme, ProgrammeKind, account_at, period_of};

/// A budget without an end is planned as if it ended after so many days.
const ENDLESS_DAYS: i32 = 366;

/// Whether control steers a programme.
pub(super) fn is_steered(programme: &Programme, paused: u64, now: Timestamp) -> bool {
    let kind = matches!(programme.kind, ProgrammeKind::Hard | ProgrammeKind::Support);
    kind && !programme.is_shadow && programme.mask() & paused == 0 && !programme.window.is_over(now.day())
}

/// The budgets of the present period, each with its account.
pub(super) fn budget_terms(state: &State, now: Timestamp) -> (Vec<BudgetTerm>, Vec<AccountKey>) {
    let (mut terms, mut accounts) = (Vec::new(), Vec::new());
    let paused = state.paused();
    for programme in state.policy().programmes.iter().filter(|programme| is_steered(programme, paused, now)) {
        add_budgets(&mut terms, &mut accounts, state, programme, now);
    }
    (terms, accounts)
}

fn add_budgets(
    terms: &mut Vec<BudgetTerm>,
    accounts: &mut Vec<AccountKey>,
    state: &State,
    programme: &Programme,
    now: Timestamp,
) {
    let Some(budget) = &programme.budget else { return };
    let own = |scene: &Scene| budget.by_scene.get(scene.index()).copied().flatten().is_some();
    let scenes = Scene::ALL.into_iter().filter(|scene| programme.works_in(*scene));
    let (with_own, without): (Vec<Scene>, Vec<Scene>) = scenes.partition(own);
    let whole = (!without.is_empty()).then_some((Scope::Programme, None));
    for (scope, scene) in whole.into_iter().chain(with_own.into_iter().map(|s| (Scope::Scene(s), Some(s)))) {
        let key = account_at(programme, scope, now);
        let Limit::AtMost(limit) = state.limit_of(&key) else { continue };
        let (start, end) = period(programme, scope, now);
        let kind = if programme.kind == ProgrammeKind::Hard { BudgetKind::Hard } else { BudgetKind::Support };
        accounts.push(key);
        let pacing = budget.pacing.clone();
        terms.push(BudgetTerm { bit: programme.bit, kind, scene, limit, start, end, pacing });
    }
}

/// The present period of a scope, cut off by the programme's window.
pub(super) fn period(programme: &Programme, scope: Scope, now: Timestamp) -> (Timestamp, Timestamp) {
    let period = period_of(programme, scope);
    let first = period.first_day(now);
    let next = period.next(first);
    let window = &programme.window;
    // A period without a beginning of its own is planned from the month's on: what was spent before is known.
    let begins = if next.is_some() { first } else { window.first.unwrap_or_else(|| now.day().first_of_month()) };
    let start = window.first.map_or(begins, |day| day.max(begins));
    let ends = next.unwrap_or_else(|| start.plus(ENDLESS_DAYS).max(now.day().plus(ENDLESS_DAYS / 12)));
    let end = window.last.map_or(ends, |last| last.plus(1).min(ends));
    (start.start(), end.start())
}

/// What is known of one account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AccountUse {
    /// Delivered, or reserved by this node.
    pub(super) spent: u64,
    /// Delivered, or held by any node.
    pub(super) taken: u64,
    /// Delivered.
    pub(super) delivered: u64,
}

/// What was spent of an account.
pub(super) fn account_use(state: &State, node: &NodeAccounts, key: &AccountKey) -> AccountUse {
    let account = state.account(key);
    let delivered = account.map_or(0, |account| account.delivered);
    let spent = delivered.saturating_add(node.balance(key).reserved);
    AccountUse { spent, taken: account.map_or(0, crate::traffic::Account::taken), delivered }
}

/// Exposures granted to members by slates and not yet reported, as far as they are still awaited.
#[derive(Default)]
pub(super) struct Awaited {
    members: HashMap<(u32, u8), AwaitedMember, FixedState>,
}

#[derive(Default)]
struct AwaitedMember {
    granted: u16,
    delivered: u64,
    awaited: f64,
}

/// Granted exposures that are not reported are forgotten with this time constant, in milliseconds.
const FORGOTTEN_AFTER_MS: f64 = 300_000.0;

impl Awaited {
    /// Exposures of a member term: delivered, and awaited of slates. `granted` counts what slates gave the member
    /// in the term's scenes, and wraps around.
    pub(super) fn update(&mut self, term: &MemberTerm, granted: u16, delivered: u64, passed_ms: f64) -> u64 {
        let member = self.members.entry((term.member, term.programme)).or_insert(AwaitedMember {
            granted,
            delivered,
            awaited: 0.0,
        });
        let given = f64::from(granted.wrapping_sub(member.granted));
        let came = count_to_f64(delivered.saturating_sub(member.delivered));
        member.awaited = (member.awaited * (-passed_ms / FORGOTTEN_AFTER_MS).exp() + given - came).max(0.0);
        (member.granted, member.delivered) = (granted, delivered);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 0, and no more than given"
        )]
        let awaited = member.awaited.round() as u64;
        delivered.saturating_add(awaited)
    }

    /// Forgets members without a term.
    pub(super) fn keep(&mut self, terms: &[MemberTerm]) {
        let kept: std::collections::HashSet<(u32, u8), FixedState> =
            terms.iter().map(|term| (term.member, term.programme)).collect();
        self.members.retain(|key, _| kept.contains(key));
    }
}
