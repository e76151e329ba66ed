//! A table of one kind of rows: its columns, which of them fit, and the order, filter and cursor of its rows. Pure.

use std::cmp::Ordering;
use tcpvitals_config::Class;
use tcpvitals_metrics::{colours::Severity, findings::report::Finding};

/// What the colour of a cell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// How bad it is.
    Severity(Severity),
    /// What kind of drops they are.
    Class(Class),
}

impl Tone {
    /// The colour of other text.
    pub const PLAIN: Self = Self::Severity(Severity::Usual);
    /// More than usual.
    pub const WARNING: Self = Self::Severity(Severity::Warning);
    /// A fault.
    pub const BAD: Self = Self::Severity(Severity::Bad);

    /// Of a share of segments, packets or opens.
    pub fn of_share(share: Option<f64>) -> Self {
        Self::Severity(share.map_or(Severity::Quiet, Severity::of_share))
    }

    /// Of a share of time in which a sender waits.
    pub fn of_wait(share: Option<f64>) -> Self {
        Self::Severity(share.map_or(Severity::Quiet, Severity::of_wait))
    }

    pub fn of_finding(finding: &Finding) -> Self {
        Self::Severity(Severity::of_finding(finding.share))
    }
}

/// What rows are ordered by.
pub enum By<R> {
    /// A number, the largest first; what is not known is last.
    Number(fn(&R) -> Option<f64>),
    /// The same, of a column that shows words.
    Weight(fn(&R) -> Option<f64>),
    /// The text of the column, by the alphabet.
    Text,
    /// Another text, by the alphabet.
    Key(fn(&R) -> String),
}

/// One column.
pub struct Column<R> {
    /// What stands above it; a mark is added to that of the column that rows are ordered by.
    pub title: &'static str,
    /// The word for it on the command line.
    pub key: &'static str,
    /// Least width: no number is wider.
    pub width: u16,
    /// Width to which it grows where there is room for the texts that need it.
    pub most: u16,
    /// Columns with the largest ranks go first where there is no room.
    pub rank: u8,
    /// Only where workloads are told apart.
    pub of_workloads: bool,
    pub by: By<R>,
    /// The text of a cell, for a width.
    pub text: fn(&R, usize) -> String,
    pub tone: fn(&R) -> Tone,
}

impl<R> Column<R> {
    /// A column of numbers.
    pub const fn number(
        [title, key]: [&'static str; 2],
        width: u16,
        rank: u8,
        value: fn(&R) -> Option<f64>,
        text: fn(&R, usize) -> String,
    ) -> Self {
        Self {
            title,
            key,
            width,
            most: width,
            rank,
            of_workloads: false,
            by: By::Number(value),
            text,
            tone: |_| Tone::PLAIN,
        }
    }

    /// A column of words, which is as wide as `widths` says: at least, at most.
    pub const fn words(
        [title, key]: [&'static str; 2],
        [width, most]: [u16; 2],
        rank: u8,
        text: fn(&R, usize) -> String,
    ) -> Self {
        Self {
            title,
            key,
            width,
            most,
            rank,
            of_workloads: false,
            by: By::Text,
            text,
            tone: |_| Tone::PLAIN,
        }
    }

    /// The same with a tone.
    pub const fn toned(mut self, tone: fn(&R) -> Tone) -> Self {
        self.tone = tone;
        self
    }

    /// The same, ordered by a number.
    pub const fn weighed(mut self, value: fn(&R) -> Option<f64>) -> Self {
        self.by = By::Weight(value);
        self
    }

    /// The same, ordered by another text.
    pub const fn keyed(mut self, key: fn(&R) -> String) -> Self {
        self.by = By::Key(key);
        self
    }

    /// The same where workloads are told apart only.
    pub const fn of_workloads(mut self) -> Self {
        self.of_workloads = true;
        self
    }

    /// Whether it holds numbers, which stand at the right.
    pub const fn is_number(&self) -> bool {
        matches!(self.by, By::Number(_))
    }

    fn compare(&self, one: &R, other: &R) -> Ordering {
        match self.by {
            By::Number(value) | By::Weight(value) => {
                let value = |row| value(row).unwrap_or(f64::NEG_INFINITY);
                value(other).total_cmp(&value(one))
            }
            By::Key(key) => key(one).cmp(&key(other)),
            By::Text => (self.text)(one, usize::MAX).cmp(&(self.text)(other, usize::MAX)),
        }
    }
}

/// What a table needs to know of its rows.
pub trait Row: Sized + 'static {
    /// What tells rows apart, so that the cursor stays on its row.
    type Key: Clone + PartialEq;
    fn key(&self) -> Self::Key;
    /// What a filter finds.
    fn words(&self) -> Vec<String>;
    /// The order of rows that are equal otherwise, so that the screen stands still.
    fn tie(&self, other: &Self) -> Ordering;
    /// Rows that stand behind all others, whatever the order.
    fn is_last(&self) -> bool {
        false
    }
}

/// Rows, those that are shown, and the cursor.
pub struct Table<R: Row> {
    pub columns: &'static [Column<R>],
    rows: Vec<R>,
    /// Places of those that are shown, in order.
    shown: Vec<usize>,
    /// Which column rows are ordered by.
    pub sorted: usize,
    pub reversed: bool,
    /// The row of the cursor among those that are shown.
    pub selected: usize,
    cursor: Option<R::Key>,
    /// Whether workloads are told apart.
    pub tells_workloads: bool,
}

impl<R: Row> Table<R> {
    /// An empty table, ordered by the column of a word.
    pub fn new(columns: &'static [Column<R>], sorted: &str) -> Self {
        let mut table = Self {
            columns,
            rows: Vec::new(),
            shown: Vec::new(),
            sorted: 0,
            reversed: false,
            selected: 0,
            cursor: None,
            tells_workloads: false,
        };
        table.sort_by(sorted);
        table
    }

