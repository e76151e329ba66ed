//! Connection types by device name, for devices that the kernel's own fields tell wrongly.
//! It must never reorder the patterns: the first match wins.
//! From `connection_types` of the file; to the kernel programs, as masked comparisons.

use common::{
    map::settings::OVERRIDES,
    net::connection::{ConnectionType, NamePattern},
};

use crate::{
    file::{Problem, choose},
    kinds::words,
    raw::RawConnectionType,
};

/// Every pattern with its type, in the order of the file.
pub(crate) fn parse(raw: &[RawConnectionType]) -> Result<Vec<(NamePattern, ConnectionType)>, Problem> {
    let mut table = Vec::new();
    for (index, RawConnectionType { kind, interfaces }) in raw.iter().enumerate() {
        let key = format!("connection_types[{index}]");
        let connection = choose(
            &format!("{key}.type"),
            kind,
            "a connection type",
            &ConnectionType::ALL,
            ConnectionType::as_str,
        )?;
        if interfaces.is_empty() {
            let what = "the list is empty; give at least one device name";
            return Err(Problem::new(format!("{key}.interfaces"), what));
        }
        for (index, text) in interfaces.iter().enumerate() {
            let key = format!("{key}.interfaces[{index}]");
            let text = words::given(&key, text.as_ref())?;
            let pattern = NamePattern::new(text).ok_or_else(|| {
                let what = format!(
                    "{text:?} cannot match a device name; write 1 to 15 ASCII characters without a slash, \
                     with ? for any one character and * only at the end, for example eth0.*"
                );
                Problem::new(key, what)
            })?;
            table.push((pattern, connection));
        }
    }
    if table.len() > OVERRIDES {
        let what = format!(
            "{} device-name patterns are too many; write at most {OVERRIDES} and merge some with *",
            table.len()
        );
        return Err(Problem::new("connection_types", what));
    }
    Ok(table)
}
