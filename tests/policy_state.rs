//! How the policy changes, decided by the state machine alone: versions, etags, the version that waits, rolling back,
//! programme bits, the kill switch; and that a replay and a restart come to the same.

#[cfg(test)]
#[allow(dead_code, reason = "histories need the rest")]
#[path = "support/machine.rs"]
mod machine;
#[cfg(test)]
#[path = "support/small_policy.rs"]
mod small_policy;

#[cfg(test)]
mod changes {
    use trustflow::domain::{
        Body, Command, Day, Outcome, PolicyOutcome, PolicyPublish, PolicyState, PolicyText, Rejection, Timestamp,
    };
    use trustflow::policy::{BIT_REUSED_AFTER_DAYS, Dictionary, text_hash};
    use trustflow::state::{MetaRow, PolicyRow, Restore, Row, State};

    use crate::machine::Machine;
    use crate::small_policy::small_policy;

    const FIRST: Day = Day(19_400);
    const HOUR_MS: i64 = 3_600_000;

    struct Life {
        machine: Machine,
        now: Timestamp,
    }

    impl Life {
        /// Version 1 serves: the small policy of variant 0.
        fn begin() -> Self {
            let mut life = Self { machine: Machine::new(), now: FIRST.start() };
            assert_eq!(life.publish(small_policy(0)).version, 1);
            life
        }

        fn apply(&mut self, body: Body) -> Outcome {
            self.machine.apply(self.now, None, body).outcome
        }

        fn state(&self) -> &State {
            &self.machine.state
        }

        /// Makes what is being prepared current.
        fn activate(&mut self) {
            let began = self.state().transition().expect("something is prepared").began;
            assert_eq!(self.apply(Body::Activate { began }), Outcome::Done);
            self.machine.finish();
        }

        fn settle(&mut self) {
            while self.state().transition().is_some() {
                self.activate();
            }
        }

        fn change(&mut self, body: Body) -> PolicyOutcome {
            let outcome = self.apply(body);
            let Outcome::Policy(taken) = outcome else { unreachable!("not taken: {outcome:?}") };
            taken
        }

        /// Publishes a text at once and lets it serve.
        fn publish(&mut self, text: PolicyText) -> PolicyOutcome {
            let outcome = self.change(Body::PublishPolicy(text.into()));
            self.settle();
            outcome
        }

        fn schedule(&mut self, text: PolicyText, hours: i64) -> PolicyOutcome {
            let effective_at = Some(self.now.plus_ms(hours * HOUR_MS));
            self.change(Body::PublishPolicy(PolicyPublish { text, effective_at, ..PolicyPublish::default() }))
        }

        fn wait(&mut self, hours: i64) {
            self.now = self.now.plus_ms(hours * HOUR_MS);
            self.apply(Body::Tick);
        }

        fn serving(&self) -> u64 {
            self.state().policy().version
        }

        fn states(&self) -> Vec<PolicyState> {
            self.state().policies().map(|row| self.state().policy_state(row.version)).collect()
        }

        /// Lives the log again elsewhere; both must come to the same, and so must a restart.
        fn check_replay(mut self) {
            let mut replica = Machine::new();
            for command in self.machine.log.0.clone() {
                let Command { stamp, request, body, .. } = command;
                replica.apply(stamp, request, body);
            }
            self.machine.finish();
            replica.finish();
            assert_eq!(replica.state.meta(), self.machine.state.meta());
            let hash = self.machine.hash();
            assert_eq!(replica.hash(), hash);
            self.machine.restart();
            assert_eq!(self.machine.state.meta(), replica.state.meta());
            assert_eq!(self.machine.state.policy(), replica.state.policy());
            assert_eq!(self.machine.hash(), hash);
        }
    }

    fn rollback(version: u64, expected_revision: Option<u64>) -> Body {
        Body::RollbackPolicy { version, expected_revision, author: "ann".into(), reason: "worse".into() }
    }

    /// The small policy with so many programmes beside its own, from a number on.
    fn with_programmes(numbers: impl IntoIterator<Item = u32>) -> PolicyText {
        let mut text = small_policy(0);
        let programme = text.files.iter().find(|(path, _)| path.starts_with("programmes/")).expect("one").1.clone();
        let extra = numbers.into_iter().map(|number| (format!("programmes/extra_{number:02}.toml"), programme.clone()));
        text.files.extend(extra);
        text.files.sort();
        text
    }

    fn bit(state: &State, id: &str) -> Option<u8> {
        state.policy().programmes.iter().find(|programme| programme.id == id).map(|programme| programme.bit)
    }

