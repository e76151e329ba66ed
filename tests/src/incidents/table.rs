//! The table of incidents. An entry is a name, what lies between the ends, what is done, and what has to be found and alerted then,
//! no more and no less. Both ends are on this host: it sees what either sees.

use std::time::Duration;

use super::Ground::{Cable, Script, Way};
use super::actions::{
    closed_port, copies, copy, corrupted, crashes, datagrams, fill_the_ring, filter, full_accept_queue, many_short,
    much, never_finished, no_buffer, no_local_port, no_route, nobody_there, opens, reject, reset_in_mid_handshake,
    shape, slow_readers, unread,
};
use super::{Incident, incident};

#[rustfmt::skip]
pub static INCIDENTS: &[Incident] = &[
    // The five of an incident that people described.
    incident("the network loses one segment in sixty-seven", Way(5), |place, course| {
        copy(place, course, || { place.way()?.lose_one_in(67); Ok(()) })
    }).found(&["network_loss"]).alerts(&["TcpvitalsRetransmitRatioAboveBaseline"]),
    incident("a shaper whose queue is too short", Cable, |place, course| {
        copies(place, course, || shape(place, "tbf rate 8mbit burst 5000 limit 12000"))
    }).found(&["own_queue"]).alerts(&["TcpvitalsOwnDrops"]).everywhere(),
    incident("readers that take 20 kB a second", Cable, slow_readers)
        .found(&["peer_reads_slowly"]).alerts(&["TcpvitalsPeerReadsSlowly"]).everywhere(),
    // Here the other end sees who asks in vain, too.
    incident("a service that is down", Cable, |place, course| opens(place, course, 1, || Ok(())))
        .found(&["no_listener", "refused"]).alerts(&["TcpvitalsConnectionsFail"]).everywhere(),
    incident("a firewall that swallows SYNs", Cable, |place, course| {
        opens(place, course, 4, || filter(&place.pair()?.server, "prerouting", "tcp dport 443 tcp flags syn"))
    }).found(&["unanswered"]).alerts(&["TcpvitalsOpensUnanswered"]).everywhere(),

    // This host's own.
    incident("a filter of its own that drops one large packet in nine", Cable, |place, course| {
        copies(place, course, || filter(&place.pair()?.client, "output", "tcp dport 443 meta length > 1000 numgen inc mod 9 == 0"))
    }).found(&["own_filter"]).alerts(&["TcpvitalsOwnDrops"]).everywhere(),
    incident("a program that reads no datagrams", Cable, unread)
        .found(&["socket_buffer_full"]).alerts(&["TcpvitalsCapacityDrops SOCKET_RCVBUFF"]).everywhere(),
    incident("a program that accepts nothing", Cable, full_accept_queue)
        .found(&["accept_queue_full -", "unanswered"]).alerts(&["TcpvitalsAcceptQueueFull busy", "TcpvitalsOpensUnanswered"]),
    incident("a device whose other side nobody reads", Script, fill_the_ring)
        .found(&["ring_full"]).alerts(&["TcpvitalsCapacityDrops FULL_RING"]),
    incident("no local port is free", Cable, no_local_port)
        .found(&["no_local_port"]).alerts(&["TcpvitalsConnectionsFail"]),
    incident("no route", Cable, no_route)
        .found(&["no_route"]).alerts(&["TcpvitalsConnectionsFail"]),
    incident("a send buffer that is too small", Cable, no_buffer)
        .found(&["send_buffer"]),

    // Of the network and of peers.
    incident("a router that says that the host is unreachable", Way(5), |place, course| {
        opens(place, course, 1, || reject(place, "icmpx type host-unreachable"))
    }).found(&["unreachable"]).alerts(&["TcpvitalsConnectionsFail"]),
    incident("a path that stands still now and then", Way(5), |place, course| {
        copy(place, course, || { place.way()?.stall_one_in(100); Ok(()) })
    }).found(&["spurious_retransmits"]).alerts(&["TcpvitalsRetransmitRatioAboveBaseline"]),
    incident("a detour", Way(2), |place, course| {
        copy(place, course, || place.way()?.take_time(Duration::from_millis(60)))
    }).found(&["rtt_above_baseline"]).alerts(&["TcpvitalsRttAboveBaseline"]).needs_history(),
    incident("nobody has the address", Cable, nobody_there).found(&["no_neighbor"]),
    incident("a cable that damages packets", Script, corrupted).found(&["checksum"]),
    incident("peers that reset handshakes", Script, reset_in_mid_handshake).found(&["half_open_resets"]),
    incident("peers that never end their handshakes", Script, never_finished).found(&["handshakes_incomplete"]),

    incident("a server that crashes in the middle of its answers", Cable, crashes)
        .found(&["reset_by_peer"]).everywhere(),

    // Two at once, and one beside much that is well.
    incident("a short queue, and a service that is down", Cable, |place, course| {
        super::beside(
            || copies(place, course, || shape(place, "tbf rate 8mbit burst 5000 limit 12000")),
            || closed_port(place, course, 8444),
        )
    }).found(&["no_listener", "own_queue", "refused"]).alerts(&["TcpvitalsConnectionsFail", "TcpvitalsOwnDrops"]),
    incident("a service that is down, beside hundreds of connections that are well", Cable, |place, course| {
        super::beside(|| many_short(place, course), || closed_port(place, course, 443))
    }).found(&["no_listener", "refused"]),
    incident("a program that reads no datagrams, beside large transfers", Cable, |place, course| {
        super::beside(
            || much(place, course),
            || { course.wait(); datagrams(place, course, 5353) },
        )
    }).found(&["socket_buffer_full"]).alerts(&["TcpvitalsCapacityDrops SOCKET_RCVBUFF"]),
];
