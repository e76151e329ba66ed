//! A server that is none, or wants to harm: nothing is believed, nothing fills memory or log, and the token goes nowhere else.

use std::time::Duration;

use anyhow::Result;
use tcpvitals::kubernetes::{Kind, Pace};
use tests::kubernetes::api::{Odd, Server, Verb};
use tests::kubernetes::pods::Pod;

use super::{NODE, Watch, fast, parameter};

/// A list is answered so, once; then all is well.
#[test]
fn a_list_that_is_none_is_refused() -> Result<()> {
    let many = |count: usize| {
        let pod = r#"{"metadata":{"uid":"0c0b2a7e-4f0a-4f5e-8a56-0d6c0f7e9a11","name":"n","namespace":"s"}}"#;
        format!(
            r#"{{"metadata":{{"resourceVersion":"1"}},"items":[{}]}}"#,
            vec![pod; count].join(",")
        )
    };
    let for_ever = r#"{"metadata":{"resourceVersion":"1","continue":"x"},"items":[]}"#;
    for (odd, kind, words) in [
        (
            Odd::new(200, "<html>").header("content-type", "text/html"),
            Kind::Answer,
            "it is no JSON",
        ),
        (Odd::new(200, "<html>"), Kind::Answer, "no JSON of the expected form"),
        (
            Odd::new(200, "{\"metadata\": {"),
            Kind::Answer,
            "no JSON of the expected form",
        ),
        (
            Odd::new(200, "{\"metadata\": {}, \"items\": []}"),
            Kind::Answer,
            "no usable resourceVersion",
        ),
        (Odd::new(200, many(10_001)), Kind::Answer, "more than 10000 pods"),
        (
            Odd::new(404, "404 page not found\n"),
            Kind::Answer,
            "(status 404: 404 page not found)",
        ),
        (Odd::new(500, vec![b'x'; 1 << 20]), Kind::Busy, "cannot list pods now"),
        (Odd::new(503, "\u{1b}[2J\n"), Kind::Busy, "\\u{1b}"),
        (Odd::new(204, ""), Kind::Answer, "status 204"),
        (
            Odd::new(200, for_ever).header("content-type", "application/json;stream=watch"),
            Kind::Answer,
            "continue key is not valid",
        ),
    ] {
        let server = Server::start(NODE)?;
        server.put(Pod::new("web", "a"));
        let shown = format!("{odd:.200?}");
        server.answer(Verb::List, [odd]);
        let mut watch = Watch::start(&server)?;
        let said = watch.fails(kind)?;
        assert!(said.contains(words), "{shown}: {said}");
        assert!(said.len() < 1500 && !said.contains(char::is_control), "{shown}: {said}");
        watch.watches()?;
        watch.knows(&["a"])?;
        assert_eq!(watch.lists, 1, "{shown}");
    }
    Ok(())
}

