//! What the kernel keeps a program from seeing, and the second program of each tracepoint, which sees that.
//!
//! The kernel notes on each CPU that a program is at work there (`bpf_prog.active`), and skips a run of it that begins meanwhile: an
//! interrupt that comes upon the program brings events of its own. So each tracepoint has two programs. The second, which comes
//! before the first, reads the very word by which the kernel decides: if it is not zero, the kernel skips the first for this event,
//! and the second does its work.
//!
//! Proof, where neither can lose its CPU: an event in an interrupt finds what it interrupted (1) in neither program, (2) in the
//! second, or (3) in the first, and leaves it there until the event is over, so that the word cannot change between the two programs
//! of one event. In (1) both run, the word is zero, the first does the work. In (2) the kernel skips the second, and the first runs:
//! no run of it lies below. In (3) the kernel skips the first; the second runs, reads that, and does the work. An event that
//! interrupts nothing is (1). Since the kernel's decision and the second program read the same word, no instruction lies between
//! them that could be interrupted in a third state. An interrupt within an interrupt that finds one program at work on each of the
//! two levels below it has neither: that is a skipped run of the first that the second did not take over, and as such is counted.
//!
//! Where a task can lose its CPU within a tracepoint (Linux 7.0), the word may change between the two programs of one event, unless
//! whoever runs keeps the CPU (`preempt_count()` is not zero), as an interrupt does. Elsewhere the second notes in the task that it
//! takes the event over, and the first, if it runs after all, leaves that event alone: nothing counts twice. Three windows are left:
//! the task loses its CPU between the two programs, to another that loses it within the first; or both programs are at work below,
//! each for another task; or the second was skipped, and the task still has the note of an event before. In each, the first was
//! skipped or left alone once more than the second took over: so the event is counted as lost. To disable preemption within the
//! program is of no use: the task then goes when it is enabled, which is still within it.
//!
//! The second does not call the first (`bpf_tail_call`): since Linux 6.13 a program has one stack per CPU, on which the run lies
//! that was interrupted.
#![expect(unsafe_code, reason = "reads and writes map values")]

use crate::{
    atomic,
    kernel::{current_task, keeps_its_cpu, offsets::HAS_PREEMPTIBLE_TRACEPOINTS, word_at},
    maps::{DISTANCES, HERE, TAKEN_OVER, TASK_NOTES},
};
use aya_ebpf::{bindings::BPF_LOCAL_STORAGE_GET_F_CREATE, helpers::generated::bpf_task_storage_get};
use common::kernel::tracepoints::Tracepoint;
use core::ptr::{from_ref, null_mut, read_volatile, write_volatile};

/// Makes the two programs of a tracepoint from the function that does the work. With the word `Run` behind it, the function is told in
/// which of the two it runs.
macro_rules! programs {
    ($tracepoint:ident, $function:tt, $first:ident, $nested:ident, $work:path $(, $run:ident)?) => {
        #[aya_ebpf::macros::btf_tracepoint(function = $function)]
        #[inline(always)]
        fn $first(context: aya_ebpf::programs::BtfTracePointContext) -> i32 {
            if !$crate::nested::is_taken_over(common::kernel::tracepoints::Tracepoint::$tracepoint) {
                $work(&context $(, common::kernel::tracepoints::$run::First)?);
            }
            0
        }

        // For nearly every event it ends at once: a function that is small saves no register and returns from where it is. What it
        // rarely does is another.
        #[aya_ebpf::macros::btf_tracepoint(function = $function)]
        #[inline(always)]
        fn $nested(context: aya_ebpf::programs::BtfTracePointContext) -> i32 {
            #[inline(never)]
            fn work(context: *mut core::ffi::c_void) -> i32 {
                let context = aya_ebpf::programs::BtfTracePointContext::new(context);
                $work(&context $(, common::kernel::tracepoints::$run::Nested)?);
                // What nobody needs would not be returned, and the verifier refuses what the register then holds by chance.
                core::hint::black_box(0)
            }
            if $crate::nested::takes_over(common::kernel::tracepoints::Tracepoint::$tracepoint) {
                core::hint::black_box(work(aya_ebpf::EbpfContext::as_ptr(&context)));
            }
            0
        }
    };
}
pub(crate) use programs;

