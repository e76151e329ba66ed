//! One file in a ConfigMap: written by a patch, or, where there is no such map yet, by making it.
//! It must never touch another key, or another map. From texts; by `connection`.

use super::{
    connection::{Change, Connection, Setback},
    in_cluster::Api,
    status::{Fault, Kind, Question, Verb},
};
use form_urlencoded::Serializer;
use http::Method;
use prost::bytes::Bytes;
use serde_json::{Value, json};
use tcpvitals_config::ConfigError;

const PLURAL: &str = "configmaps";
/// Who wrote a field, in the map's `managedFields`.
const MANAGER: &str = "tcpvitals-subnets";
/// Most bytes of the file: all data of a map have at most 1 MiB, and a request a little more than that.
pub(crate) const MOST: usize = 1_000_000;

/// A file in a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMap {
    namespace: String,
    name: String,
    key: String,
}

impl ConfigMap {
    /// The file `key` of the map `name`.
    ///
    /// # Errors
    /// [`ConfigError`] for a name that Kubernetes does not allow.
    pub fn new(namespace: &str, name: &str, key: &str) -> Result<Self, ConfigError> {
        let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_dotted = |byte: u8| is_lower(byte) || byte == b'.';
        let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let check = |flag: &str, text: &str, longest: usize, allowed: &dyn Fn(u8) -> bool| {
            if !text.is_empty() && text.len() <= longest && text.bytes().all(allowed) && !text.starts_with('.') {
                return Ok(text.to_owned());
            }
            Err(ConfigError::of_setting(
                flag,
                format!("{text:?} is no name that Kubernetes allows there"),
            ))
        };
        Ok(Self {
            namespace: check("--namespace", namespace, 63, &is_lower)?,
            name: check("--config-map", name, 253, &is_dotted)?,
            key: check("--key", key, 253, &is_key)?,
        })
    }

    /// Writes the file.
    pub(super) async fn write(&self, connection: &Connection, api: &Api, text: &str) -> Result<(), Setback> {
        // Another one may make it between the first two.
        for change in [self.patch(text), self.create(text), self.patch(text)] {
            if connection.write(api, &change).await? {
                return Ok(());
            }
        }
        let what = format!(
            "the ConfigMap {} can be neither patched nor made; see that there is a namespace {}",
            self.name, self.namespace
        );
        Err(Fault::new(Kind::Answer, what).into())
    }

    /// RFC 7396: what is not named stays.
    fn patch(&self, text: &str) -> Change {
        let body = json!({"data": {self.key.as_str(): text}});
        let path = format!("{}/{}", self.folder(), self.name);
        self.change(Verb::Patch, Method::PATCH, &path, "application/merge-patch+json", &body)
    }

    fn create(&self, text: &str) -> Change {
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": self.name, "labels": {"app.kubernetes.io/managed-by": MANAGER}},
            "data": {self.key.as_str(): text},
        });
        self.change(Verb::Create, Method::POST, &self.folder(), "application/json", &body)
    }

    fn change(&self, verb: Verb, method: Method, path: &str, form: &'static str, body: &Value) -> Change {
        let mut query = Serializer::new(String::new());
        query.append_pair("fieldManager", MANAGER);
        Change {
            question: Question::new(verb, PLURAL),
            method,
            path: format!("{path}?{}", query.finish()),
            form,
            body: Bytes::from(body.to_string()),
        }
    }

    fn folder(&self) -> String {
        format!("/api/v1/namespaces/{}/{PLURAL}", self.namespace)
    }
}

/// Writes files into a map, over a connection that it keeps while all is well.
#[derive(Debug)]
pub(crate) struct Writer {
    api: Api,
    map: ConfigMap,
    connection: Option<Connection>,
}

impl Writer {
    pub(crate) const fn new(api: Api, map: ConfigMap) -> Self {
        Self {
            api,
            map,
            connection: None,
        }
    }

    /// Writes the file once.
    pub(crate) async fn write(&mut self, text: &str) -> Result<(), Setback> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::new(&self.api)?,
        };
        self.map.write(&connection, &self.api, text).await?;
        self.connection = Some(connection);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kubernetes_allows() {
        ConfigMap::new("monitoring", "tcpvitals-zones", "zones.csv").unwrap();
        for (namespace, name, key) in [
            ("", "a", "a"),
            ("A", "a", "a"),
            ("a.b", "a", "a"),
            ("a/b", "a", "a"),
            ("a", "a/b", "a"),
            ("a", "..", "a"),
            ("a", "a?x", "a"),
            ("a", "a", "a/b"),
            ("a", "a", "../b"),
            ("a", "a", ""),
        ] {
            let error = ConfigMap::new(namespace, name, key).unwrap_err().to_string();
            assert!(error.contains("is no name that Kubernetes allows"), "{error}");
        }
    }

    #[test]
    fn a_patch_names_one_file_alone() {
        let map = ConfigMap::new("monitoring", "zones", "zones.csv").unwrap();
        let patch = map.patch("cidr,name\n");
        assert_eq!(
            patch.path,
            "/api/v1/namespaces/monitoring/configmaps/zones?fieldManager=tcpvitals-subnets"
        );
        assert_eq!(patch.body, Bytes::from("{\"data\":{\"zones.csv\":\"cidr,name\\n\"}}"));
        let create = map.create("");
        assert_eq!(
            create.path,
            "/api/v1/namespaces/monitoring/configmaps?fieldManager=tcpvitals-subnets"
        );
    }
}
