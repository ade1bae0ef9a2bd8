//! Reads JSON lines from a file or stdin, plain or gzip, naming file and line of whatever is wrong.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use super::error::CliError;

/// Longest line taken, in bytes.
const MAX_LINE_BYTES: u64 = 4 << 20;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What was read, to name an import by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// Hash of the text, the same whether it was compressed or not.
    pub(crate) hash: u128,
    /// Records read.
    pub(crate) records: u64,
}

/// Hands every JSON line of a file (`-` for stdin) to `take` with its number. Blank lines are skipped.
pub(crate) fn json_lines<T: DeserializeOwned>(
    file: &str,
    mut take: impl FnMut(u64, T) -> Result<(), CliError>,
) -> Result<Content, CliError> {
    let mut reader = open(file)?;
    let mut hasher = Xxh3::new();
    let mut content = Content { hash: 0, records: 0 };
    let mut buffer = Vec::new();
    let mut line: u64 = 0;
    loop {
        buffer.clear();
        let read = reader.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut buffer);
        match read {
            Ok(0) => break,
            Ok(_) => line += 1,
            Err(error) => return Err(broken_stream(file, line + 1, error)),
        }
        let ended = buffer.last() == Some(&b'\n');
        if !ended && u64::try_from(buffer.len()).is_ok_and(|length| length > MAX_LINE_BYTES) {
            return Err(CliError::input(
                file,
                line,
                "the line is longer than 4 MiB; one JSON object per line is expected",
            ));
        }
        let text = buffer.trim_ascii();
        if text.is_empty() {
            continue;
        }
        hasher.update(text);
        hasher.update(b"\n");
        let value = serde_json::from_slice(text).map_err(|error| wrong_json(file, line, &error))?;
        content.records += 1;
        take(line, value)?;
    }
    content.hash = hasher.digest128();
    Ok(content)
}

/// A file for reading, unpacked when its first two bytes say gzip.
fn open(file: &str) -> Result<BufReader<Box<dyn Read>>, CliError> {
    let cannot = |source| CliError::Read { file: file.to_owned(), source };
    let raw: Box<dyn Read> =
        if file == "-" { Box::new(std::io::stdin()) } else { Box::new(File::open(file).map_err(cannot)?) };
    let mut start = Vec::with_capacity(GZIP_MAGIC.len());
    let mut raw = raw;
    raw.by_ref().take(2).read_to_end(&mut start).map_err(cannot)?;
    let packed = start == GZIP_MAGIC;
    let whole = BufReader::with_capacity(1 << 16, std::io::Cursor::new(start).chain(raw));
    let text: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) };
    Ok(BufReader::with_capacity(1 << 16, text))
}

fn broken_stream(file: &str, line: u64, error: std::io::Error) -> CliError {
    let kind = error.kind();
    if kind == ErrorKind::UnexpectedEof {
        return CliError::input(
            file,
            line,
            "the gzip stream stops before its end: the file is cut off; fetch it again",
        );
    }
    if matches!(kind, ErrorKind::InvalidInput | ErrorKind::InvalidData) {
        return CliError::input(file, line, format!("the gzip stream is damaged ({error}); fetch the file again"));
    }
    CliError::Read { file: file.to_owned(), source: error }
}

fn wrong_json(file: &str, line: u64, error: &serde_json::Error) -> CliError {
    if error.is_eof() {
        return CliError::input(file, line, "the JSON object is cut off; expected a whole one on this line");
    }
    let text = error.to_string();
    // serde_json counts lines within what it was given, which is always one.
    let problem = text.split_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
    CliError::input(file, line, format!("column {}: {problem}", error.column()))
}

#[cfg(test)]
mod tests {
    use super::{CliError, Content, json_lines};
    use flate2::{Compression, write::GzEncoder};
    use serde_json::Value;
    use std::io::Write;

    fn read(bytes: &[u8]) -> (Result<Content, CliError>, Vec<(u64, Value)>) {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        let mut seen = Vec::new();
        let content = json_lines(&file.path().display().to_string(), |line, value: Value| {
            seen.push((line, value));
            Ok(())
        });
        (content, seen)
    }

    fn problem(bytes: &[u8]) -> String {
        read(bytes).0.expect_err("an error").to_string()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("packed");
        encoder.finish().expect("packed")
    }

    #[test]
    fn plain_and_packed_text_read_alike() {
        let text = b"{\"a\":1}\n\n{\"a\":2}";
        let (plain, seen) = read(text);
        assert_eq!(seen.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
        let plain = plain.expect("read");
        assert_eq!(plain.records, 2);
        assert_eq!(read(&packed(text)).0.expect("read"), plain);
        assert_eq!(read(b"").0.expect("read").records, 0);
    }

    #[test]
    fn a_cut_gzip_file_names_the_line() {
        let mut text = String::new();
        for number in 0..2_000_u64 {
            use std::fmt::Write as _;
            let _ = writeln!(text, "{{\"n\":{}}}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        }
        let whole = packed(text.as_bytes());
        for cut in [whole.len() / 2, whole.len() - 1] {
            let problem = problem(&whole[..cut]);
            assert!(problem.contains("cut off"), "{problem}");
        }
    }

    #[test]
    fn half_a_line_and_wrong_json_name_the_line() {
        assert!(problem(b"{\"a\":1}\n{\"a\":").contains(":2: the JSON object is cut off"));
        let wrong = problem(b"{\"a\":1}\n{\"a\" 1}\n");
        assert!(wrong.contains(":2: column 6: expected `:`"), "{wrong}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = json_lines("no-such-file.jsonl", |_, _: Value| Ok(())).expect_err("an error");
        assert!(error.to_string().starts_with("no-such-file.jsonl: cannot read it"));
    }
}
