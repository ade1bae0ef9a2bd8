//! What stands on the disk: rows, log entries, backups. Checksums are made right, so that what is behind them is reached.

use std::cell::RefCell;
use std::io::{Seek, Write};

use tempfile::NamedTempFile;
use trustflow::log::decode_entry;
use trustflow::record::{decode_command, decode_outcome, encode_command, encode_outcome};
use trustflow::store::{check_bytes, verify_backup};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The keyspaces that the first byte chooses from.
pub(crate) const KEYSPACES: [&str; 12] = [
    "meta",
    "policy",
    "profiles",
    "windows",
    "rights",
    "violations",
    "requests",
    "imports",
    "facts",
    "ledgers",
    "reports",
    "audit",
];

/// Keyspace, length of the key, key, value.
pub(crate) fn store_rows(bytes: &[u8]) {
    let [which, length, row @ ..] = bytes else { return };
    let (key, value) = row.split_at(usize::from(*length).min(row.len()));
    let keyspace = KEYSPACES.get(usize::from(*which) % KEYSPACES.len()).copied().unwrap_or("meta");
    if let Err(problem) = check_bytes(keyspace, key, value) {
        assert!(!problem.to_string().is_empty(), "a problem without words");
    }
}

/// An entry of the log without its checksum: the format, then a command. The same bytes as an outcome.
pub(crate) fn log_entries(bytes: &[u8]) {
    let revision = 7;
    let checksum = xxh3_64_with_seed(bytes, revision).to_be_bytes();
    // The checksum of another revision is never taken.
    assert!(decode_entry(revision + 1, &[bytes, &checksum].concat()).is_err(), "an entry of another revision");
    if let Ok(command) = decode_entry(revision, &[bytes, &checksum].concat()) {
        let encoded = encode_command(&command);
        let again = decode_command(&encoded).expect("what was written reads");
        assert!(encode_command(&again) == encoded, "a command that is read again is another");
    }
    if let Some(Ok(outcome)) = bytes.get(1..).map(decode_outcome) {
        let encoded = encode_outcome(&outcome);
        let again = decode_outcome(&encoded).expect("what was written reads");
        assert!(encode_outcome(&again) == encoded, "an outcome that is read again is another");
    }
}

thread_local! {
    static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().expect("a file"));
}

const MAGIC: &[u8] = b"trustflow backup 1\n";

/// The first byte says whether the rest is a backup as it stands, or frames: each a length of two bytes and a message,
/// which get the lengths and checksums of a backup.
pub(crate) fn backup_files(bytes: &[u8]) {
    let Some((kind, mut rest)) = bytes.split_first() else { return };
    let mut file = Vec::new();
    if kind % 2 == 0 {
        file.extend(rest);
    } else {
        file.extend(MAGIC);
        let mut number = 0;
        while let [high, low, frames @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(frames.len());
            let (message, behind) = frames.split_at(length);
            file.extend(u32::try_from(length).expect("short").to_be_bytes());
            file.extend(message);
            file.extend(xxh3_64_with_seed(message, number).to_be_bytes());
            (rest, number) = (behind, number + 1);
        }
    }
    FILE.with_borrow_mut(|backup| {
        backup.as_file().set_len(0).expect("emptied");
        backup.rewind().expect("rewound");
        backup.write_all(&file).expect("written");
        if let Err(problem) = verify_backup(backup.path()) {
            assert!(!problem.to_string().is_empty(), "a problem without words");
        }
    });
}
