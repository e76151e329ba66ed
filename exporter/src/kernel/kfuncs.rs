//! Links the object's calls of kernel functions, which aya does not: see [`common::kfuncs`]. Pure: bytes to bytes.

use common::kfuncs::READ_ONLY_CAST;

/// `BPF_JMP | BPF_CALL`
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL` as source register: what is called is a type of the kernel's BTF.
const KERNEL_FUNCTION: u8 = 2 << 4;
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

/// The object with its calls made right: to this `bpf_rdonly_cast`, or to nothing. Sections of instructions are aligned, so only
/// aligned words are looked at.
pub(super) fn linked(object: &[u8], read_only_cast: Option<u32>) -> Vec<u8> {
    let stands_for_it = call(0, READ_ONLY_CAST.cast_unsigned());
    let linked = read_only_cast.map_or(EMPTY, |function| call(KERNEL_FUNCTION, function));
    let mut object = object.to_vec();
    for instruction in object.chunks_exact_mut(INSTRUCTION) {
        if instruction == stands_for_it {
            instruction.copy_from_slice(&linked);
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
    use super::super::load::OBJECT;
    use super::*;

    #[test]
    fn calls_are_linked_and_all_else_stays() {
        let helper = call(0, 107);
        let object = [helper, call(0, READ_ONLY_CAST.cast_unsigned()), helper].concat();
        assert_eq!(
            linked(&object, Some(70_000)),
            [helper, call(0x20, 70_000), helper].concat()
        );
        assert_eq!(linked(&object, None), [helper, EMPTY, helper].concat());
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
        assert_eq!(calls(&linked(OBJECT, None)), 0);
    }
}
