//! The data folder of a server that was killed: its rows and its log give the state that was live.

use std::path::Path;

use tempfile::TempDir;
use trustflow::engine::recover;
use trustflow::log::Log;
use trustflow::proto::{GetStateHashRequest, GetStatusRequest};
use trustflow::store::DataFolder;

use super::Outcome;
use super::world::World;

/// A hash of the state at a revision.
pub(crate) type Hash = (u64, String);

/// How often a server that goes on by itself is asked.
const TRIES: usize = 200;

/// The hash that the live server tells, at a moment when nothing is being built.
pub(crate) async fn live(world: &World) -> Outcome<Option<Hash>> {
    for _ in 0..TRIES {
        let response = world.admin().get_state_hash(GetStateHashRequest {}).await?.into_inner();
        let status = world.admin().get_status(GetStatusRequest {}).await?.into_inner();
        if status.building.is_empty() && status.revision == response.revision {
            return Ok(Some((response.revision, response.state_hash)));
        }
    }
    Ok(None)
}

/// Recovers as a start would, and answers the hash of what results.
pub(crate) fn recovered(data: &Path) -> Outcome<Hash> {
    let folder = DataFolder::open(data)?;
    let (log, store) = (folder.log()?, folder.store()?);
    recover(&log, &store)?;
    let (revision, hash) = store.state_hash()?;
    Ok((revision, format!("{hash:032x}")))
}

/// Replays the whole log into an empty folder; answers the hash of what results, and how many commands there were.
pub(crate) fn replayed(data: &Path) -> Outcome<(Hash, u64)> {
    let folder = DataFolder::open(data)?;
    let log = folder.log()?;
    let elsewhere = TempDir::new()?;
    let empty = DataFolder::open(elsewhere.path())?.store()?;
    recover(&log, &empty)?;
    let (revision, hash) = empty.state_hash()?;
    Ok(((revision, format!("{hash:032x}")), log.last()))
}
