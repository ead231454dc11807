//! A region: a fixed piece of memory, on the heap or shared between processes.
//!
//! *Layout*: 64-bit words. Some are used as 32-bit bells for futex waits; such a word is never
//! touched as a whole. *Invariant*: a shared region is a `memfd` sealed against shrinking and
//! growing before anybody else learns of it, so no peer can take mapped pages away.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::words::Words;

/// What a mapping may do with its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Load only: the pages are mapped without write permission.
    Read,
    /// Load and store.
    Write,
}

/// When a mapping has its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pages {
    Now,
    OnDemand,
}

/// Ends the names of regions that have their pages on demand, so that their mappings are known.
pub(crate) const ON_DEMAND: &str = " on-demand";

/// A multiple of the size of every kernel's pages: of memory a little more may be touched.
const PAGE_BYTES: usize = 1 << 16;

/// A handle on a region; clones share the mapping.
#[derive(Clone, Debug)]
pub struct Region {
    mapping: Arc<Mapping>,
    /// Stores that are still made, where a test has counted them.
    #[cfg(feature = "testing")]
    stores_left: Option<Arc<AtomicU64>>,
}

impl Region {
    /// A private region of `words` zeroed words, for tests and the simulator.
    #[must_use]
    pub fn heap(words: usize) -> Self {
        let boxed: Box<[AtomicU64]> = (0..words).map(|_| AtomicU64::new(0)).collect();
        let base = NonNull::from(Box::leak(boxed)).cast::<AtomicU64>();
        Self::of(Mapping { base, words, fd: None, access: Access::Write })
    }

    /// A shared region of `words` zeroed words, every page touched, sealed against resizing.
    ///
    /// # Errors
    /// What the kernel says to `memfd_create`, `ftruncate`, `mmap` or the seal.
    pub fn shared(name: &str, words: usize) -> io::Result<Self> {
        Self::make(name, words, Pages::Now)
    }

    /// The same without its pages: each comes when it is touched first, and only then is it
    /// locked (`priority::lock_memory`). For room that may never be needed.
    ///
    /// # Errors
    /// As for [`Region::shared`].
    pub fn shared_on_demand(name: &str, words: usize) -> io::Result<Self> {
        Self::make(&format!("{name}{ON_DEMAND}"), words, Pages::OnDemand)
    }

    fn make(name: &str, words: usize, pages: Pages) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create(name, flags)?;
        rustix::fs::ftruncate(&fd, (words * 8) as u64)?;
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        Self::map(fd, words, Access::Write, pages)
    }

    /// Maps a region that another process made and handed over.
    ///
    /// # Errors
    /// `InvalidData` when the descriptor's size is no whole number of words, else what the
    /// kernel says.
    pub fn adopt(fd: OwnedFd, access: Access) -> io::Result<Self> {
        Self::take(fd, access, Pages::Now)
    }

    /// Maps one that was made by [`Region::shared_on_demand`].
    ///
    /// # Errors
    /// As for [`Region::adopt`].
    pub fn adopt_on_demand(fd: OwnedFd, access: Access) -> io::Result<Self> {
        Self::take(fd, access, Pages::OnDemand)
    }

    fn take(fd: OwnedFd, access: Access, pages: Pages) -> io::Result<Self> {
        let bytes = usize::try_from(rustix::fs::fstat(&fd)?.st_size).unwrap_or(0);
        if bytes == 0 || bytes % 8 != 0 {
            let text = format!("a region of {bytes} bytes is no whole number of words");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Self::map(fd, bytes / 8, access, pages)
    }

    fn map(fd: OwnedFd, words: usize, access: Access, pages: Pages) -> io::Result<Self> {
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::Write => ProtFlags::READ | ProtFlags::WRITE,
        };
        let flags = match pages {
            Pages::Now => MapFlags::SHARED | MapFlags::POPULATE,
            Pages::OnDemand => MapFlags::SHARED,
        };
        // SAFETY: a fresh address chosen by the kernel aliases nothing of ours.
        let base = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), words * 8, protection, flags, &fd, 0)
        }?;
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at null"))?;
        Ok(Self::of(Mapping { base, words, fd: Some(fd), access }))
    }

    fn of(mapping: Mapping) -> Self {
        Self {
            mapping: Arc::new(mapping),
            #[cfg(feature = "testing")]
            stores_left: None,
        }
    }

    /// The same memory for a writer who is ended after so many stores: what it would store
    /// later, here or through another handle with the same count, is not stored.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn doomed(&self, stores_left: &Arc<AtomicU64>) -> Self {
        Self { mapping: self.mapping.clone(), stores_left: Some(stores_left.clone()) }
    }

    /// Has the pages of these words there, so that whoever uses them never waits for one. Words
    /// beyond the region are left out; a heap region has all its pages. `[control]`
    ///
    /// # Errors
    /// What the kernel says; above all that there is no memory.
    pub fn touch(&self, words: Range<usize>) -> io::Result<()> {
        let end = words.end.min(self.mapping.words) * 8;
        // The kernel takes whole pages.
        let start = words.start * 8 / PAGE_BYTES * PAGE_BYTES;
        if self.mapping.fd.is_none() || start >= end {
            return Ok(());
        }
        let advice = match self.mapping.access {
            Access::Read => Advice::LinuxPopulateRead,
            Access::Write => Advice::LinuxPopulateWrite,
        };
        // SAFETY: `start` lies within the mapping, below `end`, which was bounded just now.
        let from = unsafe { self.mapping.base.cast::<u8>().add(start) };
        // SAFETY: the range is mapped, and having its pages there changes no word.
        Ok(unsafe { rustix::mm::madvise(from.as_ptr().cast(), end - start, advice) }?)
    }

    /// The descriptor as it was made or adopted; none for a heap region.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.mapping.fd.as_ref().map(AsFd::as_fd)
    }

    /// A descriptor of the same memory that can only be read: reopened, so that whoever gets it
    /// cannot map it for writing.
    ///
    /// # Errors
    /// `Unsupported` for a heap region, else what the kernel says to the reopening.
    pub fn read_only_fd(&self) -> io::Result<OwnedFd> {
        use std::os::fd::AsRawFd;
        let fd = self.fd().ok_or(io::ErrorKind::Unsupported)?;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// From now on nobody can map this region for writing any more; mappings that exist stay.
    ///
    /// # Errors
    /// `Unsupported` for a heap region, else what the kernel says.
    pub fn seal_future_write(&self) -> io::Result<()> {
        let fd = self.fd().ok_or(io::ErrorKind::Unsupported)?;
        Ok(rustix::fs::fcntl_add_seals(fd, SealFlags::FUTURE_WRITE)?)
    }

    /// Word `index` as a bell: 32 bits that a futex can wait on. A word used as a bell is used
    /// as nothing else. Panics when out of bounds. `[any]`
    #[must_use]
    pub fn bell(&self, index: usize) -> &AtomicU32 {
        assert!(index < self.mapping.words, "bell {index} lies outside the region");
        // SAFETY: `index` was just checked, so the address stays inside the mapping.
        let word = unsafe { self.mapping.base.add(index) };
        // SAFETY: the word is mapped, aligned and lives as long as `self`; every access to a
        // bell word is a 32-bit atomic one.
        unsafe { word.cast::<AtomicU32>().as_ref() }
    }

    #[inline]
    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.mapping.words, "word {index} lies outside the region");
        // SAFETY: `index` was just checked, so the address stays inside the mapping.
        let word = unsafe { self.mapping.base.add(index) };
        // SAFETY: the word is mapped, aligned and lives as long as `self`; every access in
        // every process is atomic.
        unsafe { word.as_ref() }
    }
}

