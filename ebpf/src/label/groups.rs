//! Groups: which labels a flow or event has, and the counters behind them.
#![expect(unsafe_code, reason = "counters are reached through raw pointers into map values")]

use crate::{
    atomic,
    kernel::{
        SkBuff, Sock, TcpSock,
        offsets::{GROUP_CAPACITY, GROUP_STRIDE},
    },
    label::{
        devices::{self, Connection},
        packet, recent, slots, workloads,
    },
    maps::{GROUP_SLOTS, GROUPS, PORTS, RECENT_GROUPS, SETTINGS, SUBNETS_V4, SUBNETS_V6, lost::count_lost},
    shards::Entry,
};
use aya_ebpf::btf_maps::lpm_trie::Key;
use common::{
    histogram::{DURATION_BUCKETS, Histogram, TIME_BUCKETS, rtt_bucket, time_bucket},
    map::{lost::Lost, slots::Table},
    net::address::{Address, SubnetKey},
    tcp::{
        flow::FlowState,
        group::{Counter, GroupCounters, GroupKey, OTHER_SLOT, Role},
    },
    workload::Number,
};

/// The subnet of an address.
#[inline(always)]
pub(crate) fn subnet_of(address: Address) -> SubnetKey {
    let named = match address.family {
        Address::V4 => SUBNETS_V4.get(&Key::new(32, address.words[0])),
        Address::V6 => SUBNETS_V6.get(&Key::new(128, address.words)),
        _ => return SubnetKey::NONE,
    };
    if let Some(number) = named {
        return SubnetKey::named(*number);
    }
    match SETTINGS.get(0) {
        Some(settings) if settings.auto_ipv4 != 0 => address.cut(settings.auto_ipv4, settings.auto_ipv6),
        _ => SubnetKey::FALLBACK,
    }
}

/// The slot of a flow or of an event on a socket. The ports tell a role that is not known.
#[inline(always)]
pub(crate) fn slot_of_socket(sock: Sock, role: Role, connection: Connection) -> u32 {
    slot_of(sock, role, connection, workloads::of_socket(sock))
}

/// The slot of an event on a request of a listener, which has no route yet.
#[inline(always)]
pub(crate) fn slot_of_request(request: Sock, listener: Sock) -> u32 {
    slot_of(
        request,
        Role::Server,
        devices::UNKNOWN,
        workloads::of_full_socket(listener),
    )
}

#[inline(always)]
fn slot_of(sock: Sock, role: Role, connection: Connection, workload: Number) -> u32 {
    let ports = Ports {
        local: sock.local_port(),
        remote: sock.remote_port(),
    };
    let others = Others {
        role,
        connection,
        workload,
    };
    slot_of_labels(sock.remote(), ports, others)
}

/// The slot of an event on a flow: as above, with the type of its route's device.
#[inline(always)]
pub(crate) fn slot_of_flow(sock: Sock, role: Role) -> u32 {
    slot_of_socket(sock, role, devices::of_socket(sock))
}

/// The slot of a flow, and by which configuration it was chosen.
#[derive(Clone, Copy)]
pub(crate) struct SlotAssignment {
    slot: u32,
    generation: u16,
    connection: Connection,
    role: Role,
}

impl SlotAssignment {
    /// The slot of a flow now. The ports tell a role that is not known.
    #[inline(always)]
    pub(crate) fn of_flow(sock: Sock, role: Role) -> Self {
        // Before the tables: a configuration that changes meanwhile is one that this assignment does not follow yet.
        let generation = generation();
        Self::new(sock, role, devices::of_socket(sock), generation)
    }

    /// The slot of a flow that has one, if the configuration has changed since.
    #[inline(always)]
    pub(crate) fn anew(sock: Sock, flow: &FlowState) -> Option<Self> {
        let generation = generation();
        if flow.generation.get() == generation {
            return None;
        }
        let role = Role::from_number(flow.role.get());
        // The route may be gone for the moment.
        let connection = match devices::of_socket(sock) {
            devices::UNKNOWN => flow.connection.get(),
            known => known,
        };
        Some(Self::new(sock, role, connection, generation))
    }

    #[inline(always)]
    fn new(sock: Sock, role: Role, connection: Connection, generation: u16) -> Self {
        Self {
            slot: slot_of_socket(sock, role, connection),
            generation,
            connection,
            role,
        }
    }

