//! Links the object's calls of kernel functions, which aya does not: see [`common::kernel::kfuncs`]. Pure: bytes to bytes.

use common::kernel::kfuncs::{PREEMPT_COUNT, READ_ONLY_CAST};

/// `BPF_JMP | BPF_CALL`
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL` as source register: what is called is a type of the kernel's BTF.
const KERNEL_FUNCTION: u8 = 2 << 4;
/// `BPF_LD | BPF_DW | BPF_IMM`
const LOAD_64: u8 = 0x18;
/// `BPF_PSEUDO_BTF_ID` as source register: what is loaded is the address of a variable of the kernel's BTF.
const KERNEL_VARIABLE: u8 = 3 << 4;
/// `goto +0`: nothing. No program comes there: the numbers of all types are 0 then, and the verifier leaves out what follows.
const EMPTY: [u8; INSTRUCTION] = [0x05, 0, 0, 0, 0, 0, 0, 0];
/// `struct bpf_insn`
const INSTRUCTION: usize = 8;

/// The object with its calls made right: to this `bpf_rdonly_cast`, or to nothing; and with the address of the per-CPU variable
/// `__preempt_count`, if its number is given. Sections of instructions are aligned, so only aligned words are looked at.
pub(crate) fn linked(object: &[u8], read_only_cast: Option<u32>, preempt_count: Option<u32>) -> Vec<u8> {
    let stands_for_it = call(0, READ_ONLY_CAST.cast_unsigned());
    let linked = read_only_cast.map_or(EMPTY, |function| call(KERNEL_FUNCTION, function));
    let mut object = object.to_vec();
    for instruction in object.chunks_exact_mut(INSTRUCTION) {
        if instruction == stands_for_it {
            instruction.copy_from_slice(&linked);
        }
    }
    if let Some(variable) = preempt_count {
        link_variable(&mut object, PREEMPT_COUNT, variable);
    }
    object
}

/// Puts the address of a kernel variable in place of a constant: a load of 64 bits is two instructions, of which each has a half.
fn link_variable(object: &mut [u8], constant: u64, variable: u32) {
    let constant = constant.to_le_bytes();
    let (low, high) = constant.split_at(4);
    for start in (0..object.len().saturating_sub(2 * INSTRUCTION)).step_by(INSTRUCTION) {
        let load = &mut object[start..start + 2 * INSTRUCTION];
        if load[0] == LOAD_64 && load[4..8] == *low && load[12..16] == *high {
            load[1] = load[1] & 0x0f | KERNEL_VARIABLE;
            load[4..8].copy_from_slice(&variable.to_le_bytes());
            load[12..16].fill(0);
        }
    }
}

fn call(registers: u8, what: u32) -> [u8; INSTRUCTION] {
    let [a, b, c, d] = what.to_le_bytes();
    [CALL, registers, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::OBJECT;

    #[test]
    fn calls_are_linked_and_all_else_stays() {
        let helper = call(0, 107);
        let object = [helper, call(0, READ_ONLY_CAST.cast_unsigned()), helper].concat();
        assert_eq!(
            linked(&object, Some(70_000), None),
            [helper, call(0x20, 70_000), helper].concat()
        );
        assert_eq!(linked(&object, None, None), [helper, EMPTY, helper].concat());
    }

    #[test]
    fn the_object_has_such_calls_and_keeps_none() {
        let calls = |object: &[u8]| {
            let wanted = call(0, READ_ONLY_CAST.cast_unsigned());
            object
                .chunks_exact(INSTRUCTION)
                .filter(|bytes| *bytes == wanted)
                .count()
        };
        assert_ne!(calls(OBJECT), 0);
        assert_eq!(calls(&linked(OBJECT, None, None)), 0);
    }

    #[test]
    fn a_constant_becomes_the_address_of_a_variable() {
        let load = |registers: u8, number: u64| {
            let mut load = [0; 2 * INSTRUCTION];
            let number = number.to_le_bytes();
            load[..2].copy_from_slice(&[LOAD_64, registers]);
            load[4..8].copy_from_slice(&number[..4]);
            load[12..16].copy_from_slice(&number[4..]);
            load
        };
        let object = [load(6, PREEMPT_COUNT), load(1, PREEMPT_COUNT << 32), load(0, 0)].concat();
        let expected = [load(0x36, 8427), load(1, PREEMPT_COUNT << 32), load(0, 0)].concat();
        assert_eq!(linked(&object, None, Some(8427)), expected);
        assert_ne!(linked(OBJECT, None, Some(8427)), linked(OBJECT, None, None));
    }
}
