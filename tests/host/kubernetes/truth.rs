//! What is told is what the server has, whatever ends, is forgotten, or goes away meanwhile.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tcpvitals::kubernetes::{Kind, Pace, State, Told};
use tcpvitals_metrics::workloads::path::PodId;
use tcpvitals_metrics::workloads::pods::{Controller, PodMetadata};
use tests::kubernetes::api::{Odd, Server, Verb};
use tests::kubernetes::pods::{Pod, uid};
use tests::machine::wait::timed;

use super::{NODE, Watch, fast, parameter};

const HASH: &str = "1b9a5f3c0d2e4a6b8c7d9e0f1a2b3c4d";

/// The UID that belongs to a name.
fn id(name: &str) -> PodId {
    PodId::parse(&uid(name)).unwrap_or(PodId::Uid(0))
}

fn shop() -> Pod {
    Pod::new("web", "shop-7d4b9c6f5-x2x9z")
        .of("ReplicaSet", "shop-7d4b9c6f5")
        .label("pod-template-hash", "7d4b9c6f5")
}

fn of_shop() -> PodMetadata {
    PodMetadata {
        uid: id("shop-7d4b9c6f5-x2x9z"),
        namespace: "web".to_owned(),
        name: "shop-7d4b9c6f5-x2x9z".to_owned(),
        generate_name: None,
        pod_template_hash: Some("7d4b9c6f5".to_owned()),
        controller: Some(Controller {
            kind: "ReplicaSet".to_owned(),
            name: "shop-7d4b9c6f5".to_owned(),
        }),
        created: Some(1_709_208_001),
        config_hash: None,
        config_source: None,
    }
}

#[test]
fn pods_are_listed_once_and_then_followed() -> Result<()> {
    let server = Server::start(NODE)?;
    server.put(shop());
    let mut watch = Watch::start(&server)?;
    assert_eq!(watch.next()?, Told::State(State::Syncing));
    assert_eq!(watch.next()?, Told::Listed(vec![of_shop()]));
    let Told::State(State::Watching { since }) = watch.next()? else {
        panic!("it does not watch")
    };
    // This was written in 2026.
    assert!(since > Duration::from_secs(1_700_000_000));
    let plain = Pod::new("web", "plain");
    server.put(plain.clone());
    let Told::Added(added) = watch.next()? else {
        panic!("not added")
    };
    assert_eq!((added.name.as_str(), &added.controller), ("plain", &None));
    server.put(plain.clone().annotate("kubernetes.io/config.hash", HASH));
    let Told::Modified(modified) = watch.next()? else {
        panic!("not modified")
    };
    assert_eq!(modified.config_hash, PodId::parse(HASH));
    server.delete(plain);
    assert_eq!(watch.next()?, Told::Deleted { uid: id("plain") });
    watch.is_quiet()?;
    let asked = server.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    // Of the cache, which has an index by node.
    assert_eq!(parameter(&asked[0].uri, "resourceVersion"), Some("0"));
    assert_eq!(parameter(&asked[1].uri, "resourceVersion"), Some("101"));
    let seconds: u64 = parameter(&asked[1].uri, "timeoutSeconds").context("no time")?.parse()?;
    assert!((300..=600).contains(&seconds));
    Ok(())
}

#[test]
fn a_stream_that_ends_goes_on_from_the_last_version_without_a_list() -> Result<()> {
    let server = Server::start(NODE)?;
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    server.put(shop());
    watch.knows(&["shop-7d4b9c6f5-x2x9z"])?;
    for _ in 0..50 {
        server.change_elsewhere();
    }
    // Only by the bookmark does it know of these changes, before which the server forgets all.
    let version = server.bookmark();
    server.forget();
    server.end_watches();
    let watches = server.wait_for(Verb::Watch, 2)?;
    assert_eq!(
        parameter(&watches[1].uri, "resourceVersion"),
        Some(version.to_string().as_str())
    );
    server.put(Pod::new("web", "a"));
    watch.knows(&["a", "shop-7d4b9c6f5-x2x9z"])?;
    assert_eq!((watch.lists, server.good(Verb::List).len()), (1, 1));
    Ok(())
}