/// For the second program: whether the kernel skips the first for this event, so that the second has to do its work; counted if so.
#[inline(always)]
pub(crate) fn takes_over(tracepoint: Tracepoint) -> bool {
    let takes_over = is_at_work(tracepoint);
    if can_lose_its_cpu() {
        let Some(note) = note(tracepoint, takes_over) else {
            return false;
        };
        // SAFETY: a word of a map value of this task.
        unsafe { write_volatile(note, takes_over as u32) };
    }
    if takes_over {
        count(tracepoint, 1);
    }
    takes_over
}

/// For the first program: whether the second has done its work, though the kernel did not skip the first in the end.
#[inline(always)]
pub(crate) fn is_taken_over(tracepoint: Tracepoint) -> bool {
    if !can_lose_its_cpu() {
        return false;
    }
    let Some(note) = note(tracepoint, false) else {
        return false;
    };
    // SAFETY: a word of a map value of this task.
    let is_taken_over = unsafe { read_volatile(note) != 0 };
    if is_taken_over {
        // SAFETY: as above.
        unsafe { write_volatile(note, 0) };
        count(tracepoint, u64::MAX);
    }
    is_taken_over
}

/// What the second program has noted in this task: not zero when it took the event over. Without `create` only if it ever did.
#[inline(always)]
fn note(tracepoint: Tracepoint, create: bool) -> Option<*mut u32> {
    let flags = if create { BPF_LOCAL_STORAGE_GET_F_CREATE } else { 0 };
    let notes = from_ref(&TASK_NOTES).cast_mut().cast();
    // SAFETY: the helper checks the task, the verifier its type.
    let notes = unsafe { bpf_task_storage_get(notes, current_task().cast_mut().cast(), null_mut(), flags as u64) };
    if notes.is_null() {
        return None;
    }
    // SAFETY: one of the words of the value.
    Some(unsafe { notes.cast::<u32>().add(tracepoint as usize) })
}

/// Whether what runs here can lose its CPU before the event is over.
#[inline(always)]
fn can_lose_its_cpu() -> bool {
    HAS_PREEMPTIBLE_TRACEPOINTS.is_set() && !keeps_its_cpu()
}

/// Adds to the events that were taken over.
#[inline(always)]
fn count(tracepoint: Tracepoint, more: u64) {
    if let Some(count) = TAKEN_OVER.get_ptr_mut(tracepoint as u32) {
        // SAFETY: a word of a map value.
        unsafe { atomic::add(count, more) };
    }
}

/// Whether the first program of a tracepoint is at work on this CPU.
#[inline(always)]
fn is_at_work(tracepoint: Tracepoint) -> bool {
    let Some(addresses) = HERE.get_ptr_mut(0) else {
        return false;
    };
    let entry = addresses.cast::<u64>().wrapping_add(tracepoint as usize);
    // SAFETY: an entry of a map value of this CPU, which nobody else writes.
    let known = unsafe { read_volatile(entry) };
    let address = if known == 0 { find(entry, tracepoint) } else { known };
    address != 0 && word_at(address) != 0
}

/// The address of that word, which goes into the entry; 0 while it is not known. The kernel makes no second run of a program on a
/// CPU, so that nobody sees what the entry holds meanwhile.
#[inline(always)]
fn find(entry: *mut u64, tracepoint: Tracepoint) -> u64 {
    let distance = DISTANCES.get(tracepoint as u32).map_or(0, |distance| *distance);
    if distance == 0 {
        return 0;
    }
    // SAFETY: as above. The verifier adds no unknown number to a pointer, but it lets one be stored and read as a number.
    unsafe {
        write_volatile(entry, entry as u64);
        let own = read_volatile(entry);
        let address = own.wrapping_sub(8 * tracepoint as u64).wrapping_add(distance);
        write_volatile(entry, address);
        address
    }
}
