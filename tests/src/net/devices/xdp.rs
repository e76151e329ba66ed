//! XDP programs, written instruction by instruction, on the devices of a namespace.
//!
//! All of them let pass what is not as long as the packets of the test: nothing else shall be counted.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};

use crate::kernel::syscalls;
use crate::net::namespace::Namespace;

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the network stack, on an `sk_buff`.
    Generic,
    /// In the device's driver.
    Driver,
}

impl Mode {
    /// `XDP_FLAGS_SKB_MODE`, `XDP_FLAGS_DRV_MODE`.
    const fn flag(self) -> u32 {
        match self {
            Self::Generic => 1 << 1,
            Self::Driver => 1 << 2,
        }
    }
}

/// What a program does with the packets of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Returns this number, be it an action or not.
    Return(i32),
    /// Redirects to the device with this number, be it there or not.
    Redirect(i32),
    /// Redirects through a map to the device with this number, which exists.
    RedirectThroughMap(u32),
}

/// A program at work; removed on drop.
#[derive(Debug)]
#[expect(dead_code, reason = "held, not read")]
pub struct Xdp(OwnedFd, Option<OwnedFd>);

impl Xdp {
    /// Runs a program under a name of at most 15 characters on the Ethernet frames of this length.
    pub fn attach(
        namespace: &Namespace,
        device: &str,
        mode: Mode,
        (name, verdict): (&str, Verdict),
        frame: i32,
    ) -> Result<Self> {
        namespace.run(|| {
            let index = nix::net::if_::if_nametoindex(device).with_context(|| format!("find the device {device}"))?;
            let map = match verdict {
                Verdict::RedirectThroughMap(target) => Some(syscalls::device_map(target).context("make a device map")?),
                Verdict::Return(_) | Verdict::Redirect(_) => None,
            };
            let code = code(verdict, map.as_ref(), frame)?;
            let program = syscalls::load_xdp(name, &code).with_context(|| format!("load the XDP program {name}"))?;
            let link = syscalls::attach_xdp(&program, index, mode.flag())
                .with_context(|| format!("attach the XDP program {name} to {device}"))?;
            Ok(Self(link, map))
        })
    }
}

/// One eBPF instruction: code, registers, offset, immediate.
const fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> u64 {
    (code as u64)
        | ((destination | source << 4) as u64) << 8
        | (offset.cast_unsigned() as u64) << 16
        | (immediate.cast_unsigned() as u64) << 32
}

fn code(verdict: Verdict, map: Option<&OwnedFd>, frame: i32) -> Result<Vec<u64>> {
    const LOAD_WORD: u8 = 0x61;
    const MOVE: u8 = 0xb7;
    const SUBTRACT: u8 = 0x1f;
    const JUMP_IF_EQUAL: u8 = 0x15;
    const LOAD_MAP: u8 = 0x18;
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    const PASS: i32 = 2;
    const REDIRECT: i32 = 23;
    const REDIRECT_MAP: i32 = 51;
    ensure!(frame > 0, "a frame of {frame} bytes");
    // r2 = data_end - data; what is not of the test passes.
    let mut code = vec![
        instruction(LOAD_WORD, 2, 1, 4, 0),
        instruction(LOAD_WORD, 3, 1, 0, 0),
        instruction(SUBTRACT, 2, 3, 0, 0),
        instruction(JUMP_IF_EQUAL, 2, 0, 2, frame),
        instruction(MOVE, 0, 0, 0, PASS),
        instruction(EXIT, 0, 0, 0, 0),
    ];
    match verdict {
        Verdict::Return(value) => code.push(instruction(MOVE, 0, 0, 0, value)),
        Verdict::Redirect(device) => code.extend([
            instruction(MOVE, 1, 0, 0, device),
            instruction(MOVE, 2, 0, 0, 0),
            instruction(CALL, 0, 0, 0, REDIRECT),
        ]),
        Verdict::RedirectThroughMap(_) => {
            let map = syscalls::number(map.context("no map to redirect through")?);
            code.extend([
                instruction(LOAD_MAP, 1, 1, 0, map),
                0,
                instruction(MOVE, 2, 0, 0, 0),
                instruction(MOVE, 3, 0, 0, 0),
                instruction(CALL, 0, 0, 0, REDIRECT_MAP),
            ]);
        }
    }
    code.push(instruction(EXIT, 0, 0, 0, 0));
    Ok(code)
}
