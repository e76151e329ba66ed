//! Drop reasons have the names of the running kernel, also those of subsystems and modules.

use std::fs::read_dir;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tests::exporter::start;
use tests::kernel::counters::Queue;
use tests::kernel::kernel_facts::{add_queue, has_type_name, skip};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::devices::openvswitch;
use tests::net::namespace::host;
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::Family;
use tests::net::traffic::{send_datagrams, small_udp_receiver};

const PACKETS: &str = "tcpvitals_dropped_packets_total";
const MODULE: &str = "openvswitch";

/// Whether the module is there, with its type information.
fn is_loaded() -> bool {
    Path::new("/sys/kernel/btf").join(MODULE).exists()
}

/// Loads a module: by modprobe(8), or from the folder from which a guest's init has loaded all modules.
fn load(module: &str) -> Result<()> {
    let folder = Path::new("/modules");
    if !folder.exists() {
        host(&format!("modprobe {module}"))?;
        return Ok(());
    }
    let ending = format!("-{module}.ko");
    let mut files = read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let file = files.find(|path| path.to_string_lossy().ends_with(&ending));
    let file = file.with_context(|| format!("{} has no {module}", folder.display()))?;
    host(&format!("insmod {}", file.display()))?;
    Ok(())
}

#[test]
fn a_module_names_its_reasons_even_if_it_is_loaded_after_the_exporter() -> Result<()> {
    let _turn = turn::alone()?;
    if !has_type_name("SKB_DROP_REASON_SUBSYS_OPENVSWITCH")? || (!is_loaded() && load(MODULE).is_err()) {
        skip(&format!("this kernel has no {MODULE} with drop reasons of its own"));
        return Ok(());
    }
    for is_late in [false, true] {
        if is_late {
            // The kernel takes the first round's switch apart in its own time.
            until("the module to be unloaded", || {
                Ok(host(&format!("rmmod {MODULE}")).is_ok().then_some(()))
            })?;
            ensure!(!is_loaded(), "{MODULE} is still there");
        }
        let pair = Pair::new()?;
        let exporter = start(pair.config())?;
        if is_late {
            load(MODULE)?;
        }
        openvswitch::drop_all(&pair.server, DEVICE)?;
        let to = pair.to(Family::V4, 9)?;
        send_datagrams(&pair.client, to, 17, 100)?;
        let subnet = pair.subnet()?.name();
        let reasons = until("the switch to drop 17 packets", || {
            let scrape = exporter.scrape()?;
            let ours = [("subnet", subnet.as_str()), ("protocol", "udp")];
            Ok((scrape.sum(PACKETS, &ours)? >= 17.0).then_some(scrape.by(PACKETS, "reason", &ours)?))
        })?;
        assert_eq!(reasons, [(openvswitch::REASON.to_owned(), 17.0)].into());
    }
    Ok(())
}

/// Linux 7.2 reports these drops twice, and says why only once.
#[test]
fn a_queue_says_why_it_drops_where_the_kernel_lets_it() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    if !add_queue(&pair.client, DEVICE, "fq flow_limit 10 maxrate 100kbit")? {
        return Ok(());
    }
    let to = pair.to(Family::V4, 4000)?;
    let socket = small_udp_receiver(&pair.server, to)?;
    send_datagrams(&pair.client, to, 60, 1000)?;
    let drops = Queue::read(&pair.client, DEVICE)?.drops;
    assert!(drops > 20, "{drops}");
    let reason = if has_type_name("QDISC_DROP_FLOW_LIMIT")? {
        "QDISC_DROP_FLOW_LIMIT"
    } else if has_type_name("SKB_DROP_REASON_FQ_FLOW_LIMIT")? {
        "FQ_FLOW_LIMIT"
    } else {
        "QDISC_DROP"
    };
    let subnet = pair.subnet()?.name();
    // What does get through may find the receiver full.
    let ours = [("subnet", subnet.as_str()), ("direction", "transmit")];
    let scrape = exporter.scrape()?;
    #[expect(clippy::cast_precision_loss, reason = "a few packets")]
    let expected = [(reason.to_owned(), drops as f64)].into();
    assert_eq!(scrape.by(PACKETS, "reason", &ours)?, expected);
    drop(socket);
    Ok(())
}