    /// Orders by the column of a word; false if there is none.
    pub fn sort_by(&mut self, key: &str) -> bool {
        let place = self.columns.iter().position(|column| column.key == key);
        self.sorted = place.unwrap_or(self.sorted);
        place.is_some()
    }

    /// Orders by the next column, or by that many further.
    pub fn sort_by_next(&mut self, steps: isize) {
        let is_there = |place: &usize| {
            let column = &self.columns[*place];
            self.tells_workloads || !column.of_workloads
        };
        let places: Vec<usize> = (0..self.columns.len()).filter(is_there).collect();
        let now = places.iter().position(|place| *place == self.sorted).unwrap_or(0);
        let next = now.saturating_add(places.len()).saturating_add_signed(steps) % places.len().max(1);
        self.sorted = places.get(next).copied().unwrap_or(0);
    }

    /// The column that rows are ordered by.
    pub fn column(&self) -> &'static Column<R> {
        &self.columns[self.sorted]
    }

    /// Takes new rows.
    pub fn set(&mut self, rows: Vec<R>) {
        self.rows = rows;
        self.shown.clear();
    }

    /// All rows, those that are not shown too.
    pub fn all(&self) -> &[R] {
        &self.rows
    }

    /// The same, to complete them.
    pub fn all_mut(&mut self) -> &mut [R] {
        &mut self.rows
    }

    /// The rows that are shown, in order.
    pub fn shown(&self) -> impl ExactSizeIterator<Item = &R> + Clone {
        self.shown.iter().map(|place| &self.rows[*place])
    }

    /// The row of the cursor.
    pub fn row(&self) -> Option<&R> {
        self.shown.get(self.selected).map(|place| &self.rows[*place])
    }

    /// Filters and orders anew. The cursor stays on its row, if that is still there and was chosen by somebody.
    pub fn arrange(&mut self, is_shown: impl Fn(&R) -> bool) {
        let rows = &self.rows;
        self.shown = (0..rows.len()).filter(|place| is_shown(&rows[*place])).collect();
        let column = self.column();
        let reversed = self.reversed;
        self.shown.sort_by(|one, other| {
            let (one, other) = (&rows[*one], &rows[*other]);
            let order = column.compare(one, other);
            let order = if reversed { order.reverse() } else { order };
            one.is_last()
                .cmp(&other.is_last())
                .then(order)
                .then_with(|| one.tie(other))
        });
        let place = self.cursor.as_ref().filter(|_| self.selected != 0);
        let place = place.and_then(|key| self.shown().position(|row| row.key() == *key));
        self.select(place.unwrap_or(self.selected));
    }

