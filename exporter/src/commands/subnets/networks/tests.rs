//! Fewer networks, and the same names.

use super::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tcpvitals_config::Config;

fn named(lines: &str) -> BTreeMap<IpNet, String> {
    let lines = lines.split_whitespace().map(|line| line.split_once(',').unwrap());
    lines
        .map(|(network, name)| (network.parse().unwrap(), name.to_owned()))
        .collect()
}

/// What is left of these networks.
fn check(lines: &str, expected: &str) {
    let file = Networks::new(named(lines)).within(usize::MAX).unwrap();
    let text: Vec<&str> = file.text.lines().skip(1).collect();
    assert_eq!(text.join(" "), expected, "{lines}");
    assert_eq!((file.count, file.joined), (text.len(), None));
}

#[test]
fn neighbors_of_one_name_are_one() {
    check("10.0.0.0/24,a 10.0.1.0/24,a", "10.0.0.0/23,a");
    check("10.0.0.0/24,a 10.0.1.0/24,b", "10.0.0.0/24,a 10.0.1.0/24,b");
    // No halves of one.
    check("10.0.1.0/24,a 10.0.2.0/24,a", "10.0.1.0/24,a 10.0.2.0/24,a");
    check(
        "10.0.0.0/24,a 10.0.1.0/24,a 10.0.2.0/24,a 10.0.3.0/24,a",
        "10.0.0.0/22,a",
    );
    check("0.0.0.0/1,a 128.0.0.0/1,a", "0.0.0.0/0,a");
    check("2001:db8::/33,a 2001:db8:8000::/33,a", "2001:db8::/32,a");
}

#[test]
fn what_lies_in_one_of_its_name_is_none_unless_another_lies_between() {
    check("10.0.0.0/8,a 10.1.0.0/16,a", "10.0.0.0/8,a");
    check(
        "10.0.0.0/8,a 10.1.0.0/16,b 10.1.1.0/24,a",
        "10.0.0.0/8,a 10.1.0.0/16,b 10.1.1.0/24,a",
    );
    check("10.0.0.0/8,a 10.1.0.0/16,b 10.2.0.0/16,a", "10.0.0.0/8,a 10.1.0.0/16,b");
    // Both halves hide the whole.
    check("10.0.0.0/8,a 10.0.0.0/9,b 10.128.0.0/9,b", "10.0.0.0/8,b");
}

#[test]
fn what_does_not_fit_is_joined_over_gaps_that_are_nobodys() {
    let hosts: String = (0..100)
        .map(|host| format!("10.0.0.{},a 10.0.1.{},b ", 2 * host, 2 * host))
        .collect();
    let hosts = hosts.replace(",a", "/32,a").replace(",b", "/32,b");
    let all = Networks::new(named(&hosts));
    assert_eq!(all.0.len(), 200);
    let file = all.within(40).unwrap();
    assert_eq!(file.text, "cidr,name\n10.0.0.0/24,a\n10.0.1.0/24,b\n");
    // Both halves of a /24, which are then one.
    assert_eq!(file.joined.map(|(ipv4, _)| ipv4), Some(25));
    // Never over what another has, within or around.
    let fenced = format!("{hosts} 10.0.0.128/26,b 10.0.0.0/20,c");
    let error = Networks::new(named(&fenced)).within(40).unwrap_err();
    assert!(
        error.to_string().contains("more than the 40 that a ConfigMap holds"),
        "{error}"
    );
}

