//! bpf(2) and `perf_event_open(2)` for programs on tracepoints.
#![expect(unsafe_code, reason = "bpf(2), perf_event_open(2) and its ioctls")]

use std::io::Error;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use anyhow::{Context as _, Result, ensure};

use super::{ProgramLoad, address, bpf};

const BPF_PROG_TYPE_TRACEPOINT: u32 = 5;
const BPF_PROG_TYPE_TRACING: u32 = 26;

/// `struct bpf_prog_info` (include/uapi/linux/bpf.h) as far as it is read here.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Info {
    program_type: u32,
    id: u32,
    unread: [u64; 7],
    name: [u8; 16],
    also_unread: [u64; 14],
    /// `run_time_ns`
    pub(crate) run_time: u64,
    /// `run_cnt`
    pub(crate) runs: u64,
    /// `recursion_misses`
    pub(crate) recursion_misses: u64,
    verified_instructions: u32,
    attach_btf_object: u32,
    pub(crate) attach_btf_id: u32,
    padding: u32,
}

const _: () = assert!(std::mem::offset_of!(Info, name) == 64 && std::mem::offset_of!(Info, runs) == 200);
const _: () = assert!(std::mem::offset_of!(Info, attach_btf_id) == 224 && size_of::<Info>() == 232);

/// What of a program decides how it is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of a type that brings its place; an iterator too.
    RawTracepoint,
    /// Of the type for tracepoints of perf.
    Tracepoint,
    /// Any other type.
    Other,
}

impl Info {
    pub(crate) fn kind(&self) -> Kind {
        match self.program_type {
            BPF_PROG_TYPE_TRACING => Kind::RawTracepoint,
            BPF_PROG_TYPE_TRACEPOINT => Kind::Tracepoint,
            _ => Kind::Other,
        }
    }

    pub(crate) fn name(&self) -> String {
        let name = self.name.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }
}

/// `union bpf_attr` as `BPF_OBJ_GET_INFO_BY_FD` reads it.
#[repr(C)]
struct InfoRequest {
    descriptor: u32,
    length: u32,
    info: u64,
}

/// What the kernel says of a program.
pub(crate) fn info(program: &OwnedFd) -> Result<Info> {
    const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
    let mut info = Info {
        program_type: 0,
        id: 0,
        unread: [0; 7],
        name: [0; 16],
        also_unread: [0; 14],
        run_time: 0,
        runs: 0,
        recursion_misses: 0,
        verified_instructions: 0,
        attach_btf_object: 0,
        attach_btf_id: 0,
        padding: 0,
    };
    let mut request = InfoRequest {
        descriptor: u32::try_from(program.as_raw_fd())?,
        length: u32::try_from(size_of::<Info>())?,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the kernel writes the length to `request` and at most that of `info` to `info`, which is valid for any bytes, being
    // integers; the lengths of arrays in it are 0, so that nothing else is written to. Both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_OBJ_GET_INFO_BY_FD,
            &raw mut request,
            size_of::<InfoRequest>(),
        )
    };
    ensure!(
        result == 0,
        "ask for a program's information: {}",
        Error::last_os_error()
    );
    Ok(info)
}

/// The same for `BPF_PROG_LOAD`, up to what the program is for.
#[repr(C)]
struct TracingLoad {
    load: ProgramLoad,
    /// Types and source lines of the program itself.
    btf: [u32; 9],
    attach_btf_id: u32,
    attach_btf_object: u32,
    padding: u32,
}

const _: () = assert!(std::mem::offset_of!(TracingLoad, attach_btf_id) == 108);

/// Loads a program that returns 0, for the tracepoint of another and under its name.
pub(crate) fn load_empty(like: &Info) -> Result<OwnedFd> {
    // r0 = 0; exit
    load(like, &[0xb7, 0x95])
}

/// Loads a program for the tracepoint `inet_sock_set_state` of another that makes storage for a socket in a map when it enters
/// `TCP_SYN_SENT` or `TCP_ESTABLISHED`, and does nothing else.
pub(crate) fn load_storing(like: &Info, storage: BorrowedFd<'_>) -> Result<OwnedFd> {
    let map = u64::from(u32::try_from(storage.as_raw_fd())?);
    load(
        like,
        &[
            // r6 = the socket; r7 = the new state
            0x1679,
            0x10_1779,
            // if r7 == TCP_ESTABLISHED goto +1; if r7 != TCP_SYN_SENT goto +6
            0x1_0001_0715,
            0x2_0006_0755,
            // bpf_sk_storage_get(r1 = the map, r2 = r6, r3 = NULL, r4 = BPF_SK_STORAGE_GET_F_CREATE)
            map << 32 | 0x1118,
            0,
            0x62bf,
            0x3b7,
            0x1_0000_04b7,
            107 << 32 | 0x85,
            // r0 = 0; exit
            0xb7,
            0x95,
        ],
    )
}