#[test]
fn a_stream_ends_after_its_time_and_nobody_hears_of_it() -> Result<()> {
    let server = Server::start(NODE)?;
    let second = Duration::from_secs(1);
    let pace = Pace {
        watch: second..=second,
        ..fast()
    };
    let mut watch = Watch::at(&server, pace)?;
    watch.watches()?;
    server.wait_for(Verb::Watch, 3)?;
    watch.is_quiet()?;
    assert_eq!(server.good(Verb::List).len(), 1);
    Ok(())
}

#[test]
fn a_stream_on_a_dead_connection_is_left() -> Result<()> {
    let server = Server::start(NODE)?;
    server.never_end(true);
    let second = Duration::from_secs(1);
    let pace = Pace {
        watch: second..=second,
        grace: Duration::from_millis(100),
        ..fast()
    };
    let mut watch = Watch::at(&server, pace)?;
    watch.watches()?;
    server.wait_for(Verb::Watch, 3)?;
    server.put(shop());
    watch.knows(&["shop-7d4b9c6f5-x2x9z"])?;
    assert_eq!(server.good(Verb::List).len(), 1);
    Ok(())
}

#[test]
fn a_version_that_is_forgotten_leads_to_a_list() -> Result<()> {
    for by_event in [false, true] {
        let mut server = Server::start(NODE)?;
        server.put(Pod::new("web", "a"));
        let mut watch = Watch::start(&server)?;
        watch.watches()?;
        server.put(Pod::new("web", "b"));
        watch.knows(&["a", "b"])?;
        if by_event {
            server.delete(Pod::new("web", "a"));
            server.forget();
            server.say_gone_by_event();
        } else {
            server.stop()?;
            server.delete(Pod::new("web", "a"));
            server.forget();
            server.go_on()?;
        }
        watch.knows(&["b"])?;
        watch.watches()?;
        server.put(Pod::new("web", "c"));
        watch.knows(&["b", "c"])?;
        // The old version was of events, so the cache is good enough.
        let lists = server.good(Verb::List);
        assert_eq!(parameter(&lists[1].uri, "resourceVersion"), Some("0"), "{lists:?}");
    }
    Ok(())
}

