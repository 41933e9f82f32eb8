//! The functions' allocator, which keeps freed small blocks in lists by size, in front of a general allocator.
//!
//! Successive requests allocate and free many small blocks of the same sizes, which the lists serve without a search.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr;

/// The step between block sizes, in bytes.
const STEP: usize = 16;
/// The largest size that is kept in lists; larger blocks go to the general allocator.
const SMALL_BYTES: usize = 4096;
/// The largest number of bytes that a list keeps. Blocks freed beyond it go back to the general allocator, which can
/// use them for other sizes.
const KEPT_BYTES: usize = 32 << 10;
/// The alignment of every small block.
const ALIGN: usize = 8;

/// An allocator in front of another, for a single thread, since functions have only one.
pub struct BySize<A> {
    general: A,
    lists: UnsafeCell<[List; SMALL_BYTES / STEP]>,
}

#[derive(Clone, Copy)]
struct List {
    first: *mut Free,
    bytes: usize,
}

/// A free block, which begins with the address of the next one.
struct Free {
    next: *mut Free,
}

// SAFETY: wasm32-wasip2 has one thread.
#[cfg(target_family = "wasm")]
unsafe impl<A: Sync> Sync for BySize<A> {}

impl<A> BySize<A> {
    /// An allocator with empty lists.
    pub const fn new(general: A) -> Self {
        let empty = List {
            first: ptr::null_mut(),
            bytes: 0,
        };
        Self {
            general,
            lists: UnsafeCell::new([empty; SMALL_BYTES / STEP]),
        }
    }

    /// The list for a layout, and the layout of its blocks; `None` for large or strictly aligned blocks.
    fn list(&self, layout: Layout) -> Option<(*mut List, Layout)> {
        let size = layout.size();
        if size == 0 || size > SMALL_BYTES || layout.align() > ALIGN {
            return None;
        }
        let index = (size - 1) / STEP;
        // SAFETY: the index is below `SMALL_BYTES / STEP`, and the rounded size far below `isize::MAX`.
        unsafe {
            let list = self.lists.get().cast::<List>().add(index);
            let block = Layout::from_size_align_unchecked((index + 1) * STEP, ALIGN);
            Some((list, block))
        }
    }
}

