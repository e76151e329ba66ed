//! What an operator has to mend is named, and noticed when it is mended.

use std::fs::{copy, remove_file};

use anyhow::Result;
use tcpvitals::kubernetes::Kind;
use tests::exporter::otlp::Authority;
use tests::kubernetes::api::{Server, Verb};
use tests::kubernetes::pods::Pod;

use super::{NODE, Watch};

#[test]
fn rights_that_are_missing_are_named_and_taken_when_they_come() -> Result<()> {
    for (allowed, missing) in [(&[][..], "list"), (&[Verb::List][..], "watch")] {
        let server = Server::start(NODE)?;
        server.put(Pod::new("web", "a"));
        server.allow(allowed);
        let mut watch = Watch::start(&server)?;
        let said = watch.fails(Kind::Forbidden)?;
        let rule = "{apiGroups: [\"\"], resources: [pods], verbs: [list, watch]}";
        for words in [
            &format!("may not {missing} pods"),
            "system:serviceaccount:vitals:tcpvitals",
            rule,
        ] {
            assert!(said.contains(words), "{said}");
        }
        watch.is_quiet()?;
        server.allow(&[Verb::List, Verb::Watch]);
        watch.watches()?;
        watch.knows(&["a"])?;
    }
    Ok(())
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
