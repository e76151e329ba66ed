//! What a key may hold, as a schema: one type for each kind of value, named in `raw` as the schema of a field.
//! They must never say of a range or a set more than the module that parses it says.
//! From the ranges and sets of those modules; to the schemas of the mappings.
//!
//! A plain value of YAML may look like a number or like true: it is text to the parser, so most kinds take those types too.

use std::{borrow::Cow, ops::RangeInclusive};

use common::net::connection::ConnectionType;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{
    digits,
    label::{DropLabel, TcpLabel},
    ranges::{
        CONNECTIONS_PER_PEER, INTERVAL, IPV4_BITS, IPV6_BITS, MAX_AGE, MEMORY, PORTS, SERIES, SUBNETS, TIMEOUT,
        WORKLOADS,
    },
    sets::{Class, Compression, HistogramForm, Names, Protocol, Temporality, WorkloadSource},
    units::{COUNT, DURATION, Quantity, SIZE},
    words::{ALL, LONGEST, OTHER, TAKEN, TAKEN_BEGINNINGS},
};
use common::map::detail::Detail;

/// A kind of value and its schema.
macro_rules! values {
    ($($name:ident: $schema:expr,)+) => {$(
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )+};
}

values! {
    Name: text("name", NAME, "printable characters; not the word other"),
    Network: network(),
    Port: number(&COUNT, &PORTS),
    Ipv4Bits: number(&COUNT, &IPV4_BITS),
    Ipv6Bits: number(&COUNT, &IPV6_BITS),
    Series: number(&COUNT, &SERIES),
    ConnectionsPerPeer: number(&COUNT, &CONNECTIONS_PER_PEER),
    Prefixes: number(&COUNT, &SUBNETS),
    MostWorkloads: number(&COUNT, &WORKLOADS),
    SourceWord: word(&WorkloadSource::ALL, WorkloadSource::as_str),
    Folder: text("path", "^/", "a path from the root"),
    Memory: number(&SIZE, &MEMORY),
    MaxAge: number(&DURATION, &MAX_AGE),
    ConnectionWord: word(&ConnectionType::ALL, ConnectionType::as_str),
    DetailWord: word(&Detail::ALL, Detail::as_str),
    ClassWord: word(&Class::ALL, Class::as_str),
    TcpLabelWord: word(&TcpLabel::ALL, TcpLabel::as_str),
    DropLabelWord: word(&DropLabel::ALL, DropLabel::as_str),
    Endpoint: url(),
    ProtocolWord: word(&Protocol::ALL, Protocol::as_str),
    Interval: number(&DURATION, &INTERVAL),
    Timeout: number(&DURATION, &TIMEOUT),
    CompressionWord: word(&Compression::ALL, Compression::as_str),
    Headers: headers(),
    TemporalityWord: word(&Temporality::ALL, Temporality::as_str),
    NamesWord: word(&Names::ALL, Names::as_str),
    HistogramWord: word(&HistogramForm::ALL, HistogramForm::as_str),
    File: text("path", ".", "the path of a PEM file"),
    Device: text("pattern", DEVICE, "1 to 15 ASCII characters without a slash; ? is any one character, * at the end any rest"),
    SubnetFile: text("path", SUBNET_FILE, "the path of a .csv, .yaml or .yml file, with stars in its last part"),
    ViewName: text("name", VIEW_NAME, "letters, digits, - and _"),
    ViewPath: view_path(),
    ClassicBuckets: classic_buckets(),
    Thresholds: thresholds(),
    Glob: text("pattern", GLOB, "ASCII characters without spaces and ?[]{}\\; * is any text"),
}

/// Control characters and invisible ones ([`common::text::is_unprintable`]), in a class of characters. Those beyond ASCII stand for
/// themselves: Helm knows no `\u`.
macro_rules! unprintable {
    () => {
        concat!(
            "\\x00-\\x1f\\x7f-\\x9f\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180e}\u{200b}-\u{200f}\u{2028}-\u{202e}",
            "\u{2060}-\u{206f}\u{3164}\u{feff}\u{ffa0}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}"
        )
    };
}

