//! Connections on which all that is sent arrives.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tests::kernel::counters::Counters;
use tests::machine::settings::patience;
use tests::net::pair::DEVICE;
use tests::net::socket::{Offload, set_offload, set_option};
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::{dual_stack, listen, receive, send};

use super::talk::{accept, ask, flow, read_to_end, request, through};
use crate::suite::Stage;

pub(super) fn keep_alive(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let flow = flow(stage.client(), stage.server(), stage.to(family, 80))?;
        for _ in 0..20 {
            ask(&flow, 200, 3000)?;
        }
        flow.finish()?;
    }
    Ok(())
}

pub(super) fn http_1_0(stage: &Stage) -> Result<()> {
    requests(stage, true)
}

pub(super) fn client_closes_first(stage: &Stage) -> Result<()> {
    requests(stage, false)
}

fn requests(stage: &Stage, server_first: bool) -> Result<()> {
    for family in Family::BOTH {
        let to = stage.to(family, 80);
        let listener = listen(stage.server(), to)?;
        for _ in 0..10 {
            request(&through(&listener, stage.client(), to)?, server_first)?;
        }
    }
    Ok(())
}

/// A transfer each way over each family.
fn bulk(stage: &Stage, bytes: usize) -> Result<()> {
    for family in Family::BOTH {
        let flow = flow(stage.client(), stage.server(), stage.to(family, 443))?;
        flow.exchange(bytes, bytes)?;
        flow.finish()?;
    }
    Ok(())
}

pub(super) fn large(stage: &Stage) -> Result<()> {
    bulk(stage, 3_000_000)
}

pub(super) fn joined_by_the_receiver(stage: &Stage) -> Result<()> {
    stage.client().ip(&[format!("link set dev {DEVICE} gso_max_segs 1")])?;
    set_offload(stage.client(), DEVICE, Offload::Tso, false)?;
    set_offload(stage.server(), DEVICE, Offload::Gro, true)?;
    // The ring to such a receiver has room for 256 packets: never so many are on their way.
    stage.server().set("net.ipv4.tcp_rmem=4096 100000 200000")?;
    bulk(stage, 3_000_000)
}

pub(super) fn without_offloads(stage: &Stage) -> Result<()> {
    for end in [stage.client(), stage.server()] {
        end.ip(&[format!("link set dev {DEVICE} gso_max_segs 1")])?;
        set_offload(end, DEVICE, Offload::Tso, false)?;
        set_offload(end, DEVICE, Offload::Gro, false)?;
    }
    bulk(stage, 1_000_000)
}

pub(super) fn big_tcp(stage: &Stage) -> Result<()> {
    for end in [stage.client(), stage.server()] {
        end.ip(&[
            format!("link set dev {DEVICE} mtu 9000"),
            format!("link set dev {DEVICE} gso_max_size 200000 gro_max_size 200000"),
        ])?;
        set_offload(end, DEVICE, Offload::Gro, true)?;
    }
    bulk(stage, 5_000_000)
}

pub(super) fn on_several_processors(stage: &Stage) -> Result<()> {
    // On a machine with one, packets go through its backlog all the same.
    let processors = if thread::available_parallelism()?.get() > 1 {
        "3"
    } else {
        "1"
    };
    for end in [stage.client(), stage.server()] {
        end.feed(
            &format!(
                "ip netns exec {} tee /sys/class/net/{DEVICE}/queues/rx-0/rps_cpus",
                end.name()
            ),
            processors,
        )?;
    }
    bulk(stage, 1_000_000)?;
    requests(stage, false)
}

pub(super) fn within_the_host(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let at = SocketAddr::from((stage.subnet().address(family, CLIENT), 8080));
        let flow = flow(stage.client(), stage.client(), at)?;
        flow.exchange(500_000, 500_000)?;
        flow.finish()?;
    }
    Ok(())
}

/// A stream socket of a protocol.
fn stream(stage: &Stage, is_server: bool, at: SocketAddr, protocol: i32) -> Result<Socket> {
    let end = if is_server { stage.server() } else { stage.client() };
    end.run(|| {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::from(protocol)))?;
        if is_server {
            socket.set_reuse_address(true)?;
            socket.bind(&at.into())?;
            socket.listen(16)?;
        } else {
            socket.set_read_timeout(Some(patience()))?;
        }
        Ok(socket)
    })
}

pub(super) fn multipath(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        multipath_to(stage, stage.to(family, 8443))?;
    }
    Ok(())
}

pub(super) fn multipath_of_two(stage: &Stage) -> Result<()> {
    let second = stage.second();
    for (end, host) in [(stage.client(), CLIENT), (stage.server(), SERVER)] {
        let other = if host == CLIENT { SERVER } else { CLIENT };
        end.ip(&[
            format!("address add {}/24 dev {DEVICE}", second.v4(host)),
            format!(
                "neighbour add {} lladdr 02:00:00:00:00:{other:02x} dev {DEVICE} nud permanent",
                second.v4(other)
            ),
            "mptcp limits set subflow 2 add_addr_accepted 2".to_owned(),
        ])?;
    }
    let endpoint = format!("ip mptcp endpoint add {} dev {DEVICE} subflow", second.v4(CLIENT));
    stage.client().exec(&endpoint)?;
    multipath_to(stage, stage.to(Family::V4, 8443))?;
    let joined = Counters::at_rest(stage.server())?.get("MPTcpExtMPJoinAckRx")?;
    ensure!(joined == 1, "{joined} further subflows");
    Ok(())
}

