//! `struct net_device`, and the traps of its hardware.
#![expect(unsafe_code, reason = "reads kernel memory under the verifier's eyes")]

use super::{
    memory::{address_at, load, words_at},
    offsets::*,
    program::Program,
};
use aya_ebpf::{
    helpers::{bpf_probe_read_kernel, generated::bpf_probe_read_kernel_str},
    programs::BtfTracePointContext,
};
use common::{
    net::connection::{Name, until_nul},
    text::Text,
};
use core::{
    mem::MaybeUninit,
    ptr::{read_volatile, write_volatile},
};

/// `struct net_device`.
#[derive(Clone, Copy)]
pub(crate) enum Device {
    /// Reached through typed pointers.
    Typed(*const u8),
    /// Reached through a number that the verifier does not know as a pointer.
    Untyped(*const u8),
}

macro_rules! device_readers {
    ($($reader:ident: $type:ty = $field:ident;)+) => {
        impl Device {
            $(
                #[doc = concat!("`", stringify!($field), "`")]
                #[inline(always)]
                pub(crate) fn $reader(self) -> Option<$type> {
                    let offset = $field.offset()?;
                    match self {
                        // SAFETY: a member of `struct net_device`, by a typed pointer.
                        Self::Typed(base) => Some(unsafe { read_volatile(base.add(offset).cast()) }),
                        // SAFETY: the helper checks every address.
                        Self::Untyped(base) => unsafe { bpf_probe_read_kernel(base.add(offset).cast()) }.ok(),
                    }
                }
            )+
        }
    };
}

device_readers! {
    ifindex: u32 = NET_DEVICE_IFINDEX;
    hardware_type: u16 = NET_DEVICE_TYPE;
    flags: u32 = NET_DEVICE_FLAGS;
    wireless: u64 = NET_DEVICE_IEEE80211_PTR;
    link_operations: u64 = NET_DEVICE_RTNL_LINK_OPS;
    state: u64 = NET_DEVICE_STATE;
    generic_program: u64 = NET_DEVICE_XDP_PROG;
    network: u64 = NET_DEVICE_NET;
    queues: u64 = NET_DEVICE_TX;
}

impl Device {
    /// Argument `n` of a tracepoint; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn argument(context: &BtfTracePointContext, n: usize) -> Option<Self> {
        let pointer: *const u8 = context.arg(n);
        if pointer.is_null() {
            None
        } else {
            Some(Self::Typed(pointer))
        }
    }

    /// Its address, to recognize it by.
    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        let (Self::Typed(base) | Self::Untyped(base)) = self;
        base as u64
    }

    /// Whether nothing gets through it: it is down or has no carrier, by its state, or is on its way from or to that.
    #[inline(always)]
    pub(crate) fn is_cut_off(self) -> bool {
        // `__LINK_STATE_START` and `__LINK_STATE_NOCARRIER` have been these bits since Linux 2.6.
        const START: u64 = 1;
        const NO_CARRIER: u64 = 1 << 2;
        self.state().is_some_and(|state| state & (START | NO_CARRIER) != START) || self.has_no_queue()
    }

    /// Whether its first queue drops everything (`noop_qdisc`): the kernel puts another in its place some time after the carrier is
    /// there, and this one back before the device is down.
    #[inline(always)]
    fn has_no_queue(self) -> bool {
        const NOOP: [u32; 2] = [u32::from_le_bytes(*b"noop"), 0];
        let behind = |address: u64, field: &Global<u64>| address_at(address + field.offset()? as u64);
        let identifier = || {
            let queue = behind(self.queues()?, &NETDEV_QUEUE_QDISC)?;
            let operations = behind(queue, &QDISC_OPS)?;
            words_at(operations + QDISC_OPS_ID.offset()? as u64)
        };
        identifier() == Some(NOOP)
    }

    /// The first and the last port of this device: of a bridge, for example. Read by the helper, since the verifier takes addresses
    /// that it has typed for no numbers.
    #[inline(always)]
    pub(crate) fn ports(self) -> Option<[u64; 2]> {
        let offset = NET_DEVICE_PORTS.offset()?;
        let (Self::Typed(base) | Self::Untyped(base)) = self;
        // SAFETY: the helper checks every address.
        unsafe { bpf_probe_read_kernel(base.add(offset).cast()) }.ok()
    }

    /// Whether this is the program that the network stack runs on the device's packets (`xdp_prog`), not the driver.
    #[inline(always)]
    pub(crate) fn runs_generic(self, program: Program) -> bool {
        self.generic_program() == Some(program.0 as u64)
    }

    /// The name, NUL-padded.
    #[inline(always)]
    pub(crate) fn name(self) -> Option<Name> {
        let offset = NET_DEVICE_NAME.offset()?;
        let (Self::Typed(base) | Self::Untyped(base)) = self;
        // SAFETY: the helper checks every address.
        unsafe { bpf_probe_read_kernel(base.add(offset).cast()) }.ok()
    }

    /// `nd_net.net->ns.inum`: the number of its network namespace.
    #[inline(always)]
    pub(crate) fn namespace(self) -> Option<u32> {
        let offset = NET_INUM.offset()?;
        let network = self.network()?;
        // SAFETY: the helper checks every address.
        unsafe { bpf_probe_read_kernel((network as *const u8).add(offset).cast()) }.ok()
    }

    /// `rtnl_link_ops->kind`, NUL-padded; zero for hardware.
    #[inline(always)]
    pub(crate) fn kind(self) -> Name {
        match self.link_operations() {
            Some(operations) if operations != 0 => kind_of(operations).unwrap_or([0; 2]),
            _ => [0; 2],
        }
    }
}

