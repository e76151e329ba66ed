//! One JSON object a line, with every value that text has, under the same names.

use super::item::{self, Item, LOST, LostEvents, Setting};
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::time::{Duration, UNIX_EPOCH};

/// The line of an item, with its end.
///
/// # Errors
/// What the serializer says.
pub fn line(item: &Item, setting: &Setting) -> serde_json::Result<String> {
    serde_json::to_string(&Line { item, setting }).map(|json| json + "\n")
}

struct Line<'a> {
    item: &'a Item,
    setting: &'a Setting,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { item, setting } = self;
        let mut map = serializer.serialize_map(None)?;
        match item {
            // Shown with the events.
            Item::Workload(_) | Item::Instance(_) => {}
            Item::Lost(LostEvents { now, count }) => {
                map.serialize_entry("event", LOST)?;
                map.serialize_entry("timestamp", &timestamp(setting.wall_clock(*now)))?;
                map.serialize_entry("count", count)?;
            }
            Item::Event(kind, record) => {
                map.serialize_entry("event", kind.as_str())?;
                map.serialize_entry("timestamp", &timestamp(setting.wall_clock(record.now)))?;
                let (local, remote) = (item::local(record), item::remote(record));
                map.serialize_entry("local_address", &local.ip())?;
                map.serialize_entry("local_port", &local.port())?;
                map.serialize_entry("remote_address", &remote.ip())?;
                map.serialize_entry("remote_port", &remote.port())?;
                let seeds = item::basic(record).into_iter().chain(item::statistics(record));
                for (name, number) in seeds.chain(item::further(record)) {
                    map.serialize_entry(name, &number)?;
                }
                for (name, word) in item::words(record, &setting.names) {
                    map.serialize_entry(name, &word)?;
                }
            }
        }
        map.end()
    }
}

/// RFC 3339, in UTC, with nanoseconds.
fn timestamp(nanoseconds: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    humantime::format_rfc3339_nanos(at).to_string()
}