    #[test]
    fn an_etag_of_before_the_last_change_is_refused() {
        let mut life = Life::begin();
        let first = life.state().meta().policy_revision;
        let publish = |text, revision| {
            Body::PublishPolicy(PolicyPublish { text, expected_revision: Some(revision), ..PolicyPublish::default() })
        };
        let second = life.change(publish(small_policy(1), first));
        life.settle();
        assert!(second.policy_revision > first && !second.is_unchanged);
        let stale = Outcome::Rejected(Rejection::EtagMismatch { actual: second.policy_revision });
        assert_eq!(life.apply(publish(small_policy(2), first)), stale);
        assert_eq!(life.apply(rollback(1, Some(first))), stale);
        assert_eq!(life.serving(), 2, "a refusal changes nothing");
        life.apply(Body::SetKillSwitch { is_on: true, author: "ann".into(), reason: "test".into() });
        life.change(rollback(1, Some(second.policy_revision)));
        life.check_replay();
    }

    #[test]
    fn a_text_has_one_version_for_good() {
        let mut life = Life::begin();
        assert_eq!(life.publish(small_policy(1)).version, 2);
        let again = life.publish(small_policy(1));
        assert_eq!((again.version, again.is_unchanged), (2, true));
        let mut elsewhere = small_policy(0);
        elsewhere.source = "somewhere else".into();
        let back = life.publish(elsewhere);
        assert_eq!((back.version, back.is_unchanged, life.serving()), (1, false, 1));
        assert_eq!(life.state().policies().count(), 2);
        let row = life.state().policy_row(1).expect("it is there");
        assert_eq!(row.last_switch.as_ref().map(|switch| switch.revision), Some(back.policy_revision));
        assert_eq!(row.text.source, "variant 0", "where it first came from");
        life.check_replay();
    }

    #[test]
    fn what_is_being_prepared_is_the_target() {
        let mut life = Life::begin();
        life.change(Body::PublishPolicy(small_policy(1).into()));
        assert_eq!(life.states(), [PolicyState::Serving, PolicyState::Preparing]);
        let again = life.change(Body::PublishPolicy(small_policy(1).into()));
        assert!(again.is_unchanged);
        let pending = Outcome::Rejected(Rejection::TransitionPending);
        assert_eq!(life.apply(Body::PublishPolicy(small_policy(2).into())), pending);
        assert_eq!(life.apply(rollback(1, None)), pending);
        assert_eq!(life.state().policies().count(), 2, "what has to wait leaves nothing behind");
        life.settle();
        assert_eq!(life.states(), [PolicyState::Retired, PolicyState::Serving]);
        life.check_replay();
    }

    #[test]
    fn a_scheduled_version_begins_when_its_time_comes() {
        let mut life = Life::begin();
        let at = life.now.plus_ms(2 * HOUR_MS);
        let scheduled = life.schedule(small_policy(1), 2);
        assert_eq!(life.states(), [PolicyState::Serving, PolicyState::Scheduled]);
        assert_eq!(life.state().next_due(), Some(at));
        life.wait(1);
        assert!(life.state().transition().is_none());
        life.machine.write(0);
        life.machine.restart();
        assert_eq!(life.states(), [PolicyState::Serving, PolicyState::Scheduled], "it outlives a restart");
        life.wait(1);
        assert_eq!(life.states(), [PolicyState::Serving, PolicyState::Preparing]);
        assert_eq!(life.state().next_due(), None);
        life.settle();
        assert_eq!((life.serving(), life.state().meta().policy_revision), (2, scheduled.policy_revision));
        life.check_replay();
    }

    #[test]
    fn a_scheduled_version_waits_for_a_closing_that_is_on_its_way() {
        let mut life = Life::begin();
        life.schedule(small_policy(1), 2);
        assert_eq!(life.apply(Body::CloseDay { day: FIRST.plus(-1) }), Outcome::Done);
        life.wait(3);
        assert_eq!(life.state().next_due(), None, "nothing is due while a world is built");
        assert_eq!(life.serving(), 1);
        life.activate();
        assert_eq!(life.states(), [PolicyState::Serving, PolicyState::Preparing], "it begins right after");
        life.settle();
        assert_eq!((life.serving(), life.state().facts_day()), (2, FIRST.plus(-1)));
        life.check_replay();
    }

