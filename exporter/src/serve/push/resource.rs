//! Who pushes: the resource of all metrics.
//! It must never hold what changes while the process runs. From the host, and from `OTEL_RESOURCE_ATTRIBUTES` and
//! `OTEL_SERVICE_NAME`, which win; to the encoder.

use crate::lifecycle::host::Host;
use opentelemetry_proto::tonic::{common::v1::EntityRef, resource::v1::Resource};
use std::{collections::BTreeMap, fs};
use tcpvitals_config::resource_attributes;
use tcpvitals_metrics::{
    encode::otlp::request::{SCHEMA, attribute},
    families::PREFIX,
};
use uuid::{Uuid, uuid};

const SERVICE_NAME: &str = "service.name";
const SERVICE_VERSION: &str = "service.version";
const INSTANCE: &str = "service.instance.id";
const HOST_NAME: &str = "host.name";
/// The namespace of our instances: a random UUID, made once.
const INSTANCES: Uuid = uuid!("6f0c1a52-9a0e-4c0b-8f57-3d1c7be2d4a9");
/// The first that holds an id is the machine's: systemd's, D-Bus's, and the firmware's, which only root may read.
const MACHINE: [&str; 3] = [
    "/etc/machine-id",
    "/var/lib/dbus/machine-id",
    "/sys/class/dmi/id/product_uuid",
];

/// The resource of this process; logs what is wrong with the environment.
pub fn detect() -> Resource {
    let (said, warning) = resource_attributes();
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    let machine = MACHINE
        .iter()
        .find_map(|path| machine_id(&fs::read_to_string(path).ok()?));
    resource(said, Host::read().name, machine.as_deref())
}

fn resource(said: BTreeMap<String, String>, host: String, machine: Option<&str>) -> Resource {
    let mut attributes = BTreeMap::from([
        (SERVICE_NAME.to_owned(), PREFIX.to_owned()),
        (SERVICE_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    if !host.is_empty() {
        attributes.insert(HOST_NAME.to_owned(), host);
    }
    attributes.extend(said);
    let host = attributes.get(HOST_NAME).cloned().unwrap_or_default();
    let id = || instance(machine.unwrap_or_default(), &host);
    attributes.entry(INSTANCE.to_owned()).or_insert_with(id);
    Resource {
        attributes: attributes
            .into_iter()
            .map(|(key, value)| attribute(key, value))
            .collect(),
        entity_refs: vec![
            entity("service", SERVICE_NAME, &[SERVICE_VERSION]),
            entity("service.instance", INSTANCE, &[]),
        ],
        ..Resource::default()
    }
}

fn entity(kind: &str, id: &str, description: &[&str]) -> EntityRef {
    EntityRef {
        schema_url: SCHEMA.to_owned(),
        r#type: kind.to_owned(),
        id_keys: vec![id.to_owned()],
        description_keys: description.iter().map(|key| (*key).to_owned()).collect(),
    }
}

/// The same after every start. The name of the host tells copies of one machine apart, and pods whose image brings an id.
fn instance(machine: &str, host: &str) -> String {
    let name = format!("{machine}/{host}");
    Uuid::new_v5(&INSTANCES, name.as_bytes()).to_string()
}

/// A machine's id without hyphens; none where there is no real one.
fn machine_id(text: &str) -> Option<String> {
    let id = Uuid::try_parse(text.trim()).ok()?;
    (!id.is_nil() && !id.is_max()).then(|| id.simple().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::any_value;

    const MACHINE_ID: &str = "0123456789abcdef0123456789abcdef";

    fn texts(said: &[(&str, &str)], host: &str, machine: Option<&str>) -> BTreeMap<String, String> {
        let said = said.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let Resource {
            attributes,
            entity_refs,
            ..
        } = resource(said.collect(), host.to_owned(), machine);
        let text = |value| match value {
            Some(any_value::Value::StringValue(text)) => text,
            other => panic!("{other:?}"),
        };
        let keys: Vec<&str> = attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        for entity in entity_refs {
            let own = entity.id_keys.iter().chain(&entity.description_keys);
            assert!(own.clone().all(|key| keys.contains(&key.as_str())), "{entity:?}");
        }
        attributes
            .into_iter()
            .map(|attribute| (attribute.key, text(attribute.value.unwrap().value)))
            .collect()
    }

    #[test]
    fn the_resource_names_service_instance_and_host() {
        let own = texts(&[], "h1", Some(MACHINE_ID));
        assert_eq!(own[SERVICE_NAME], "tcpvitals");
        assert_eq!(own[SERVICE_VERSION], env!("CARGO_PKG_VERSION"));
        assert_eq!(own[HOST_NAME], "h1");
        // Python: uuid.uuid5(uuid.UUID("6f0c1a52-9a0e-4c0b-8f57-3d1c7be2d4a9"), "0123456789abcdef0123456789abcdef/h1")
        assert_eq!(own[INSTANCE], "672ef453-3590-536f-b752-7a2505848d99");
        assert_eq!(own.len(), 4);
    }

    #[test]
    fn what_the_environment_says_wins() {
        let said = [
            (SERVICE_NAME, "vitals"),
            (INSTANCE, "mine"),
            ("k8s.cluster.name", "east"),
        ];
        let own = texts(&said, "h1", Some(MACHINE_ID));
        for (key, value) in said {
            assert_eq!(own[key], value);
        }
    }

    #[test]
    fn an_instance_is_that_of_a_machine_and_a_host_and_of_no_start() {
        let of = |said: &[(&str, &str)], host: &str, machine| texts(said, host, machine)[INSTANCE].clone();
        let own = of(&[], "h1", Some(MACHINE_ID));
        assert_eq!(of(&[], "h1", Some(MACHINE_ID)), own);
        assert_eq!(of(&[(HOST_NAME, "h1")], "pod", Some(MACHINE_ID)), own);
        let others = [
            of(&[], "h2", Some(MACHINE_ID)),
            of(&[], "h1", None),
            of(&[], "", None),
            of(&[], "", Some(MACHINE_ID)),
        ];
        let all: std::collections::BTreeSet<&String> = others.iter().chain([&own]).collect();
        assert_eq!(all.len(), 5, "{all:?}");
    }

    #[test]
    fn an_id_of_a_machine_is_128_bits_in_any_case() {
        let hyphens = "01234567-89AB-CDEF-0123-456789abcdef\n";
        assert_eq!(machine_id(hyphens).as_deref(), Some(MACHINE_ID));
        for text in ["", "uninitialized\n", "00000000000000000000000000000000", "0123"] {
            assert_eq!(machine_id(text), None, "{text}");
        }
    }
}
