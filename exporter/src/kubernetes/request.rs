//! What is asked of an API server: paths and queries of lists and watches.
//! It must never ask for more than its resource says. From resources and versions; to `connection`.

use super::resource::Resource;
use form_urlencoded::Serializer;

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
pub(super) fn list<R: Resource>(resource: &R, part: &Part, limit: u32) -> String {
    let mut query = of(resource);
    query.append_pair("limit", &limit.to_string());
    match part {
        Part::Cached => query.append_pair("resourceVersion", "0"),
        Part::Latest => &mut query,
        // The token holds the version, and a server refuses another beside it.
        Part::Next(token) => query.append_pair("continue", token),
    };
    format!("/api/v1/{}?{}", R::PLURAL, query.finish())
}

/// Path and query of a watch from a version on, which the server ends after so many seconds.
pub(super) fn watch<R: Resource>(resource: &R, version: &str, seconds: u64) -> String {
    let mut query = of(resource);
    query.append_pair("watch", "true");
    query.append_pair("resourceVersion", version);
    query.append_pair("allowWatchBookmarks", "true");
    query.append_pair("timeoutSeconds", &seconds.to_string());
    format!("/api/v1/{}?{}", R::PLURAL, query.finish())
}

fn of<R: Resource>(resource: &R) -> Serializer<'static, String> {
    let mut query = Serializer::new(String::new());
    if let Some(selector) = resource.selector() {
        query.append_pair("fieldSelector", &selector);
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::objects::{nodes::Nodes, pods::Pods};
    use http::Uri;

    fn on(node: &str) -> Pods {
        Pods::on(Some(node)).unwrap()
    }

    #[test]
    fn a_list_is_of_one_node_and_comes_in_pages() {
        let begins = "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1.example&limit=50";
        for (part, ends) in [
            (Part::Cached, "&resourceVersion=0"),
            (Part::Latest, ""),
            (Part::Next("a+b/c==".to_owned()), "&continue=a%2Bb%2Fc%3D%3D"),
        ] {
            assert_eq!(list(&on("node-1.example"), &part, 50), format!("{begins}{ends}"));
        }
    }

    #[test]
    fn a_watch_goes_on_from_a_version_and_ends() {
        assert_eq!(
            watch(&on("node1"), "1234", 300),
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode1&watch=true&resourceVersion=1234&allowWatchBookmarks=true\
             &timeoutSeconds=300"
        );
    }

    #[test]
    fn nodes_are_all_of_them() {
        assert_eq!(list(&Nodes::by("zone"), &Part::Latest, 50), "/api/v1/nodes?limit=50");
    }

    #[test]
    fn what_a_server_made_up_stays_a_value() {
        for odd in ["&watch=false", "#", "a b", "%", "\u{0}", "é"] {
            let uri: Uri = watch(&on("node1"), odd, 1).parse().unwrap();
            let query = uri.query().unwrap();
            let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
            assert_eq!((pairs.len(), &*pairs[2].1), (5, odd));
        }
    }
}
