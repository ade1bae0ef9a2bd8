//! Publishes what control has found: prices, and what is spent as of this turn.

use super::Turns;
use super::stops::Left;
use crate::domain::{Scene, Scope};
use crate::traffic::control::BudgetTerm;
use crate::traffic::{MemberPrice, PriceBook, mask_of};

impl Turns {
    /// Publishes prices, and what is spent as of this turn.
    pub(super) fn publish(&mut self) {
        let prices = self.context.hot.prices();
        let mut book = self.controller.book().clone();
        let mut stopped = [0_u64; Scene::COUNT];
        for prices in &mut book.scenes {
            prices.spent = 0;
        }
        let budgets = self.terms.iter().zip(&self.accounts);
        for ((term, key), (used, rate)) in budgets.zip(self.budgets.iter().zip(&self.rates)) {
            let mask = mask_of(term.bit);
            let own = |scene: Scene| match key.scope {
                Scope::Scene(only) => only == scene,
                Scope::Programme | Scope::Head | Scope::Member(_) | Scope::Cap(_) | Scope::Wallet(..) => {
                    !has_own(&self.terms, term.bit, scene)
                }
            };
            let left = Left::of(*used, term.limit, *rate, self.settings.report_lag_ms);
            for scene in Scene::ALL.into_iter().filter(|scene| own(*scene)) {
                if let Some(prices) = book.scenes.get_mut(scene.index()).filter(|_| left.is_spent) {
                    prices.spent |= mask;
                }
                if let Some(stopped) = stopped.get_mut(scene.index()).filter(|_| left.may_be_spent) {
                    *stopped |= mask;
                }
            }
        }
        for (scene, mask) in Scene::ALL.into_iter().zip(stopped) {
            prices.set_stopped(scene, mask);
        }
        for (slot, price) in self.controller.changed_members() {
            // What is spent is said by whoever looks at members: it knows more caps than those that are priced.
            let spent = prices.member(slot).spent;
            prices.set_member(slot, &MemberPrice { spent, ..price });
        }
        self.metrics.published(book.epoch, self.controller.forecast().error());
        if *prices.book().as_ref() != book {
            prices.publish(book);
        }
    }
}

fn has_own(budgets: &[BudgetTerm], bit: u8, scene: Scene) -> bool {
    budgets.iter().any(|term| term.bit == bit && term.scene == Some(scene))
}

/// Mean movement of the prices that are above 0.
pub(super) fn movement(before: &PriceBook, after: &PriceBook) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (before, after) in before.scenes.iter().zip(&after.scenes) {
        for (before, after) in before.lambda.iter().zip(&after.lambda).filter(|(a, b)| **a > 0.0 || **b > 0.0) {
            sum += f64::from((after - before).abs());
            count += 1.0;
        }
    }
    if count > 0.0 { sum / count } else { 0.0 }
}