fn multipath_to(stage: &Stage, to: SocketAddr) -> Result<()> {
    let listener: TcpListener = stream(stage, true, to, libc::IPPROTO_MPTCP)?.into();
    let client = stream(stage, false, to, libc::IPPROTO_MPTCP)?;
    client.connect(&to.into()).context("connect")?;
    let client: TcpStream = client.into();
    let server = accept(&listener)?;
    let flow = tests::net::traffic::Flow { client, server };
    // A further subflow is made in the meantime.
    ask(&flow, 1000, 1000)?;
    sleep(Duration::from_millis(100));
    flow.exchange(50_000, 50_000)?;
    flow.client.shutdown(Shutdown::Write)?;
    ensure!(read_to_end(&flow.server)? == 0, "more than was sent");
    // Acknowledgments come back on subflows that are being closed.
    send(&flow.server, 50_000)?;
    receive(&flow.client, 50_000)?;
    drop(flow.server);
    ensure!(read_to_end(&flow.client)? == 0, "more than was sent");
    Ok(())
}

pub(super) fn fast_open(stage: &Stage) -> Result<()> {
    const TCP_FASTOPEN: i32 = 23;
    for end in [stage.client(), stage.server()] {
        end.set("net.ipv4.tcp_fastopen=3")?;
        // The cookie is one of the metrics.
        end.set("net.ipv4.tcp_no_metrics_save=0")?;
    }
    for family in Family::BOTH {
        let to = stage.to(family, 443);
        let listener = stream(stage, true, to, libc::IPPROTO_TCP)?;
        set_option(&listener, libc::SOL_TCP, TCP_FASTOPEN, 16)?;
        let listener: TcpListener = listener.into();
        // The first fetches a cookie; the others send data with the SYN.
        for _ in 0..3 {
            let client = stream(stage, false, to, libc::IPPROTO_TCP)?;
            let sent = client.send_to_with_flags(&[5; 500], &to.into(), libc::MSG_FASTOPEN)?;
            ensure!(sent == 500, "{sent} bytes sent");
            let flow = tests::net::traffic::Flow {
                client: client.into(),
                server: accept(&listener)?,
            };
            receive(&flow.server, 500)?;
            ask(&flow, 100, 100)?;
            flow.finish()?;
        }
    }
    let counters = Counters::at_rest(stage.client())?;
    let with_data = counters.get("TcpExtTCPFastOpenActive")?;
    ensure!(with_data == 4, "{with_data} SYNs with data were taken");
    Ok(())
}

pub(super) fn cookies(stage: &Stage) -> Result<()> {
    stage.server().set("net.ipv4.tcp_syncookies=2")?;
    requests(stage, false)?;
    let counters = Counters::at_rest(stage.server())?;
    let taken = counters.get("TcpExtSyncookiesRecv")?;
    ensure!(taken == 20, "{taken} cookies came back");
    Ok(())
}

pub(super) fn deferred_accept(stage: &Stage) -> Result<()> {
    const TCP_DEFER_ACCEPT: i32 = 9;
    for family in Family::BOTH {
        let to = stage.to(family, 80);
        let listener = listen(stage.server(), to)?;
        set_option(&listener, libc::SOL_TCP, TCP_DEFER_ACCEPT, 3)?;
        for _ in 0..5 {
            let client = tests::net::traffic::connect(stage.client(), to)?;
            // The acknowledgment of the handshake has arrived before, and is not taken.
            sleep(Duration::from_millis(20));
            send(&client, 100)?;
            let flow = tests::net::traffic::Flow {
                client,
                server: accept(&listener)?,
            };
            receive(&flow.server, 100)?;
            flow.finish()?;
        }
    }
    Ok(())
}

pub(super) fn probes(stage: &Stage) -> Result<()> {
    let flows = Family::BOTH
        .iter()
        .map(|family| flow(stage.client(), stage.server(), stage.to(*family, 8080)))
        .collect::<Result<Vec<_>>>()?;
    for flow in &flows {
        ask(flow, 1, 1)?;
        let every = Duration::from_secs(1);
        let keepalive = TcpKeepalive::new()
            .with_time(every)
            .with_interval(every)
            .with_retries(9);
        SockRef::from(&flow.client).set_tcp_keepalive(&keepalive)?;
    }
    sleep(Duration::from_millis(3600));
    let probes = Counters::read(stage.client())?.get("TcpExtTCPKeepAlive")?;
    ensure!(probes >= 4, "{probes} probes");
    for flow in &flows {
        flow.finish()?;
    }
    Ok(())
}

