//! `apply` for profiles: creating, updating, deleting.

use super::history::{History, HistoryError};
use super::state::{Due, State};
use crate::domain::{FieldMask, ItemId, Merchant, MerchantId, Profile, ProfileKey, Rejection, Upsert};

impl State {
    pub(super) fn upsert(
        &mut self,
        revision: u64,
        upsert: &Upsert,
        mask: Option<FieldMask>,
        history: &dyn History,
    ) -> Result<Result<(), Rejection>, HistoryError> {
        let key = upsert.profile.key();
        let stored = self.profile(key);
        if let Err(rejection) = check_revision(stored.as_ref(), upsert.expected_revision) {
            return Ok(Err(rejection));
        }
        let mut profile = match (stored, mask) {
            (Some(stored), Some(mask)) => stored.updated(upsert.profile.clone(), mask),
            // Some fields of what is not there: the others would be made up.
            (None, Some(_)) => return Ok(Err(Rejection::not_found(key))),
            (_, None) => upsert.profile.clone(),
        };
        profile.set_revision(revision);
        self.put(profile, history).map(Ok)
    }

    /// Puts a profile in place of what stands there.
    pub(super) fn put(&mut self, mut profile: Profile, history: &dyn History) -> Result<(), HistoryError> {
        self.words.share(&mut profile);
        let key = profile.key();
        self.changes.profiles.insert(key);
        match profile {
            Profile::Merchant(merchant) => self.put_merchant(*merchant, history)?,
            Profile::Provider(provider) => {
                self.touch_merchants_of(provider.id);
                self.providers.insert(provider.id, *provider);
            }
            item @ (Profile::Product(_) | Profile::LiveRoom(_) | Profile::ShortVideo(_)) => {
                if let ProfileKey::Item(id) = key {
                    self.items_mut(id.kind).insert(id.id, item);
                    self.dirty.insert(Due::Item(id));
                }
            }
        }
        Ok(())
    }

    fn put_merchant(&mut self, merchant: Merchant, history: &dyn History) -> Result<(), HistoryError> {
        let id = merchant.id;
        let slot = self.slot_of(id);
        self.registered.insert(id, slot);
        let Some(entry) = self.entry_mut(slot) else { return Ok(()) };
        let moved = entry
            .profile
            .as_ref()
            .is_none_or(|old| old.opened_at != merchant.opened_at || old.enrolments != merchant.enrolments);
        let has_facts = entry.last_stored.is_some();
        let provider = merchant.service_provider;
        let before = entry.profile.replace(merchant).and_then(|old| old.service_provider);
        self.serve(slot, before, provider);
        self.dirty.insert(Due::Merchant(slot));
        if moved && has_facts {
            self.sum_anchored_again(slot, history)?;
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, key: ProfileKey, expected: Option<u64>) -> Result<(), Rejection> {
        let stored = self.profile(key).ok_or_else(|| Rejection::not_found(key))?;
        check_revision(Some(&stored), expected)?;
        self.changes.profiles.insert(key);
        match key {
            ProfileKey::Merchant(id) => {
                if let Some(slot) = self.registered.remove(&id)
                    && let Some(entry) = self.entry_mut(slot)
                {
                    let provider = entry.profile.take().and_then(|merchant| merchant.service_provider);
                    self.serve(slot, provider, None);
                    self.dirty.insert(Due::Merchant(slot));
                }
            }
            ProfileKey::Item(item) => {
                self.items_mut(item.kind).remove(&item.id);
                self.dirty.insert(Due::Item(item));
            }
            ProfileKey::Provider(id) => {
                self.providers.remove(&id);
                self.touch_merchants_of(id);
            }
        }
        Ok(())
    }

    pub(super) fn find_merchant(&self, id: MerchantId) -> Result<u32, Rejection> {
        let slot = self.hot.merchant_slot(id);
        let registered = slot.filter(|slot| self.entry(*slot).is_some_and(|entry| entry.profile.is_some()));
        registered.ok_or_else(|| Rejection::not_found(ProfileKey::Merchant(id)))
    }

    pub(super) fn find_item(&self, item: ItemId) -> Result<&Profile, Rejection> {
        self.items(item.kind).get(&item.id).ok_or_else(|| Rejection::not_found(ProfileKey::Item(item)))
    }
}

fn check_revision(stored: Option<&Profile>, expected: Option<u64>) -> Result<(), Rejection> {
    let actual = stored.map_or(0, Profile::revision);
    match expected {
        Some(expected) if expected != actual => Err(Rejection::EtagMismatch { actual }),
        _ => Ok(()),
    }
}