    /// The number of the slot.
    #[inline(always)]
    pub(crate) const fn slot(self) -> u32 {
        self.slot
    }

    /// Assigns the slot to a flow. The holder of the socket's lock does so before the flow is established, the fold afterwards.
    #[inline(always)]
    pub(crate) fn assign_to(self, flow: &FlowState) {
        let Self {
            slot,
            generation,
            connection,
            role,
        } = self;
        flow.slot.set(slot);
        flow.generation.set(generation);
        flow.connection.set(connection);
        flow.role.set(role as u8);
    }
}

/// The number of the configuration that the maps hold.
#[inline(always)]
fn generation() -> u16 {
    match SETTINGS.get(0) {
        Some(settings) => settings.generation as u16,
        None => 0,
    }
}

/// The slot of what happens to the port that a listener serves, not to a flow: no subnet, and nothing that carries it.
#[inline(always)]
pub(crate) fn slot_of_listener(sock: Sock, port: u16) -> u32 {
    let ports = Ports { local: port, remote: 0 };
    let others = Others {
        role: Role::Server,
        connection: devices::UNKNOWN,
        workload: workloads::of_full_socket(sock),
    };
    slot_of_labels(Address::NONE, ports, others)
}

/// The slot of a socket's attempt that found no route to a remote address and port.
#[inline(always)]
pub(crate) fn slot_of_attempt(sock: Sock, remote: Address, port: u16) -> u32 {
    let ports = Ports { local: 0, remote: port };
    let others = Others {
        role: Role::Client,
        connection: devices::UNKNOWN,
        workload: workloads::of_full_socket(sock),
    };
    slot_of_labels(remote, ports, others)
}

/// The slot of an event on a TCP packet that came in and belongs to no flow. The ports tell a role that is not known.
#[inline(always)]
pub(crate) fn slot_of_packet(packet: SkBuff, role: Role) -> u32 {
    slot_of_packet_for(packet, role, workloads::of_packet(packet))
}

/// The same of a packet for a socket, of which it is known whose it is.
#[inline(always)]
pub(crate) fn slot_of_packet_for(packet: SkBuff, role: Role, workload: Number) -> u32 {
    let Some([ports]) = packet.transport_words::<1>() else {
        return OTHER_SLOT;
    };
    let ports = u32::from_be(ports);
    let ports = Ports {
        local: ports as u16,
        remote: (ports >> 16) as u16,
    };
    let others = Others {
        role,
        connection: devices::of_received(packet),
        workload,
    };
    slot_of_labels(packet::source(packet), ports, others)
}

/// Both ports, in host byte order.
#[derive(Clone, Copy)]
struct Ports {
    local: u16,
    remote: u16,
}

/// Labels that do not come from addresses and ports.
#[derive(Clone, Copy)]
struct Others {
    role: Role,
    connection: Connection,
    workload: Number,
}

#[inline(always)]
fn slot_of_labels(remote: Address, ports: Ports, others: Others) -> u32 {
    let [a, b, c, d] = remote.words.map(u64::from);
    let ports = (ports.local as u64) << 16 | ports.remote as u64;
    let Others {
        role,
        connection,
        workload,
    } = others;
    slot_of_numbers(
        b << 32 | a,
        d << 32 | c,
        remote.family as u64,
        ports,
        (workload as u64) << 16 | (role as u64) << 8 | connection as u64,
    )
}

/// [`slot_of_labels`] by numbers: the words of the address, its family, both ports, workload, role and connection type. The verifier
/// checks a function with global linkage once, and not again on every path that leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn slot_of_numbers(first: u64, second: u64, family: u64, ports: u64, others: u64) -> u32 {
    let address = Address {
        words: [first as u32, (first >> 32) as u32, second as u32, (second >> 32) as u32],
        family: family as u32,
    };
    let ports = Ports {
        local: (ports >> 16) as u16,
        remote: ports as u16,
    };
    let others = Others {
        role: Role::from_number((others >> 8) as u8),
        connection: others as Connection,
        workload: (others >> 16) as Number,
    };
    let key = labels(subnet_of(address), ports, others).words();
    let slot = recent::slot_of(&RECENT_GROUPS, key, || {
        slots::slot_of(&GROUP_SLOTS, &key, Table::Groups, GROUP_CAPACITY.get())
    });
    match slot {
        Some(slot) => slot,
        None => {
            count_lost(Lost::GroupOverflow);
            OTHER_SLOT
        }
    }
}