    /// Puts the cursor on a row, or on the last one.
    pub fn select(&mut self, row: usize) {
        self.selected = row.min(self.shown.len().saturating_sub(1));
        self.cursor = self.row().map(Row::key);
    }

    /// Puts the cursor on the first row that is wanted.
    pub fn select_first(&mut self, is_wanted: impl Fn(&R) -> bool) {
        let place = self.shown().position(is_wanted);
        if let Some(row) = place {
            self.select(row);
        }
    }

    /// Which columns fit into a width, and how wide each is. None is narrower than its numbers; the one that rows are ordered by
    /// is always there. Those of [`EXTRA`] ranks come once the others have room for their texts. `drawn` are the rows that will be
    /// drawn.
    pub fn fit(&self, width: u16, drawn: &[&R]) -> Vec<(usize, u16)> {
        let there = self.columns.iter().enumerate();
        let there = there.filter(|(_, column)| self.tells_workloads || !column.of_workloads);
        let mut by_rank: Vec<(usize, &Column<R>)> = there.collect();
        by_rank.sort_by_key(|(place, column)| (*place != self.sorted, column.rank));
        let longest = |column: &Column<R>| {
            if column.most == column.width {
                return column.width;
            }
            let texts = drawn
                .iter()
                .map(|row| (column.text)(row, column.most.into()).chars().count());
            let longest = u16::try_from(texts.max().unwrap_or(0)).unwrap_or(u16::MAX);
            longest.clamp(column.width, column.most)
        };
        let is_extra = |(place, column): &(usize, &Column<R>)| column.rank >= EXTRA && *place != self.sorted;
        let (extra, needed): (Vec<_>, Vec<_>) = by_rank.into_iter().partition(is_extra);
        let mut left = width;
        let mut fitting: Vec<(usize, u16)> = Vec::new();
        let wanted = needed.len();
        for (place, column) in needed {
            let space = u16::from(!fitting.is_empty());
            let Some(rest) = left.checked_sub(column.width + space) else {
                break;
            };
            left = rest;
            fitting.push((place, column.width));
        }
        for (place, own) in &mut fitting {
            let more = longest(&self.columns[*place]).saturating_sub(*own).min(left);
            *own += more;
            left -= more;
        }
        // Before all that is needed is there, nothing else is.
        let extra = extra.into_iter().filter(|_| fitting.len() >= wanted);
        for (place, column) in extra.collect::<Vec<_>>() {
            let own = longest(column);
            let Some(rest) = left.checked_sub(own + 1) else { break };
            left = rest;
            fitting.push((place, own));
        }
        if fitting.is_empty() {
            fitting.push((self.sorted, width));
        }
        fitting.sort_unstable();
        fitting
    }
}

/// From this rank on columns are extras for wide screens.
pub const EXTRA: u8 = 10;

/// What keys do to a table, whatever its rows are.
pub trait AnyTable {
    /// Orders by the column of a word; false if there is none.
    fn sort_by(&mut self, key: &str) -> bool;
    /// Orders by a column that many further.
    fn sort_by_next(&mut self, steps: isize);
    /// Turns the order round.
    fn reverse(&mut self);
    /// Moves the cursor.
    fn step(&mut self, steps: isize);
    /// Puts the cursor on a row, or on the last one.
    fn select(&mut self, row: usize);
    /// The words of the columns.
    fn keys(&self) -> Vec<&'static str>;
    /// How many rows are shown, and how many there are.
    fn counts(&self) -> (usize, usize);
}

impl<R: Row> AnyTable for Table<R> {
    fn sort_by(&mut self, key: &str) -> bool {
        Self::sort_by(self, key)
    }

    fn sort_by_next(&mut self, steps: isize) {
        Self::sort_by_next(self, steps);
    }

    fn reverse(&mut self) {
        self.reversed = !self.reversed;
    }

    fn step(&mut self, steps: isize) {
        self.select(self.selected.saturating_add_signed(steps));
    }

    fn select(&mut self, row: usize) {
        Self::select(self, row);
    }

    fn keys(&self) -> Vec<&'static str> {
        self.columns.iter().map(|column| column.key).collect()
    }

    fn counts(&self) -> (usize, usize) {
        (self.shown.len(), self.rows.len())
    }
}

