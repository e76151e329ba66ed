//! Types for addresses: `bpf_rdonly_cast(const void *obj, u32 type)`, since Linux 6.2, tells the verifier what lies where it sees
//! but a number. The kernel makes one move of the call, so that a load through the pointer costs a fraction of what
//! `bpf_probe_read_kernel` does. As through any such pointer, memory that is not there reads as zero.
#![expect(unsafe_code, reason = "calls a kernel function by number")]

use crate::kernel::offsets::Fact;
use common::kernel::kfuncs::READ_ONLY_CAST;
use core::arch::asm;

/// A pointer to the structure of this type at an address; `None` where the kernel gives none.
#[inline(always)]
pub(crate) fn cast(address: u64, structure: &Fact) -> Option<*const u8> {
    if !structure.is_set() {
        return None;
    }
    let pointer: u64;
    // SAFETY: the function reads no memory; the registers that a call may change are named.
    unsafe {
        asm!(
            "call {function}",
            function = const READ_ONLY_CAST,
            inlateout("r1") address => _,
            inlateout("r2") structure.get() => _,
            lateout("r0") pointer,
            lateout("r3") _,
            lateout("r4") _,
            lateout("r5") _,
            options(pure, nomem, nostack),
        );
    }
    Some(pointer as *const u8)
}
