//! What servers send, and what they should never send.

use super::{pods::Pods, *};
use proptest::prelude::*;
use serde_json::{Value, json};
use tcpvitals_metrics::workloads::{
    path::PodId,
    pods::{Controller, PodMetadata},
};

fn pods() -> Pods {
    Pods::on(Some("node1")).unwrap()
}

fn page(bytes: &[u8]) -> Result<Page<PodMetadata>, Unreadable> {
    super::page(&pods(), bytes)
}

fn line(bytes: &[u8]) -> Result<Line<PodMetadata, PodId>, Unreadable> {
    super::line(&pods(), bytes)
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// A pod of a Deployment, with what else an API server tells of its metadata.
fn whole() -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": {
            "name": "shop-7d4b9c6f5-x2x9z", "generateName": "shop-7d4b9c6f5-", "namespace": "web",
            "selfLink": "/api/v1/namespaces/web/pods/shop-7d4b9c6f5-x2x9z",
            "uid": "0c0b2a7e-4f0a-4f5e-8a56-0d6c0f7e9a11", "resourceVersion": "1234",
            "creationTimestamp": "2024-02-29T12:00:01Z",
            "labels": {"app": "shop", "pod-template-hash": "7d4b9c6f5"},
            "annotations": {"kubernetes.io/config.seen": "x", "kubernetes.io/config.source": "api"},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "1"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-7d4b9c6f5", "uid": "2", "controller": true,
                 "blockOwnerDeletion": true},
            ],
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {"f:conditions": {}}}}],
        },
    })
}

fn of_whole() -> PodMetadata {
    PodMetadata {
        uid: PodId::parse("0c0b2a7e-4f0a-4f5e-8a56-0d6c0f7e9a11").unwrap(),
        namespace: "web".to_owned(),
        name: "shop-7d4b9c6f5-x2x9z".to_owned(),
        generate_name: Some("shop-7d4b9c6f5-".to_owned()),
        pod_template_hash: Some("7d4b9c6f5".to_owned()),
        controller: Some(Controller {
            kind: "ReplicaSet".to_owned(),
            name: "shop-7d4b9c6f5".to_owned(),
        }),
        // date -d 2024-02-29T12:00:01Z +%s
        created: Some(1_709_208_001),
        config_hash: None,
        config_source: Some("api".to_owned()),
    }
}

fn list(items: &Value) -> Vec<u8> {
    bytes(&json!({"kind": "PartialObjectMetadataList", "metadata": {"resourceVersion": "77"}, "items": items}))
}

fn event(kind: &str, object: &Value) -> Result<Line<PodMetadata, PodId>, Unreadable> {
    line(&bytes(&json!({"type": kind, "object": object})))
}

#[test]
fn the_metadata_that_names_a_workload_is_read_and_nothing_else() {
    assert_eq!(page(&list(&json!([whole()]))).unwrap().objects, [of_whole()]);
    // A server that does not know the form sends the whole object.
    let mut pod = whole();
    pod["kind"] = json!("Pod");
    pod["spec"] = json!({"nodeName": "a", "containers": [{"env": [{"name": "PASSWORD", "value": "secret"}]}]});
    pod["status"] = json!({"podIP": "192.0.2.1"});
    let read = page(&list(&json!([pod]))).unwrap();
    assert_eq!(read.objects, [of_whole()]);
    assert!(!format!("{read:?}").contains("secret"));
}

#[test]
fn a_static_pod_has_the_hash_of_its_configuration() {
    const HASH: &str = "1b9a5f3c0d2e4a6b8c7d9e0f1a2b3c4d";
    let mirror = json!({"metadata": {
        "name": "etcd-node1", "namespace": "kube-system", "uid": "0c0b2a7e-4f0a-4f5e-8a56-0d6c0f7e9a12", "resourceVersion": "1",
        "annotations": {"kubernetes.io/config.hash": HASH, "kubernetes.io/config.source": "file"},
        "ownerReferences": [{"kind": "Node", "name": "node1", "controller": true}],
    }});
    let pods = page(&list(&json!([mirror]))).unwrap().objects;
    assert_eq!(pods[0].config_hash, PodId::parse(HASH));
    assert!(pods[0].config_hash.is_some());
    assert_eq!(pods[0].config_source.as_deref(), Some("file"));
    assert_eq!(pods[0].controller.as_ref().unwrap().kind, "Node");
}

#[test]
fn a_page_says_where_the_list_goes_on() {
    let read = |metadata: Value, items: Value| page(&bytes(&json!({"metadata": metadata, "items": items})));
    let last = read(json!({"resourceVersion": "5", "continue": ""}), json!([])).unwrap();
    assert_eq!((last.version.as_str(), last.next), ("5", None));
    let more = read(
        json!({"resourceVersion": "5", "continue": "abc==", "remainingItemCount": 3}),
        json!(null),
    )
    .unwrap();
    assert_eq!((more.next.as_deref(), more.objects.len()), (Some("abc=="), 0));
    for (metadata, complaint) in [
        (json!({}), "no usable resourceVersion"),
        (json!({"resourceVersion": ""}), "no usable resourceVersion"),
        (json!({"resourceVersion": "1 2"}), "no usable resourceVersion"),
        (json!({"resourceVersion": 5}), "expected a string"),
        (
            json!({"resourceVersion": "5", "continue": "x".repeat(5000)}),
            "where the list goes on",
        ),
    ] {
        let error = read(metadata.clone(), json!([])).unwrap_err().to_string();
        assert!(error.contains(complaint), "{metadata}: {error}");
    }
}

