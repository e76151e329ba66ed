//! What an operator has to mend is named, and noticed when it is mended.

use std::cell::Cell;
use std::fs::{copy, remove_file};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tcpvitals::kubernetes::{Kind, State, Told};
use tests::exporter::otlp::Authority;
use tests::kubernetes::api::{Server, Verb};
use tests::kubernetes::pods::Pod;

use super::{NODE, Watch};

#[test]
fn rights_that_are_missing_are_named_and_taken_when_they_come() -> Result<()> {
    let server = Server::start(NODE)?;
    server.put(Pod::new("web", "a"));
    server.allow(&[]);
    let mut watch = Watch::start(&server)?;
    require_words(&watch.fails(Kind::Forbidden)?, "list");
    watch.is_quiet()?;
    server.allow(&[Verb::List, Verb::Watch]);
    watch.watches()?;
    watch.knows(&["a"])
}

#[track_caller]
fn require_words(said: &str, missing: &str) {
    let rule = "{apiGroups: [\"\"], resources: [pods], verbs: [list, watch]}";
    let missing = format!("may not {missing} pods");
    for words in [&*missing, "system:serviceaccount:vitals:tcpvitals", rule] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn who_may_only_list_lists_again_and_again_and_watches_once_that_is_allowed() -> Result<()> {
    let server = Server::start(NODE)?;
    let first = Pod::new("web", "a");
    server.put(first.clone());
    server.allow(&[Verb::List]);
    let mut watch = Watch::start(&server)?;
    let mut said = String::new();
    watch.until("to list only", |told, _| {
        let Told::State(State::Listing(fault)) = told else {
            return false;
        };
        said.clone_from(&fault.message);
        true
    })?;
    require_words(&said, "watch");
    watch.knows(&["a"])?;
    // What comes and goes is known by the next list.
    server.put(Pod::new("web", "b"));
    watch.knows(&["a", "b"])?;
    server.delete(first);
    watch.knows(&["b"])?;
    // Not more often than the pace allows: pauses grow to 200 ms, of which a half is left to chance.
    let before = server.asked().len();
    sleep(Duration::from_secs(2));
    let lists = (server.asked().len() - before) / 2;
    assert!((1..=20).contains(&lists), "{lists} lists");
    // Nothing is said of it but once, and nothing while it goes on.
    let states = Cell::new(0);
    server.put(Pod::new("web", "c"));
    watch.until("to know c", |told, pods| {
        states.set(states.get() + usize::from(matches!(told, Told::State(_))));
        pods.len() == 2
    })?;
    assert_eq!(states.get(), 0);
    server.allow(&[Verb::List, Verb::Watch]);
    watch.watches()?;
    let lists = watch.lists;
    server.put(Pod::new("web", "d"));
    watch.knows(&["b", "c", "d"])?;
    assert_eq!(watch.lists, lists);
    // And when it is taken away again while it watches.
    server.allow(&[Verb::List]);
    server.end_watches();
    watch.until("to list only", |told, _| matches!(told, Told::State(State::Listing(_))))
}

#[test]
fn a_token_is_renewed_without_a_word_and_an_expired_one_is_named() -> Result<()> {
    let server = Server::start(NODE)?;
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    // The kubelet writes another one before the first expires.
    watch.token("second")?;
    server.accept("second");
    server.bookmark();
    server.end_watches();
    let watches = server.wait_for(Verb::Watch, 2)?;
    assert_eq!(watches[1].token, "second");
    watch.is_quiet()?;
    // Now it does not.
    server.accept("third");
    server.end_watches();
    let said = watch.fails(Kind::Unauthorized)?;
    assert!(
        said.contains("does not accept the token (status 401: Unauthorized); it has expired"),
        "{said}"
    );
    assert!(!said.contains("second"), "{said}");
    watch.token("third")?;
    watch.watches()?;
    assert_eq!(watch.lists, 1);
    Ok(())
}

#[test]
fn a_token_that_is_not_there_is_named() -> Result<()> {
    let server = Server::start(NODE)?;
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    remove_file(watch.folder.path().join("token"))?;
    server.end_watches();
    let said = watch.fails(Kind::Token)?;
    assert!(said.contains("automountServiceAccountToken: true"), "{said}");
    watch.token("first")?;
    watch.watches()
}

#[test]
fn a_server_of_another_authority_is_told_nothing() -> Result<()> {
    let mut server = Server::start(NODE)?;
    let mut watch = Watch::start(&server)?;
    watch.watches()?;
    let authority = watch.folder.path().join("ca.crt");
    copy(Authority::new()?.file(), &authority)?;
    let before = server.asked().len();
    // The connection that is there was proven; the next one is not.
    server.stop()?;
    server.go_on()?;
    let said = watch.fails(Kind::Authority)?;
    assert!(
        said.contains("ca.crt does not vouch for the API server at https://127.0.0.1:"),
        "{said}"
    );
    assert!(said.contains("it is of another authority"), "{said}");
    watch.is_quiet()?;
    assert_eq!(server.asked().len(), before);
    // It is mended without a restart.
    copy(server.authority(), &authority)?;
    watch.watches()?;
    assert_eq!(watch.lists, 1);
    Ok(())
}
