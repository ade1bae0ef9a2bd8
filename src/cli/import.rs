//! Bulk loads through `ProfileService.Import`: chunks that come out the same from the same input, sent where the
//! last run stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::client::Link;
use super::error::{CliError, describe_item};
use super::out;
use super::time::day_text;
use crate::proto::profile_service_client::ProfileServiceClient;
use crate::proto::{
    FactColumns, GetImportProgressRequest, ImportItemStatus, ImportRequest, ImportSection, Merchant, Product,
    TargetKind,
};

/// Rows of facts in a chunk.
const CHUNK_ROWS: usize = 5_000;
/// Cells of facts in a chunk: keeps it below the 4 MiB that gRPC servers take by default.
const CHUNK_CELLS: usize = 200_000;
/// Profiles in a chunk.
const CHUNK_PROFILES: usize = 1_000;
/// Item errors shown.
const SHOWN_ERRORS: usize = 20;

/// A named import, cut into chunks.
pub(crate) struct Plan {
    import_id: String,
    chunks: Vec<ImportRequest>,
    names: Dictionary,
    items: u64,
}

/// The counter names of the open chunk.
type Dictionary = BTreeMap<String, u32>;

impl Plan {
    /// An import without chunks.
    pub(crate) fn new(import_id: String) -> Self {
        Self { import_id, chunks: Vec::new(), names: Dictionary::new(), items: 0 }
    }

    /// Adds merchants in chunks of their own.
    pub(crate) fn merchants(&mut self, merchants: &[Merchant]) {
        for merchants in merchants.chunks(CHUNK_PROFILES) {
            self.push(ImportRequest { merchants: merchants.to_vec(), ..ImportRequest::default() });
            self.items += count(merchants.len());
        }
    }

    /// Adds products in chunks of their own.
    pub(crate) fn products(&mut self, products: &[Product]) {
        for products in products.chunks(CHUNK_PROFILES) {
            self.push(ImportRequest { products: products.to_vec(), ..ImportRequest::default() });
            self.items += count(products.len());
        }
    }

    /// Adds one row of facts to the open chunk, or to a new one when it is full or holds anything else.
    pub(crate) fn facts<'a>(
        &mut self,
        kind: TargetKind,
        id: u64,
        day: i32,
        cells: impl ExactSizeIterator<Item = (&'a str, u64)>,
    ) {
        let fits = |facts: &FactColumns| {
            facts.target_kind() == kind
                && facts.ids.len() < CHUNK_ROWS
                && facts.values.len() + cells.len() <= CHUNK_CELLS
        };
        if !self.chunks.last().and_then(|chunk| chunk.facts.as_ref()).is_some_and(fits) {
            self.names.clear();
            let facts = Some(FactColumns { target_kind: kind.into(), ..FactColumns::default() });
            self.push(ImportRequest { facts, ..ImportRequest::default() });
        }
        self.items += 1;
        let Some(facts) = self.chunks.last_mut().and_then(|chunk| chunk.facts.as_mut()) else { return };
        facts.ids.push(id);
        facts.days.push(day);
        facts.cell_counts.push(u32::try_from(cells.len()).unwrap_or(u32::MAX));
        for (name, value) in cells {
            facts.counters.push(counter_index(&mut self.names, &mut facts.counter_names, name));
            facts.values.push(value);
        }
    }

    fn push(&mut self, content: ImportRequest) {
        let sequence = count(self.chunks.len()) + 1;
        self.chunks.push(ImportRequest { import_id: self.import_id.clone(), sequence, ..content });
    }
}

