//! Searching products by id or part of the name.
//!
//! There is no index of names. A scan of a million takes some 130 ms of one core (`measure_a_scan` below), the search is
//! used by people, and an index of every three characters of every name would take more memory than all profiles and be
//! kept up to date by every write. So that writes do not wait, the scan holds the state's lock for a slice at a time.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::Engine;
use super::trust_purchase::{Served, TRUST_PURCHASE};
use crate::clock::Stopwatch;
use crate::domain::{ItemKind, MerchantId, Product, Profile, TargetKind};
use crate::state::State;

/// Products looked at under one hold of the lock: less than a millisecond.
const SLICE: usize = 4_096;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// An id, or part of a name.
    pub text: String,
    /// Products of this owner only.
    pub merchant: Option<MerchantId>,
    /// Most hits to answer.
    pub limit: usize,
    /// Look at products with ids above this one; none begins, with the product whose id was given.
    pub after: Option<u64>,
    /// How long to look.
    pub time: Duration,
}

/// One product.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductHit {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub merchant: MerchantId,
    /// Name of the owner; empty if it is not registered.
    pub merchant_name: String,
    /// Whether it holds Trust Purchase.
    pub is_granted: bool,
    /// Labels as Score answers them.
    pub labels: u32,
    /// Trust score of the owner.
    pub trust: f32,
}

/// Some hits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchPage {
    /// The product with the id first, then those with the name in order of id.
    pub hits: Vec<ProductHit>,
    /// Where to go on, if not all products were looked at.
    pub next: Option<u64>,
    /// Every change up to here is included.
    pub revision: u64,
}

impl Engine {
    /// Searches products. Keeps a thread busy: not for threads that serve.
    #[must_use]
    pub fn search_products(&self, query: &SearchQuery) -> SearchPage {
        let started = Stopwatch::start();
        let wanted: Option<u64> = query.text.parse().ok();
        let mut page = SearchPage { revision: self.hot.revision(), ..SearchPage::default() };
        let mut after = query.after.unwrap_or(0);
        if let (None, Some(id)) = (query.after, wanted) {
            self.read(|state| page.hits.extend(exact(state, id, query.merchant)));
        }
        let mut search = Matcher::new(&query.text);
        loop {
            let left = query.limit.saturating_sub(page.hits.len());
            if left == 0 {
                page.next = Some(after);
                return page;
            }
            let slice = self.read(|state| {
                let products = state.items(ItemKind::Product);
                let slice = scan(products, after, SLICE, left, |product| {
                    query.merchant.is_none_or(|owner| owner == product.merchant)
                        && Some(product.id) != wanted
                        && search.finds(&product.name)
                });
                page.hits.extend(slice.found.iter().map(|product| hit(state, product)));
                slice.last
            });
            let Some(last) = slice else { return page };
            after = last;
            if started.elapsed() >= query.time {
                page.next = Some(after);
                return page;
            }
        }
    }
}

/// What a slice came to.
struct Slice<'a> {
    found: Vec<&'a Product>,
    /// The last id looked at; none if nothing is left.
    last: Option<u64>,
}

/// Looks at up to `most` products after an id, until `enough` are found.
fn scan(
    products: &BTreeMap<u64, Profile>,
    after: u64,
    most: usize,
    enough: usize,
    mut wanted: impl FnMut(&Product) -> bool,
) -> Slice<'_> {
    let mut slice = Slice { found: Vec::new(), last: None };
    for (id, profile) in products.range((Bound::Excluded(after), Bound::Unbounded)).take(most) {
        slice.last = Some(*id);
        if let Profile::Product(product) = profile
            && wanted(product)
        {
            slice.found.push(product);
            if slice.found.len() >= enough {
                break;
            }
        }
    }
    slice
}

fn exact(state: &State, id: u64, owner: Option<MerchantId>) -> Option<ProductHit> {
    match state.items(ItemKind::Product).get(&id)? {
        Profile::Product(product) if owner.is_none_or(|owner| owner == product.merchant) => Some(hit(state, product)),
        Profile::Product(_)
        | Profile::Merchant(_)
        | Profile::LiveRoom(_)
        | Profile::ShortVideo(_)
        | Profile::Provider(_) => None,
    }
}

