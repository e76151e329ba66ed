//! How deep a text is nested and how much is in it, in one pass and before any parser sees it: the parser's work grows with the
//! square of the depth, and it takes more than a hundred bytes of memory for each word.
//! It must never judge anything else. Brackets in quotes, comments and block texts open nothing; in a text that is no YAML it
//! may count too many. From `document`, and back to it.

/// Deepest nesting: far more than any setting has.
pub(super) const DEEPEST: usize = 64;

/// Most words, brackets and marks between them: some more than 100,000 networks take that have a name each.
pub(super) const MOST: usize = 1_250_000;

/// What a text has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// It is nested deeper than [`DEEPEST`].
    Depth,
    /// More than [`MOST`] words, brackets and marks.
    Words,
}

/// What a text has too much of, and the line in which that shows.
pub(super) fn excess(text: &str) -> Option<(Excess, usize)> {
    let mut scan = Scan {
        text: text.as_bytes(),
        at: 0,
        line: 1,
        begin_of_line: 0,
        open: 0,
        columns: Vec::new(),
    };
    let mut count = 0;
    while let Some(byte) = scan.next_token() {
        scan.token(byte);
        count += 1;
        if scan.open + scan.columns.len() > DEEPEST {
            return Some((Excess::Depth, scan.line));
        }
        if count > MOST {
            return Some((Excess::Words, scan.line));
        }
    }
    None
}

/// A place in a text, and what is open there.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    begin_of_line: usize,
    /// Brackets and braces.
    open: usize,
    /// Where the lists and mappings without brackets begin.
    columns: Vec<usize>,
}