/// Something that is not blank, without such characters.
const NAME: &str = concat!(
    "^[^",
    unprintable!(),
    "]*[^\\s",
    unprintable!(),
    "][^",
    unprintable!(),
    "]*$"
);
/// The path of a file of networks.
const SUBNET_FILE: &str = r"^(?:[^*]*/)?[^/]*\.(?:csv|ya?ml)$";
/// What may stand in a path as it is.
const VIEW_NAME: &str = "^[A-Za-z0-9_-]+$";
const VIEW_PATH: &str = "^(?:/[A-Za-z0-9._-]+)+$";
/// ASCII without NUL, the star and the slash.
const DEVICE: &str = r"^(?:[\x01-)+-.0-\x7f]{0,15}\*|[\x01-)+-.0-\x7f]{1,15})$";
/// Printable ASCII without the question mark, brackets, braces and the backslash.
const GLOB: &str = r"^[!->@-Z^-z|~]+$";

/// Text by a pattern, and what the pattern means.
fn text(title: &str, pattern: &str, meaning: &str) -> Schema {
    let mut schema = json_schema!({
        "title": title,
        "type": ["string", "number", "boolean"],
        "pattern": pattern,
        "patternErrorMessage": meaning,
    });
    if title == "name" {
        schema.insert("not".to_owned(), serde_json::json!({"const": OTHER}));
        schema.insert("maxLength".to_owned(), LONGEST.into());
    }
    schema
}

fn view_path() -> Schema {
    let mut schema = text("path", VIEW_PATH, "/ and letters, digits, ., -, _ and /");
    // A pattern of its own, since Helm's regular expressions cannot look ahead.
    let taken = format!("^/(?:{})$|^/(?:{})/", TAKEN.join("|"), TAKEN_BEGINNINGS.join("|"));
    let taken = serde_json::json!({"type": "string", "pattern": taken});
    schema.insert("not".to_owned(), taken);
    schema
}

/// An address and a prefix length. Of an IPv6 address only the characters are looked at.
fn network() -> Schema {
    const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
    let ipv4 = format!(r"{OCTET}(?:\.{OCTET}){{3}}/(?:3[0-2]|[12]?[0-9])");
    let ipv6 = r"[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])";
    json_schema!({
        "title": "network",
        "type": "string",
        "pattern": format!("^(?:{ipv4}|{ipv6})$"),
        "patternErrorMessage": "an IPv4 or IPv6 address and a prefix length, without address bits behind it",
    })
}

/// Where a push goes. Of the host only the characters are looked at.
fn url() -> Schema {
    json_schema!({
        "title": "URL",
        "type": "string",
        "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#@:][^\s/?#@]*(?:[/?#]\S*)?$",
        "patternErrorMessage": "http:// or https:// and a host, without user and password",
    })
}

/// Names and values. Which names the protocol keeps for itself only the parser says.
fn headers() -> Schema {
    json_schema!({
        "title": "headers",
        "type": "object",
        "propertyNames": {"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
        "additionalProperties": {"type": ["string", "number", "boolean"], "pattern": "^[ -~]*$"},
        "patternErrorMessage": "names of HTTP headers, and values of printable ASCII",
    })
}

/// Bounds by metric. Which bounds a metric has only the parser says.
fn classic_buckets() -> Schema {
    json_schema!({
        "title": "buckets",
        "type": "object",
        "additionalProperties": {
            "anyOf": [
                {"type": "string", "enum": [ALL]},
                {"type": "array", "items": {"type": ["number", "string"], "exclusiveMinimum": 0, "pattern": "^[0-9.eE+-]+$"}},
            ],
        },
        "patternErrorMessage": "names of histograms, and a list of upper bounds or the word all for each",
    })
}

fn thresholds() -> Schema {
    let decimal = |range: serde_json::Value| {
        let mut decimal =
            serde_json::json!({"type": ["number", "string", "null"], "minimum": 0, "pattern": "^[0-9]+([.][0-9]+)?$"});
        if let (Some(decimal), Some(range)) = (decimal.as_object_mut(), range.as_object()) {
            decimal.extend(range.clone());
        }
        decimal
    };
    json_schema!({
        "title": "thresholds",
        "type": "object",
        "additionalProperties": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
                "rate": decimal(serde_json::json!({})),
                "share": decimal(serde_json::json!({"maximum": 1})),
            },
        },
        "patternErrorMessage": "words of findings, and a mapping with rate and share for each",
    })
}