pub(super) fn zero_window(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let flow = flow(stage.client(), stage.server(), stage.to(family, 8080))?;
        let taken = flow.fill()?;
        // The window is asked for, again and again.
        sleep(Duration::from_millis(1200));
        receive(&flow.server, taken)?;
        ask(&flow, 10, 10)?;
        flow.finish()?;
    }
    let probes = Counters::read(stage.client())?.get("TcpExtTCPWinProbe")?;
    ensure!(probes >= 2, "{probes} probes of the window");
    Ok(())
}

pub(super) fn urgent(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let flow = flow(stage.client(), stage.server(), stage.to(family, 21))?;
        for _ in 0..10 {
            SockRef::from(&flow.client).send_out_of_band(b"!")?;
            send(&flow.client, 10)?;
            receive(&flow.server, 10)?;
        }
        flow.finish()?;
    }
    Ok(())
}

pub(super) fn zero_copy(stage: &Stage) -> Result<()> {
    const SO_ZEROCOPY: i32 = 60;
    const MSG_ZEROCOPY: i32 = 0x400_0000;
    let file = File::open("/proc/self/exe")?;
    for family in Family::BOTH {
        let flow = flow(stage.client(), stage.server(), stage.to(family, 8080))?;
        let client = SockRef::from(&flow.client);
        set_option(&flow.client, libc::SOL_SOCKET, SO_ZEROCOPY, 1)?;
        thread::scope(|scope| {
            let reading = scope.spawn(|| receive(&flow.server, 400_000));
            let bytes = vec![9; 20_000];
            for _ in 0..10 {
                let mut left = bytes.as_slice();
                while !left.is_empty() {
                    left = &left[client.send_with_flags(left, MSG_ZEROCOPY)?..];
                }
            }
            let mut left = 200_000;
            while left > 0 {
                let sent = client.sendfile(&file, 0, std::num::NonZeroUsize::new(left))?;
                ensure!(sent > 0, "nothing was sent of a file");
                left -= sent;
            }
            reading.join().unwrap_or_else(|_| bail!("the reading thread panicked"))
        })?;
        flow.finish()?;
    }
    Ok(())
}

pub(super) fn mapped(stage: &Stage) -> Result<()> {
    let listener = listen(stage.server(), dual_stack(8080))?;
    let mapped = Ipv6Addr::from_bits(0xffff << 32 | u128::from(u32::from(stage.subnet().v4(SERVER))));
    for _ in 0..5 {
        let flow = through(&listener, stage.client(), (mapped, 8080).into())?;
        ask(&flow, 1000, 100_000)?;
        flow.finish()?;
    }
    Ok(())
}

pub(super) fn reuse_port(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        let to = stage.to(family, 8080);
        let listeners = (0..4)
            .map(|_| {
                stage.server().run(|| {
                    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
                    socket.set_reuse_port(true)?;
                    socket.set_nonblocking(true)?;
                    socket.bind(&to.into())?;
                    socket.listen(16)?;
                    Ok(TcpListener::from(socket))
                })
            })
            .collect::<Result<Vec<_>>>()?;
        for _ in 0..12 {
            let client = tests::net::traffic::connect(stage.client(), to)?;
            let server = tests::machine::wait::until("one of the listeners", || {
                Ok(listeners.iter().find_map(|listener| listener.accept().ok()))
            })?;
            let (server, _) = server;
            server.set_nonblocking(false)?;
            server.set_read_timeout(Some(patience()))?;
            let flow = tests::net::traffic::Flow { client, server };
            ask(&flow, 100, 100)?;
            flow.finish()?;
        }
    }
    Ok(())
}

pub(super) fn same_port_again(stage: &Stage) -> Result<()> {
    for end in [stage.client(), stage.server()] {
        end.set("net.ipv4.tcp_tw_reuse=1")?;
    }
    for family in Family::BOTH {
        let to = stage.to(family, 8080);
        let listener = listen(stage.server(), to)?;
        // Whoever closes first keeps the port for a minute; the other may ask from it again.
        for server_first in [true, true, true] {
            let client = stage.client().run(|| {
                let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
                socket.set_reuse_address(true)?;
                socket.bind(&SocketAddr::from((stage.subnet().address(family, CLIENT), 20_000)).into())?;
                socket.set_read_timeout(Some(patience()))?;
                socket.connect(&to.into()).context("connect from the same port")?;
                Ok(TcpStream::from(socket))
            })?;
            let flow = tests::net::traffic::Flow {
                client,
                server: accept(&listener)?,
            };
            request(&flow, server_first)?;
            drop(flow);
            // A number of the clock of timestamps is needed between two.
            sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

pub(super) fn small_writes(stage: &Stage) -> Result<()> {
    for family in Family::BOTH {
        for is_corked in [false, true] {
            let flow = flow(stage.client(), stage.server(), stage.to(family, 8080))?;
            flow.client.set_nodelay(!is_corked)?;
            SockRef::from(&flow.client).set_tcp_cork(is_corked)?;
            for _ in 0..100 {
                (&flow.client).write_all(&[1; 10])?;
            }
            SockRef::from(&flow.client).set_tcp_cork(false)?;
            (&flow.server).read_exact(&mut [0; 1000])?;
            flow.finish()?;
        }
    }
    Ok(())
}
