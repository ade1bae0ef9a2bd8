//! The state machine over random histories: sums equal a recomputation from the facts, records equal a fresh
//! materialisation, and the same log gives the same state however it is grouped, interrupted and restarted.

#[cfg(test)]
#[path = "support/dice.rs"]
mod dice;
#[cfg(test)]
#[path = "support/life.rs"]
mod life;
#[cfg(test)]
#[path = "support/machine.rs"]
mod machine;
#[cfg(test)]
#[path = "support/small_policy.rs"]
mod small_policy;
#[cfg(test)]
#[path = "support/spending.rs"]
mod spending;
#[cfg(test)]
#[path = "support/spending_steps.rs"]
mod spending_steps;

#[cfg(test)]
mod histories {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use trustflow::domain::AuditEntry;
    use trustflow::store::AuditRange;

    use crate::dice::Dice;
    use crate::life::{Life, STEPS, VARIANTS, step};
    use crate::machine::{Machine, check};

    /// `TRUSTFLOW_HISTORIES` asks for more.
    #[expect(clippy::disallowed_methods, reason = "settings of this test alone")]
    fn cases() -> u32 {
        std::env::var("TRUSTFLOW_HISTORIES").map_or(24, |value| value.parse().expect("a number"))
    }

    /// The audit trail, as far as it was written.
    fn trail(machine: &Machine) -> Vec<AuditEntry> {
        machine.store.audit(&AuditRange::ALL).expect("reads").collect::<Result<_, _>>().expect("reads")
    }

    /// Replays a log with other choices of when to finish, write, advance and restart.
    fn replay(life: &Life, seed: u64) -> Machine {
        let mut dice = Dice::new(seed);
        let mut replica = Machine::new();
        for command in &life.machine.log.0 {
            let command = command.clone();
            replica.apply(command.stamp, command.request, command.body);
            if dice.below(3) == 0 {
                replica.finish();
            }
            if dice.below(6) == 0 {
                replica.write(usize::try_from(dice.below(4)).expect("small"));
            }
            if dice.below(2) == 0 {
                replica.advance(usize::try_from(1 + dice.below(40)).expect("small"));
            }
            if dice.below(40) == 0 {
                replica.restart();
            }
        }
        replica.finish();
        replica
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 500, ..ProptestConfig::with_cases(cases()) })]

        #[test]
        fn a_history_comes_out_the_same_however_it_is_lived(
            first in 0..VARIANTS,
            steps in vec(step(), STEPS / 4..STEPS),
            seed in any::<u64>(),
        ) {
            let mut life = Life::begin(first);
            for step in steps {
                life.step(step);
            }
            life.end();
            let mut replica = replay(&life, seed);
            check(&mut replica, &life.facts, "in the replica");
            prop_assert_eq!(replica.visible(), life.machine.visible());
            let open = |machine: &Machine| machine.state.hot().world().open();
            prop_assert_eq!(open(&replica), open(&life.machine));
            prop_assert_eq!(replica.hash(), life.machine.hash());
            prop_assert_eq!(trail(&replica), trail(&life.machine));
        }
    }
}
