//! Memory that requests read at random: on large pages, and brought near before it is needed.
//!
//! A request reads hundreds of places all over hundreds of megabytes. On pages of four kibibytes the processor has to
//! find out where nearly each of them is, through tables that are themselves not at hand; on pages of two mebibytes it
//! knows. And where it is told early what will be read, it waits for many at once instead of one after the other.
//!
//! The only two blocks of `unsafe` of this program stand here. Neither can change what memory holds.

/// The size of a large page, and with it the least memory that is worth asking for.
const LARGE: usize = 2 << 20;

/// Brings the cache line of a value near. It costs a moment, whether or not anybody reads the value then.
#[inline]
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the one instruction that fetches without waiting takes an address")]
pub(super) fn bring_near<T>(value: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    // SAFETY: fetching reads nothing and changes nothing; the address is that of a value besides.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
}

/// Elsewhere the processor has to find out by itself.
#[inline]
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn bring_near<T>(_value: &T) {}

/// So many values side by side, on large pages where the system has them.
pub(super) fn on_large_pages<T>(count: usize, make: impl Fn() -> T) -> Box<[T]> {
    let mut values = Vec::with_capacity(count);
    // Before the memory is touched: then it comes in large pages at once.
    ask_for_large_pages(values.spare_capacity_mut());
    values.extend((0..count).map(|_| make()));
    values.into_boxed_slice()
}

/// Asks the system to back memory by large pages. What it answers makes a difference to speed alone.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the one system call that asks for large pages takes an address")]
fn ask_for_large_pages<T>(memory: &mut [T]) {
    use rustix::mm::{Advice, madvise};

    let size = size_of_val(memory);
    let start = memory.as_mut_ptr().cast::<std::ffi::c_void>();
    // Whole large pages only: those that other memory shares stay as they are.
    let skipped = start.align_offset(LARGE);
    let length = size.saturating_sub(skipped) / LARGE * LARGE;
    if length == 0 {
        return;
    }
    let aligned = start.wrapping_byte_add(skipped);
    // SAFETY: the range lies within `memory`, which is borrowed for as long as the call takes, and this advice leaves
    // the contents of memory as they are.
    let _ = unsafe { madvise(aligned, length, Advice::LinuxHugepage) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages<T>(_memory: &mut [T]) {}

#[cfg(test)]
mod tests {
    use super::{LARGE, bring_near, on_large_pages};

    #[test]
    fn what_was_brought_near_is_as_it_was() {
        let values = [u64::MAX; 100];
        values.iter().for_each(bring_near);
        assert_eq!(values, [u64::MAX; 100]);
    }

    #[test]
    fn values_are_all_made_whatever_their_number() {
        for count in [0, 1, LARGE / 8 - 1, LARGE / 8, 3 * LARGE / 8 + 7] {
            let values = on_large_pages(count, || 7_u64);
            assert_eq!(values.len(), count);
            assert!(values.iter().all(|value| *value == 7));
        }
    }

    /// What the kernel says of the memory of this process: large pages in KiB.
    #[cfg(target_os = "linux")]
    fn large_pages_kib() -> Option<u64> {
        let smaps = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
        let line = smaps.lines().find(|line| line.starts_with("AnonHugePages:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn where_the_system_lets_us_choose_large_pages_come() {
        let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        if !setting.contains("[madvise]") && !setting.contains("[always]") {
            println!("skipped: this system has no large pages");
            return;
        }
        let before = large_pages_kib().expect("Linux");
        let values = on_large_pages(8 * LARGE / 8, || 7_u64);
        let after = large_pages_kib().expect("Linux");
        // Memory may be too scattered for all of them.
        assert!(after > before, "{before} KiB before, {after} KiB with {} values more", values.len());
    }
}