#[test]
fn a_redirect_does_not_lead_the_token_away() -> Result<()> {
    let elsewhere = Server::start(NODE)?;
    let server = Server::start(NODE)?;
    for status in [301, 302, 307, 308] {
        let to = format!("{}/api/v1/pods", elsewhere.url());
        server.answer(Verb::List, [Odd::new(status, "").header("location", &to)]);
    }
    let mut watch = Watch::start(&server)?;
    let said = watch.fails(Kind::Answer)?;
    assert!(
        said.contains("sends elsewhere (status 301), where the token must not go"),
        "{said}"
    );
    watch.watches()?;
    assert!(elsewhere.asked().is_empty());
    Ok(())
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_parts() -> Result<()> {
    let server = Server::start(NODE)?;
    let large = Odd::new(200, vec![b' '; 1 << 20]).endless();
    server.answer(Verb::List, [large.clone(), large]);
    server.put(Pod::new("web", "a"));
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    watch.knows(&["a"])?;
    let lists = server.good(Verb::List);
    let limits: Vec<_> = lists.iter().map(|asked| parameter(&asked.uri, "limit")).collect();
    assert_eq!(limits, [Some("50"), Some("12"), Some("3")]);
    // Of the cache it would come whole.
    assert_eq!(parameter(&lists[1].uri, "resourceVersion"), None);
    Ok(())
}

#[test]
fn a_single_page_of_any_size_is_named() -> Result<()> {
    let server = Server::start(NODE)?;
    let large = Odd::new(200, vec![b' '; 1 << 20]).endless();
    server.answer(Verb::List, vec![large; 4]);
    let mut watch = Watch::start(&server)?;
    let said = watch.fails(Kind::Answer)?;
    assert!(said.contains("a single pod is larger than can be"), "{said}");
    watch.watches()
}

#[test]
fn a_stream_that_says_odd_things_leads_to_a_list() -> Result<()> {
    let status = r#"{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcdserver: leader changed"}}"#;
    let number = r#"{"type":"ADDED","object":{"metadata":{"uid":5,"resourceVersion":"1"}}}"#;
    for (odd, kind, words) in [
        (
            Odd::new(200, "nonsense\n").held(),
            Kind::Answer,
            "no JSON of the expected form",
        ),
        (
            Odd::new(200, format!("{number}\n")).held(),
            Kind::Answer,
            "expected a string",
        ),
        (
            Odd::new(200, format!("{status}\n")).held(),
            Kind::Busy,
            "etcdserver: leader changed",
        ),
        (
            Odd::new(200, vec![b'x'; 1 << 20]).endless(),
            Kind::Answer,
            "a line of more than 4194304 bytes",
        ),
    ] {
        let server = Server::start(NODE)?;
        let mut watch = Watch::start(&server)?;
        watch.watches()?;
        server.put(Pod::new("web", "a"));
        watch.knows(&["a"])?;
        server.answer(Verb::Watch, [odd]);
        server.end_watches();
        let said = watch.fails(kind)?;
        assert!(said.contains(words), "{said}");
        watch.watches()?;
        assert_eq!(watch.lists, 2, "{said}");
        server.put(Pod::new("web", "b"));
        watch.knows(&["a", "b"])?;
    }
    Ok(())
}

#[test]
fn a_pod_without_an_identity_hides_no_other() -> Result<()> {
    let server = Server::start(NODE)?;
    let nobody =
        r#"{"type":"ADDED","object":{"metadata":{"uid":"","name":"x","namespace":"y","resourceVersion":"100"}}}"#;
    let later = r#"{"type":"LATER","object":{"metadata":{"resourceVersion":"100"}}}"#;
    server.answer(Verb::Watch, [Odd::new(200, format!("{nobody}\n\n{later}\r\n")).held()]);
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    server.put(Pod::new("web", "a"));
    watch.knows(&["a"])?;
    assert_eq!((watch.lists, server.good(Verb::Watch).len()), (1, 1));
    Ok(())
}

#[test]
fn streams_that_end_at_once_are_not_asked_for_without_a_pause() -> Result<()> {
    let server = Server::start(NODE)?;
    server.answer(Verb::Watch, vec![Odd::new(200, ""); 1000]);
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    std::thread::sleep(Duration::from_secs(1));
    // Pauses of 20, 20 to 40, 40 to 80, 80 to 160 and then 100 to 200 ms.
    let asked = server.good(Verb::Watch).len();
    assert!((2..=20).contains(&asked), "{asked} in a second");
    Ok(())
}

#[test]
fn versions_that_are_always_too_old_are_not_asked_for_without_a_pause() -> Result<()> {
    let server = Server::start(NODE)?;
    server.answer(Verb::Watch, vec![Odd::new(410, ""); 1000]);
    let pace = Pace {
        pauses: Duration::from_millis(20)..=Duration::from_secs(2),
        ..fast()
    };
    let _watch = Watch::at(&server, pace)?;
    std::thread::sleep(Duration::from_secs(1));
    // The shortest pauses are of 20, 20, 40, 80, 160, 320 and 640 ms.
    let lists = server.good(Verb::List).len();
    assert!((2..=8).contains(&lists), "{lists} in a second");
    Ok(())
}

#[test]
fn a_server_that_asks_for_patience_gets_it() -> Result<()> {
    let server = Server::start(NODE)?;
    server.answer(Verb::List, [Odd::new(429, "").header("retry-after", "3600")]);
    let pace = Pace {
        pauses: Duration::from_millis(20)..=Duration::from_secs(1),
        ..fast()
    };
    let mut watch = Watch::at(&server, pace)?;
    watch.fails(Kind::Busy)?;
    // Not longer than the longest pause, which is longer than this.
    watch.is_quiet()?;
    assert_eq!(server.good(Verb::List).len(), 1);
    watch.watches()
}

#[test]
fn a_server_that_does_not_answer_is_left() -> Result<()> {
    let server = Server::start(NODE)?;
    server.answer(Verb::List, [Odd::silence()]);
    server.answer(Verb::Watch, [Odd::silence()]);
    let pace = Pace {
        answer: Duration::from_millis(500),
        ..fast()
    };
    let mut watch = Watch::at(&server, pace)?;
    let said = watch.fails(Kind::Silence)?;
    assert!(
        said.contains("nothing within 500ms") && said.contains("NetworkPolicy"),
        "{said}"
    );
    watch.watches()?;
    assert_eq!((watch.lists, server.good(Verb::Watch).len()), (1, 2));
    Ok(())
}
