//! Links the object's calls of kernel functions, which aya does not: see [`common::kfuncs`]. Pure: bytes to bytes.

use common::kfuncs::{PREEMPT_DISABLE, PREEMPT_ENABLE};

/// `BPF_JMP | BPF_CALL`
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL` as source register: what is called is a type of the kernel's BTF.
const KERNEL_FUNCTION: u8 = 2 << 4;
/// `goto +0`: nothing.
const EMPTY: [u8; 8] = [0x05, 0, 0, 0, 0, 0, 0, 0];
/// `struct bpf_insn`
const INSTRUCTION: usize = 8;

/// The types of `bpf_preempt_disable` and `bpf_preempt_enable` in the kernel's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preemption {
    /// `bpf_preempt_disable`
    pub disable: u32,
    /// `bpf_preempt_enable`
    pub enable: u32,
}

/// The object with its calls made right: to these functions, or to none. Sections of instructions are aligned, so only
/// aligned words are looked at.
pub(super) fn linked(object: &[u8], preemption: Option<Preemption>) -> Vec<u8> {
    let mut object = object.to_vec();
    let functions = [
        (PREEMPT_DISABLE, preemption.map(|functions| functions.disable)),
        (PREEMPT_ENABLE, preemption.map(|functions| functions.enable)),
    ];
    for instruction in object.chunks_exact_mut(INSTRUCTION) {
        for (number, function) in functions {
            if instruction == call(0, number.cast_unsigned()) {
                let linked = function.map_or(EMPTY, |function| call(KERNEL_FUNCTION, function));
                instruction.copy_from_slice(&linked);
            }
        }
    }
    object
}

fn call(registers: u8, what: u32) -> [u8; INSTRUCTION] {
    let [a, b, c, d] = what.to_le_bytes();
    [CALL, registers, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_linked_and_all_else_stays() {
        let helper = call(0, 107);
        let object = [
            helper,
            call(0, PREEMPT_DISABLE.cast_unsigned()),
            helper,
            call(0, PREEMPT_ENABLE.cast_unsigned()),
        ]
        .concat();
        let functions = Preemption {
            disable: 70_000,
            enable: 70_001,
        };
        let there = [helper, call(0x20, 70_000), helper, call(0x20, 70_001)].concat();
        assert_eq!(linked(&object, Some(functions)), there);
        assert_eq!(linked(&object, None), [helper, EMPTY, helper, EMPTY].concat());
    }

    #[test]
    fn the_object_has_such_calls_and_keeps_none() {
        let numbers = [PREEMPT_DISABLE, PREEMPT_ENABLE];
        let has = |object: &[u8], number: i32| {
            object
                .chunks_exact(INSTRUCTION)
                .any(|bytes| bytes == call(0, number.cast_unsigned()))
        };
        for number in numbers {
            assert!(has(super::super::load::OBJECT, number), "{number:#x}");
            assert!(!has(&linked(super::super::load::OBJECT, None), number), "{number:#x}");
        }
    }
}
