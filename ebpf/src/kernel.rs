//! Typed readers of kernel structures: the only place with pointer arithmetic on kernel memory.
//!
//! Loads are direct: the verifier types every pointer from the tracepoint's prototype on and turns a load through a
//! pointer that may be stale into one that yields zero instead of a fault. Memory without a type (packet data, values
//! that are no pointers to BTF) is given one (`cast`), or read with `bpf_probe_read_kernel` where the kernel gives none.
//!
//! Each type here holds a pointer to the structure that it is named after. It is made of a tracepoint's argument, of what an
//! iterator was given, or of a typed pointer in another structure. The verifier knows the kernel's type of each of these: it refuses
//! a program that takes one structure for another where that reads beyond it, so that a mistake does not load. That is what
//! `SAFETY: a member of …` stands for.

pub(crate) mod cgroup;
mod device;
mod memory;
pub(crate) mod offsets;
mod program;
mod sk_buff;
mod sock;
mod storage;
mod tcp_sock;

pub(crate) use device::{Device, TrapMetadata, port_at};
pub(crate) use memory::{word_at, words_at};
pub(crate) use program::{Program, current_task, first_value_of, is_given, jiffies, keeps_its_cpu, now};
pub(crate) use sk_buff::SkBuff;
pub(crate) use sock::Sock;
pub(crate) use storage::StorageElement;
pub(crate) use tcp_sock::TcpSock;