impl Words for Region {
    fn len(&self) -> usize {
        self.mapping.words
    }

    #[inline]
    fn load(&self, index: usize, order: Ordering) -> u64 {
        self.word(index).load(order)
    }

    #[inline]
    fn store(&self, index: usize, value: u64, order: Ordering) {
        assert!(self.mapping.access == Access::Write, "a read-only region was written");
        #[cfg(feature = "testing")]
        if let Some(left) = &self.stores_left
            && left
                .try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_err()
        {
            return;
        }
        self.word(index).store(value, order);
    }
}

#[derive(Debug)]
struct Mapping {
    base: NonNull<AtomicU64>,
    words: usize,
    fd: Option<OwnedFd>,
    access: Access,
}

// SAFETY: the mapping is only ever touched through atomics.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.fd.is_some() {
            // SAFETY: base and length are those of the mapping, and no handle is left. A
            // failure would leak address space and nothing else.
            let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.words * 8) };
        } else {
            let slice = NonNull::slice_from_raw_parts(self.base, self.words);
            // SAFETY: a heap region came from `Box::leak` of exactly this slice.
            drop(unsafe { Box::from_raw(slice.as_ptr()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use super::{Access, Region};
    use crate::words::Words;

    #[test]
    fn a_read_only_descriptor_sees_the_words_and_cannot_be_mapped_for_writing() {
        let owner = Region::shared("segue-test", 16).unwrap();
        let reader = Region::adopt(owner.read_only_fd().unwrap(), Access::Read).unwrap();
        owner.store(3, 42, SeqCst);
        assert_eq!(reader.load(3, SeqCst), 42);
        assert!(Region::adopt(owner.read_only_fd().unwrap(), Access::Write).is_err());
    }

    #[test]
    fn a_sealed_region_cannot_be_resized_nor_mapped_for_writing_again() {
        let owner = Region::shared("segue-test", 16).unwrap();
        assert!(rustix::fs::ftruncate(owner.fd().unwrap(), 8).is_err());
        owner.seal_future_write().unwrap();
        let again = owner.fd().unwrap().try_clone_to_owned().unwrap();
        assert!(Region::adopt(again, Access::Write).is_err());
        owner.store(0, 1, SeqCst);
        assert_eq!(owner.load(0, SeqCst), 1);
    }

    #[test]
    #[should_panic(expected = "read-only")]
    fn a_store_through_a_reader_is_our_own_bug_and_says_so() {
        let owner = Region::shared("segue-test", 2).unwrap();
        let reader = Region::adopt(owner.read_only_fd().unwrap(), Access::Read).unwrap();
        reader.store(0, 1, SeqCst);
    }

    fn bytes_there(region: &Region) -> u64 {
        rustix::fs::fstat(region.fd().unwrap()).unwrap().st_blocks as u64 * 512
    }

    #[test]
    fn room_on_demand_takes_no_memory_before_it_is_touched_even_when_memory_is_locked() {
        let owner = Region::shared_on_demand("segue-test", 1 << 22).unwrap();
        let other = owner.fd().unwrap().try_clone_to_owned().unwrap();
        let reader = Region::adopt_on_demand(other, Access::Read).unwrap();
        // Refused without the privilege, and then it takes nothing either.
        let _ = crate::process::priority::lock_memory();
        assert_eq!(bytes_there(&owner), 0);
        owner.touch(1 << 20..(1 << 20) + 9).unwrap();
        let touched = bytes_there(&owner);
        assert!((1..=1 << 17).contains(&touched), "{touched}");
        reader.touch(1 << 20..(1 << 20) + 9).unwrap();
        assert_eq!(bytes_there(&reader), touched);
        owner.touch(0..usize::MAX / 8).unwrap();
        assert_eq!(bytes_there(&owner), 8 << 22);
    }
}