/// A number with a unit. Without one it is also a number to YAML.
fn number(quantity: &Quantity, allowed: &RangeInclusive<u64>) -> Schema {
    let zero = if allowed.contains(&0) { "0|" } else { "" };
    let plain = quantity.has_plain_numbers();
    let with_units: Vec<String> = quantity
        .ranges(allowed)
        .map(|(unit, range)| format!("(?:{}){unit}", digits::pattern(&range)))
        .collect();
    let others = quantity.other_forms();
    let others = others.map_or_else(String::new, |others| format!("|{others}"));
    let (least, most) = (*allowed.start(), *allowed.end());
    let (title, form) = quantity.words();
    let mut schema = json_schema!({
        "title": title,
        "type": "string",
        "pattern": format!("^(?:{zero}0*(?:{}){others})$", with_units.join("|")),
        "patternErrorMessage": format!("{} to {}; {form}", quantity.format(least), quantity.format(most)),
    });
    // A lone 0 needs no unit.
    if plain || least == 0 {
        schema.insert("type".to_owned(), serde_json::json!(["string", "integer"]));
        schema.insert("minimum".to_owned(), least.into());
        schema.insert("maximum".to_owned(), if plain { most } else { 0 }.into());
    }
    schema
}

/// One of a set.
fn word<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Schema {
    let words: Vec<&str> = all.iter().copied().map(word).collect();
    json_schema!({"type": "string", "enum": words})
}

/// A name, or how a name is made of an address: only text is a name here, and `auto` is none.
pub(crate) fn name_or_auto(auto: Schema) -> Schema {
    json_schema!({
        "anyOf": [
            {
                "title": "name",
                "type": "string",
                "pattern": NAME,
                "not": {"enum": ["auto", OTHER]},
            },
            {
                "type": "object",
                "properties": {"auto": auto},
                "required": ["auto"],
                "additionalProperties": false,
            },
            {"type": "null"},
        ]
    })
}

/// A rule that gives no part would match every drop.
pub(crate) fn gives_a_part(schema: &mut Schema) {
    let given = |part: &str| serde_json::json!({"required": [part], "properties": {part: {"not": {"type": "null"}}}});
    schema.insert("anyOf".to_owned(), vec![given("reason"), given("location")].into());
}

/// An entry that mutes nothing in particular would mute all.
pub(crate) fn mutes_something(schema: &mut Schema) {
    let given = |part: &str| serde_json::json!({"required": [part], "properties": {part: {"not": {"type": "null"}}}});
    schema.insert(
        "anyOf".to_owned(),
        ["finding", "subnet", "workload"].map(given).to_vec().into(),
    );
}

/// With both parts off, nothing is left to measure.
pub(crate) fn measures_something(schema: &mut Schema) {
    let off = |section: &str, key: &str, value: serde_json::Value| {
        let section_off =
            serde_json::json!({"required": [key], "properties": {key: {"const": value}}, "type": "object"});
        serde_json::json!({"required": [section], "properties": {section: section_off}})
    };
    let both = vec![
        off("tcp", "detail", Detail::Off.as_str().into()),
        off("drops", "enabled", false.into()),
    ];
    // The parser takes nothing for an empty mapping.
    schema.insert("not".to_owned(), serde_json::json!({"type": "object", "allOf": both}));
}

/// A certificate without its key proves nothing.
pub(crate) fn certificate_with_key(schema: &mut Schema) {
    let other = serde_json::json!({"cert_file": ["key_file"], "key_file": ["cert_file"]});
    schema.insert("dependencies".to_owned(), other);
}
