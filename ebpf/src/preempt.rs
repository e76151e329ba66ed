//! Keeps the processor for as long as a program runs. Since Linux 7.0 a task can lose it within a tracepoint, and until it is
//! back the kernel skips every other run of that program on that processor. What is left is the kernel's own way into the
//! program and out of it. Older kernels keep the processor themselves: the calls are empty there.
#![expect(unsafe_code, reason = "calls kernel functions by number")]

use common::kfuncs::{PREEMPT_DISABLE, PREEMPT_ENABLE};
use core::arch::asm;

/// From its making to its end the program keeps the processor.
pub(crate) struct Disabled(());

impl Disabled {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        call::<PREEMPT_DISABLE>();
        Self(())
    }
}

impl Drop for Disabled {
    #[inline(always)]
    fn drop(&mut self) {
        call::<PREEMPT_ENABLE>();
    }
}

#[inline(always)]
fn call<const FUNCTION: i32>() {
    // SAFETY: a function without arguments and result; the registers that a call may change are named.
    unsafe {
        asm!(
            "call {function}",
            function = const FUNCTION,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
        );
    }
}
