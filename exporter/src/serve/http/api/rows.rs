//! The frame around the rows of an answer: how many there are, and whether some were left out.

use serde_json::{Value, json};

/// The rows of an answer.
#[derive(Debug)]
pub struct Page<T> {
    rows: Vec<T>,
    total: usize,
}

impl<T> Page<T> {
    /// The first `limit` of these rows.
    pub fn cut(mut rows: Vec<T>, limit: usize) -> Self {
        let total = rows.len();
        rows.truncate(limit);
        Self { rows, total }
    }

    /// The answer, with the rows under a name.
    pub fn json(&self, name: &str, row: impl Fn(&T) -> Value) -> Value {
        let Self { rows, total } = self;
        let shown: Vec<Value> = rows.iter().map(row).collect();
        json!({"total": total, "cut": shown.len() < *total, name: shown})
    }

    /// The same as text, made row by row: many rows as values take ten times the memory of their text.
    ///
    /// # Errors
    /// Those of the rows' own text.
    pub fn encode(&self, name: &str, row: impl Fn(&T) -> Value) -> serde_json::Result<Vec<u8>> {
        let Self { rows, total } = self;
        let mut text = Vec::new();
        text.extend(br#"{"cut":"#);
        serde_json::to_writer(&mut text, &(rows.len() < *total))?;
        text.push(b',');
        serde_json::to_writer(&mut text, name)?;
        text.extend(b":[");
        for (number, one) in rows.iter().enumerate() {
            if number > 0 {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, &row(one))?;
        }
        text.extend(br#"],"total":"#);
        serde_json::to_writer(&mut text, total)?;
        text.extend(b"}\n");
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_many_there_are_and_whether_it_is_cut() {
        let answer = |limit| Page::cut(vec![1, 2, 3], limit).json("numbers", |number| json!(number));
        assert_eq!(answer(2), json!({"total": 3, "cut": true, "numbers": [1, 2]}));
        assert_eq!(answer(3), json!({"total": 3, "cut": false, "numbers": [1, 2, 3]}));
    }

    #[test]
    fn the_text_says_the_same() {
        for limit in 0..4 {
            let page = Page::cut(vec![1, 2, 3], limit);
            let row = |number: &i32| json!({"a": number});
            let text = page.encode("num\"bers", row).unwrap();
            assert_eq!(
                serde_json::from_slice::<Value>(&text).unwrap(),
                page.json("num\"bers", row)
            );
        }
    }
}
