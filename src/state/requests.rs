//! Remembered write requests and imports: repeating one answers its first outcome.

use std::collections::{HashMap, VecDeque};

use super::rows::{ImportRow, RequestRow};
use crate::domain::{DAY_MS, RequestKey, Timestamp};

/// How long a request or import is remembered, in state time.
pub const REMEMBERED_MS: i64 = DAY_MS;
/// Most requests remembered; beyond it the oldest are forgotten early.
pub const MAX_REMEMBERED: usize = 1_000_000;

/// Requests by who sent them, which method and which id.
#[derive(Default)]
pub(super) struct Requests {
    by_key: HashMap<(String, String, String), (u128, RequestRow), foldhash::fast::FixedState>,
    by_age: VecDeque<RequestKey>,
}

/// What is remembered of a request that comes again.
pub(super) enum Remembered {
    /// The same request: its first revision and outcome.
    Same(Box<RequestRow>),
    /// The id with another payload.
    OtherPayload,
}

fn key_of(request: &RequestKey) -> (String, String, String) {
    (request.identity.clone(), request.method.clone(), request.request_id.clone())
}

impl Requests {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn find(&self, request: &RequestKey) -> Option<Remembered> {
        let (payload_hash, row) = self.by_key.get(&key_of(request))?;
        if *payload_hash == request.payload_hash {
            Some(Remembered::Same(Box::new(row.clone())))
        } else {
            Some(Remembered::OtherPayload)
        }
    }

    /// Remembers a request. Requests come in order of their stamps.
    pub(super) fn remember(&mut self, request: RequestKey, row: RequestRow) {
        self.by_key.insert(key_of(&request), (request.payload_hash, row));
        self.by_age.push_back(request);
    }

    /// Takes stored requests back, in any order.
    pub(super) fn restore(&mut self, mut stored: Vec<(RequestKey, RequestRow)>) {
        stored.sort_by(|a, b| (a.1.revision, &a.0.request_id).cmp(&(b.1.revision, &b.0.request_id)));
        for (request, row) in stored {
            self.remember(request, row);
        }
    }

    /// Forgets what is too old or too much; answers what was forgotten.
    pub(super) fn forget(&mut self, now: Timestamp) -> Vec<RequestKey> {
        let mut forgotten = Vec::new();
        while let Some(oldest) = self.by_age.front() {
            let key = key_of(oldest);
            let is_old = self.by_key.get(&key).is_none_or(|(_, row)| row.stamp.plus_ms(REMEMBERED_MS) <= now);
            if !is_old && self.by_age.len() <= MAX_REMEMBERED {
                break;
            }
            self.by_key.remove(&key);
            forgotten.extend(self.by_age.pop_front());
        }
        forgotten
    }
}

fn is_old(row: &ImportRow, now: Timestamp) -> bool {
    row.stamp.plus_ms(REMEMBERED_MS) <= now
}

/// How far each import has come.
#[derive(Default)]
pub(super) struct Imports {
    by_id: HashMap<String, ImportRow, foldhash::fast::FixedState>,
    looked: Timestamp,
}

impl Imports {
    /// Last chunk taken; 0 if none is remembered at an instant, whether or not it was cleared away yet.
    pub(super) fn committed(&self, import_id: &str, now: Timestamp) -> u64 {
        self.by_id.get(import_id).filter(|row| !is_old(row, now)).map_or(0, |row| row.committed)
    }

    pub(super) fn set(&mut self, import_id: &str, row: ImportRow) {
        self.by_id.insert(import_id.to_owned(), row);
    }

    /// Forgets imports whose last chunk is too old; answers which.
    pub(super) fn forget(&mut self, now: Timestamp) -> Vec<String> {
        // Looking at all of them once a minute of state time is enough.
        if now < self.looked.plus_ms(60_000) {
            return Vec::new();
        }
        self.looked = now;
        let mut forgotten: Vec<String> =
            self.by_id.iter().filter(|(_, row)| is_old(row, now)).map(|(id, _)| id.clone()).collect();
        forgotten.sort();
        for id in &forgotten {
            self.by_id.remove(id);
        }
        forgotten
    }
}