impl Scan<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// A blank, a line break or the end.
    fn is_blank(&self, ahead: usize) -> bool {
        self.peek(ahead)
            .is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
    }

    fn advance(&mut self) {
        if self.peek(0) == Some(b'\n') {
            self.line += 1;
            self.begin_of_line = self.at + 1;
        }
        self.at += 1;
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|byte| byte != b'\n') {
            self.advance();
        }
    }

    /// The first byte of the next token; blanks and comments are none.
    fn next_token(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek(0)?;
            if byte == b'#' {
                self.skip_line();
            } else if self.is_blank(0) {
                self.advance();
            } else {
                return Some(byte);
            }
        }
    }

    fn token(&mut self, byte: u8) {
        let is_flow = self.open > 0;
        match byte {
            b'[' | b'{' => {
                self.open += 1;
                self.advance();
            }
            b']' | b'}' => {
                self.open = self.open.saturating_sub(1);
                self.advance();
            }
            b',' => self.advance(),
            b'-' | b'?' | b':' if is_flow || self.is_blank(1) => {
                self.begin(is_flow || byte == b':');
                self.advance();
            }
            b'"' => self.quoted(byte, true),
            b'\'' => self.quoted(byte, false),
            b'|' | b'>' if !is_flow => self.block_text(),
            b'&' | b'*' => self.word(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
            b'!' => self.tag(),
            _ => self.plain(is_flow),
        }
    }

    /// Something begins in this column, and whatever began further right has ended.
    fn begin(&mut self, is_flow: bool) {
        let column = self.at - self.begin_of_line;
        if !is_flow {
            while self.columns.last().is_some_and(|last| *last > column) {
                self.columns.pop();
            }
            if self.columns.last() != Some(&column) {
                self.columns.push(column);
            }
        }
    }

    fn quoted(&mut self, quote: u8, has_escapes: bool) {
        self.begin(self.open > 0);
        self.advance();
        while let Some(byte) = self.peek(0) {
            self.advance();
            match self.peek(0) {
                _ if has_escapes && byte == b'\\' => self.advance(),
                // Twice is one that belongs to the text.
                Some(next) if byte == quote && next == quote && !has_escapes => self.advance(),
                _ if byte == quote => return,
                _ => {}
            }
        }
    }

    /// A text of lines, each further right than what it belongs to.
    fn block_text(&mut self) {
        let parent = self.columns.last().copied();
        self.skip_line();
        while self.peek(0).is_some() {
            // The break of the line before.
            self.advance();
            while self.peek(0) == Some(b' ') {
                self.advance();
            }
            let column = self.at - self.begin_of_line;
            let is_empty = self.peek(0).is_none_or(|byte| matches!(byte, b'\r' | b'\n'));
            if !is_empty && parent.is_some_and(|parent| column <= parent) {
                return;
            }
            self.skip_line();
        }
    }

    fn word(&mut self, belongs: fn(u8) -> bool) {
        self.advance();
        while self.peek(0).is_some_and(belongs) {
            self.advance();
        }
    }

    /// Brackets may belong to it or not.
    fn tag(&mut self) {
        while !self.is_blank(0) {
            self.open += usize::from(self.peek(0).is_some_and(|byte| b"[{".contains(&byte)));
            self.advance();
        }
    }

    /// A word or more without quotes.
    fn plain(&mut self, is_flow: bool) {
        self.begin(is_flow);
        while let Some(byte) = self.peek(0) {
            let is_end = match byte {
                b':' => self.is_blank(1),
                b',' | b'[' | b']' | b'{' | b'}' => is_flow,
                b'#' => self
                    .at
                    .checked_sub(1)
                    .is_some_and(|before| self.text[before].is_ascii_whitespace()),
                b'\n' => !is_flow,
                _ => false,
            };
            if is_end {
                return;
            }
            self.advance();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_nested_too_deep_is_found_in_every_form() {
        let deep = DEEPEST + 1;
        let indented: String = (0..deep).map(|level| format!("{:level$}a:\n", "")).collect();
        for text in [
            "[".repeat(deep),
            "{a: ".repeat(deep),
            "[".repeat(deep) + &"]".repeat(deep),
            "- ".repeat(deep) + "x",
            indented,
            "{a: '}', b: ".repeat(deep),
            "{a: \"}\\\"}\", b: ".repeat(deep),
            "{a: it's, b: ".repeat(deep),
            "{a: b # }}}\n, c: ".repeat(deep),
            "{? '}' : ".repeat(deep),
            "a: |\n  it's\n".to_owned() + "b: " + &"[".repeat(deep),
        ] {
            assert_eq!(excess(&text).map(|(excess, _)| excess), Some(Excess::Depth), "{text}");
        }
        let text = "a: b\n".to_owned() + &"[".repeat(deep);
        assert_eq!(excess(&text), Some((Excess::Depth, 2)));
    }

    #[test]
    fn a_text_has_a_largest_number_of_words_and_room_for_100_000_networks() {
        let networks = "- {name: a, cidrs: [10.0.0.0/32]}\n";
        assert_eq!(excess(&("subnets:\n".to_owned() + &networks.repeat(100_000))), None);
        for dense in ["x,", "{},", "[],", "a: b,", "'',", "\"\",", "*a,", "! ,", "a,\n"] {
            let text = "a:\n  [".to_owned() + &dense.repeat(MOST + 1);
            assert_eq!(excess(&text).map(|(excess, _)| excess), Some(Excess::Words), "{dense}");
        }
        for dense in ["-\n", "a:\n", "- |\n x\n", "? a\n", "- >\n\n"] {
            let text = dense.repeat(MOST + 1);
            assert_eq!(excess(&text).map(|(excess, _)| excess), Some(Excess::Words), "{dense}");
        }
    }

    #[test]
    fn brackets_that_open_nothing_do_not_count() {
        let many = "[{".repeat(DEEPEST);
        for text in [
            format!("a: \"{many}\"\nb: c"),
            format!("a: '{many}''{many}'\nb: c"),
            format!("# {many}\na: b # {many}\n"),
            format!("a: |\n  {many}\n\n  {many}\nb: c"),
            format!("- x{many}\n"),
            "- {name: a, cidrs: [10.0.0.0/8, \"::/0\"]}\n".repeat(1000),
            crate::SAMPLE.to_owned(),
        ] {
            assert_eq!(excess(&text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_ends_and_never_fails(text in "[\\[\\]{}:,'\"#|>&*!?a \n-]{0,200}") {
            excess(&text);
        }
    }
}
