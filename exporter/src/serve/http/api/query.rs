//! Parameters of a request: what they may be, and an error that says so.
//! It must never guess: an unknown parameter, a repeated one and a wrong value are errors.
//! Pure: from the text behind the question mark; to the routes.

use serde::Serialize;
use std::collections::BTreeMap;
use tcpvitals_config::{
    Glob,
    label::{Row, Values},
};
use tcpvitals_metrics::rows::filter::LabelFilter;

/// How many rows an answer has unless it is asked for another number, and how many it has at most.
pub const LIMIT: (usize, usize) = (100, 10_000);

/// Parameters of every list of rows.
pub const ORDERING: [&str; 3] = ["sort", "order", "limit"];

/// What is wrong with a parameter: the body of an answer with status 400.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrongParameter {
    /// One sentence: what is wrong, and what is allowed.
    pub error: String,
    pub parameter: String,
    /// What it may be, or which parameters there are.
    pub allowed: Vec<String>,
}

impl WrongParameter {
    fn new(parameter: &str, what: &str, allowed: Vec<String>) -> Self {
        let others = match allowed.len() {
            0 => "none is allowed here".to_owned(),
            _ => format!("allowed: {}", allowed.join(", ")),
        };
        Self {
            error: format!("{parameter}: {what}; {others}"),
            parameter: parameter.to_owned(),
            allowed,
        }
    }
}

/// The parameters of one request.
#[derive(Clone, Debug)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Takes the text apart; `known` are the parameters that there are.
    ///
    /// # Errors
    /// [`WrongParameter`] for an unknown or repeated one.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, WrongParameter> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if !known.contains(&&*name) {
                let known = known.iter().map(|name| String::from(*name)).collect();
                return Err(WrongParameter::new(&name, "there is no such parameter", known));
            }
            if parameters
                .insert(name.clone().into_owned(), value.into_owned())
                .is_some()
            {
                return Err(WrongParameter::new(&name, "it is given twice", vec!["once".to_owned()]));
            }
        }
        Ok(Self(parameters))
    }

    /// The text of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What the labels are asked to be; `further` are words besides those of a closed set.
    ///
    /// # Errors
    /// [`WrongParameter`] when one cannot be that.
    pub fn labels<L: Copy>(
        &self,
        all: impl IntoIterator<Item = L>,
        row: fn(L) -> &'static Row,
        further: &[&'static str],
    ) -> Result<LabelFilter<L>, WrongParameter> {
        let mut filter = LabelFilter::default();
        for label in all {
            let row = row(label);
            let name = row.label.word;
            match row.values {
                Values::Patterns => {
                    filter.patterns.extend(self.glob(name)?.map(|glob| (label, vec![glob])));
                    continue;
                }
                Values::Words(words) => {
                    let words = words();
                    let further = further.iter().filter(|word| !words.contains(*word));
                    let words: Vec<(&str, ())> = words.iter().chain(further).map(|word| (*word, ())).collect();
                    self.choice(name, &words)?;
                }
                Values::Names => {}
            }
            let value = self.text(name).map(|text| (label, vec![text.to_owned()]));
            filter.values.extend(value);
        }
        Ok(filter)
    }

    /// One of a closed set of values.
    ///
    /// # Errors
    /// [`WrongParameter`] with the whole set.
    pub fn choice<T: Copy>(&self, name: &str, all: &[(&str, T)]) -> Result<Option<T>, WrongParameter> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = all.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let words = all.iter().map(|(word, _)| String::from(*word)).collect();
            WrongParameter::new(name, &format!("there is no {name} {text:?}"), words)
        })
    }

    /// A value that a function reads; `allowed` says what it may be.
    ///
    /// # Errors
    /// [`WrongParameter`] with what the function says.
    pub fn parsed<T>(
        &self,
        name: &str,
        parse: fn(&str) -> Result<T, String>,
        allowed: &str,
    ) -> Result<Option<T>, WrongParameter> {
        let parsed = self.text(name).map(parse).transpose();
        parsed.map_err(|what| WrongParameter::new(name, &what, vec![allowed.to_owned()]))
    }

    /// A pattern.
    ///
    /// # Errors
    /// [`WrongParameter`] when it is none.
    pub fn glob(&self, name: &str) -> Result<Option<Glob>, WrongParameter> {
        let Some(text) = self.text(name) else { return Ok(None) };
        Glob::new(text)
            .map(Some)
            .map_err(|what| WrongParameter::new(name, &what, vec!["a name, in which * stands for any text".to_owned()]))
    }

    /// How many rows are wanted.
    ///
    /// # Errors
    /// [`WrongParameter`] when it is no number or too large.
    pub fn limit(&self) -> Result<usize, WrongParameter> {
        let (usual, most) = LIMIT;
        let Some(text) = self.text("limit") else {
            return Ok(usual);
        };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| {
            let what = format!("{text:?} is no such number");
            WrongParameter::new("limit", &what, vec![format!("1 to {most}")])
        })
    }

    /// Whether the order is the other way round than the usual one of a sort key, which is `falls` for what falls.
    ///
    /// # Errors
    /// [`WrongParameter`] for another word.
    pub fn reversed(&self, falls: bool) -> Result<bool, WrongParameter> {
        let wanted = self.choice("order", &[("asc", false), ("desc", true)])?;
        Ok(wanted.is_some_and(|wanted| wanted != falls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["subnet", "location", "sort", "order", "limit"];

    fn query(text: &str) -> Query {
        Query::parse(text, KNOWN).unwrap()
    }

    #[test]
    fn values_are_decoded() {
        let query = query("subnet=lab+%22B%22&limit=7");
        assert_eq!(query.text("subnet"), Some("lab \"B\""));
        assert_eq!(query.text("location"), None);
        assert_eq!(query.limit(), Ok(7));
        assert_eq!(Query::parse("", KNOWN).unwrap().limit(), Ok(LIMIT.0));
    }

    #[test]
    fn an_error_names_the_parameter_and_what_is_allowed() {
        let check = |error: WrongParameter, parameter: &str, allowed: &str| {
            assert_eq!(
                (error.parameter.as_str(), error.allowed.join(", ").as_str()),
                (parameter, allowed)
            );
            assert!(
                error.error.contains(parameter) && error.error.contains(allowed),
                "{error:?}"
            );
        };
        let error = |text| Query::parse(text, KNOWN).unwrap_err();
        check(error("port=1"), "port", "subnet, location, sort, order, limit");
        check(error("subnet=a&subnet=b"), "subnet", "once");
        for limit in ["0", "10001", "-1", "many", ""] {
            check(
                query(&format!("limit={limit}")).limit().unwrap_err(),
                "limit",
                "1 to 10000",
            );
        }
        let words = [("age", 1), ("packets", 2)];
        check(
            query("sort=rate").choice("sort", &words).unwrap_err(),
            "sort",
            "age, packets",
        );
        check(query("order=up").reversed(true).unwrap_err(), "order", "asc, desc");
        let glob = query("location=a%3Fb").glob("location").unwrap_err();
        check(glob, "location", "a name, in which * stands for any text");
    }

    #[test]
    fn the_usual_order_is_that_of_the_key() {
        for (text, falls, expected) in [
            ("", true, false),
            ("", false, false),
            ("order=desc", true, false),
            ("order=asc", true, true),
            ("order=asc", false, false),
            ("order=desc", false, true),
        ] {
            assert_eq!(query(text).reversed(falls), Ok(expected), "{text} {falls}");
        }
    }
}
