//! The counters that a policy declares, under the ids of the dictionary.

use super::model::{CounterDef, CounterKind, Dictionary};
use super::problem::{Report, did_you_mean};
use super::schema::{CounterFile, CounterKindFile};
use crate::domain::CounterId;

/// Most counters that were ever declared.
const MAX_COUNTERS: usize = 4_096;

/// The declared counters, by id.
#[derive(Debug, Default)]
pub(super) struct Counters {
    defs: Vec<CounterDef>,
}

/// Reads the declarations; new names get the next ids of the dictionary, in the order of the file.
pub(super) fn declare(files: Vec<CounterFile>, dictionary: &mut Dictionary, report: &mut Report) -> Counters {
    let mut counters = Counters::default();
    for file in files {
        let (span, name) = (file.name.span(), file.name.into_inner());
        if !is_name(&name) {
            report.at(span, format!("counter name `{name}`"), NAME_RULE);
            continue;
        }
        if counters.get(&name).is_some() {
            report.at(span, format!("counter `{name}` is declared twice"), "remove one of the declarations");
            continue;
        }
        let position = dictionary.counters.iter().position(|known| *known == name).unwrap_or_else(|| {
            dictionary.counters.push(name.clone());
            dictionary.counters.len() - 1
        });
        let Some(id) = u16::try_from(position).ok().filter(|_| position < MAX_COUNTERS).map(CounterId) else {
            report.at(span, format!("more than {MAX_COUNTERS} counters were ever declared"), "use the old names again");
            break;
        };
        let kind = match file.kind {
            CounterKindFile::Flow => CounterKind::Flow,
            CounterKindFile::Level => CounterKind::Level,
        };
        let CounterFile { unit, description, hindsight, .. } = file;
        counters.defs.push(CounterDef { id, name, kind, unit, description, hindsight });
    }
    counters.defs.sort_by_key(|counter| counter.id);
    counters
}

/// What names of counters, signals, rights and the like look like.
pub(super) const NAME_RULE: &str = "names are 1 to 64 lower-case letters, digits and _, and begin with a letter";

/// Whether a name follows the rule.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

impl Counters {
    /// A declared counter.
    pub(super) fn get(&self, name: &str) -> Option<&CounterDef> {
        self.defs.iter().find(|counter| counter.name == name)
    }

    /// The id of a flow, or what is wrong with the name and what to do.
    pub(super) fn flow(&self, name: &str) -> Result<CounterId, (String, String)> {
        let counter = self.find(name)?;
        if counter.kind == CounterKind::Level {
            return Err((format!("`{name}` is a level, not a flow"), "levels have no window".to_owned()));
        }
        Ok(counter.id)
    }

    /// The id of a level, or what is wrong with the name and what to do.
    pub(super) fn level(&self, name: &str) -> Result<CounterId, (String, String)> {
        let counter = self.find(name)?;
        if counter.kind == CounterKind::Flow {
            return Err((format!("`{name}` is a flow, not a level"), format!("sum it: `facts.{name}_30d`")));
        }
        Ok(counter.id)
    }

    /// A declared counter that may enter a score, or what is wrong with the name and what to do.
    pub(super) fn find(&self, name: &str) -> Result<&CounterDef, (String, String)> {
        let counter = self.find_any(name)?;
        if counter.hindsight {
            let message = format!("`{name}` is known only afterwards: a score that read it would look ahead");
            return Err((message, "read it in an [[outcome]]".to_owned()));
        }
        Ok(counter)
    }

    /// A flow that an outcome may count, which may be known only afterwards.
    pub(super) fn outcome(&self, name: &str) -> Result<CounterId, (String, String)> {
        let counter = self.find_any(name)?;
        if counter.kind == CounterKind::Level {
            return Err((
                format!("`{name}` is a level, not a flow"),
                "outcomes count what happens: name flows".to_owned(),
            ));
        }
        Ok(counter.id)
    }

    fn find_any(&self, name: &str) -> Result<&CounterDef, (String, String)> {
        self.get(name).ok_or_else(|| {
            let fix = did_you_mean(name, self.defs.iter().map(|counter| counter.name.as_str()));
            (format!("there is no counter `{name}`"), fix)
        })
    }

    /// All of them, by id.
    pub(super) fn into_defs(self) -> Vec<CounterDef> {
        self.defs
    }
}
