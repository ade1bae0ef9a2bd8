//! `backup`: the running server's state as a file.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use tonic::Streaming;
use xxhash_rust::xxh3::Xxh3;

use super::client::Target;
use super::error::CliError;
use super::operate::both;
use crate::proto::admin_service_client::AdminServiceClient;
use crate::proto::backup_response::Part;
use crate::proto::{BackupRequest, BackupResponse, BackupSummary};

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// The file to write; it must not be there yet. Until it is complete it is called FILE.partial
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Writes a backup, and names it as one when all of it is there.
pub(super) async fn run(args: &BackupArgs, target: &Target) -> Result<(), CliError> {
    let file = &args.file;
    if fs::exists(file).map_err(not_written(file))? {
        return Err(not_written(file)(ErrorKind::AlreadyExists.into()));
    }
    let mut partial = file.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let summary = take(&partial, target).await?;
    fs::rename(&partial, file).map_err(not_written(file))?;
    sync_folder(file).map_err(not_written(file))?;
    let BackupSummary { revision, state_hash, rows, bytes, file_hash } = summary;
    let name = file.display();
    let value = json!({
        "file": name.to_string(), "revision": revision, "state_hash": state_hash, "rows": rows, "bytes": bytes,
        "file_hash": file_hash,
    });
    let text = format!("{name}: revision {revision}, {rows} rows, {bytes} bytes, state hash {state_hash}");
    both(target, &value, &text)
}

/// Writes what the server sends, durably, and compares it with what the server says it sent.
async fn take(partial: &Path, target: &Target) -> Result<BackupSummary, CliError> {
    let mut client = AdminServiceClient::new(target.connect().await?);
    let answer = client.backup(BackupRequest {}).await.map_err(CliError::rpc("Backup"))?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(partial);
    let file = file.map_err(not_written(partial))?;
    // Another command may be writing it: then it stays that command's.
    file.try_lock().map_err(|error| not_written(partial)(error.into()))?;
    file.set_len(0).map_err(not_written(partial))?;
    let checked = write_checked(answer.into_inner(), &file, partial).await;
    if checked.is_err() {
        // What is there is no backup.
        let _ = fs::remove_file(partial);
    }
    checked
}

async fn write_checked(
    parts: Streaming<BackupResponse>,
    file: &File,
    partial: &Path,
) -> Result<BackupSummary, CliError> {
    let (summary, bytes, hash) = write(parts, file, partial).await?;
    file.sync_all().map_err(not_written(partial))?;
    let found = (bytes, format!("{hash:032x}"));
    if found != (summary.bytes, summary.file_hash.clone()) {
        return Err(CliError::input(
            &partial.display().to_string(),
            0,
            "what arrived is not what the server sent; try again",
        ));
    }
    Ok(summary)
}

async fn write(
    mut parts: Streaming<BackupResponse>,
    mut file: &File,
    name: &Path,
) -> Result<(BackupSummary, u64, u128), CliError> {
    let (mut bytes, mut hash) = (0, Xxh3::new());
    while let Some(part) = parts.message().await.map_err(CliError::rpc("Backup"))? {
        match part.part {
            Some(Part::Chunk(chunk)) => {
                file.write_all(&chunk).map_err(not_written(name))?;
                bytes += chunk.len() as u64;
                hash.update(&chunk);
            }
            Some(Part::Summary(summary)) => return Ok((summary, bytes, hash.digest128())),
            None => return Err(CliError::Answer { call: "Backup", missing: "a part" }),
        }
    }
    Err(CliError::Answer { call: "Backup", missing: "its summary" })
}

/// Makes the new name durable.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn not_written(file: &Path) -> impl FnOnce(std::io::Error) -> CliError {
    let file = file.display().to_string();
    move |source| CliError::Write { file, source }
}
