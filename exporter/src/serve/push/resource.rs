//! Who pushes: the resource of all metrics.
//! It must never hold what changes while the process runs. From the process, its host, and by the SDK's detectors from
//! `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`, which win; to the encoder.

use crate::lifecycle::host::Host;
use opentelemetry::Key;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_sdk::{
    Resource as Detected,
    resource::{EnvResourceDetector, ResourceDetector, SdkProvidedResourceDetector},
};
use std::{collections::BTreeMap, fs};
use tcpvitals_metrics::{encode::otlp::request::attribute, families::PREFIX};

const SERVICE_NAME: &str = "service.name";
/// What the SDK calls a service that was not named.
const UNKNOWN: &str = "unknown_service";

/// The resource of this process.
pub fn detect() -> Resource {
    let mut attributes = BTreeMap::from([
        (SERVICE_NAME.to_owned(), PREFIX.to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    let found = [
        ("service.instance.id", instance()),
        ("host.name", Some(Host::read().name).filter(|name| !name.is_empty())),
    ];
    let found = found
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    attributes.extend(found);
    attributes.extend(texts(&EnvResourceDetector::new().detect()));
    let service = SdkProvidedResourceDetector.detect();
    let service = service
        .get(&Key::from_static_str(SERVICE_NAME))
        .map(|name| name.to_string());
    attributes.extend(
        service
            .filter(|name| !name.starts_with(UNKNOWN))
            .map(|name| (SERVICE_NAME.to_owned(), name)),
    );
    Resource {
        attributes: attributes
            .into_iter()
            .map(|(key, value)| attribute(key, value))
            .collect(),
        ..Resource::default()
    }
}

fn texts(resource: &Detected) -> impl Iterator<Item = (String, String)> {
    resource.iter().map(|(key, value)| (key.to_string(), value.to_string()))
}

/// A random UUID, made by the kernel: another one for every start, as the counters begin anew.
fn instance() -> Option<String> {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").ok()?;
    Some(uuid.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::any_value;

    #[test]
    fn the_resource_names_service_instance_and_host() {
        let resource = detect();
        let text = |key: &str| {
            let own = resource
                .attributes
                .iter()
                .find(|attribute| attribute.key == key)
                .unwrap();
            let value = own.value.clone().unwrap().value.unwrap();
            let any_value::Value::StringValue(text) = value else {
                panic!("{key} is {value:?}")
            };
            text
        };
        assert_eq!(text("service.version"), env!("CARGO_PKG_VERSION"));
        assert_eq!(text("service.instance.id").len(), 36);
        assert_eq!(
            text("host.name"),
            fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim()
        );
        let keys: Vec<&str> = resource
            .attributes
            .iter()
            .map(|attribute| attribute.key.as_str())
            .collect();
        assert!(keys.is_sorted(), "{keys:?}");
    }
}
