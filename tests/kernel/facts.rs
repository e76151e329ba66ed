//! What the exporter reads of the running kernel before it loads anything: fields, reasons, symbols.

use std::collections::HashMap;
use std::fs::{read, read_to_string};

use anyhow::{Context as _, Result, ensure};
use common::kernel::fields::CAST_TYPES;
use tcpvitals::lifecycle::setup::btf_file;
use tcpvitals_kernel::probe::btf::Btf;
use tcpvitals_kernel::probe::features;
use tcpvitals_kernel::probe::reasons::Reasons;
use tcpvitals_kernel::probe::symbols::Symbols;

const BTF: &str = "/sys/kernel/btf/vmlinux";

#[test]
fn this_kernel_has_every_field_but_the_optional_ones() -> Result<()> {
    let hooks = ["kfree_skb", "no_such_tracepoint"];
    let (features, _) = features::read(&btf_file(None), &hooks, &["tcp", "no_such_iterator"])?;
    // Of the directory above a cgroup's a kernel has the new name or the old one.
    const PARENT: [&str; 2] = ["KERNFS_NODE_PARENT", "KERNFS_NODE_PARENT_BEFORE_6_15"];
    ensure!(
        PARENT
            .iter()
            .any(|name| features.fields.get(name).is_some_and(Result::is_ok))
    );
    for (global, place) in &features.fields {
        let optional = ["NET_DEVICE_IEEE80211_PTR", "TASK_PREEMPT_COUNT"].contains(global)
            || PARENT.contains(global)
            || global.starts_with("DEVLINK_");
        ensure!(optional || place.is_ok(), "{global}: {place:?}");
    }
    assert!(features.tracepoints["kfree_skb"] >= 3);
    assert!(!features.tracepoints.contains_key("no_such_tracepoint"));
    assert_eq!(features.iterators, ["tcp"]);
    assert!(features.socket_storage);
    let btf = Btf::parse(read(BTF)?)?;
    assert_eq!(features.one_run_per_cpu, btf.function("bpf_prog_inc_misses_counter"));
    let types = features.casts.map(|casts| casts.types.len());
    assert_eq!(types, btf.function("bpf_rdonly_cast").then_some(CAST_TYPES.len()));
    // The numbers of another file need not be the kernel's.
    let given = btf_file(Some(BTF.as_ref()));
    let given = features::read(&given, &[], &[])?.0;
    assert!(given.casts.is_none() || given.hides_storage);
    Ok(())
}

#[test]
fn this_kernel_names_its_reasons() -> Result<()> {
    let btf = Btf::parse(read(BTF)?)?;
    let mut reasons = Reasons::default();
    reasons.add(&btf);
    let numbers = btf.enumerators("skb_drop_reason").context("no skb_drop_reason")?;
    let numbers: HashMap<String, i64> = numbers.into_iter().collect();
    for short in ["NOT_SPECIFIED", "NETFILTER_DROP", "NO_SOCKET"] {
        let number = numbers[&format!("SKB_DROP_REASON_{short}")];
        assert_eq!(reasons.name(u32::try_from(number)?), short);
        assert!(reasons.have_name(short));
    }
    assert_eq!(reasons.name(7 << 16 | 1), "458753");
    assert!(!reasons.have_name("NO_SUCH_REASON"));
    assert!(reasons.lack(7 << 16 | 1) && !reasons.lack(u32::from(u16::MAX)));
    Ok(())
}

#[test]
fn this_kernel_names_its_own_functions() -> Result<()> {
    let mut symbols = Symbols::open();
    assert!(!symbols.are_hidden(), "run the tests as root");
    let table = read_to_string("/proc/kallsyms")?;
    let line = table.lines().find(|line| line.ends_with(" kfree_skbmem"));
    let (address, _) = line.and_then(|line| line.split_once(' ')).context("no kfree_skbmem")?;
    let address = u64::from_str_radix(address, 16)?;
    symbols.resolve([address, address + 1])?;
    assert_eq!(symbols.name(address + 1), "kfree_skbmem");
    Ok(())
}
