//! `bpf_iter_bpf_prog(struct bpf_iter_meta *meta, struct bpf_prog *prog)`, 5.9 to 7.2: every program. Run once at the start, before
//! any other is attached: finds the words by which the kernel knows that a first program is at work ([`crate::nested`]).
#![expect(
    unsafe_code,
    reason = "the entry of an iterator, whose context aya-ebpf does not know"
)]

use crate::{
    kernel::{Program, first_value_of},
    maps::{DISTANCES, HERE, PROGRAM_IDS},
};
use common::kernel::tracepoints::Tracepoint;
use core::ptr::{from_ref, read_volatile, write_volatile};

/// `struct bpf_iter__bpf_prog`: every member is 8 bytes long.
#[repr(C)]
struct Context {
    meta: *const u8,
    prog: *const u8,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_prog")]
extern "C" fn find_programs(context: *const Context) -> i32 {
    // SAFETY: the kernel calls with such a context; the program is NULL at the end of the walk.
    if let Some(program) = unsafe { Program::from_pointer((*context).prog) } {
        note_place(program);
    }
    0
}

#[inline(always)]
fn note_place(program: Program) -> Option<()> {
    let (id, active) = (program.id()?, program.active()?);
    let here = first_value_of(address_of_here()?)?;
    let mut number = 0;
    while number < Tracepoint::COUNT as u32 {
        if PROGRAM_IDS.get(number).is_some_and(|wanted| *wanted == id as u64)
            && let Some(distance) = DISTANCES.get_ptr_mut(number)
        {
            // SAFETY: a word of a map value.
            unsafe { write_volatile(distance, active.wrapping_sub(here)) };
        }
        number += 1;
    }
    Some(())
}

/// Where the kernel keeps the map `HERE`. The verifier lets a pointer to a map be stored and read as a number.
#[inline(always)]
fn address_of_here() -> Option<u64> {
    let scratch = PROGRAM_IDS.get_ptr_mut(Tracepoint::COUNT as u32)?;
    // SAFETY: a word of a map value.
    unsafe {
        write_volatile(scratch, from_ref(&HERE) as u64);
        Some(read_volatile(scratch))
    }
}