#[test]
fn events_are_told_apart() {
    assert_eq!(
        event("ADDED", &whole()).unwrap(),
        Line::Event(Box::new(Event::Added(of_whole())), "1234".to_owned())
    );
    assert_eq!(
        event("MODIFIED", &whole()).unwrap(),
        Line::Event(Box::new(Event::Modified(of_whole())), "1234".to_owned())
    );
    let uid = of_whole().uid;
    assert_eq!(
        event("DELETED", &whole()).unwrap(),
        Line::Event(Box::new(Event::Deleted { uid }), "1234".to_owned())
    );
    let bookmark = json!({"kind": "Pod", "metadata": {"resourceVersion": "99", "creationTimestamp": null}, "spec": {"containers": null}});
    assert_eq!(
        event("BOOKMARK", &bookmark).unwrap(),
        Line::Event(Box::new(Event::Bookmark), "99".to_owned())
    );
    assert_eq!(
        event("LATER", &whole()).unwrap(),
        Line::Event(Box::new(Event::Unusable), "1234".to_owned())
    );
    let gone = json!({"kind": "Status", "status": "Failure", "message": "too old", "reason": "Expired", "code": 410});
    let Line::Error(status) = event("ERROR", &gone).unwrap() else {
        panic!("no error")
    };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    // In the other order.
    let turned = format!("{{\"object\": {gone}, \"type\": \"ERROR\"}}");
    assert_eq!(line(turned.as_bytes()).unwrap(), Line::Error(status));
}

#[test]
fn a_pod_that_cannot_be_told_from_others_is_left_out_and_counted() {
    for key in ["uid", "namespace", "name"] {
        for value in [
            json!(null),
            json!(""),
            json!("a b"),
            json!("a\nb"),
            json!("é"),
            json!("x".repeat(254)),
        ] {
            let mut pod = whole();
            pod["metadata"][key] = value.clone();
            let read = page(&list(&json!([pod, whole()]))).unwrap();
            assert_eq!((read.objects.len(), read.unusable), (1, 1), "{key} {value}");
            let Line::Event(event, _) = event("ADDED", &pod).unwrap() else {
                panic!("no event")
            };
            assert_eq!(*event, Event::Unusable, "{key} {value}");
        }
    }
}

#[test]
fn a_text_that_is_too_long_or_odd_is_as_if_it_were_not_there() {
    let mut pod = whole();
    pod["metadata"]["labels"]["pod-template-hash"] = json!("x".repeat(64));
    pod["metadata"]["generateName"] = json!("a\u{1b}[2J");
    pod["metadata"]["creationTimestamp"] = json!("yesterday");
    pod["metadata"]["annotations"]["kubernetes.io/config.source"] = json!("x".repeat(9999));
    pod["metadata"]["ownerReferences"][1]["name"] = json!("");
    let read = page(&list(&json!([pod]))).unwrap();
    let expected = PodMetadata {
        generate_name: None,
        pod_template_hash: None,
        controller: None,
        created: None,
        config_source: None,
        ..of_whole()
    };
    assert_eq!(read.objects, [expected]);
}

#[test]
fn hostile_bytes_are_refused_with_little_ado() {
    let deep = format!("{{\"metadata\": {}", "[".repeat(100_000));
    let deep_unknown = format!(
        "{{\"x\": {}{}, \"metadata\": {{\"resourceVersion\": \"1\"}}, \"items\": []}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "{\"metadata\": {\"resourceVersion\": \"1\"}, \"items\": {}}",
        "{\"metadata\": {\"resourceVersion\": \"1\"}, \"items\": [{}]}",
        "{\"metadata\": {\"resourceVersion\": \"1\"}, \"items\": [{\"metadata\": {\"uid\": 5}}]}",
        "{\"metadata\": {\"resourceVersion\": \"\\ud800\"}, \"items\": []}",
        deep.as_str(),
    ] {
        assert!(page(text.as_bytes()).is_err(), "{text:.50}");
        assert!(line(text.as_bytes()).is_err(), "{text:.50}");
    }
    assert!(page(b"\xff\xfe").is_err());
    // What nobody asks for may be as deep as it likes.
    assert_eq!(page(deep_unknown.as_bytes()).unwrap().version, "1");
}

#[test]
fn a_refusal_says_why() {
    let said =
        status(br#"{"kind":"Status","code":403,"reason":"Forbidden","message":"pods is forbidden","details":{}}"#);
    assert_eq!(said.unwrap().message, "pods is forbidden");
    for other in [
        &b"<html>"[..],
        b"{}",
        b"{\"kind\": \"Pod\"}",
        b"{\"kind\":\"Status\",\"code\":-1}",
    ] {
        assert_eq!(status(other), None);
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_much(input: Vec<u8>) {
        let _any = (page(&input).is_ok(), line(&input).is_ok(), status(&input).is_some());
    }

    #[test]
    fn no_damaged_event_is_too_much(at: prop::sample::Index, byte: u8) {
        let mut input = bytes(&json!({"type": "ADDED", "object": whole()}));
        let at = at.index(input.len());
        input[at] = byte;
        if let Ok(Line::Event(event, _)) = line(&input)
            && let Event::Added(pod) = *event
        {
            prop_assert!(pod.name.len() <= LONGEST_NAME && pod.name.is_ascii());
        }
    }
}
