//! Files that the client imports.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Seek, Write};

use tempfile::NamedTempFile;
use trustflow::cli::orders::aggregate::{Rules, aggregate};
use trustflow::cli::orders::mapping::Mapping;
use trustflow::cli::orders::records::{read_items, read_sellers};
use trustflow::cli::{CliError, check_facts_file, check_merchants_file};

thread_local! {
    // One for all inputs: a new file for each would be most of the work.
    static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().expect("a file"));
}

/// Puts bytes into a file and has it read. An error has words.
fn read<T>(bytes: &[u8], take: impl FnOnce(&str) -> Result<T, CliError>) -> Option<T> {
    FILE.with_borrow_mut(|file| {
        file.as_file().set_len(0).expect("emptied");
        file.rewind().expect("rewound");
        file.write_all(bytes).expect("written");
        let path = file.path().to_str().expect("a path").to_owned();
        take(&path).map_err(|error| assert!(!error.to_string().is_empty(), "an error without words")).ok()
    })
}

/// The first byte says what kind of file the rest is.
pub(crate) fn import_files(bytes: &[u8]) {
    let Some((kind, file)) = bytes.split_first() else { return };
    let (mapping, _) = Mapping::load(None).expect("the built-in mapping reads");
    match kind % 5 {
        0 => drop(read(file, check_facts_file)),
        1 => drop(read(file, check_merchants_file)),
        2 => drop(read(file, |path| read_sellers(path, &mapping))),
        3 => drop(read(file, |path| Mapping::load(Some(path)))),
        _ => {
            let Some(source) = read(file, |path| read_items(path, &mapping)) else { return };
            let rules = Rules {
                day_offset_s: mapping.day_offset_hours * 3_600,
                as_of: None,
                promise_window_s: mapping.promise_window_hours * 3_600,
                force_majeure: Vec::new(),
                sellers: BTreeMap::new(),
            };
            let _ = aggregate(&source.items, &rules);
        }
    }
}
