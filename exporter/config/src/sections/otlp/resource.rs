//! Attributes of the resource that `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` say, by the rules of OpenTelemetry.
//! It must never read the environment itself. From a look-up of variables; to the pusher.

use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// The attributes, and what to warn of. A list with a fault counts as a whole as unset, and so does an empty value.
pub(crate) fn attributes(variable: impl Fn(&str) -> Option<String>) -> (BTreeMap<String, String>, Option<String>) {
    let list = variable(ATTRIBUTES).unwrap_or_default();
    let (mut attributes, warning) = match parse(&list) {
        Ok(attributes) => (attributes, None),
        Err(what) => (BTreeMap::new(), Some(format!("{ATTRIBUTES}: ignored: {what}"))),
    };
    let name = variable(SERVICE_NAME).unwrap_or_default();
    if !name.trim().is_empty() {
        attributes.insert("service.name".to_owned(), name.trim().to_owned());
    }
    (attributes, warning)
}

/// `key=value,key=value`, keys and values percent-encoded.
fn parse(list: &str) -> Result<BTreeMap<String, String>, String> {
    let mut attributes = BTreeMap::new();
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    for (number, entry) in entries.enumerate() {
        let number = number + 1;
        let (key, value) = entry
            .split_once('=')
            .ok_or_else(|| format!("entry {number} has no =; write key=value,key=value"))?;
        let [key, value] = [key, value].map(|text| percent_decode_str(text.trim()).decode_utf8());
        let (Ok(key), Ok(value)) = (key, value) else {
            return Err(format!("entry {number} is not percent-encoded UTF-8"));
        };
        if key.is_empty() {
            return Err(format!("entry {number} has no key; write key=value,key=value"));
        }
        if !value.is_empty() {
            attributes.insert(key.into_owned(), value.into_owned());
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &str, service: &str) -> (Vec<(String, String)>, Option<String>) {
        let (attributes, warning) = attributes(|name| match name {
            ATTRIBUTES => Some(list.to_owned()),
            SERVICE_NAME => Some(service.to_owned()),
            _ => None,
        });
        (attributes.into_iter().collect(), warning)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn keys_and_values_are_decoded_and_empty_ones_count_as_unset() {
        let (attributes, warning) = of("a=x%2Cy%3D%20z, b%2Ec = M%C3%BCnchen ,d=,e=1=2,", " ");
        assert_eq!(
            attributes,
            [pair("a", "x,y= z"), pair("b.c", "München"), pair("e", "1=2")]
        );
        assert_eq!(warning, None);
        assert_eq!(attributes_of_nothing(), (BTreeMap::new(), None));
    }

    fn attributes_of_nothing() -> (BTreeMap<String, String>, Option<String>) {
        attributes(|_| None)
    }

    #[test]
    fn the_name_of_the_service_has_a_variable_of_its_own_that_wins() {
        assert_eq!(of("service.name=a", "").0, [pair("service.name", "a")]);
        assert_eq!(of("service.name=a", "b c%20").0, [pair("service.name", "b c%20")]);
    }

    #[test]
    fn a_list_with_a_fault_is_ignored_as_a_whole() {
        for (list, what) in [
            ("a=1,b", "entry 2 has no =; write key=value,key=value"),
            ("=1", "entry 1 has no key; write key=value,key=value"),
            ("a=1,b=%FF", "entry 2 is not percent-encoded UTF-8"),
        ] {
            let warning = format!("OTEL_RESOURCE_ATTRIBUTES: ignored: {what}");
            assert_eq!(
                of(list, "vitals"),
                (vec![pair("service.name", "vitals")], Some(warning))
            );
        }
    }
}
