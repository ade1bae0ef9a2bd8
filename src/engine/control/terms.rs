//! What control has to keep, read from policy and ledger: budgets of the present period, running guarantees, caps that
//! are priced; and what was spent of each.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::domain::{AccountKey, MerchantId, Scene, Scope, Timestamp, count_to_f64};
use crate::engine::underserved::{MAX_KEPT, Underserved};
use crate::state::{GuaranteeKey, GuaranteeRow, NodeAccounts, State};
use crate::traffic::control::{BudgetKind, BudgetTerm, Constraints, MemberRule, MemberTerm};
use crate::traffic::{Limit, MerchantRecord, Programme, ProgrammeKind, account_at, period_of};

/// Guarantees and caps that are priced at most; of more, those of the first programmes and merchants.
const MAX_MEMBER_TERMS: usize = 200_000;
/// A budget without an end is planned as if it ended after so many days.
const ENDLESS_DAYS: i32 = 366;

/// The constraints, and by what each goes.
#[derive(Default)]
pub(super) struct Terms {
    pub(super) constraints: Constraints,
    /// The account of each budget.
    pub(super) accounts: Vec<AccountKey>,
    /// What each member term goes by.
    pub(super) members: Vec<MemberSource>,
}

/// What a member term goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum MemberSource {
    Guarantee(GuaranteeKey),
    Cap(AccountKey),
}

/// Reads the terms, and by scene whose guarantee falls behind.
pub(super) fn terms(state: &State, now: Timestamp) -> (Terms, [Vec<Underserved>; Scene::COUNT]) {
    let mut terms = Terms::default();
    let mut underserved: [Vec<Underserved>; Scene::COUNT] = std::array::from_fn(|_| Vec::new());
    let paused = state.paused();
    let policy = state.policy();
    let works = |programme: &&Programme| {
        let kind = matches!(programme.kind, ProgrammeKind::Hard | ProgrammeKind::Support);
        kind && !programme.is_shadow && programme.mask() & paused == 0 && !programme.window.is_over(now.day())
    };
    for programme in policy.programmes.iter().filter(works) {
        add_budgets(&mut terms, state, programme, now);
        if programme.guarantee.is_some() {
            add_guarantees(&mut terms, state, programme, now, &mut underserved);
        }
        if programme.cap.is_some() && programme.kind == ProgrammeKind::Hard {
            add_caps(&mut terms, state, programme, now);
        }
    }
    for list in &mut underserved {
        list.sort_by(|a, b| b.urgency.total_cmp(&a.urgency).then(a.merchant.cmp(&b.merchant)));
        list.truncate(MAX_KEPT);
    }
    (terms, underserved)
}

fn add_budgets(terms: &mut Terms, state: &State, programme: &Programme, now: Timestamp) {
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
        terms.accounts.push(key);
        let pacing = budget.pacing.clone();
        terms.constraints.budgets.push(BudgetTerm { bit: programme.bit, kind, scene, limit, start, end, pacing });
    }
}

/// The present period of a scope, cut off by the programme's window.
fn period(programme: &Programme, scope: Scope, now: Timestamp) -> (Timestamp, Timestamp) {
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

fn scenes_of(programme: &Programme) -> u8 {
    Scene::ALL.into_iter().filter(|s| programme.works_in(*s)).fold(0, |mask, scene| mask | scene.mask())
}

fn add_guarantees(
    terms: &mut Terms,
    state: &State,
    programme: &Programme,
    now: Timestamp,
    underserved: &mut [Vec<Underserved>; Scene::COUNT],
) {
    let penalty = programme.guarantee.map_or(0.0, |guarantee| guarantee.penalty);
    let scenes = scenes_of(programme);
    for (key, row) in state.guarantees(programme.bit).filter(|(key, row)| key.from <= now && now < row.until) {
        let Some(slot) = state.hot().merchant_slot(key.merchant) else { continue };
        // Suspended while the merchant is excluded, and over for whoever is no member any more.
        if !takes_part(&state.hot().world().table.read(slot), programme) {
            continue;
        }
        if row.delivered < row.target {
            for scene in Scene::ALL.into_iter().filter(|scene| scenes & scene.mask() != 0) {
                if let Some(list) = underserved.get_mut(scene.index()) {
                    list.extend(falls_behind(programme, key.merchant, (key, row), now));
                }
            }
        }
        if terms.members.len() < MAX_MEMBER_TERMS {
            terms.members.push(MemberSource::Guarantee(*key));
            terms.constraints.members.push(MemberTerm {
                member: slot,
                programme: programme.bit,
                rule: MemberRule::AtLeast { penalty },
                limit: row.target,
                start: key.from,
                end: row.until,
                scenes,
            });
        }
    }
}

/// Whether a merchant is a member and may be shown at all.
pub(super) fn takes_part(record: &MerchantRecord, programme: &Programme) -> bool {
    record.is_registered
        && record.programmes & programme.mask() != 0
        && record.penalty.iter().any(|factor| *factor > 0.0)
}

/// A guarantee that is behind an even delivery.
fn falls_behind(
    programme: &Programme,
    merchant: MerchantId,
    (key, row): (&GuaranteeKey, &GuaranteeRow),
    now: Timestamp,
) -> Option<Underserved> {
    let span = |from: Timestamp, to: Timestamp| count_to_f64(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0));
    let left = span(now, row.until) / span(key.from, row.until).max(1.0);
    let missing = 1.0 - count_to_f64(row.delivered) / count_to_f64(row.target.max(1));
    let urgency = missing / left.max(1e-9);
    (urgency > 1.0).then(|| Underserved {
        merchant,
        programme: programme.id.clone(),
        target: row.target,
        delivered: row.delivered,
        urgency,
        ends_at: row.until,
    })
}

fn add_caps(terms: &mut Terms, state: &State, programme: &Programme, now: Timestamp) {
    let scenes = scenes_of(programme);
    for (key, _) in state.accounts_in(programme.bit) {
        let Scope::Cap(merchant) = key.scope else { continue };
        let is_current = account_at(programme, key.scope, now) == *key;
        let (Some(slot), Limit::AtMost(limit)) = (state.hot().merchant_slot(merchant), state.limit_of(key)) else {
            continue;
        };
        if !is_current || terms.members.len() >= MAX_MEMBER_TERMS {
            continue;
        }
        let (start, end) = period(programme, key.scope, now);
        let (member, rule) = (slot, MemberRule::AtMost);
        terms.members.push(MemberSource::Cap(*key));
        terms.constraints.members.push(MemberTerm {
            member,
            programme: programme.bit,
            rule,
            limit,
            start,
            end,
            scenes,
        });
    }
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