    #[test]
    fn at_most_one_version_waits_and_the_next_change_replaces_it() {
        let mut life = Life::begin();
        life.schedule(small_policy(1), 2);
        assert!(life.schedule(small_policy(1), 2).is_unchanged);
        assert!(!life.schedule(small_policy(1), 3).is_unchanged, "another time");
        life.schedule(small_policy(2), 4);
        assert_eq!(life.states(), [PolicyState::Serving, PolicyState::Retired, PolicyState::Scheduled]);
        let cancelled = life.change(rollback(1, None));
        assert_eq!((cancelled.version, cancelled.is_unchanged), (1, false));
        assert_eq!(life.state().meta().pending, None);
        assert_eq!(life.state().next_due(), None);
        life.schedule(small_policy(2), 4);
        assert!(!life.publish(small_policy(0)).is_unchanged, "publishing what serves cancels, too");
        assert_eq!(life.state().meta().pending, None);
        life.schedule(small_policy(2), 4);
        assert_eq!(life.publish(small_policy(2)).version, 3);
        assert_eq!(life.serving(), 3, "what waits can be published at once");
        life.wait(5);
        assert_eq!((life.serving(), life.state().transition().is_none()), (3, true));
        life.check_replay();
    }

    #[test]
    fn an_earlier_version_serves_again_under_its_own_number() {
        let mut life = Life::begin();
        life.publish(small_policy(1));
        assert_eq!(
            life.apply(rollback(7, None)),
            Outcome::Rejected(Rejection::NotFound { what: "policy version".into(), id: 7 })
        );
        let back = life.change(rollback(1, None));
        assert_eq!(life.states(), [PolicyState::Preparing, PolicyState::Serving]);
        life.settle();
        assert_eq!((back.version, life.serving()), (1, 1));
        let switch = life.state().policy_row(1).and_then(|row| row.last_switch.clone()).expect("noted");
        assert_eq!((switch.author.as_str(), switch.reason.as_str(), switch.at), ("ann", "worse", life.now));
        assert!(life.change(rollback(1, None)).is_unchanged);
        life.check_replay();
    }

    #[test]
    fn a_programme_that_left_keeps_its_bit_for_30_days() {
        let mut life = Life::begin();
        // With `launch` 64.
        assert_eq!(life.publish(with_programmes(0..63)).version, 2);
        let full = Body::PublishPolicy(with_programmes((0..62).chain([99])).into());
        let Outcome::Rejected(Rejection::NoProgrammeBit { shortage }) = life.apply(full) else {
            unreachable!("64 are in use")
        };
        assert!(shortage.contains("none of their programmes has left"), "{shortage}");

        let bit_of_5 = bit(life.state(), "extra_05").expect("it has one");
        let without_5 = || (0..63).filter(|number| *number != 5);
        life.publish(with_programmes(without_5()));
        let left = life.now;
        life.wait(24);
        assert_eq!(life.publish(with_programmes(0..63)).version, 2);
        assert_eq!(bit(life.state(), "extra_05"), Some(bit_of_5), "it came back to its own");
        life.publish(with_programmes(without_5()));
        assert!(life.now > left);

        let replaced = || with_programmes(without_5().chain([99]));
        let free = life.now.plus_ms(BIT_REUSED_AFTER_DAYS * 24 * HOUR_MS);
        life.wait(BIT_REUSED_AFTER_DAYS * 24 - 1);
        let Outcome::Rejected(Rejection::NoProgrammeBit { shortage }) =
            life.apply(Body::PublishPolicy(replaced().into()))
        else {
            unreachable!("it is an hour too early")
        };
        assert!(shortage.contains("extra_05") && shortage.contains(&free.day().to_string()), "{shortage}");
        life.wait(1);
        life.publish(replaced());
        assert_eq!(bit(life.state(), "extra_99"), Some(bit_of_5));

        // The earlier version has no bit for its programme any more.
        let refused = life.apply(rollback(2, None));
        assert!(matches!(refused, Outcome::Rejected(Rejection::NoProgrammeBit { .. })), "{refused:?}");
        life.check_replay();
    }

    #[test]
    fn the_bits_of_a_version_that_waits_are_kept() {
        let mut life = Life::begin();
        life.publish(with_programmes([1]));
        life.publish(small_policy(0));
        assert!(life.state().meta().programme_retired.iter().flatten().count() == 1);
        life.schedule(with_programmes([1]), 24 * 40);
        assert_eq!(life.state().meta().programme_retired.iter().flatten().count(), 0, "it will serve");
        life.change(rollback(1, None));
        assert_eq!(life.state().meta().programme_retired.iter().flatten().count(), 1, "it will not");
        life.check_replay();
    }