/// The index of a counter name in the chunk's dictionary, which it joins at its first use.
fn counter_index(names: &mut Dictionary, dictionary: &mut Vec<String>, name: &str) -> u32 {
    if let Some(index) = names.get(name) {
        return *index;
    }
    let index = u32::try_from(dictionary.len()).unwrap_or(u32::MAX);
    dictionary.push(name.to_owned());
    names.insert(name.to_owned(), index);
    index
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Items in a chunk.
fn items_in(chunk: &ImportRequest) -> u64 {
    count(chunk.merchants.len() + chunk.products.len() + chunk.facts.as_ref().map_or(0, |facts| facts.ids.len()))
}

/// What became of an import.
pub(crate) struct Report {
    import_id: String,
    chunks: u64,
    /// Chunks that an earlier run had brought.
    skipped: u64,
    accepted: u64,
    refused: u64,
    revision: u64,
    errors: Vec<String>,
}

/// Sends what the server has not taken yet.
pub(crate) async fn send(channel: Link, plan: Plan) -> Result<Report, CliError> {
    let Plan { import_id, chunks, items, .. } = plan;
    let total = count(chunks.len());
    let mut client = ProfileServiceClient::new(channel);
    let asked = GetImportProgressRequest { import_id: import_id.clone() };
    let progress = client.get_import_progress(asked).await.map_err(CliError::rpc("GetImportProgress"))?.into_inner();
    let taken = progress.committed_sequence;
    if taken > total {
        let problem =
            format!("the server took {taken} chunks of import {import_id}, this one has {total}; choose another name");
        return Err(CliError::argument("--import-id", problem));
    }
    let mut report = Report {
        import_id: import_id.clone(),
        chunks: total,
        skipped: taken,
        accepted: 0,
        refused: 0,
        revision: progress.revision,
        errors: Vec::new(),
    };
    if taken == total {
        return Ok(report);
    }
    let bar = out::progress(items, "importing");
    let chunks = Arc::new(chunks);
    let stream = tokio_stream::iter(rest(Arc::clone(&chunks), taken, bar.clone()));
    let answer = client.import(stream).await;
    bar.finish_and_clear();
    let answer = answer
        .map_err(|status| CliError::ImportBroken { import_id: import_id.clone(), status: Box::new(status) })?
        .into_inner();
    report.skipped += answer.skipped_chunks;
    report.accepted = answer.accepted_items;
    report.refused = answer.rejected_items;
    report.revision = answer.revision;
    report.errors = answer.results.iter().take(SHOWN_ERRORS).map(|item| item_error(item, &chunks)).collect();
    Ok(report)
}

/// The chunks after the last one taken, moving the bar as the connection asks for them.
fn rest(chunks: Arc<Vec<ImportRequest>>, taken: u64, bar: ProgressBar) -> impl Iterator<Item = ImportRequest> + Send {
    (0..chunks.len()).filter_map(move |position| {
        let chunk = chunks.get(position)?;
        bar.inc(items_in(chunk));
        (chunk.sequence > taken).then(|| chunk.clone())
    })
}

/// An item's error, naming the item rather than its place in a chunk.
fn item_error(item: &ImportItemStatus, chunks: &[ImportRequest]) -> String {
    let chunk = chunks.iter().find(|chunk| chunk.sequence == item.sequence);
    let index = usize::try_from(item.index).unwrap_or(usize::MAX);
    let named = chunk.and_then(|chunk| match item.section() {
        ImportSection::Merchants => {
            chunk.merchants.get(index).map(|merchant| format!("merchant {}", merchant.merchant_id))
        }
        ImportSection::Products => {
            chunk.products.get(index).map(|product| format!("product {} ({})", product.product_id, product.name))
        }
        ImportSection::Facts => {
            let facts = chunk.facts.as_ref()?;
            let kind = facts.target_kind().as_str_name().trim_start_matches("TARGET_KIND_").to_ascii_lowercase();
            let (id, day) = (facts.ids.get(index)?, facts.days.get(index)?);
            Some(format!("facts of {} {id} on {}", kind.replace("unspecified", "merchant"), day_text(*day)))
        }
        ImportSection::Unspecified
        | ImportSection::LiveRooms
        | ImportSection::ShortVideos
        | ImportSection::ServiceProviders => None,
    });
    let named = named.unwrap_or_else(|| format!("chunk {}, item {}", item.sequence, item.index));
    let problem = item.status.as_ref().map_or_else(|| "refused".to_owned(), describe_item);
    format!("{named}: {problem}")
}

impl Report {
    /// Prints errors to stderr and the summary to stdout; an error if items were refused.
    pub(crate) fn print(&self, json: bool, what: &Value) -> Result<(), CliError> {
        for error in &self.errors {
            out::remark(error);
        }
        let more = self.refused.saturating_sub(count(self.errors.len()));
        if more > 0 {
            out::remark(&format!("... and {more} more"));
        }
        if json {
            out::json(&self.json(what))?;
        } else {
            out::result(&self.text())?;
        }
        if self.refused > 0 {
            let total = self.accepted + self.refused;
            return Err(CliError::ItemsRefused { refused: self.refused, total });
        }
        Ok(())
    }

    fn text(&self) -> String {
        let Self { import_id, chunks, skipped, accepted, refused, revision, .. } = self;
        if skipped == chunks {
            return format!(
                "import {import_id}: all {chunks} chunks had been taken before, nothing sent (revision {revision})"
            );
        }
        let resumed = if *skipped > 0 { format!(", {skipped} of them taken before") } else { String::new() };
        format!(
            "import {import_id}: {chunks} chunks{resumed}; {accepted} items taken, {refused} refused (revision {revision})"
        )
    }

    fn json(&self, what: &Value) -> Value {
        json!({
            "import_id": self.import_id, "chunks": self.chunks, "skipped_chunks": self.skipped,
            "accepted_items": self.accepted, "rejected_items": self.refused, "revision": self.revision,
            "errors": self.errors, "source": what,
        })
    }
}

#[cfg(test)]
mod tests;
