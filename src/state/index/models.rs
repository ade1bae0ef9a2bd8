//! Models of lookups beside the writer.

use loom::sync::Arc;
use loom::thread;

use super::{ABSENT, IdTable};

#[test]
fn what_was_written_before_an_id_is_there_with_it() {
    loom::model(|| {
        let table = Arc::new(IdTable::with_places(4));
        // Ids whose searches have nothing in common.
        let other = (6..).find(|id| table.home(*id) != table.home(5)).expect("ids are spread");
        // Who reads is the second thread. Loom looks for other orders where a thread comes upon the last access of another,
        // and a write that looks at its place first hides a read before it: with the writer second, it would try one order.
        let reader = {
            let table = table.clone();
            thread::spawn(move || {
                let second = table.get(other);
                assert!(matches!(second, None | Some(60)), "{second:?}");
                let first = table.get(5);
                assert!(matches!(first, None | Some(50 | 51)), "{first:?}");
                assert!(second.is_none() || first.is_some(), "what was written before is there, too");
                let again = table.get(5);
                assert!(again >= first, "{again:?} after {first:?}");
            })
        };
        table.put(5, 50);
        table.put(other, 60);
        table.put(5, 51);
        reader.join().expect("no panic");
        assert_eq!((table.get(5), table.get(other)), (Some(51), Some(60)));
    });
}

#[test]
fn an_id_that_goes_and_comes_back_keeps_its_place() {
    loom::model(|| {
        let table = Arc::new(IdTable::with_places(2));
        table.put(5, 50);
        let writer = {
            let table = table.clone();
            thread::spawn(move || {
                table.put(5, ABSENT);
                table.put(5, 51);
            })
        };
        let seen = table.get(5);
        assert!(matches!(seen, None | Some(50 | 51)), "{seen:?}");
        let again = table.get(5);
        assert!(seen != Some(51) || again == Some(51), "{again:?} after {seen:?}");
        writer.join().expect("no panic");
        assert_eq!(table.get(5), Some(51));
    });
}
