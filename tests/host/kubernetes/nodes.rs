//! Nodes that become networks with names: printed once, or kept in a ConfigMap, which another exporter could read.

use std::collections::BTreeMap;
use std::fs::{copy, write};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use tcpvitals::commands::subnets::{SubnetsError, follow, once};
use tcpvitals::kubernetes::{Api, ConfigMap, Kind, Nodes, Pace};
use tcpvitals_config::Config;
use tempfile::{TempDir, tempdir};
use tests::kubernetes::api::{Odd, Server, Verb};
use tests::kubernetes::pods::Pod;
use tests::machine::wait::until;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::fast;

const ZONE: &str = "topology.kubernetes.io/zone";
const MAP: &str = "zones";
const KEY: &str = "zones.csv";

/// Who keeps the map, in a thread of its own, until it is dropped.
struct Keeper {
    folder: TempDir,
    _end: oneshot::Sender<()>,
}

fn api(server: &Server, folder: &TempDir, pace: Pace) -> Result<Api> {
    let [token, authority] = ["token", "ca.crt"].map(|name| folder.path().join(name));
    write(&token, "first\n")?;
    copy(server.authority(), &authority)?;
    Ok(Api::new(server.url(), token, authority).at(pace))
}

impl Keeper {
    fn start(server: &Server) -> Result<Self> {
        Self::at(server, fast())
    }

    fn at(server: &Server, pace: Pace) -> Result<Self> {
        let folder = tempdir()?;
        let api = api(server, &folder, pace)?;
        let map = ConfigMap::new("vitals", MAP, KEY)?;
        let (end, ended) = oneshot::channel::<()>();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = follow(api, Nodes::by(ZONE), map) => {}
                    _ = ended => {}
                }
            });
        });
        Ok(Self { folder, _end: end })
    }
}

fn node(name: &str, number: u8, zone: &str) -> Pod {
    Pod::node(name, &format!("10.1.{number}.0/24"), &format!("192.0.2.{number}")).label(ZONE, zone)
}

/// What the map says of networks, as an exporter reads it.
fn named(server: &Server) -> Result<Option<BTreeMap<String, String>>> {
    let Some(data) = server.map(MAP) else { return Ok(None) };
    let Some(text) = data[KEY].as_str() else {
        return Ok(None);
    };
    let folder = tempdir()?;
    write(folder.path().join(KEY), text)?;
    let config = folder.path().join("config.yaml");
    write(&config, "{subnets: [], subnets_files: ['*.csv']}\n")?;
    let config = Config::read(&config, |_| Ok(()))?.with_networks_of_files()?;
    let names = config.subnets.names();
    let networks = config.subnets.networks();
    Ok(Some(
        networks
            .map(|(network, id)| (network.to_string(), names[id as usize].clone()))
            .collect(),
    ))
}

/// Waits until the map names these networks and no others.
fn until_named(server: &Server, expected: &[(&str, &str)]) -> Result<()> {
    let expected: BTreeMap<String, String> = expected
        .iter()
        .map(|(network, name)| ((*network).to_owned(), (*name).to_owned()))
        .collect();
    let mut last = None;
    let came = until("the map to be as the nodes are", || {
        last = named(server)?;
        Ok((last.as_ref() == Some(&expected)).then_some(()))
    });
    came.with_context(|| format!("it has {last:?}, not {expected:?}"))
}

/// So long that what is not to happen would have.
fn wait() {
    thread::sleep(Duration::from_millis(500));
}

#[test]
fn a_map_is_made_and_then_follows_the_nodes() -> Result<()> {
    let server = Server::of_nodes()?;
    server.put(node("n1", 1, "a"));
    server.put(node("n2", 2, "b"));
    server.put(Pod::node("n3", "10.1.3.0/24", "192.0.2.3"));
    let _keeper = Keeper::start(&server)?;
    let first = [
        ("10.1.1.0/24", "a"),
        ("10.1.2.0/24", "b"),
        ("192.0.2.1/32", "a"),
        ("192.0.2.2/32", "b"),
    ];
    until_named(&server, &first)?;
    assert_eq!(
        (server.good(Verb::Create).len(), server.good(Verb::Patch).len()),
        (1, 0)
    );
    // Neighbors of one name are one.
    server.put(Pod::node("n3", "10.1.3.0/24", "192.0.2.3").label(ZONE, "b"));
    let all = [
        ("10.1.1.0/24", "a"),
        ("10.1.2.0/23", "b"),
        ("192.0.2.1/32", "a"),
        ("192.0.2.2/31", "b"),
    ];
    until_named(&server, &all)?;
    server.delete(node("n1", 1, "a"));
    until_named(&server, &[("10.1.2.0/23", "b"), ("192.0.2.2/31", "b")])?;
    assert_eq!((server.good(Verb::Create).len(), server.good(Verb::List).len()), (1, 1));
    // What says nothing new of networks is not written.
    let before = server.good(Verb::Patch).len();
    for _ in 0..20 {
        server.put(node("n2", 2, "b").annotate("seen", "again"));
    }
    wait();
    assert_eq!(server.good(Verb::Patch).len(), before);
    Ok(())
}

