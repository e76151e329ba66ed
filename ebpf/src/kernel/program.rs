//! `struct bpf_prog`, and what a program runs in: its task, its CPU, the kernel's clocks.
#![expect(unsafe_code, reason = "reads kernel memory under the verifier's eyes")]

use super::{
    memory::{address_at, load, load_pointer},
    offsets::*,
};
use aya_ebpf::{
    helpers::{
        bpf_ktime_get_ns, bpf_probe_read_kernel,
        generated::{bpf_get_current_task_btf, bpf_jiffies64, bpf_this_cpu_ptr},
    },
    programs::BtfTracePointContext,
};
use common::{kernel::kfuncs::PREEMPT_COUNT, net::connection::Name};
use core::{arch::asm, ffi::c_void, ptr::read_volatile};

/// `struct bpf_prog`.
#[derive(Clone, Copy)]
pub(crate) struct Program(pub(super) *const u8);

impl Program {
    /// Argument `n` of a tracepoint; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn argument(context: &BtfTracePointContext, n: usize) -> Option<Self> {
        // SAFETY: the verifier knows the type of the argument.
        unsafe { Self::from_pointer(context.arg(n)) }
    }

    /// A program; `None` when the pointer is NULL.
    ///
    /// # Safety
    /// The kernel has given the pointer to this run of the program, as one to a `struct bpf_prog`.
    #[inline(always)]
    pub(crate) unsafe fn from_pointer(pointer: *const u8) -> Option<Self> {
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// `aux->name`, NUL-padded; empty when it was loaded without one.
    #[inline(always)]
    pub(crate) fn name(self) -> Name {
        // SAFETY: a typed pointer from `struct bpf_prog` to `struct bpf_prog_aux`, then memory that the helper checks.
        let name = unsafe {
            match (load_pointer(self.0, &BPF_PROG_AUX), BPF_PROG_AUX_NAME.offset()) {
                (Some(auxiliary), Some(offset)) => bpf_probe_read_kernel(auxiliary.add(offset).cast()).ok(),
                _ => None,
            }
        };
        name.unwrap_or([0; 2])
    }

    /// `aux->id`
    #[inline(always)]
    pub(crate) fn id(self) -> Option<u32> {
        // SAFETY: a typed pointer from `struct bpf_prog` to `struct bpf_prog_aux`.
        unsafe { load(load_pointer(self.0, &BPF_PROG_AUX)?, &BPF_PROG_AUX_ID) }
    }

    /// `active`: the place, in every CPU's own memory, of the word that is not zero while the program runs there.
    #[inline(always)]
    pub(crate) fn active(self) -> Option<u64> {
        // SAFETY: a member of `struct bpf_prog`.
        unsafe { load(self.0, &BPF_PROG_ACTIVE) }
    }
}

/// The place of the first value of a per-CPU array in every CPU's own memory, by the address of its `struct bpf_array`.
#[inline(always)]
pub(crate) fn first_value_of(array: u64) -> Option<u64> {
    address_at(array + BPF_ARRAY_PPTRS.offset()? as u64)
}

/// Whether argument `n` of a tracepoint is not NULL. The verifier of Linux 6.5 to 6.12.1 takes each argument that is a pointer for one to
/// something, and deletes checks for NULL; what this helper reads is a number to it.
#[inline(always)]
pub(crate) fn is_given(context: &BtfTracePointContext, n: usize) -> bool {
    let argument = context.arg::<u64>(n);
    // SAFETY: a word of this program's stack.
    unsafe { bpf_probe_read_kernel(&raw const argument) }.is_ok_and(|argument| argument != 0)
}

/// The task in which this runs, or which it interrupts.
#[inline(always)]
pub(crate) fn current_task() -> *const u8 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_current_task_btf() as *const u8 }
}

/// The time of `CLOCK_MONOTONIC`, in nanoseconds.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// The kernel's `jiffies`, of which most structures hold the lower half.
#[inline(always)]
pub(crate) fn jiffies() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_jiffies64() }
}

/// Whether what runs here keeps its CPU until it ends, as in an interrupt or with preemption disabled: `preempt_count()` is not 0.
#[inline(always)]
pub(crate) fn keeps_its_cpu() -> bool {
    /// `PREEMPT_NEED_RESCHED` of x86, which is no part of the count.
    const NEED_RESCHED: u32 = 1 << 31;
    let count = if TASK_PREEMPT_COUNT.offset().is_some() {
        // SAFETY: a typed pointer to `struct task_struct`.
        unsafe { load(current_task(), &TASK_PREEMPT_COUNT) }.unwrap_or(0)
    } else if HAS_PREEMPT_COUNT.is_set() {
        // SAFETY: the exporter has put the variable's number in place of the constant, so that the verifier knows its type; the
        // helper gives this CPU's own.
        unsafe {
            let everywhere: *const c_void;
            asm!("{everywhere} = {constant} ll", everywhere = out(reg) everywhere, constant = const PREEMPT_COUNT,
                options(pure, nomem, nostack));
            read_volatile(bpf_this_cpu_ptr(everywhere) as *const u32) & !NEED_RESCHED
        }
    } else {
        0
    };
    count != 0
}
