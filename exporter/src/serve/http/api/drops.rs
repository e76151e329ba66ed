//! `/api/v1/drops`: rows of drops as the metric has them, and where in the function. Pure: rows and parameters in, JSON out.

use super::{
    query::{ORDERING, Query, WrongParameter},
    rows::Page,
};
use common::drops::DropSource;
use serde_json::{Map, Value, json};
use tcpvitals_config::DropLabel;
use tcpvitals_metrics::{
    labels::OTHER,
    rows::{
        drops::{self, Dropped, SortKey},
        filter::DropFilter,
    },
};

pub fn parameters() -> Vec<&'static str> {
    let labels = DropLabel::ALL.map(DropLabel::as_str);
    [SOURCE].into_iter().chain(labels).chain(ORDERING).collect()
}

/// Who says that it was dropped.
const SOURCE: &str = "source";

/// What is wanted of the rows.
#[derive(Debug)]
pub struct Wanted {
    source: Option<DropSource>,
    filter: DropFilter,
    key: SortKey,
    reversed: bool,
    limit: usize,
}

impl Wanted {
    /// By the parameters of a request.
    ///
    /// # Errors
    /// [`WrongParameter`].
    pub fn parse(text: &str) -> Result<Self, WrongParameter> {
        let query = Query::parse(text, &parameters())?;
        let sources = DropSource::ALL.map(|source| (source.as_str(), source));
        let source = query.choice(SOURCE, &sources)?;
        let filter = query.labels(DropLabel::ALL, DropLabel::row, &[OTHER])?;
        let key = query.choice("sort", &SortKey::all())?.unwrap_or(SortKey::Packets);
        Ok(Self {
            source,
            filter,
            key,
            reversed: query.reversed(!matches!(key, SortKey::Label(_)))?,
            limit: query.limit()?,
        })
    }

    pub fn answer(&self, rows: &[Dropped]) -> Value {
        self.page(rows).json("drops", |dropped| row(dropped))
    }

    /// The answer as text.
    ///
    /// # Errors
    /// None: every row has a text.
    pub fn encode(&self, rows: &[Dropped]) -> serde_json::Result<Vec<u8>> {
        self.page(rows).encode("drops", |dropped| row(dropped))
    }

    fn page<'row>(&self, rows: &'row [Dropped]) -> Page<&'row Dropped> {
        let is_wanted = |row: &&Dropped| {
            self.source.is_none_or(|source| source == row.source) && self.filter.matches(|label| row.label(label))
        };
        let mut wanted: Vec<&Dropped> = rows.iter().filter(is_wanted).collect();
        drops::sort(&mut wanted, self.key, self.reversed);
        Page::cut(wanted, self.limit)
    }
}

fn row(dropped: &Dropped) -> Value {
    let Dropped {
        id: _,
        source,
        labels,
        place,
        count,
    } = dropped;
    let mut row: Map<String, Value> = Map::new();
    row.insert(SOURCE.to_owned(), json!(source.as_str()));
    row.extend(
        labels
            .iter()
            .map(|(label, value)| (label.word.to_owned(), json!(value))),
    );
    let offset = place.as_ref().map(|place| place.offset);
    row.insert("offset_bytes".to_owned(), json!(offset));
    row.insert(
        "module".to_owned(),
        json!(place.as_ref().and_then(|place| place.module.as_ref())),
    );
    row.insert("packets".to_owned(), json!(count.packets));
    row.insert("bytes".to_owned(), json!(count.bytes));
    Value::Object(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpvitals_metrics::rows::{drops::CodeAddress, samples::dropped};

    fn rows() -> Vec<Dropped> {
        vec![
            dropped(1, "ip_rcv CSUM error udp receive office wired", 5),
            dropped(2, "tcp_v4_rcv NO_SOCKET error tcp receive office wired", 9),
            dropped(3, "nft_do_chain NETFILTER_DROP policy tcp transmit lab wifi", 7),
            dropped(4, "other other other other other other other", 1),
        ]
    }

    fn check(query: &str, expected: &[&str], total: u64, cut: bool) {
        let answer = Wanted::parse(query).unwrap().answer(&rows());
        let shown = answer["drops"].as_array().unwrap();
        let locations: Vec<&str> = shown.iter().map(|row| row["location"].as_str().unwrap()).collect();
        assert_eq!(locations, expected, "{query}");
        assert_eq!(
            (&answer["total"], &answer["cut"]),
            (&json!(total), &json!(cut)),
            "{query}"
        );
    }

    #[test]
    fn rows_are_filtered_sorted_and_cut() {
        check("", &["tcp_v4_rcv", "nft_do_chain", "ip_rcv", "other"], 4, false);
        check("limit=2", &["tcp_v4_rcv", "nft_do_chain"], 4, true);
        check("subnet=office&order=asc", &["ip_rcv", "tcp_v4_rcv"], 2, false);
        check(
            "location=*_rcv&sort=location&order=desc",
            &["tcp_v4_rcv", "ip_rcv"],
            2,
            false,
        );
        check(
            "class=policy&direction=transmit&connection_type=wifi",
            &["nft_do_chain"],
            1,
            false,
        );
        check("class=other", &["other"], 1, false);
        check("source=xdp", &[], 0, false);
    }

    #[test]
    fn wrong_values_are_refused_with_those_there_are() {
        for (query, parameter, allowed) in [
            ("class=bad", "class", "benign"),
            ("protocol=TCP", "protocol", "tcp"),
            ("direction=in", "direction", "receive"),
            ("connection_type=x", "connection_type", "wired"),
            ("source=x", "source", "hardware"),
            ("sort=rate", "sort", "packets"),
            ("reason=%5B", "reason", "*"),
        ] {
            let error = Wanted::parse(query).unwrap_err();
            assert_eq!(error.parameter, parameter);
            assert!(error.allowed.iter().any(|word| word.contains(allowed)), "{error:?}");
        }
    }

    #[test]
    fn a_place_is_told_by_function_offset_and_module_and_never_by_address() {
        let mut dropped = rows().remove(0);
        let mut at = |place: Option<CodeAddress>| {
            dropped.place = place;
            let row = row(&dropped);
            assert_eq!(row.get("address"), None);
            [&row["offset_bytes"], &row["module"]].map(Value::clone)
        };
        let module = Some("nf_tables".to_owned());
        assert_eq!(
            at(Some(CodeAddress { offset: 16, module })),
            [json!(16), json!("nf_tables")]
        );
        assert_eq!(at(None), [Value::Null, Value::Null]);
    }
}
