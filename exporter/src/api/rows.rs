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
}
