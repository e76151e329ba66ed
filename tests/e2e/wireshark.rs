//! Wireshark's own programs read what was captured, and capture from the interface that the program is to them.

use std::fs::{Permissions, copy, create_dir, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tests::exporter::capture::Capture;
use tests::exporter::{binary, run_command};
use tests::machine::turn;
use tests::net::nft;
use tests::net::packet::datagram;
use tests::net::pair::{DEVICE, Pair};
use tests::net::peer::Peer;
use tests::net::subnet::Family;
use tests::net::traffic::send_datagrams;

const PORT: u16 = 4000;

/// Runs a program and gives the lines of its standard output.
fn lines(command: &mut Command) -> Result<Vec<String>> {
    let finished = run_command(command)?;
    ensure!(finished.code == Some(0), "{command:?}: {finished:?}");
    Ok(finished.stdout.lines().map(str::to_owned).collect())
}

/// What tshark says of each packet of a file, field by field.
fn fields(file: &Path, names: &[&str]) -> Result<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-T", "fields"]);
    for name in names {
        command.args(["-e", name]);
    }
    let split = |line: String| line.split('\t').map(str::to_owned).collect();
    Ok(lines(&mut command)?.into_iter().map(split).collect())
}

/// A property of a file, as capinfos prints it.
fn property(file: &Path, flag: &str, name: &str) -> Result<String> {
    let said = lines(Command::new("capinfos").args(["-M", flag]).arg(file))?;
    let line = said.iter().find_map(|line| line.strip_prefix(name));
    Ok(line
        .with_context(|| format!("no {name} in {said:?}"))?
        .trim()
        .to_owned())
}

#[test]
fn tshark_and_capinfos_read_a_file_of_three_kinds_of_packets() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?;
    nft::drop_matching(&pair.server, "input", &format!("udp dport {PORT}"))?;
    let other = pair.client.name();
    let tunnel = tests::net::subnet::Subnet::take()?;
    let peer = Peer::new(&pair.client, tunnel).with_context(|| format!("in {other}"))?;
    let networks = [
        subnet.address(Family::V4, 2).to_string(),
        subnet.address(Family::V6, 2).to_string(),
        peer.kernel_at(9).ip().to_string(),
    ];
    let mut capture = Capture::start(&[
        "--protocol",
        "udp",
        "--snaplen",
        "200",
        "--address",
        &networks.join(","),
    ])?;
    send_datagrams(&pair.client, pair.to(Family::V4, PORT)?, 11, 500)?;
    send_datagrams(&pair.client, pair.to(Family::V6, PORT)?, 7, 50)?;
    for _ in 0..5 {
        peer.inject(&datagram(peer.at(1000), peer.kernel_at(9), b"to a closed port"))?;
    }
    capture.signal(Signal::SIGINT)?;
    let summary = capture.summary()?;
    assert_eq!((summary.captured, summary.tail_drops), (23, 0));
    assert_eq!(nft::dropped(&pair.server)?.packets, 18);

    let file = capture.folder().join("drops.pcapng");
    assert_eq!(property(&file, "-c", "Number of packets:")?, "23");
    assert_eq!(property(&file, "-o", "Strict time order:")?, "True");
    let names = [
        "frame.interface_name",
        "frame.protocols",
        "frame.len",
        "frame.cap_len",
        "frame.packet_flags_direction",
        "frame.comment",
        "_ws.malformed",
    ];
    let packets = fields(&file, &names)?;
    let of = |interface: &str, protocols: &str, length: &str, captured: &str, reason: &str| {
        let fits = |packet: &&Vec<String>| {
            let [name, all, long, short, direction, comment, malformed] = packet.as_slice() else {
                return false;
            };
            let known = [name.as_str(), long, short] == [interface, length, captured];
            known
                && all.starts_with(protocols)
                && comment.starts_with(reason)
                && direction.ends_with('1')
                && malformed.is_empty()
        };
        packets.iter().filter(fits).count()
    };
    let counts = [
        of(DEVICE, "eth:ethertype:ip:udp", "542", "200", "reason=NETFILTER_DROP"),
        of(DEVICE, "eth:ethertype:ipv6:udp", "112", "112", "reason=NETFILTER_DROP"),
        of("tun0", "raw:ip:udp", "44", "44", "reason=NO_SOCKET"),
    ];
    assert_eq!(counts, [11, 7, 5], "{packets:#?}");
    Ok(())
}

#[test]
fn dropped_packets_are_an_interface_of_wireshark() -> Result<()> {
    const PACKETS: usize = 12;
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    nft::drop_matching(&pair.server, "input", &format!("udp dport {PORT}"))?;
    let address = pair.subnet()?.address(Family::V4, 2).to_string();
    // To root, Wireshark does not offer programs in a folder of its own choice.
    let folder = TempDir::new()?;
    let extcap = folder.path().join("extcap");
    create_dir(&extcap)?;
    copy(binary()?, extcap.join("tcpvitals"))?;
    for (path, mode) in [(folder.path(), 0o777), (extcap.as_path(), 0o755)] {
        set_permissions(path, Permissions::from_mode(mode))?;
    }
    let tshark = |arguments: &[&str]| {
        let capabilities = "+bpf,+perfmon,+syslog";
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
            .arg(format!("--inh-caps={capabilities}"))
            .arg(format!("--ambient-caps={capabilities}"))
            .arg("tshark")
            .args(arguments)
            .env("WIRESHARK_EXTCAP_DIR", &extcap)
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path());
        command
    };
    let interfaces = lines(&mut tshark(&["-D"]))?;
    assert!(
        interfaces
            .iter()
            .any(|line| line.ends_with(" tcpvitals (Dropped packets)")),
        "{interfaces:?}"
    );

    let (count, filter) = (PACKETS.to_string(), format!("extcap.tcpvitals.address:{address}"));
    let arguments = [
        "-i",
        "tcpvitals",
        "-o",
        &filter,
        "-c",
        &count,
        "-l",
        "-T",
        "fields",
        "-e",
        "frame.interface_name",
        "-e",
        "frame.comment",
        "-e",
        "udp.dstport",
        "-e",
        "udp.length",
    ];
    let is_over = AtomicBool::new(false);
    let captured = thread::scope(|scope| {
        // Nobody says when the capture has begun.
        let sender = scope.spawn(|| -> Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                send_datagrams(&pair.client, pair.to(Family::V4, PORT)?, 1, 100)?;
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        });
        let captured = lines(&mut tshark(&arguments));
        is_over.store(true, Ordering::Relaxed);
        sender
            .join()
            .map_err(|_panic| anyhow::anyhow!("the sender panicked"))??;
        captured
    })?;
    assert_eq!(captured.len(), PACKETS, "{captured:?}");
    for packet in captured {
        let [interface, comment, port, length] = packet.split('\t').collect::<Vec<_>>()[..] else {
            anyhow::bail!("{packet}");
        };
        assert_eq!([interface, port, length], [DEVICE, "4000", "108"]);
        assert!(comment.starts_with("reason=NETFILTER_DROP location="), "{comment}");
    }
    Ok(())
}
