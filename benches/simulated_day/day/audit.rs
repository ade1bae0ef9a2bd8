//! The server's books against the run's own, through the public API alone.

use std::collections::{BTreeMap, BTreeSet};

use trustflow::domain::{Day, Timestamp};
use trustflow::proto::{
    GetStatusRequest, ListMembersRequest, ListPackagesRequest, ListProgrammesRequest, MemberFilter, Programme,
    ProgrammeMember, ProgrammeView, Scene,
};

use super::Outcome;
use super::books::{Part, Sums, scene_name};
use super::policy::Period;
use super::world::World;

const PAGE: u32 = 1_000;

/// What the server says about all programmes at one time.
pub(crate) struct Snapshot {
    /// By id.
    pub(crate) programmes: Vec<Programme>,
    /// State time of the answer.
    pub(crate) at: Timestamp,
}

/// Learns which bit is whose. Bits stay whose they are: two answers that differ are a breach.
pub(crate) async fn learn_bits(world: &World) -> Outcome<()> {
    let status = world.admin().get_status(GetStatusRequest {}).await?.into_inner();
    let bits: BTreeMap<u8, String> =
        status.programmes.into_iter().map(|programme| (programme.bit as u8, programme.id)).collect();
    let mut books = world.books();
    if !books.bits.is_empty() && books.bits != bits {
        let words = format!("{:?} became {bits:?}", books.bits);
        books.breach("bits of programmes stay", words);
    }
    books.bits = bits;
    Ok(())
}

/// After a restart, when every report was answered: nothing that was acknowledged is lost, nothing counts twice.
pub(crate) async fn quick(world: &World) -> Outcome<Snapshot> {
    learn_bits(world).await?;
    let status = world.admin().get_status(GetStatusRequest {}).await?.into_inner();
    let acknowledged = world.books().revision;
    if status.revision < acknowledged {
        let words = format!("revision {} after {acknowledged} was acknowledged", status.revision);
        world.books().breach("nothing acknowledged is lost", words);
    }
    if status.writes != "ok" {
        world.books().breach("writes are taken", &status.writes);
    }
    let snapshot = programmes(world, ProgrammeView::Basic).await?;
    compare_budgets(world, &snapshot);
    Ok(snapshot)
}

/// All programmes.
pub(crate) async fn programmes(world: &World, view: ProgrammeView) -> Outcome<Snapshot> {
    let mut snapshot = Snapshot { programmes: Vec::new(), at: Timestamp(0) };
    let mut page_token = String::new();
    loop {
        let request = ListProgrammesRequest { page_size: PAGE, page_token, view: view.into(), min_revision: 0 };
        let response = world.programmes().list_programmes(request).await?.into_inner();
        snapshot.programmes.extend(response.programmes);
        snapshot.at = response.state_time.map_or(snapshot.at, |at| timestamp(&at));
        page_token = response.next_page_token;
        if page_token.is_empty() {
            return Ok(snapshot);
        }
    }
}

/// Delivered of every budget in its running period, and late of it, against the books.
fn compare_budgets(world: &World, snapshot: &Snapshot) {
    let mut books = world.books();
    for programme in &snapshot.programmes {
        let bit = programme.bit as u8;
        for budget in &programme.budgets {
            let Some(period) = period(budget.period) else { continue };
            let begins = budget.begins_at.as_ref().map_or(snapshot.at, timestamp).day();
            let ours = books.budget(bit, budget.scene(), period.first(begins));
            books.tally.add("budgets compared", 1);
            let name = format!("{} {:?} from {begins}", programme.id, budget.scene());
            if budget.delivered != ours.exposures {
                let words = format!("{name}: delivered {}, acknowledged {}", budget.delivered, ours.exposures);
                books.breach("delivered is what was acknowledged", words);
            }
            if !(ours.late_at_least..=ours.late_at_most).contains(&budget.late) {
                let words = format!("{name}: late {}, {} to {}", budget.late, ours.late_at_least, ours.late_at_most);
                books.breach("late is what came late", words);
            }
            let limit = books.programme(bit).and_then(|(_, programme)| programme.budget.as_ref()).map(|ours| {
                if budget.scene() == Scene::Unspecified {
                    ours.exposures
                } else {
                    ours.of(scene_name(budget.scene())).0
                }
            });
            if limit.is_some_and(|limit| limit != budget.exposures) {
                books.breach("budgets are the policy's", format!("{name}: {} instead of {limit:?}", budget.exposures));
            }
        }
    }
}

/// Members of a programme.
pub(crate) async fn members(world: &World, id: &str, filter: MemberFilter) -> Outcome<Vec<ProgrammeMember>> {
    let (mut members, mut page_token) = (Vec::new(), String::new());
    loop {
        let filter = filter.into();
        let request =
            ListMembersRequest { id: id.to_owned(), filter, page_size: PAGE, page_token, ..Default::default() };
        let response = world.programmes().list_members(request).await?.into_inner();
        members.extend(response.members);
        page_token = response.next_page_token;
        if page_token.is_empty() {
            return Ok(members);
        }
    }
}

