//! What the kernel's verifier wants to see and the compiler would leave out.
#![cfg_attr(
    target_arch = "bpf",
    expect(
        unsafe_code,
        reason = "an empty move makes the compiler forget where a number comes from"
    )
)]

/// A number below `N`, which is a power of two: the mask stays even where the compiler knows that the number fits, so that the
/// verifier knows it too.
#[inline(always)]
pub fn masked<const N: usize>(number: usize) -> usize {
    const { assert!(N.is_power_of_two()) };
    forgotten(number) & (N - 1)
}

/// The number, of which the compiler knows nothing.
#[inline(always)]
pub fn forgotten(number: usize) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let mut number = number;
        // SAFETY: a move of a register to itself. Without any instruction the kernel would refuse the line information.
        unsafe {
            core::arch::asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack, preserves_flags));
        }
        number
    }
    #[cfg(not(target_arch = "bpf"))]
    number
}

/// The number, of which the verifier knows nothing either: a constant becomes any number, so that what follows is checked once
/// and not for each constant. `unknown` is a number that the verifier knows nothing of; it cannot tell that what is done with it
/// is undone again.
#[expect(
    clippy::cast_possible_truncation,
    reason = "registers have 64 bits, and what comes back is the number"
)]
#[inline(always)]
pub fn veiled(number: u32, unknown: u64) -> u32 {
    let veil = unknown as usize;
    (forgotten(number as usize ^ veil) ^ veil) as u32
}