    #[test]
    fn a_logged_text_is_not_judged_again() {
        let edited = |from: &str, to: &str| {
            let mut text = small_policy(0);
            for (_, content) in &mut text.files {
                *content = content.replace(from, to);
            }
            text
        };
        let mut life = Life::begin();
        // Today's checks refuse this one; those of the day on which it was logged did not.
        let text = edited("cache_ttl_ms = 1000", "cache_ttl_ms = 9000000");
        assert!(trustflow::policy::compile(&text, 1, &mut Dictionary::default()).is_err());
        assert_eq!(life.publish(text).version, 2);
        assert_eq!(life.state().policy().cache_ttl_ms, 9_000_000, "it means what it says");
        let unreadable = life.apply(Body::PublishPolicy(edited("cache_ttl_ms", "cache").into()));
        assert!(matches!(unreadable, Outcome::Rejected(Rejection::BadPolicy { .. })), "{unreadable:?}");
        assert_eq!(life.state().policies().count(), 2);
        life.check_replay();
    }

    #[test]
    fn the_kill_switch_is_kept() {
        let mut life = Life::begin();
        let set = |is_on, reason: &str| Body::SetKillSwitch { is_on, author: String::new(), reason: reason.into() };
        let since = life.now;
        life.apply(set(true, "prices ran away"));
        life.wait(1);
        life.apply(set(true, "still"));
        let switch = life.state().meta().kill_switch.clone().expect("on");
        assert_eq!((switch.since, switch.reason.as_str()), (since, "still"));
        life.machine.write(0);
        life.machine.restart();
        assert!(life.state().hot().kill_switch());
        life.apply(set(false, ""));
        assert!(!life.state().hot().kill_switch() && life.state().meta().kill_switch.is_none());
        life.check_replay();
    }

    #[test]
    fn rows_of_the_first_programs_are_understood() {
        let machine = Machine::new();
        let mut names = Dictionary::default();
        trustflow::policy::compile(&small_policy(1), 2, &mut names).expect("compiles");
        let meta = MetaRow {
            now: FIRST.start(),
            policy_version: 2,
            counters: names.counters,
            programme_bits: names.programme_bits,
            ..MetaRow::default()
        };
        let mut restore = Restore::default();
        restore.row(Row::Meta(meta)).expect("taken");
        for (variant, version, revision) in [(0, 1, 1), (1, 2, 5)] {
            let text = small_policy(variant);
            let (author, comment) = (String::new(), String::new());
            let (hash, published_at, last_switch) = (String::new(), None, None);
            let row = PolicyRow { version, revision, text, hash, author, comment, published_at, last_switch };
            restore.row(Row::Policy(row)).expect("taken");
        }
        let state = restore.finish(5, &machine.store).expect("restored");
        assert_eq!((state.policy().version, state.meta().policy_revision), (2, 5));
        assert_eq!(state.version_of(&text_hash(&small_policy(0))), Some(1));
        assert_eq!(state.meta().configured_hash, text_hash(&small_policy(1)), "at the start nothing is published");
    }

    #[test]
    fn a_stored_text_that_cannot_be_used_is_named_with_what_to_do() {
        let mut text = small_policy(0);
        text.files.retain(|(path, _)| path != "score.toml");
        let mut restore = Restore::default();
        restore.row(Row::Meta(MetaRow { policy_version: 7, ..MetaRow::default() })).expect("taken");
        let (author, comment) = (String::new(), String::new());
        let (hash, published_at, last_switch) = (String::new(), None, None);
        let row = PolicyRow { version: 7, revision: 9, text, hash, author, comment, published_at, last_switch };
        restore.row(Row::Policy(row)).expect("taken");
        let error = restore.finish(9, &Machine::new().store).err().expect("no policy").to_string();
        for part in ["version 7", "score.toml", "the file is missing", "start the program that served it"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn commands_of_the_first_programs_mean_what_they_meant() {
        let machine = Machine::new();
        let mut state = State::default();
        let mut revision = 0;
        let mut apply = |body: Body| {
            revision += 1;
            let command = Command { stamp: FIRST.start(), node: 1, semantics: 1, request: None, body };
            let outcome = state.apply(revision, &command, &machine.store).expect("applies").outcome;
            (revision, outcome)
        };
        for (variant, version) in [(0, 1), (1, 2), (0, 3)] {
            let (began, outcome) = apply(Body::PublishPolicy(small_policy(variant).into()));
            assert!(matches!(outcome, Outcome::Policy(taken) if taken.version == version), "{outcome:?}");
            assert_eq!(apply(Body::Activate { began }).1, Outcome::Done);
        }
        let row = state.policy_row(3).expect("every publish made a version");
        assert_eq!(state.meta().configured_hash, row.hash, "they published nothing but what they were started with");
    }
}
