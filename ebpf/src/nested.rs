//! What the kernel keeps a program from seeing, and the second program of each tracepoint, which sees that.
//!
//! The kernel notes on each CPU that a program is at work there (`bpf_prog.active`), and skips a run of it that begins meanwhile: an
//! interrupt that comes upon the program brings events of its own. So each tracepoint has two programs. The second reads the very
//! word by which the kernel decides: if it is not zero, the kernel skips the first for this event, and the second does its work.
//!
//! Proof, where neither can lose its CPU: an event in an interrupt finds what it interrupted (1) in neither program, (2) in the
//! second, or (3) in the first, and leaves it there until the event is over, so that the word cannot change between the two programs
//! of one event. In (1) both run, the word is zero, the first does the work. In (2) the kernel skips the second, and the first runs:
//! no run of it lies below. In (3) the kernel skips the first; the second runs, reads that, and does the work. An event that
//! interrupts nothing is (1). Since the kernel's decision and the second program read the same word, no instruction lies between
//! them that could be interrupted in a third state. An interrupt within an interrupt that finds one program at work on each of the
//! two levels below it has neither: that is a skipped run of the first that the second did not take over, and as such is counted.
//!
//! Where a task can lose its CPU within a tracepoint (Linux 7.0), the word may become zero between the two programs of one event,
//! unless whoever runs keeps the CPU (`preempt_count()` is not zero), as an interrupt does. The second takes over only then, so that
//! nothing counts twice. The window that is left: a task's event on a CPU where another task lost the CPU within the first program.
//! Each is a skipped run that was not taken over, and so is counted. To disable preemption within the program is of no use: the task
//! then goes when it is enabled, which is still within it.
#![expect(unsafe_code, reason = "reads and writes map values")]

use crate::{
    atomic,
    kernel::{keeps_its_cpu, word_at},
    maps::{DISTANCES, HERE, TAKEN_OVER},
    offsets::HAS_PREEMPTIBLE_TRACEPOINTS,
};
use common::tracepoints::Tracepoint;
use core::ptr::{read_volatile, write_volatile};

/// Makes the two programs of a tracepoint from the function that does the work.
macro_rules! programs {
    ($tracepoint:ident, $function:tt, $first:ident, $nested:ident, $work:path) => {
        $crate::nested::programs!($tracepoint, $function, $first, $nested, $work, $work);
    };
    ($tracepoint:ident, $function:tt, $first:ident, $nested:ident, $work_of_first:path, $work_of_nested:path) => {
        #[aya_ebpf::macros::btf_tracepoint(function = $function)]
        fn $first(context: aya_ebpf::programs::BtfTracePointContext) -> i32 {
            $work_of_first(&context);
            0
        }

        #[aya_ebpf::macros::btf_tracepoint(function = $function)]
        fn $nested(context: aya_ebpf::programs::BtfTracePointContext) -> i32 {
            if $crate::nested::takes_over(common::tracepoints::Tracepoint::$tracepoint) {
                $work_of_nested(&context);
            }
            0
        }
    };
}
pub(crate) use programs;

/// Whether the kernel skips the first program for this event, so that the second has to do its work; counted if so.
#[inline(always)]
pub(crate) fn takes_over(tracepoint: Tracepoint) -> bool {
    if !is_at_work(tracepoint) || HAS_PREEMPTIBLE_TRACEPOINTS.is_set() && !keeps_its_cpu() {
        return false;
    }
    if let Some(count) = TAKEN_OVER.get_ptr_mut(tracepoint as u32) {
        // SAFETY: a word of a map value.
        unsafe { atomic::add(count, 1) };
    }
    true
}

/// Whether the first program of a tracepoint is at work on this CPU.
#[inline(always)]
fn is_at_work(tracepoint: Tracepoint) -> bool {
    let (Some(distance), Some(here)) = (DISTANCES.get(tracepoint as u32), HERE.get_ptr_mut(0)) else {
        return false;
    };
    // SAFETY: a word of a map value of this CPU.
    let address = unsafe {
        let mut address = read_volatile(here);
        if address == 0 {
            // The verifier adds no unknown number to a pointer, but it lets one be stored and read as a number.
            write_volatile(here, here as u64);
            address = read_volatile(here);
        }
        address
    };
    *distance != 0 && word_at(address.wrapping_add(*distance)).is_some_and(|active| active != 0)
}
