//! The format of a backup file: a line that names it, then frames.
//!
//! A frame is a length (4 bytes), a `BackupFrame` message of that length, and the xxh3-64 of the message, seeded with the
//! number of the frame (8 bytes), so that frames cannot be lost, doubled or swapped unseen. Numbers are big-endian.

use std::io::{self, Read, Write};

use prost::Message;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::Problem;
use crate::record::pb;
use crate::record::pb::backup_frame::Part;

/// The first line of a backup. The number is the version of the format.
pub(super) const MAGIC: &str = "trustflow backup 1\n";
/// Bytes of keys and values after which a frame is closed.
pub(super) const FRAME_BYTES: usize = 128 << 10;
/// Longest frame that is read: a row is a policy's text at most.
const MAX_FRAME: usize = 256 << 20;

/// Writes frames, and counts and hashes what it writes.
pub(super) struct FrameWriter<W> {
    out: W,
    frames: u64,
    bytes: u64,
    hash: Xxh3,
}

impl<W: Write> FrameWriter<W> {
    /// Begins a backup.
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut writer = Self { out, frames: 0, bytes: 0, hash: Xxh3::new() };
        writer.write(MAGIC.as_bytes())?;
        Ok(writer)
    }

    pub(super) fn frame(&mut self, part: Part) -> io::Result<()> {
        let message = pb::BackupFrame { part: Some(part) }.encode_to_vec();
        let length = u32::try_from(message.len()).map_err(|_| io::Error::other("a row is longer than 4 GiB"))?;
        self.write(&length.to_be_bytes())?;
        self.write(&message)?;
        self.write(&xxh3_64_with_seed(&message, self.frames).to_be_bytes())?;
        self.frames += 1;
        Ok(())
    }

    /// The hash of everything written so far.
    pub(super) fn hash(&self) -> u128 {
        self.hash.digest128()
    }

    /// Hands over what is still held back; answers the length and the hash of the file.
    pub(super) fn finish(mut self) -> io::Result<(u64, u128)> {
        self.out.flush()?;
        Ok((self.bytes, self.hash.digest128()))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// Reads frames, and counts and hashes what it reads.
pub(super) struct FrameReader<R> {
    input: R,
    frames: u64,
    bytes: u64,
    hash: Xxh3,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, frames: 0, bytes: 0, hash: Xxh3::new() }
    }

    /// The first line, whatever it says: as many bytes as it should have.
    pub(super) fn magic(&mut self) -> io::Result<String> {
        let mut found = Vec::new();
        self.input.by_ref().take(MAGIC.len() as u64).read_to_end(&mut found)?;
        self.count(&found);
        Ok(String::from_utf8_lossy(&found).into_owned())
    }

    /// The next frame.
    pub(super) fn frame(&mut self) -> Result<Part, Problem> {
        let mut length = [0; 4];
        self.exactly(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(Problem::Damage(format!("a frame of {length} bytes is longer than any can be")));
        }
        // Grows with what is there: a length that is damaged does not take memory for what is not.
        let mut message = Vec::new();
        self.input.by_ref().take(length as u64).read_to_end(&mut message).map_err(Problem::Io)?;
        self.count(&message);
        if message.len() < length {
            return Err(cut());
        }
        let mut checksum = [0; 8];
        self.exactly(&mut checksum)?;
        if xxh3_64_with_seed(&message, self.frames) != u64::from_be_bytes(checksum) {
            return Err(Problem::Damage("the checksum of a frame does not fit".to_owned()));
        }
        self.frames += 1;
        let frame = pb::BackupFrame::decode(message.as_slice()).map_err(|error| Problem::Damage(error.to_string()))?;
        frame.part.ok_or_else(|| Problem::Damage("a frame of an unknown kind".to_owned()))
    }

    /// Whether nothing is left.
    pub(super) fn is_over(&mut self) -> io::Result<bool> {
        Ok(self.input.read(&mut [0; 1])? == 0)
    }

    /// How many bytes were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash of everything read so far.
    pub(super) fn hash(&self) -> u128 {
        self.hash.digest128()
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), Problem> {
        self.input
            .read_exact(bytes)
            .map_err(|error| if error.kind() == io::ErrorKind::UnexpectedEof { cut() } else { Problem::Io(error) })?;
        self.count(bytes);
        Ok(())
    }

    fn count(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

fn cut() -> Problem {
    Problem::Damage("the file ends before its footer: it was cut, or its writing never ended".to_owned())
}