fn hit(state: &State, product: &Product) -> ProductHit {
    let hot = state.hot();
    let world = hot.world();
    let located = hot.targets(TargetKind::Product).locate(&world, product.id, product.merchant.0);
    let served = Served::new(&world, TargetKind::Product, located);
    let programme = world.policy.programmes.iter().find(|programme| programme.id == TRUST_PURCHASE);
    let owner = state.merchant(product.merchant).and_then(|entry| entry.profile.as_ref());
    ProductHit {
        id: product.id,
        name: product.name.clone(),
        merchant: product.merchant,
        merchant_name: owner.map(|merchant| merchant.name.clone()).unwrap_or_default(),
        is_granted: programme.is_some_and(|programme| served.is_member(programme.mask())),
        labels: served.labels(),
        trust: served.trust(),
    }
}

/// Finds a text in names, whatever the case of their letters in any script.
struct Matcher {
    wanted: String,
    name: String,
}

impl Matcher {
    fn new(text: &str) -> Self {
        let mut wanted = String::new();
        lower(text, &mut wanted);
        Self { wanted, name: String::new() }
    }

    fn finds(&mut self, name: &str) -> bool {
        lower(name, &mut self.name);
        self.name.contains(&self.wanted)
    }
}

/// Letter by letter, so that part of a name becomes the same part of the name in lower case.
fn lower(text: &str, lowered: &mut String) {
    lowered.clear();
    for letter in text.chars() {
        if letter.is_ascii() {
            lowered.push(letter.to_ascii_lowercase());
        } else if ('\u{3000}'..='\u{9FFF}').contains(&letter) {
            // Most letters of most names: they have no case.
            lowered.push(letter);
        } else {
            lowered.extend(letter.to_lowercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Matcher, SLICE, scan};
    use crate::clock::Stopwatch;
    use crate::domain::{MerchantId, Product, Profile, Words};

    fn product(id: u64, name: &str) -> Profile {
        Profile::from(Product {
            id,
            name: name.to_owned(),
            merchant: MerchantId(1),
            promoters: Vec::new(),
            categories: Words::default(),
            listed_at: None,
            tags: Words::default(),
            is_virtual: false,
            revision: 1,
        })
    }

    #[test]
    fn case_does_not_matter_in_any_script() {
        for (text, name, found) in [
            ("silk", "Red SILK dress", true),
            ("ÉTÉ", "Robe d'été", true),
            ("мёд", "Алтайский МЁД", true),
            ("σοφια", "ΣΟΦΙΑ", true),
            ("真丝", "红色真丝连衣裙", true),
            ("真皮", "红色真丝连衣裙", false),
            ("iPhone手机", "二手IPHONE手机壳", true),
        ] {
            assert_eq!(Matcher::new(text).finds(name), found, "{text} in {name}");
        }
    }

    #[test]
    fn a_scan_goes_on_where_it_stopped() {
        let products: BTreeMap<u64, Profile> = (1..=10).map(|id| (id * 7, product(id * 7, "a"))).collect();
        let all = |_: &Product| true;
        let slice = scan(&products, 0, 4, 100, all);
        assert_eq!((slice.found.len(), slice.last), (4, Some(28)));
        let slice = scan(&products, 28, 100, 2, all);
        assert_eq!((slice.found.len(), slice.last), (2, Some(42)), "enough found");
        let slice = scan(&products, 42, 100, 100, |product| product.id == 63);
        assert_eq!((slice.found.len(), slice.last), (1, Some(70)));
        assert_eq!(scan(&products, 70, 100, 100, all).last, None);
    }

    #[test]
    #[ignore = "measures: cargo test --release --lib measure_a_scan -- --ignored --nocapture"]
    fn measure_a_scan() {
        const COUNT: u64 = 1_000_000;
        let name = |id: u64| format!("新款真丝连衣裙女夏季 Summer Silk Dress {id}");
        let products: BTreeMap<u64, Profile> = (1..=COUNT).map(|id| (id * 31, product(id * 31, &name(id)))).collect();
        let mut search = Matcher::new("羊绒大衣");
        let (mut after, mut longest) = (0, 0.0_f64);
        let all = Stopwatch::start();
        loop {
            let one = Stopwatch::start();
            let slice = scan(&products, after, SLICE, 100, |product| search.finds(&product.name));
            longest = longest.max(one.elapsed().as_secs_f64());
            match slice.last {
                Some(last) => after = last,
                None => break,
            }
        }
        let took = all.elapsed().as_secs_f64();
        println!("{COUNT} products in {:.0} ms, longest slice {:.2} ms", took * 1e3, longest * 1e3);
    }
}