#[test]
fn a_large_cluster_fits() {
    let nodes = (0..3_000_u32).flat_map(|node| {
        let zone = format!("europe-west1-{}", ["b", "c", "d"][node as usize % 3]);
        let pods = Ipv4Net::new(Ipv4Addr::from(0x0a00_0000 + (node << 8)), 24).unwrap();
        let address = Ipv4Net::from(Ipv4Addr::from(0xac10_0000 + node * 7));
        let ipv6 = Ipv6Net::new(Ipv6Addr::from((0x2001_0db8_u128 << 96) + (u128::from(node) << 64)), 64).unwrap();
        [IpNet::from(pods), address.into(), ipv6.into()].map(|network| (network, zone.clone()))
    });
    let file = Networks::new(nodes.collect()).within(200_000);
    // Zones by turns leave nothing to join; a cluster like that has to take another label.
    assert!(file.is_err(), "{:?}", file.map(|file| file.count));
    let nodes = (0..3_000_u32).flat_map(|node| {
        let zone = format!("europe-west1-{}", ["b", "c", "d"][node as usize / 1000]);
        let pods = Ipv4Net::new(Ipv4Addr::from(0x0a00_0000 + (node << 8)), 24).unwrap();
        let address = Ipv4Net::from(Ipv4Addr::from(0xac10_0000 + node * 7));
        [IpNet::from(pods), address.into()].map(|network| (network, zone.clone()))
    });
    let nodes: BTreeMap<IpNet, String> = nodes.collect();
    let whole = Networks::new(nodes.clone()).within(usize::MAX).unwrap();
    assert!(whole.text.len() > 80_000, "{}", whole.text.len());
    let file = Networks::new(nodes.clone()).within(20_000).unwrap();
    assert!(file.text.len() <= 20_000 && file.joined.is_some());
    require_same_names(&nodes, &file.text);
}

/// Every address that had a name has it still, by the exporter's own reading of the file.
fn require_same_names(before: &BTreeMap<IpNet, String>, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("zones.csv"), text).unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "{subnets: [], subnets_files: ['*.csv']}\n").unwrap();
    let config = Config::read(&config, |_| Ok(()))
        .and_then(Config::with_networks_of_files)
        .unwrap();
    let names = config.subnets.names();
    let after = config
        .subnets
        .networks()
        .map(|(network, id)| (network, names[id as usize].clone()));
    let after: BTreeMap<IpNet, String> = after.collect();
    for network in before.keys() {
        for address in [network.network(), network.broadcast()] {
            assert_eq!(
                name_of(before, address),
                name_of(&after, address),
                "{address} in\n{text}"
            );
        }
    }
}

/// By the longest prefix.
fn name_of(networks: &BTreeMap<IpNet, String>, address: IpAddr) -> Option<&String> {
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (0..=longest)
        .rev()
        .find_map(|length| networks.get(&IpNet::new(address, length).unwrap().trunc()))
}

fn network() -> impl Strategy<Value = (IpNet, String)> {
    // Few addresses, so that they meet.
    let ipv4 = (0..64_u32, 24..=32_u8).prop_map(|(low, length)| {
        IpNet::from(
            Ipv4Net::new(Ipv4Addr::from(0x0a00_0000 + low * 5), length)
                .unwrap()
                .trunc(),
        )
    });
    let ipv6 = (0..32_u128, 120..=128_u8).prop_map(|(low, length)| {
        IpNet::from(
            Ipv6Net::new(Ipv6Addr::from((0x2001_0db8_u128 << 96) + low * 3), length)
                .unwrap()
                .trunc(),
        )
    });
    (prop_oneof![ipv4, ipv6], "[abc]")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_address_changes_its_name(networks in prop::collection::btree_map(network().prop_map(|(network, _)| network), "[abc]", 0..40)) {
        let exact = Networks::new(networks.clone());
        prop_assert!(exact.0.len() <= networks.len());
        // Also what had none has none still.
        for low in 0..512_u32 {
            let address = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + low));
            prop_assert_eq!(name_of(&networks, address), name_of(&exact.0, address));
            let address = IpAddr::from(Ipv6Addr::from((0x2001_0db8_u128 << 96) + u128::from(low)));
            prop_assert_eq!(name_of(&networks, address), name_of(&exact.0, address));
        }
        for most in [60, 200] {
            if let Ok(file) = exact.clone().within(most) {
                prop_assert!(file.text.len() <= most);
                require_same_names(&networks, &file.text);
            }
        }
    }
}