/// Whether each word of a filter is found in the texts of a row, upper and lower case alike.
pub fn matches(filter: &str, row: &impl Row) -> bool {
    // Rows may be many, and mostly there is no filter.
    if filter.trim().is_empty() {
        return true;
    }
    let text = row.words().join(" ").to_lowercase();
    filter.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fruit(&'static str, f64);

    impl Row for Fruit {
        type Key = &'static str;

        fn key(&self) -> &'static str {
            self.0
        }

        fn words(&self) -> Vec<String> {
            vec![self.0.to_owned()]
        }

        fn tie(&self, other: &Self) -> Ordering {
            self.0.cmp(other.0)
        }

        fn is_last(&self) -> bool {
            self.0 == "rotten"
        }
    }

    const COLUMNS: &[Column<Fruit>] = &[
        Column::words(["NAME", "name"], [6, 12], 1, |fruit, _| fruit.0.to_owned()),
        Column::number(
            ["KG", "kg"],
            5,
            0,
            |fruit| Some(fruit.1),
            |fruit, _| fruit.1.to_string(),
        ),
        Column::words(["ORIGIN", "origin"], [10, 10], EXTRA, |_, _| "here".to_owned()),
        Column::words(["OWNER", "owner"], [10, 10], 3, |_, _| "me".to_owned()).of_workloads(),
    ];

    fn table() -> Table<Fruit> {
        let mut table = Table::new(COLUMNS, "kg");
        table.set(vec![
            Fruit("pear", 2.0),
            Fruit("rotten", 9.0),
            Fruit("watermelon", 5.0),
            Fruit("apple", 2.0),
        ]);
        table.arrange(|_| true);
        table
    }

    fn names(table: &Table<Fruit>) -> Vec<&'static str> {
        table.shown().map(|fruit| fruit.0).collect()
    }

    #[test]
    fn rows_are_ordered_by_any_column_and_some_stay_last() {
        let mut table = table();
        assert_eq!(names(&table), ["watermelon", "apple", "pear", "rotten"]);
        table.reversed = true;
        table.arrange(|_| true);
        assert_eq!(names(&table), ["apple", "pear", "watermelon", "rotten"]);
        assert!(table.sort_by("name") && !table.sort_by("weight"));
        table.reversed = false;
        table.arrange(|fruit| matches("E a", fruit));
        assert_eq!(names(&table), ["apple", "pear", "watermelon"]);
    }

    #[test]
    fn keys_walk_through_the_columns_that_there_are() {
        let mut table = table();
        table.sort_by_next(1);
        assert_eq!(table.column().key, "origin");
        table.sort_by_next(1);
        assert_eq!(table.column().key, "name");
        table.sort_by_next(-1);
        assert_eq!(table.column().key, "origin");
        table.tells_workloads = true;
        table.sort_by_next(1);
        assert_eq!(table.column().key, "owner");
    }

    #[test]
    fn the_cursor_stays_on_its_row() {
        let mut table = table();
        table.step(2);
        assert_eq!(table.row().unwrap().0, "pear");
        table.sort_by("name");
        table.arrange(|_| true);
        assert_eq!((table.row().unwrap().0, table.selected), ("pear", 1));
        table.arrange(|fruit| fruit.0 == "apple");
        assert_eq!(table.selected, 0);
        table.arrange(|_| false);
        assert!(table.row().is_none());
        table.arrange(|_| true);
        table.select_first(|fruit| fruit.0 == "watermelon");
        assert_eq!(table.row().unwrap().0, "watermelon");
    }

    #[test]
    fn columns_go_whole_and_grow_for_long_texts() {
        let table = table();
        let drawn: Vec<&Fruit> = table.shown().collect();
        let fit = |width| table.fit(width, &drawn);
        assert_eq!(fit(80), [(0, 10), (1, 5), (2, 10)]);
        // The names have their room before the extra column does.
        assert_eq!(fit(26), [(0, 10), (1, 5)]);
        assert_eq!(fit(13), [(0, 7), (1, 5)]);
        assert_eq!(fit(11), [(1, 5)]);
        assert_eq!(fit(3), [(1, 3)]);
    }
}
