//! Who is meant by the ids in requests and constraints: tables by member need small numbers.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Ids below this are their own numbers; so many others can be numbered beside them.
pub(super) const MAX_MEMBERS: u32 = 1 << 20;

/// Numbers by id.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Of ids that are too large to be their own, in the order in which they came.
    others: BTreeMap<u64, u32>,
}

impl Members {
    /// The number of an id.
    pub(super) fn number(&mut self, id: u64) -> Result<u32, String> {
        if let Some(own) = u32::try_from(id).ok().filter(|own| *own < MAX_MEMBERS) {
            return Ok(own);
        }
        if let Some(number) = self.others.get(&id) {
            return Ok(*number);
        }
        let before = u32::try_from(self.others.len()).unwrap_or(u32::MAX);
        if before >= MAX_MEMBERS {
            return Err(format!("merchant {id} is one too many: {MAX_MEMBERS} with ids above that number are there"));
        }
        self.others.insert(id, MAX_MEMBERS + before);
        Ok(MAX_MEMBERS + before)
    }
}

/// A count for each of some merchants.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "neither a list of counts by merchant, from 0, nor an object of counts by merchant id")]
pub(super) enum Limits {
    /// For merchants 0, 1, 2 and so on.
    InOrder(Vec<f64>),
    /// By id; JSON has its keys in quotes.
    ById(BTreeMap<String, f64>),
}

impl Default for Limits {
    fn default() -> Self {
        Self::InOrder(Vec::new())
    }
}

impl Limits {
    /// A table by number; who is not named has `none`.
    pub(super) fn by_number(&self, none: f64, members: &mut Members) -> Result<Vec<f64>, String> {
        let named = match self {
            Self::InOrder(counts) if counts.len() > usize::try_from(MAX_MEMBERS).unwrap_or(usize::MAX) => {
                return Err(format!("{} counts, of {MAX_MEMBERS} at most", counts.len()));
            }
            Self::InOrder(counts) => return Ok(counts.clone()),
            Self::ById(counts) => counts,
        };
        let mut table = Vec::new();
        for (id, count) in named {
            let id = id.parse().map_err(|_| format!("{id:?} is not the id of a merchant"))?;
            let place = usize::try_from(members.number(id)?).unwrap_or(usize::MAX);
            if table.len() <= place {
                table.resize(place.saturating_add(1), none);
            }
            if let Some(entry) = table.get_mut(place) {
                *entry = *count;
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, MAX_MEMBERS, Members};

    #[test]
    fn small_ids_are_their_own_numbers_and_large_ones_are_numbered_beside_them() {
        let mut members = Members::default();
        let ids = [7, u64::MAX, 1_000_020, 1 << 40, u64::MAX];
        let numbers = ids.map(|id| members.number(id).expect("room"));
        assert_eq!(numbers, [7, MAX_MEMBERS, 1_000_020, MAX_MEMBERS + 1, MAX_MEMBERS]);
    }

    #[test]
    fn counts_are_told_in_order_or_by_id() {
        let mut members = Members::default();
        let read = |text: &str| serde_json::from_str::<Limits>(text);
        let by_id = read(r#"{"3": 5, "1": 2}"#).expect("by id").by_number(-1.0, &mut members).expect("ids");
        assert_eq!(by_id, [-1.0, 2.0, -1.0, 5.0]);
        assert_eq!(read("[1, 2]").expect("a list").by_number(0.0, &mut members).expect("short"), [1.0, 2.0]);
        assert!(read(r#"{"x": 1}"#).expect("read").by_number(0.0, &mut members).is_err());
        assert!(read("7").expect_err("refused").to_string().contains("neither a list"));
    }
}
