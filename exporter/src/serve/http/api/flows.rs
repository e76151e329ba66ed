//! `/api/v1/flows`: live flows. Pure: flows and parameters in, JSON out.

use super::{
    query::{ORDERING, Query, WrongParameter},
    rows::Page,
};
use serde_json::Value;
use tcpvitals_config::{TcpLabel, network};
use tcpvitals_metrics::rows::{
    filter::{EndFilter, FlowFilter},
    flows::{self, LiveFlow, SortKey},
};

pub fn parameters() -> Vec<&'static str> {
    let labels = TcpLabel::ALL.map(TcpLabel::as_str);
    labels.into_iter().chain([ADDRESS, PORT]).chain(ORDERING).collect()
}

/// A network that either address is in.
const ADDRESS: &str = "address";
/// A port that either end has.
const PORT: &str = "port";

/// The key that is used unless another is asked for.
const USUAL: &str = "transmitted_data_bytes";

/// What is wanted of the flows.
#[derive(Debug)]
pub struct Wanted {
    filter: FlowFilter,
    ends: EndFilter,
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
        let filter = query.labels(TcpLabel::ALL, TcpLabel::row, &[])?;
        let keys = SortKey::all();
        let usual = || keys.iter().find(|(word, _)| *word == USUAL).map(|(_, key)| *key);
        let key = query.choice("sort", &keys)?.or_else(usual).unwrap_or(SortKey::Remote);
        Ok(Self {
            filter,
            ends: EndFilter {
                networks: Vec::from_iter(query.parsed(ADDRESS, network, "a network or an address")?),
                ports: Vec::from_iter(query.parsed(PORT, port, "1 to 65535")?),
            },
            key,
            reversed: query.reversed(key.falls())?,
            limit: query.limit()?,
        })
    }

    pub fn answer(&self, flows: &[LiveFlow]) -> Value {
        self.page(flows).json("flows", |flow| Value::Object(flow.json()))
    }

    /// The answer as text.
    ///
    /// # Errors
    /// None: every flow has a text.
    pub fn encode(&self, flows: &[LiveFlow]) -> serde_json::Result<Vec<u8>> {
        self.page(flows).encode("flows", |flow| Value::Object(flow.json()))
    }

    fn page<'flow>(&self, flows: &'flow [LiveFlow]) -> Page<&'flow LiveFlow> {
        let matches = |flow: &&LiveFlow| {
            let ends = [flow.local(), flow.remote()].into_iter().flatten();
            self.ends.matches(ends) && self.filter.matches(|label| flow.label(label))
        };
        let mut wanted: Vec<&LiveFlow> = flows.iter().filter(matches).collect();
        flows::sort(&mut wanted, self.key, self.reversed);
        Page::cut(wanted, self.limit)
    }
}

fn port(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|port| *port != 0);
    number.ok_or_else(|| format!("{text:?} is no port"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tcpvitals_metrics::rows::samples::flow;

    #[test]
    fn flows_are_filtered_sorted_and_cut() {
        let mut flows: Vec<LiveFlow> = (1..=4)
            .map(|number| flow(number, [10, 0, 0, 2], 443, "office"))
            .collect();
        flows.push(flow(9, [10, 9, 0, 2], 443, "lab"));
        for flow in &mut flows {
            flow.record.data_octets_out = flow.record.cookie * 10;
        }
        let check = |query: &str, expected: &[u64], total: u64, cut: bool| {
            let answer = Wanted::parse(query).unwrap().answer(&flows);
            let shown = answer["flows"].as_array().unwrap();
            let cookies: Vec<u64> = shown.iter().map(|flow| flow["cookie"].as_u64().unwrap()).collect();
            assert_eq!(cookies, expected, "{query}");
            assert_eq!(
                (&answer["total"], &answer["cut"]),
                (&json!(total), &json!(cut)),
                "{query}"
            );
        };
        check("", &[9, 4, 3, 2, 1], 5, false);
        check("subnet=office&limit=2", &[4, 3], 4, true);
        check("sort=transmitted_data_bytes&order=asc&limit=1", &[1], 5, true);
        check("sort=subnet&limit=1", &[9], 5, true);
        check("role=server", &[], 0, false);
        check("address=10.9.0.0/16", &[9], 1, false);
        check("address=10.9.0.2&port=443", &[9], 1, false);
        check("port=444", &[], 0, false);
        check(
            "app_protocol=https&connection_type=wired&role=client&subnet=lab",
            &[9],
            1,
            false,
        );
    }

    #[test]
    fn wrong_values_are_refused_with_those_there_are() {
        for (query, parameter, allowed) in [
            ("sort=speed", "sort", "smoothed_rtt_seconds"),
            ("role=peer", "role", "client"),
            ("connection_type=lan", "connection_type", "wired"),
            ("order=up", "order", "asc"),
            ("limit=0", "limit", "1 to 10000"),
            ("peer=1", "peer", "app_protocol"),
            ("port=0", "port", "1 to 65535"),
            ("address=10.1.2.3/24", "address", "a network or an address"),
        ] {
            let error = Wanted::parse(query).unwrap_err();
            assert_eq!(error.parameter, parameter);
            assert!(error.allowed.iter().any(|word| word == allowed), "{error:?}");
        }
    }
}
