//! What is asked of an API server: lists and watches of the metadata of one node's pods.
//! It must never ask for more than that. From names and versions; to `watch`.

use form_urlencoded::Serializer;

/// For lists: metadata alone, or whole objects from a server that has no such form (before Kubernetes 1.15).
pub(super) const LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";
/// For watches, whose objects come one by one.
pub(super) const WATCH: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";

/// Pods of all namespaces.
const PODS: &str = "/api/v1/pods";

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The beginning, as the server has it in its cache: that has an index by node, and spares etcd a look at all pods of the cluster.
    Cached,
    /// The beginning, as etcd has it by now.
    Latest,
    /// What comes after a page, whose own token says so.
    Next(String),
}

/// Path and query of a part of a list.
pub(super) fn list(node: &str, part: &Part, limit: u32) -> String {
    let mut query = on(node);
    query.append_pair("limit", &limit.to_string());
    match part {
        Part::Cached => query.append_pair("resourceVersion", "0"),
        Part::Latest => &mut query,
        // The token holds the version, and a server refuses another beside it.
        Part::Next(token) => query.append_pair("continue", token),
    };
    format!("{PODS}?{}", query.finish())
}

/// Path and query of a watch from a version on, which the server ends after so many seconds.
pub(super) fn watch(node: &str, version: &str, seconds: u64) -> String {
    let mut query = on(node);
    query.append_pair("watch", "true");
    query.append_pair("resourceVersion", version);
    query.append_pair("allowWatchBookmarks", "true");
    query.append_pair("timeoutSeconds", &seconds.to_string());
    format!("{PODS}?{}", query.finish())
}

fn on(node: &str) -> Serializer<'static, String> {
    let mut query = Serializer::new(String::new());
    query.append_pair("fieldSelector", &format!("spec.nodeName={node}"));
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Uri;

    #[test]
    fn a_list_is_of_one_node_and_comes_in_pages() {
        let begins = "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1.example&limit=50";
        for (part, ends) in [
            (Part::Cached, "&resourceVersion=0"),
            (Part::Latest, ""),
            (Part::Next("a+b/c==".to_owned()), "&continue=a%2Bb%2Fc%3D%3D"),
        ] {
            assert_eq!(list("node-1.example", &part, 50), format!("{begins}{ends}"));
        }
    }

    #[test]
    fn a_watch_goes_on_from_a_version_and_ends() {
        assert_eq!(
            watch("node1", "1234", 300),
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode1&watch=true&resourceVersion=1234&allowWatchBookmarks=true\
             &timeoutSeconds=300"
        );
    }

    #[test]
    fn what_a_server_made_up_stays_a_value() {
        for odd in ["&watch=false", "#", "a b", "%", "\u{0}", "é"] {
            let uri: Uri = watch("node1", odd, 1).parse().unwrap();
            let query = uri.query().unwrap();
            let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
            assert_eq!((pairs.len(), &*pairs[2].1), (5, odd));
        }
    }
}