// SAFETY: a block is either in a list or with its user, never both. A list has blocks of one layout, which the general
// allocator made and gets back with that layout.
unsafe impl<A: GlobalAlloc> GlobalAlloc for BySize<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((list, block)) = self.list(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { self.general.alloc(layout) };
        };
        // SAFETY: nobody else holds the list, and every block in it is free and begins with a `Free`.
        unsafe {
            let first = (*list).first;
            if first.is_null() {
                return self.general.alloc(block);
            }
            (*list).first = (*first).next;
            (*list).bytes -= block.size();
            first.cast()
        }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some((list, block)) = self.list(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { self.general.dealloc(pointer, layout) };
        };
        // SAFETY: the caller has given the block up; it is aligned for a `Free` and not smaller than one.
        unsafe {
            if (*list).bytes >= KEPT_BYTES {
                return self.general.dealloc(pointer, block);
            }
            let freed = pointer.cast::<Free>();
            (*freed).next = (*list).first;
            (*list).first = freed;
            (*list).bytes += block.size();
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise: not zero, and no overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (self.list(layout), self.list(wanted)) {
            // SAFETY: the caller's promise, about a block that the general allocator made with this layout.
            (None, None) => unsafe { self.general.realloc(pointer, layout, size) },
            (Some((before, _)), Some((after, _))) if before == after => pointer,
            // SAFETY: both blocks are at least as large as what is copied.
            _ => unsafe {
                let moved = self.alloc(wanted);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
                    self.dealloc(pointer, layout);
                }
                moved
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::alloc::System;

    /// Counts the blocks that the general allocator has given out.
    struct Counted(std::cell::Cell<isize>);

    // SAFETY: forwards to the system's allocator.
    unsafe impl GlobalAlloc for Counted {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.0.set(self.0.get() + 1);
            // SAFETY: the caller's promise.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            self.0.set(self.0.get() - 1);
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    /// A block, with the mark that was written into it.
    struct Block {
        pointer: *mut u8,
        layout: Layout,
        mark: u8,
    }

    impl Block {
        fn check(&self) {
            assert!(
                !self.pointer.is_null() && self.pointer.addr().is_multiple_of(self.layout.align())
            );
            // SAFETY: the block has the requested size and was written completely.
            let bytes = unsafe { std::slice::from_raw_parts(self.pointer, self.layout.size()) };
            assert!(bytes.iter().all(|byte| *byte == self.mark));
        }

        fn write(&mut self, mark: u8) {
            self.mark = mark;
            // SAFETY: the block has the requested size.
            unsafe { self.pointer.write_bytes(mark, self.layout.size()) };
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Alloc { size: usize, align: usize },
        Free(prop::sample::Index),
        Resize(prop::sample::Index, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = || prop_oneof![3 => 1..200usize, 1 => 1..10_000usize];
        prop_oneof![
            2 => (size(), 0..6u32).prop_map(|(size, power)| Step::Alloc { size, align: 1 << power }),
            2 => any::<prop::sample::Index>().prop_map(Step::Free),
            1 => (any::<prop::sample::Index>(), size()).prop_map(|(index, size)| Step::Resize(index, size)),
        ]
    }

    proptest! {
        #[test]
        fn blocks_never_overlap_and_keep_their_content(steps in prop::collection::vec(step(), 1..300)) {
            let allocator = BySize::new(System);
            let mut blocks: Vec<Block> = Vec::new();
            for (mark, step) in steps.into_iter().enumerate() {
                let mark = u8::try_from(mark % 251).expect("below 256");
                match step {
                    Step::Alloc { size, align } => {
                        let layout = Layout::from_size_align(size, align).expect("a layout");
                        // SAFETY: not empty.
                        let pointer = unsafe { allocator.alloc(layout) };
                        let mut block = Block { pointer, layout, mark };
                        block.write(mark);
                        blocks.push(block);
                    }
                    Step::Free(index) if !blocks.is_empty() => {
                        let block = blocks.swap_remove(index.index(blocks.len()));
                        block.check();
                        // SAFETY: once, with its layout.
                        unsafe { allocator.dealloc(block.pointer, block.layout) };
                    }
                    Step::Resize(index, size) if !blocks.is_empty() => {
                        let at = index.index(blocks.len());
                        let block = &mut blocks[at];
                        let kept = size.min(block.layout.size());
                        // SAFETY: not empty, with its layout.
                        block.pointer = unsafe { allocator.realloc(block.pointer, block.layout, size) };
                        block.layout = Layout::from_size_align(kept, block.layout.align()).expect("a layout");
                        block.check();
                        block.layout = Layout::from_size_align(size, block.layout.align()).expect("a layout");
                        block.write(mark);
                    }
                    Step::Free(_) | Step::Resize(..) => {}
                }
            }
            for block in &blocks {
                block.check();
                // SAFETY: once, with its layout.
                unsafe { allocator.dealloc(block.pointer, block.layout) };
            }
        }
    }

    #[test]
    fn a_list_keeps_few_blocks() {
        let allocator = BySize::new(Counted(std::cell::Cell::new(0)));
        let layout = Layout::new::<[u64; 8]>();
        // SAFETY: not empty.
        let blocks: Vec<_> = (0..10_000)
            .map(|_| unsafe { allocator.alloc(layout) })
            .collect();
        assert_eq!(allocator.general.0.get(), 10_000);
        for block in blocks {
            // SAFETY: each once.
            unsafe { allocator.dealloc(block, layout) };
        }
        let kept = KEPT_BYTES / layout.size();
        assert_eq!(
            allocator.general.0.get(),
            isize::try_from(kept).expect("few")
        );
    }
}