/// The device at a place in a list of ports, and the next place.
#[inline(always)]
pub(crate) fn port_at(place: u64) -> Option<(Device, u64)> {
    let next = address_at(place)?;
    let entry = place - NETDEV_ADJACENT_NEXT.offset()? as u64;
    let device = address_at(entry + NETDEV_ADJACENT_DEV.offset()? as u64)?;
    Some((Device::Untyped(device as *const u8), next))
}

/// `kind` of a `struct rtnl_link_ops`, NUL-padded.
#[inline(always)]
fn kind_of(operations: u64) -> Option<Name> {
    let offset = RTNL_LINK_OPS_KIND.offset()?;
    let text = address_at(operations + offset as u64)?;
    if TYPE_IN6_ADDR.is_set() {
        let [a, b, c, d] = words_at(text)?;
        return Some(until_nul([(b as u64) << 32 | a as u64, (d as u64) << 32 | c as u64]));
    }
    let mut kind = MaybeUninit::<Name>::uninit();
    let words = kind.as_mut_ptr().cast::<u64>();
    // SAFETY: the helpers check every address and the length of `kind`. It is written and read word by word: the compiler would
    // call a loop over its bytes.
    unsafe {
        write_volatile(words, 0);
        write_volatile(words.add(1), 0);
        bpf_probe_read_kernel_str(words.cast(), size_of::<Name>() as u32, text as *const _);
        Some([read_volatile(words), read_volatile(words.add(1))])
    }
}

/// `struct devlink_trap_metadata`.
#[derive(Clone, Copy)]
pub(crate) struct TrapMetadata(pub(super) *const u8);

impl TrapMetadata {
    /// Argument `n` of a tracepoint; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn argument(context: &BtfTracePointContext, n: usize) -> Option<Self> {
        let pointer: *const u8 = context.arg(n);
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// `trap_type`: whether the packet is control traffic that was not dropped (`DEVLINK_TRAP_TYPE_CONTROL` of `linux/devlink.h`).
    #[inline(always)]
    pub(crate) fn is_control(self) -> bool {
        const CONTROL: u32 = 2;
        // SAFETY: a member of `struct devlink_trap_metadata`.
        let kind: Option<u32> = unsafe { load(self.0, &DEVLINK_TRAP_TYPE) };
        kind == Some(CONTROL)
    }

    /// `trap_name`
    #[inline(always)]
    pub(crate) fn name<const WORDS: usize>(self) -> Text<WORDS> {
        self.text(&DEVLINK_TRAP_NAME)
    }

    /// `trap_group_name`
    #[inline(always)]
    pub(crate) fn group<const WORDS: usize>(self) -> Text<WORDS> {
        self.text(&DEVLINK_TRAP_GROUP_NAME)
    }

    #[inline(always)]
    fn text<const WORDS: usize>(self, field: &Global<u64>) -> Text<WORDS> {
        let mut text = [0; WORDS];
        // SAFETY: a member of `struct devlink_trap_metadata`, then memory that the helper checks; it knows the length of `text`.
        unsafe {
            if let Some(from) = load(self.0, field) {
                bpf_probe_read_kernel_str(
                    text.as_mut_ptr().cast(),
                    size_of::<Text<WORDS>>() as u32,
                    from as *const _,
                );
            }
        }
        text
    }
}