#[test]
fn a_map_that_is_there_keeps_what_is_not_ours() -> Result<()> {
    let server = Server::of_nodes()?;
    server.set_map(
        MAP,
        Some(json!({"own.csv": "198.51.100.0/24,office\n", KEY: "203.0.113.1/32,old\n"})),
    );
    server.put(node("n1", 1, "a"));
    let pace = Pace {
        watch: Duration::from_secs(1)..=Duration::from_secs(1),
        ..fast()
    };
    let _keeper = Keeper::at(&server, pace)?;
    let expected = [("10.1.1.0/24", "a"), ("192.0.2.1/32", "a")];
    until_named(&server, &expected)?;
    let data = server.map(MAP).context("no map")?;
    assert_eq!(data["own.csv"], "198.51.100.0/24,office\n");
    assert!(server.good(Verb::Create).is_empty());
    // What somebody else breaks is mended, also where nothing happens to nodes.
    server.set_map(MAP, Some(json!({KEY: "x"})));
    until("the map to be mended", || {
        Ok(server.map(MAP).filter(|data| data[KEY] != "x"))
    })?;
    server.set_map(MAP, None);
    until_named(&server, &expected)
}

#[test]
fn rights_that_are_missing_stop_nothing_for_good() -> Result<()> {
    for missing in [Verb::List, Verb::Watch, Verb::Patch, Verb::Create] {
        let server = Server::of_nodes()?;
        server.put(node("n1", 1, "a"));
        let all = [Verb::List, Verb::Watch, Verb::Patch, Verb::Create];
        let allowed: Vec<Verb> = all.into_iter().filter(|verb| *verb != missing).collect();
        server.allow(&allowed);
        let _keeper = Keeper::start(&server)?;
        let forbidden = || server.asked().iter().filter(|asked| asked.status == 403).count();
        until("a refusal", || Ok((forbidden() > 1).then_some(())))?;
        // Pauses of 20 to 200 ms.
        let before = forbidden();
        thread::sleep(Duration::from_secs(1));
        assert!(forbidden() - before < 30, "{missing:?}: {}", forbidden() - before);
        // One who cannot hear of changes has the list all the same.
        assert_eq!(server.map(MAP).is_some(), missing == Verb::Watch, "{missing:?}");
        server.allow(&all);
        until_named(&server, &[("10.1.1.0/24", "a"), ("192.0.2.1/32", "a")])?;
    }
    Ok(())
}

#[test]
fn a_server_that_is_away_takes_no_name_away() -> Result<()> {
    let mut server = Server::of_nodes()?;
    server.put(node("n1", 1, "a"));
    let keeper = Keeper::start(&server)?;
    let first = [("10.1.1.0/24", "a"), ("192.0.2.1/32", "a")];
    until_named(&server, &first)?;
    server.stop()?;
    server.put(node("n9", 9, "b"));
    wait();
    until_named(&server, &first)?;
    server.go_on()?;
    let both = [
        ("10.1.1.0/24", "a"),
        ("10.1.9.0/24", "b"),
        ("192.0.2.1/32", "a"),
        ("192.0.2.9/32", "b"),
    ];
    until_named(&server, &both)?;
    // Nor does a token that has expired, until there is another one.
    server.accept("second");
    server.end_watches();
    server.delete(node("n1", 1, "a"));
    let refused = || server.asked().iter().any(|asked| asked.status == 401);
    until("a refusal", || Ok(refused().then_some(())))?;
    wait();
    until_named(&server, &both)?;
    write(keeper.folder.path().join("token"), "second")?;
    until_named(&server, &[("10.1.9.0/24", "b"), ("192.0.2.9/32", "b")])
}

#[test]
fn nothing_is_written_before_all_nodes_are_known() -> Result<()> {
    let server = Server::of_nodes()?;
    server.without_cache();
    for number in 0..120 {
        server.put(node(&format!("n{number:03}"), number, "a"));
    }
    let broken = Odd::new(200, "{\"metadata\": {");
    server.answer(Verb::List, vec![broken; 3]);
    let _keeper = Keeper::start(&server)?;
    until("a map", || Ok(server.map(MAP)))?;
    let asked = server.asked();
    let write = asked.iter().position(|asked| asked.verb == Some(Verb::Create));
    let lists = asked.iter().take(write.context("no map was made")?);
    // Three that break, and three pages.
    assert_eq!(lists.filter(|asked| asked.verb == Some(Verb::List)).count(), 6);
    // 10.1.0.0 to 10.1.119.255 is a /18, a /19, a /20 and a /21.
    let named = named(&server)?.context("no file")?;
    assert_eq!(
        named.keys().filter(|network| network.starts_with("10.1.")).count(),
        4,
        "{named:?}"
    );
    Ok(())
}

#[test]
fn once_prints_all_pages_or_says_why_not() -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let server = Server::of_nodes()?;
    for number in 0..120 {
        server.put(node(
            &format!("n{number:03}"),
            number,
            ["a", "b"][usize::from(number % 2)],
        ));
    }
    let folder = tempdir()?;
    let api = api(&server, &folder, fast())?;
    let ask = || runtime.block_on(once(&api, Nodes::by(ZONE)));
    let text = ask()?;
    assert!(text.starts_with("cidr,name\n10.1.0.0/24,a\n10.1.1.0/24,b\n"), "{text}");
    assert_eq!((text.lines().count(), server.good(Verb::List).len()), (241, 3));
    assert!(server.good(Verb::Watch).is_empty());
    server.allow(&[]);
    let SubnetsError::Failed(fault) = ask().expect_err("it has no rights") else {
        panic!("another error")
    };
    assert_eq!(fault.kind, Kind::Forbidden);
    let rule = "{apiGroups: [\"\"], resources: [nodes], verbs: [list, watch]}";
    assert!(
        fault.message.contains("may not list nodes") && fault.message.contains(rule),
        "{fault:?}"
    );
    Ok(())
}