/// At the end: every member's exposures, cap and guarantee, and every package.
pub(crate) async fn full(world: &World, snapshot: &Snapshot) -> Outcome<()> {
    for programme in snapshot.programmes.iter().filter(|programme| !programme.budgets.is_empty()) {
        let listed = members(world, &programme.id, MemberFilter::Unspecified).await?;
        compare_members(world, programme, &listed, snapshot.at);
        let guaranteed = members(world, &programme.id, MemberFilter::Guaranteed).await?;
        compare_guarantees(world, programme, &guaranteed);
    }
    compare_packages(world).await
}

fn compare_members(world: &World, programme: &Programme, listed: &[ProgrammeMember], at: Timestamp) {
    let bit = programme.bit as u8;
    let mut books = world.books();
    let Some((_, ours)) = books.programme(bit) else { return };
    let (budget, cap) = (ours.budget.as_ref().map(|budget| budget.period), ours.cap.map(|cap| cap.period));
    for member in listed {
        let of = |part, period: Option<Period>| {
            let key = period.map(|period| (bit, part, period.first(at.day())));
            key.and_then(|key| books.accounts.get(&key)).map_or(0, |sums| sums.exposures)
        };
        let id = member.merchant_id;
        let ours = (of(Part::Member(id), budget), of(Part::Cap(id), cap));
        books.tally.add("members compared", 1);
        if (member.exposures, member.cap_exposures) != ours {
            let theirs = (member.exposures, member.cap_exposures);
            let words =
                format!("{} of {}: {theirs:?} delivered and of the cap, {ours:?} acknowledged", id, programme.id);
            books.breach("members have what was acknowledged", words);
        }
    }
}

fn compare_guarantees(world: &World, programme: &Programme, listed: &[ProgrammeMember]) {
    let mut books = world.books();
    for member in listed {
        let Some(guarantee) = &member.guarantee else { continue };
        let (Some(from), Some(to)) = (&guarantee.begins_at, &guarantee.ends_at) else { continue };
        let window = timestamp(from)..timestamp(to);
        let rows = books.shown.get(&member.merchant_id);
        let ours =
            rows.map_or(0, |rows| rows.iter().filter(|(at, _)| window.contains(at)).map(|(_, n)| *n).sum::<u64>());
        books.tally.add("guarantees compared", 1);
        if guarantee.delivered != ours {
            let id = member.merchant_id;
            let words = format!("{id} in {}: {} delivered, {ours} acknowledged", programme.id, guarantee.delivered);
            books.breach("guarantees count what was acknowledged", words);
        }
    }
}

async fn compare_packages(world: &World) -> Outcome<()> {
    let wallets: Vec<((u64, i32), u64)> = world.books().wallets.iter().map(|(key, limit)| (*key, *limit)).collect();
    let merchants: BTreeSet<u64> = wallets.iter().map(|((merchant, _), _)| *merchant).collect();
    let bit = world.books().bits.iter().find(|(_, id)| *id == super::books::PACKAGES).map_or(0, |(bit, _)| *bit);
    for merchant_id in merchants {
        let request = ListPackagesRequest { merchant_id, min_revision: 0 };
        let packages = world.programmes().list_packages(request).await?.into_inner().packages.unwrap_or_default();
        let mut books = world.books();
        for ((_, scene), assigned) in wallets.iter().filter(|((merchant, _), _)| *merchant == merchant_id) {
            let theirs = packages.scenes.iter().find(|theirs| theirs.scene == *scene).copied().unwrap_or_default();
            let key = (bit, Part::Wallet(merchant_id, *scene), Day(0));
            let ours: Sums = books.accounts.get(&key).copied().unwrap_or_default();
            books.tally.add("packages compared", 1);
            if (theirs.assigned, theirs.delivered) != (*assigned, ours.exposures) {
                let words = format!(
                    "{merchant_id} in scene {scene}: assigned {} and delivered {} instead of {assigned} and {}",
                    theirs.assigned, theirs.delivered, ours.exposures
                );
                books.breach("packages are what was assigned and acknowledged", words);
            }
        }
    }
    Ok(())
}

/// Everything reserved, by programme, where there is any.
pub(crate) fn reserved(snapshot: &Snapshot) -> BTreeMap<String, u64> {
    let of = |programme: &Programme| programme.budgets.iter().map(|budget| budget.reserved).sum();
    let all = snapshot.programmes.iter().map(|programme| (programme.id.clone(), of(programme)));
    all.filter(|(_, reserved)| *reserved > 0).collect()
}

fn period(period: i32) -> Option<Period> {
    use trustflow::proto::BudgetPeriod;
    match BudgetPeriod::try_from(period).ok()? {
        BudgetPeriod::Window => Some(Period::Window),
        BudgetPeriod::Year => Some(Period::Year),
        BudgetPeriod::Month => Some(Period::Month),
        BudgetPeriod::Week => Some(Period::Week),
        BudgetPeriod::Day => Some(Period::Day),
        BudgetPeriod::Unspecified => None,
    }
}

/// An instant of a message.
pub(crate) fn timestamp(at: &prost_types::Timestamp) -> Timestamp {
    Timestamp(at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000)
}
