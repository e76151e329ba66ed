//! Links the object's calls of kernel functions, which aya does not: see [`common::kfuncs`]. Pure: bytes to bytes.

use common::kfuncs::{PREEMPT_COUNT, PREEMPT_DISABLE, PREEMPT_ENABLE, READ_ONLY_CAST};

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

/// What the programs need to give types to addresses, by the numbers in the BTF of the running kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Casts {
    /// The function `bpf_rdonly_cast`.
    pub function: u32,
    /// The structures, by the names of their facts.
    pub types: Vec<(&'static str, u32)>,
}

/// What the programs need where tracepoints can be preempted, by the numbers in the BTF of the running kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preemption {
    /// The functions `bpf_preempt_disable` and `bpf_preempt_enable`.
    pub switches: Option<(u32, u32)>,
    /// The per-CPU variable `__preempt_count`, which x86 has.
    pub count: Option<u32>,
}

/// The object with its calls made right, to the running kernel's functions, or to nothing. Sections of instructions are aligned,
/// so only aligned words are looked at.
pub(super) fn linked(object: &[u8], read_only_cast: Option<u32>, preemption: Preemption) -> Vec<u8> {
    let (disable, enable) = preemption.switches.unzip();
    let calls = [
        (READ_ONLY_CAST, read_only_cast),
        (PREEMPT_DISABLE, disable),
        (PREEMPT_ENABLE, enable),
    ]
    .map(|(stands_for_it, function)| {
        let linked = function.map_or(EMPTY, |function| call(KERNEL_FUNCTION, function));
        (call(0, stands_for_it.cast_unsigned()), linked)
    });
    let mut object = object.to_vec();
    for instruction in object.chunks_exact_mut(INSTRUCTION) {
        if let Some((_, linked)) = calls.iter().find(|(stands_for_it, _)| instruction == stands_for_it) {
            instruction.copy_from_slice(linked);
        }
    }
    if let Some(variable) = preemption.count {
        link_variable(&mut object, PREEMPT_COUNT, variable);
    }
    object
}

/// Puts the address of a kernel variable in place of a constant: a load of 64 bits is two instructions, of which each has a half.
fn link_variable(object: &mut [u8], constant: u64, variable: u32) {
    let halves = [constant as u32, (constant >> 32) as u32].map(u32::to_le_bytes);
    for start in (0..object.len().saturating_sub(2 * INSTRUCTION)).step_by(INSTRUCTION) {
        let load = &mut object[start..start + 2 * INSTRUCTION];
        if load[0] == LOAD_64 && load[4..8] == halves[0] && load[12..16] == halves[1] {
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
    use super::super::load::OBJECT;
    use super::*;

    #[test]
    fn calls_are_linked_and_all_else_stays() {
        let helper = call(0, 107);
        let object = [helper, call(0, READ_ONLY_CAST.cast_unsigned()), helper].concat();
        assert_eq!(
            linked(&object, Some(70_000), Preemption::default()),
            [helper, call(0x20, 70_000), helper].concat()
        );
        assert_eq!(
            linked(&object, None, Preemption::default()),
            [helper, EMPTY, helper].concat()
        );
    }

    #[test]
    fn the_object_has_such_calls_and_keeps_none() {
        let calls = |object: &[u8], number: i32| {
            let wanted = call(0, number.cast_unsigned());
            object
                .chunks_exact(INSTRUCTION)
                .filter(|bytes| *bytes == wanted)
                .count()
        };
        let linked = linked(OBJECT, None, Preemption::default());
        for number in [READ_ONLY_CAST, PREEMPT_DISABLE, PREEMPT_ENABLE] {
            assert_ne!(calls(OBJECT, number), 0, "{number:#x}");
            assert_eq!(calls(&linked, number), 0, "{number:#x}");
        }
    }

    #[test]
    fn a_constant_becomes_the_address_of_a_variable() {
        let load = |registers: u8, low: u32, high: u32| {
            let mut load = [0; 2 * INSTRUCTION];
            load[0] = LOAD_64;
            load[1] = registers;
            load[4..8].copy_from_slice(&low.to_le_bytes());
            load[12..16].copy_from_slice(&high.to_le_bytes());
            load
        };
        let preemption = Preemption {
            count: Some(8427),
            ..Preemption::default()
        };
        let (low, high) = (PREEMPT_COUNT as u32, (PREEMPT_COUNT >> 32) as u32);
        let object = [load(6, low, high), load(1, low, 0), load(0, 0, 0)].concat();
        let expected = [load(0x36, 8427, 0), load(1, low, 0), load(0, 0, 0)].concat();
        assert_eq!(linked(&object, None, preemption), expected);
        assert_ne!(
            linked(OBJECT, None, preemption),
            linked(OBJECT, None, Preemption::default())
        );
    }
}
