//! How memory is copied where musl is the C library, on x86-64. Its own functions use the processor's instruction for strings from
//! eight bytes on, and that takes longer to begin than a short copy takes.
//!
//! The compiler may take a loop that copies for a call of `memcpy`, which would then call itself. So there is none.

use std::arch::asm;
use std::arch::x86_64::__m128i as Sixteen;

/// Up to here it is faster to do without the instruction.
const SHORT: usize = 128;

/// Copies `length` bytes.
///
/// # Safety
/// They can be read and written, and are not the same memory, not even in part.
#[inline(always)]
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    if length <= SHORT {
        unsafe { copy_short(to, from, length) };
    } else {
        unsafe { copy_upwards(to, from, length) };
    }
}

/// Copies `length` bytes to where some of them may be.
///
/// # Safety
/// They can be read and written.
#[inline(always)]
pub(crate) unsafe fn shift(to: *mut u8, from: *const u8, length: usize) {
    if length <= SHORT {
        unsafe { copy_short(to, from, length) };
    } else if to.addr().wrapping_sub(from.addr()) >= length {
        unsafe { copy_upwards(to, from, length) };
    } else {
        unsafe { copy_downwards(to, from, length) };
    }
}

/// Copies at most [`SHORT`] bytes: so many of the first and of the last that they meet. All are read before one is written.
#[inline(always)]
unsafe fn copy_short(to: *mut u8, from: *const u8, length: usize) {
    #[inline(always)]
    unsafe fn both_ends<T>(to: *mut u8, from: *const u8, length: usize) {
        let last = length - size_of::<T>();
        unsafe {
            let (a, z) = (from.cast::<T>().read_unaligned(), from.add(last).cast::<T>().read_unaligned());
            to.cast::<T>().write_unaligned(a);
            to.add(last).cast::<T>().write_unaligned(z);
        }
    }
    let get = |at: usize| unsafe { from.add(at).cast::<Sixteen>().read_unaligned() };
    let put = |at: usize, bytes| unsafe { to.add(at).cast::<Sixteen>().write_unaligned(bytes) };
    match length {
        0 => (),
        1 => unsafe { *to = *from },
        2..4 => unsafe { both_ends::<u16>(to, from, length) },
        4..8 => unsafe { both_ends::<u32>(to, from, length) },
        8..16 => unsafe { both_ends::<u64>(to, from, length) },
        16..=32 => unsafe { both_ends::<Sixteen>(to, from, length) },
        33..=64 => {
            let (a, b, y, z) = (get(0), get(16), get(length - 32), get(length - 16));
            put(0, a);
            put(16, b);
            put(length - 32, y);
            put(length - 16, z);
        }
        _ => {
            let (a, b, c, d) = (get(0), get(16), get(32), get(48));
            let (w, x, y, z) = (get(length - 64), get(length - 48), get(length - 32), get(length - 16));
            put(0, a);
            put(16, b);
            put(32, c);
            put(48, d);
            put(length - 64, w);
            put(length - 48, x);
            put(length - 32, y);
            put(length - 16, z);
        }
    }
}

#[inline(always)]
unsafe fn copy_upwards(to: *mut u8, from: *const u8, length: usize) {
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") length => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Begins with the last byte. Words follow, since this direction is slow.
#[inline(always)]
unsafe fn copy_downwards(to: *mut u8, from: *const u8, length: usize) {
    let (words, rest) = (length / 8, length % 8);
    unsafe {
        asm!(
            "std",
            "rep movsb",
            "sub rdi, 7",
            "sub rsi, 7",
            "mov rcx, {words}",
            "rep movsq",
            "cld",
            words = in(reg) words,
            inout("rcx") rest => _, inout("rdi") to.add(length - 1) => _, inout("rsi") from.add(length - 1) => _,
            options(nostack)
        );
    }
}
