//! Models of a lane: charges of requests beside the manager, reports and the end of a period. Nothing is charged twice,
//! and nothing is lost.

use std::sync::atomic::Ordering;

use loom::sync::Arc;
use loom::thread;

use super::{AVAILABLE, Lane, Place, tag, tag_of, word};
use crate::domain::Day;
use crate::state::node::Took;

const PERIOD: Day = Day(19_400);
const BEFORE: Day = Day(19_399);
const NEXT: Day = Day(19_401);
const BUCKET: u32 = 7;
/// Long enough for a lane to be idle.
const LATER_MS: u32 = 1 << 20;

/// A place whose first lane holds so much of a period.
fn place(held: u64) -> Place {
    let place = Place::default();
    let lane = place.claim(PERIOD).expect("a lane is free");
    lane.books.lock().held = held;
    lane.word.store(word(tag(PERIOD), held), Ordering::Release);
    place
}

fn lane(place: &Place) -> &Lane {
    place.find(PERIOD).expect("it has the period")
}

/// What the lane holds is available, reserved, or owed to the ledger; nobody is charging.
fn conserve(place: &Place, held: u64) {
    let lane = lane(place);
    let books = lane.books.lock();
    let available = lane.word.load(Ordering::Acquire) & AVAILABLE;
    assert_eq!(books.held, held, "what is held");
    assert_eq!(available + lane.reserved.total(), books.held + books.owed, "parts add up to what is held");
}

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(check);
}

#[test]
fn the_last_exposure_is_charged_once() {
    model(|| {
        let shared = Arc::new(place(1));
        let other = {
            let shared = shared.clone();
            thread::spawn(move || matches!(lane(&shared).charge(tag(PERIOD), BUCKET), Took::One { .. }))
        };
        let mine = matches!(lane(&shared).charge(tag(PERIOD), BUCKET), Took::One { .. });
        let theirs = other.join().expect("no panic");
        assert!(mine != theirs, "one of them has it");
        conserve(&shared, 1);
    });
}

#[test]
fn a_report_beside_a_charge_takes_what_was_delivered_once() {
    model(|| {
        let shared = Arc::new(place(2));
        let charging = {
            let shared = shared.clone();
            thread::spawn(move || {
                lane(&shared).charge(tag(PERIOD), BUCKET);
            })
        };
        lane(&shared).settle(tag(PERIOD), BUCKET, 1);
        charging.join().expect("no panic");
        conserve(&shared, 1);
    });
}

#[test]
fn a_reservation_that_runs_out_while_it_is_reported_counts_once() {
    model(|| {
        let shared = Arc::new(place(1));
        lane(&shared).charge(tag(PERIOD), BUCKET);
        let expiring = {
            let shared = shared.clone();
            thread::spawn(move || {
                let lane = lane(&shared);
                let mut books = lane.books.lock();
                let freed = lane.reserved.expire(BUCKET);
                lane.gain(&mut books, freed);
            })
        };
        lane(&shared).settle(tag(PERIOD), BUCKET, 1);
        expiring.join().expect("no panic");
        conserve(&shared, 0);
    });
}

#[test]
fn a_charge_that_comes_late_takes_nothing_of_the_period_that_follows() {
    model(|| {
        let shared = Arc::new(place(0));
        // The other lane has a period, too: the one that follows gets this lane.
        shared.claim(BEFORE).expect("a lane is free");
        let lane = lane(&shared);
        // Asked once, long ago, in vain.
        lane.charge(tag(PERIOD), BUCKET);
        lane.visit(0, 0, 1);
        lane.books.lock().pace.unanswered();
        let late = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.find(PERIOD).map(|lane| lane.charge(tag(PERIOD), BUCKET));
            })
        };
        shared.retire(lane, LATER_MS, 2);
        let next = shared.claim(NEXT).expect("a lane is free");
        {
            let mut books = next.books.lock();
            books.held = 1;
            next.gain(&mut books, 1);
        }
        late.join().expect("no panic");
        let found = shared.find(NEXT).expect("it has the period").word.load(Ordering::Acquire);
        assert_eq!((tag_of(found), found & AVAILABLE), (tag(NEXT), 1), "the late charge took it");
    });
}