fn load(like: &Info, instructions: &[u64]) -> Result<OwnedFd> {
    const BPF_PROG_LOAD: i32 = 5;
    const BPF_TRACE_RAW_TP: u32 = 23;
    let license = c"GPL".to_bytes_with_nul();
    let load = TracingLoad {
        load: ProgramLoad {
            program_type: BPF_PROG_TYPE_TRACING,
            instruction_count: u32::try_from(instructions.len())?,
            instructions: address(&instructions[0]),
            license: address(&license[0]),
            log_level: 0,
            log_size: 0,
            log: 0,
            kernel_version: 0,
            flags: 0,
            name: like.name,
            device: 0,
            attach_type: BPF_TRACE_RAW_TP,
        },
        btf: [0; 9],
        attach_btf_id: like.attach_btf_id,
        // The kernel's own BTF has no descriptor.
        attach_btf_object: 0,
        padding: 0,
    };
    // SAFETY: the kernel gives a descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(bpf(BPF_PROG_LOAD, &load)?) })
}

/// The same for `BPF_RAW_TRACEPOINT_OPEN`.
#[repr(C)]
struct RawTracepointOpen {
    name: u64,
    program: u32,
    padding: u32,
}

/// Attaches a program that brings its place, until the descriptor is closed.
pub(crate) fn attach_raw(program: &OwnedFd) -> Result<OwnedFd> {
    const BPF_RAW_TRACEPOINT_OPEN: i32 = 17;
    let open = RawTracepointOpen {
        name: 0,
        program: u32::try_from(program.as_raw_fd())?,
        padding: 0,
    };
    // SAFETY: the kernel gives a descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(bpf(BPF_RAW_TRACEPOINT_OPEN, &open)?) })
}

/// The same for `BPF_ENABLE_STATS`.
#[repr(C)]
struct EnableStatistics {
    kind: u32,
}

/// Counts the runs of all programs until the descriptor is closed.
pub(crate) fn enable_statistics() -> Result<OwnedFd> {
    const BPF_ENABLE_STATS: i32 = 32;
    const BPF_STATS_RUN_TIME: u32 = 0;
    let enable = EnableStatistics {
        kind: BPF_STATS_RUN_TIME,
    };
    // SAFETY: the kernel gives a descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(bpf(BPF_ENABLE_STATS, &enable)?) })
}

/// `struct perf_event_attr` of the first version.
#[repr(C)]
struct PerfEvent {
    kind: u32,
    size: u32,
    config: u64,
    unused: [u64; 6],
}

const _: () = assert!(size_of::<PerfEvent>() == 64);

/// Attaches a program to a tracepoint of perf, on every processor, until the descriptor is closed: as libbpf does.
pub(crate) fn attach_event(program: &OwnedFd, number: u64) -> Result<OwnedFd> {
    const PERF_TYPE_TRACEPOINT: u32 = 2;
    const PERF_FLAG_FD_CLOEXEC: u64 = 8;
    const PERF_EVENT_IOC_SET_BPF: u64 = 0x4004_2408;
    const PERF_EVENT_IOC_ENABLE: u64 = 0x2400;
    let event = PerfEvent {
        kind: PERF_TYPE_TRACEPOINT,
        size: u32::try_from(size_of::<PerfEvent>())?,
        config: number,
        unused: [0; 6],
    };
    let (every_process, first_processor, no_group) = (-1_i32, 0_i32, -1_i32);
    // SAFETY: the kernel reads `event`, which says how large it is and outlives the call.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const event,
            every_process,
            first_processor,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    ensure!(descriptor >= 0, "perf_event_open(2): {}", Error::last_os_error());
    // SAFETY: the kernel gives a descriptor that nobody else owns.
    let descriptor = unsafe { OwnedFd::from_raw_fd(i32::try_from(descriptor)?) };
    for (request, argument) in [
        (PERF_EVENT_IOC_SET_BPF, program.as_raw_fd()),
        (PERF_EVENT_IOC_ENABLE, 0),
    ] {
        // SAFETY: both requests take a number; the descriptor is open during the call.
        let result = unsafe { libc::ioctl(descriptor.as_raw_fd(), request, argument) };
        if result != 0 {
            return Err(Error::last_os_error()).context("attach a program to a perf event");
        }
    }
    Ok(descriptor)
}
