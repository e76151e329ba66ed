//! Typed pointers: the numbers of the function and of the structures that programs give types to addresses with.

/// What the programs need to give types to addresses, by the numbers in the BTF of the running kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Casts {
    /// The function `bpf_rdonly_cast`.
    pub function: u32,
    /// The structures, by the names of their facts.
    pub types: Vec<(&'static str, u32)>,
}