/// The labels of a flow by the configuration of now, whether they have a slot or not.
#[inline(always)]
pub(crate) fn labels_of_flow(sock: Sock, tcp: TcpSock, flow: &FlowState) -> GroupKey {
    let ports = Ports {
        local: tcp.local_port(),
        remote: sock.remote_port(),
    };
    let others = Others {
        role: Role::from_number(flow.role.get()),
        connection: flow.connection.get(),
        workload: workloads::of_shown_socket(sock),
    };
    labels(subnet_of(sock.remote()), ports, others)
}

/// The number of the application protocol of a port; 0 for none.
#[inline(always)]
pub(crate) fn protocol_of(port: u16) -> u16 {
    PORTS.get(u32::from(port)).copied().unwrap_or(0)
}

#[inline(always)]
fn labels(subnet: SubnetKey, ports: Ports, others: Others) -> GroupKey {
    let Ports { local, remote } = ports;
    let Others {
        role,
        connection,
        workload,
    } = others;
    let (role, protocol) = match role {
        Role::Server => (Role::Server, protocol_of(local)),
        Role::Client => (Role::Client, protocol_of(remote)),
        Role::Unknown => {
            let (at_local, at_remote) = (protocol_of(local), protocol_of(remote));
            let role = Role::of_ports(at_local != 0, at_remote != 0);
            (role, if at_local != 0 { at_local } else { at_remote })
        }
    };
    GroupKey {
        subnet,
        protocol,
        connection,
        role: role as u8,
        workload,
        reserved: 0,
    }
}

/// The counters of a group in this CPU's shard: other CPUs may add to them, and interrupts do, so every addition is atomic.
#[derive(Clone, Copy)]
pub(crate) struct Group(*mut GroupCounters);

impl Group {
    /// The group in a slot.
    #[inline(always)]
    pub(crate) fn at(slot: u32) -> Option<Self> {
        let Entry { index, .. } = Entry::of_slot(slot, GROUP_STRIDE.get());
        GROUPS.get_ptr_mut(index).map(Self)
    }

    /// Adds to a counter.
    #[inline(always)]
    pub(crate) fn add(self, counter: Counter, value: u64) {
        // SAFETY: a member of the map value.
        unsafe { add_at(&raw mut (*self.0).counters, counter as usize, value) };
    }

    /// Records a round-trip time.
    #[inline(always)]
    pub(crate) fn on_rtt(self, micros: u32) {
        // SAFETY: a member of the map value.
        unsafe { record(&raw mut (*self.0).rtt, rtt_bucket(micros), micros as u64) };
    }

    /// Records how long a handshake took.
    #[inline(always)]
    pub(crate) fn on_handshake(self, micros: u64) {
        // SAFETY: a member of the map value.
        unsafe { record(&raw mut (*self.0).handshake, time_bucket(micros, TIME_BUCKETS), micros) };
    }

    /// Records how long a connection lived.
    #[inline(always)]
    pub(crate) fn on_close(self, micros: u64) {
        // SAFETY: a member of the map value.
        unsafe {
            record(
                &raw mut (*self.0).duration,
                time_bucket(micros, DURATION_BUCKETS),
                micros,
            )
        };
    }
}

/// # Safety
/// `histogram` is a member of a map value.
#[inline(always)]
unsafe fn record<const N: usize>(histogram: *mut Histogram<N>, bucket: usize, value: u64) {
    // SAFETY: members of a map value.
    unsafe {
        atomic::add(&raw mut (*histogram).sum, value);
        add_at(&raw mut (*histogram).buckets, bucket, 1);
    }
}

/// # Safety
/// `array` is a member of a map value.
#[inline(always)]
unsafe fn add_at<const N: usize>(array: *mut [u64; N], index: usize, value: u64) {
    // SAFETY: by the contract of this function.
    unsafe {
        if let Some(counter) = atomic::element(array, index) {
            atomic::add(counter, value);
        }
    }
}
