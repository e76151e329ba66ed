//! Namespaces, cables, filters, queues, counters.

use std::fs::{read_dir, read_link};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread;

use anyhow::{Result, bail};
use tests::kernel::counters::{Counters, Queue};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::namespace::{Namespace, host};
use tests::net::nft;
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::{Family, SERVER};
use tests::net::traffic::{Flow, send_datagrams, settle, small_udp_receiver};

fn exists(name: &str) -> Result<bool> {
    Ok(read_dir("/run/netns")?.flatten().any(|entry| entry.file_name() == name))
}

#[test]
fn a_namespace_lives_as_long_as_its_value_even_when_a_test_panics() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let name = namespace.name().to_owned();
    assert!(exists(&name)?);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _owned = namespace;
        panic!("on purpose");
    }));
    assert!(outcome.is_err());
    assert!(!exists(&name)?);
    Ok(())
}

#[test]
fn code_and_its_threads_run_inside_while_the_test_stays_outside() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let network = || -> Result<PathBuf> { Ok(read_link("/proc/thread-self/ns/net")?) };
    let outside = network()?;
    let (inside, thread_inside) = namespace.run(|| Ok((network()?, thread::spawn(network).join().unwrap()?)))?;
    assert_ne!(inside, outside);
    assert_eq!(inside, thread_inside);
    assert_eq!(network()?, outside);
    Ok(())
}

#[test]
fn a_command_that_fails_says_which_and_why() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let error = format!("{:#}", namespace.exec("ip link show dev nonesuch").unwrap_err());
    assert!(
        error.contains(namespace.name())
            && error.contains("ip link show dev nonesuch")
            && error.contains("does not exist"),
        "{error}"
    );
    let error = format!("{:#}", namespace.exec("nonesuch").unwrap_err());
    assert!(error.contains("is nonesuch installed?"), "{error}");
    Ok(())
}

#[test]
fn a_random_filter_counts_what_it_drops_and_the_sender_repeats_it() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::one_segment_per_packet()?;
    let before = Counters::read(&pair.client)?;
    let flow = Flow::open(&pair, Family::V4, 5000)?;
    nft::drop_matching(&pair.server, "prerouting", "tcp dport 5000 numgen random mod 100 < 3")?;
    flow.exchange(3_000_000, 0)?;
    // Open until the filter has been asked, which may drop what closes them, too.
    let flows = [flow];
    let [ends] = settle(&flows)?[..] else {
        bail!("one flow has one account")
    };
    let after = Counters::read(&pair.client)?;
    let dropped = nft::dropped(&pair.server)?;
    let repeated = after.since(&before, "TcpRetransSegs")?;
    assert!(dropped.packets > 10, "{dropped:?}");
    assert!(dropped.bytes > 1000 * dropped.packets, "{dropped:?}");
    assert_eq!(i64::from(ends.client.total_retrans), repeated);
    // A dropped acknowledgment is not repeated, dropped data is.
    assert!(
        repeated >= i64::try_from(dropped.packets)? / 2,
        "{repeated} after {dropped:?}"
    );
    assert_eq!(
        u64::from(ends.client.segs_out),
        u64::from(ends.server.segs_in) + dropped.packets
    );
    nft::flush(&pair.server)?;
    assert!(nft::counters(&pair.server)?.is_empty());
    Ok(())
}

#[test]
fn a_full_token_bucket_counts_what_it_drops() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    pair.client.exec(&format!(
        "tc qdisc add dev {DEVICE} root tbf rate 100kbit burst 3000 limit 6000"
    ))?;
    let to = pair.to(Family::V4, 9)?;
    let before = Queue::read(&pair.client, DEVICE)?;
    send_datagrams(&pair.client, to, 50, 1000)?;
    let after = Queue::read(&pair.client, DEVICE)?;
    let handled = after.packets + after.drops + after.waiting - before.packets - before.drops - before.waiting;
    assert!(after.drops > before.drops + 20, "{after:?}");
    assert_eq!(handled, 50, "{after:?}");
    Ok(())
}

#[test]
fn a_small_receive_buffer_overflows_by_the_kernels_count() -> Result<()> {
    let _turn = turn::shared()?;
    for (family, errors, arrivals) in [
        (Family::V4, "UdpRcvbufErrors", "UdpInDatagrams"),
        (Family::V6, "Udp6RcvbufErrors", "Udp6InDatagrams"),
    ] {
        let pair = Pair::new()?;
        let to = pair.to(family, 4000)?;
        let before = Counters::read(&pair.server)?;
        let socket = small_udp_receiver(&pair.server, to)?;
        send_datagrams(&pair.client, to, 40, 1000)?;
        Counters::at_rest(&pair.server)?;
        socket.set_nonblocking(true)?;
        let mut kept = 0;
        while socket.recv(&mut [0; 2000]).is_ok() {
            kept += 1;
        }
        let after = Counters::read(&pair.server)?;
        assert!((1..20).contains(&kept), "{kept}");
        assert_eq!(after.since(&before, errors)?, 40 - kept);
        assert_eq!(after.since(&before, arrivals)?, kept);
    }
    Ok(())
}

#[test]
fn a_datagram_to_a_closed_port_is_counted() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let before = Counters::read(&pair.server)?;
    send_datagrams(&pair.client, pair.to(Family::V4, 9)?, 17, 100)?;
    let after = Counters::at_rest(&pair.server)?;
    assert_eq!(after.since(&before, "UdpNoPorts")?, 17);
    Ok(())
}

#[test]
fn a_cable_carries_nothing_of_its_own() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    // One like any other has said all when it asks for routers.
    let (other, far) = (Namespace::new()?, Namespace::new()?);
    host(&format!(
        "ip link add {DEVICE} netns {} type veth peer name {DEVICE} netns {}",
        other.name(),
        far.name()
    ))?;
    for end in [&other, &far] {
        end.exec(&format!("ip link set dev {DEVICE} up"))?;
    }
    until("another cable to ask for routers", || {
        let asked = Counters::read(&other)?.get("Icmp6OutRouterSolicits")?;
        Ok((asked > 0).then_some(()))
    })?;
    for end in [&pair.client, &pair.server] {
        assert_eq!(Counters::read(end)?.get("Icmp6OutMsgs")?, 0);
    }
    Ok(())
}

#[test]
fn a_cable_carries_every_subnet_that_it_was_given() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::with(tests::net::pair::Cable {
        subnets: 3,
        ..Default::default()
    })?;
    for subnet in &pair.subnets {
        for family in [Family::V4, Family::V6] {
            let to = (subnet.address(family, SERVER), 80).into();
            let listener = tests::net::traffic::listen(&pair.server, to)?;
            let flow = Flow::through(&listener, &pair, to)?;
            assert_eq!(flow.client.peer_addr()?, to);
            assert_eq!(
                flow.server.peer_addr()?.ip(),
                subnet.address(family, tests::net::subnet::CLIENT)
            );
        }
        assert!(pair.config().contains(&subnet.name()));
    }
    Ok(())
}