#[test]
fn a_cache_that_is_behind_is_asked_twice() -> Result<()> {
    let server = Server::start(NODE)?;
    // Lists of a version that the watch then does not know.
    let old = Odd::new(200, r#"{"metadata":{"resourceVersion":"7"},"items":[]}"#);
    server.forget();
    server.answer(Verb::List, [old.clone(), old]);
    server.put(Pod::new("web", "a"));
    let mut watch = Watch::start(&server)?;
    watch.knows(&["a"])?;
    watch.watches()?;
    let lists = server.good(Verb::List);
    let versions: Vec<_> = lists
        .iter()
        .map(|asked| parameter(&asked.uri, "resourceVersion"))
        .collect();
    assert_eq!(versions, [Some("0"), Some("0"), None]);
    Ok(())
}

#[test]
fn a_server_that_is_back_is_asked_at_once_however_long_it_was_away() -> Result<()> {
    for by_event in [false, true] {
        let mut server = Server::start(NODE)?;
        let pace = Pace {
            pauses: Duration::from_millis(20)..=Duration::from_secs(2),
            ..fast()
        };
        let mut watch = Watch::at(&server, pace)?;
        watch.watches()?;
        server.stop()?;
        watch.fails(Kind::Refused)?;
        // So long that pauses are of a second and more.
        sleep(Duration::from_secs(3));
        server.put(Pod::new("web", "a"));
        server.forget();
        if by_event {
            server.say_gone_by_event();
        }
        server.go_on()?;
        server.wait_for(Verb::Watch, 2)?;
        let (time, known) = timed(|| watch.knows(&["a"]));
        known?;
        assert!(time < Duration::from_millis(900), "{time:?}");
    }
    Ok(())
}

#[test]
fn what_happens_while_the_server_is_away_is_told_when_it_is_back() -> Result<()> {
    let mut server = Server::start(NODE)?;
    server.put(Pod::new("web", "a"));
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    server.stop()?;
    let said = watch.fails(Kind::Refused)?;
    assert!(said.contains("nobody listens at the API server's address"), "{said}");
    server.put(Pod::new("web", "b"));
    server.delete(Pod::new("web", "a"));
    // It goes on trying, tells nothing more, and takes nothing back.
    watch.is_quiet()?;
    watch.knows(&["a"])?;
    server.go_on()?;
    watch.watches()?;
    watch.knows(&["b"])?;
    assert_eq!(watch.lists, 1);
    Ok(())
}

#[test]
fn a_connection_that_is_cut_is_a_matter_of_a_moment() -> Result<()> {
    let server = Server::start(NODE)?;
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    for name in ["a", "b"] {
        server.put(Pod::new("web", name));
        watch.until("to hear", |told, _| matches!(told, Told::Added(_)))?;
        let before = server.good(Verb::Watch).len();
        server.cut();
        server.wait_for(Verb::Watch, before + 1)?;
        watch.is_quiet()?;
    }
    // Streams that break again and again before anything has come are not.
    let cut = |server: &Server| {
        let before = server.good(Verb::Watch).len();
        server.cut();
        server.wait_for(Verb::Watch, before + 1)
    };
    cut(&server)?;
    let said = watch.fails(Kind::Silence)?;
    assert!(said.contains("breaks off its answers"), "{said}");
    watch.watches()?;
    assert_eq!(watch.lists, 1);
    Ok(())
}

#[test]
fn a_server_that_is_away_at_the_start_is_waited_for() -> Result<()> {
    let mut server = Server::start(NODE)?;
    server.put(shop());
    server.stop()?;
    let mut watch = Watch::start(&server)?;
    watch.fails(Kind::Refused)?;
    assert!(watch.pods.is_empty() && watch.lists == 0);
    server.go_on()?;
    watch.watches()?;
    watch.knows(&["shop-7d4b9c6f5-x2x9z"])
}

#[test]
fn a_list_comes_in_pages_that_belong_together() -> Result<()> {
    // Two pages of 50 and the rest, which may be none; the first of them twice, and the second in vain, where the server forgets.
    for (count, forgets, lists) in [(120, false, 3), (100, false, 3), (120, true, 5)] {
        let server = Server::start(NODE)?;
        server.without_cache();
        for number in 0..count {
            server.put(Pod::new("web", &format!("pod-{number:03}")));
        }
        if forgets {
            server.forget_between_pages();
        }
        let mut watch = Watch::start(&server)?;
        watch.watches()?;
        assert_eq!((watch.pods.len(), watch.lists), (count, 1));
        let good = server.good(Verb::List);
        assert_eq!(good.len(), lists, "{good:?}");
        assert_eq!(parameter(&good[0].uri, "limit"), Some("50"));
    }
    Ok(())
}

#[test]
fn a_server_without_the_form_of_metadata_sends_whole_pods() -> Result<()> {
    let server = Server::start(NODE)?;
    server.be_old();
    server.put(shop());
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    assert_eq!(watch.pods.values().collect::<Vec<_>>(), [&of_shop()]);
    server.delete(shop());
    watch.knows(&[])
}

#[test]
fn many_changes_at_once_are_all_told() -> Result<()> {
    let server = Server::start(NODE)?;
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    let pod = |number: usize| Pod::new("web", &format!("job-{number:03}"));
    for number in 0..300 {
        server.put(pod(number));
        if number % 7 == 0 {
            server.end_watches();
        }
        if number % 3 != 0 {
            server.delete(pod(number));
        }
    }
    server.put(Pod::new("web", "last"));
    let kept = (0..300).step_by(3).map(|number| format!("job-{number:03}"));
    let names: Vec<String> = kept.chain(["last".to_owned()]).collect();
    watch.knows(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    watch.is_quiet()?;
    assert_eq!(watch.lists, 1);
    Ok(())
}
