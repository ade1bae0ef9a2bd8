//! Lists of words that are alike, once in memory.

use std::collections::HashSet;

use crate::domain::{Profile, Words};

/// Lists that are shared at most: beyond them each profile keeps its own.
const MAX_LISTS: usize = 1 << 16;

/// Lists of words that profiles have had.
#[derive(Default)]
pub struct WordPool(HashSet<Words, foldhash::fast::FixedState>);

impl WordPool {
    /// Gives a profile the words that others have as well, in place of its own copy of them.
    pub fn share(&mut self, profile: &mut Profile) {
        match profile {
            Profile::Merchant(merchant) => self.share_lists([&mut merchant.categories, &mut merchant.tags]),
            Profile::Product(product) => self.share_lists([&mut product.categories, &mut product.tags]),
            Profile::LiveRoom(room) => self.share_lists([&mut room.tags]),
            Profile::ShortVideo(video) => self.share_lists([&mut video.tags]),
            Profile::Provider(provider) => self.share_lists([&mut provider.tags]),
        }
    }

    fn share_lists<const N: usize>(&mut self, lists: [&mut Words; N]) {
        for list in lists {
            if let Some(known) = self.0.get(list) {
                list.clone_from(known);
            } else if !list.is_empty() && self.0.len() < MAX_LISTS {
                self.0.insert(list.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WordPool;
    use crate::domain::{MerchantId, Profile, ShortVideo, Words};

    #[test]
    fn equal_lists_become_one() {
        let video = |id| {
            let tags = Words::from(vec!["a".to_owned()]);
            Profile::from(ShortVideo { id, merchant: MerchantId(1), tags, posted_at: None, revision: 0 })
        };
        let mut pool = WordPool::default();
        let mut videos = [video(1), video(2)];
        for video in &mut videos {
            pool.share(video);
        }
        let words = videos.map(|video| {
            let Profile::ShortVideo(video) = video else { panic!("{video:?} is no video") };
            video.tags
        });
        assert_eq!(words[0].as_slice().as_ptr(), words[1].as_slice().as_ptr());
        assert_eq!(words[0].as_slice(), ["a"]);
    }
}
