//! Lines of a stream that comes in pieces.
//! It must never hold more than the longest line that is allowed. From the bytes of a watch; to `objects`.

/// A line is longer than is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line of more than {most} bytes")]
pub(super) struct TooLong {
    most: usize,
}

/// What has come of a line that has not ended yet.
#[derive(Debug)]
pub(super) struct Lines {
    begun: Vec<u8>,
    most: usize,
}

impl Lines {
    /// For lines of at most so many bytes, without their ends.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            begun: Vec::new(),
            most,
        }
    }

    /// Hands over each line that ends in this piece, blank ones left out, until one fails.
    ///
    /// # Errors
    /// What `each` says of a line, or [`TooLong`]; then the rest of the piece is lost, and the stream is of no use any more.
    pub(super) fn split<E: From<TooLong>>(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, further) = rest.split_at(end);
            rest = further.get(1..).unwrap_or_default();
            self.require_room(line)?;
            if self.begun.is_empty() {
                hand_over(line, &mut each)?;
            } else {
                self.begun.extend_from_slice(line);
                let whole = std::mem::take(&mut self.begun);
                hand_over(&whole, &mut each)?;
            }
        }
        self.require_room(rest)?;
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    const fn require_room(&self, more: &[u8]) -> Result<(), TooLong> {
        if self.begun.len().saturating_add(more.len()) > self.most {
            return Err(TooLong { most: self.most });
        }
        Ok(())
    }
}

fn hand_over<E>(line: &[u8], each: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let line = line.trim_ascii();
    if line.is_empty() { Ok(()) } else { each(line) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// The lines of a stream that comes in these pieces.
    fn lines(most: usize, pieces: &[&[u8]]) -> Result<Vec<String>, TooLong> {
        let mut lines = Lines::new(most);
        let mut all = Vec::new();
        for piece in pieces {
            lines.split(piece, |line| {
                all.push(String::from_utf8_lossy(line).into_owned());
                Ok::<(), TooLong>(())
            })?;
        }
        Ok(all)
    }

    #[test]
    fn a_line_ends_where_it_ends_and_not_where_a_piece_does() {
        let cases: &[(&[&[u8]], &[&str])] = &[
            (&[b"ab\ncd\n"], &["ab", "cd"]),
            (&[b"a", b"b\nc", b"", b"d", b"\n"], &["ab", "cd"]),
            (&[b"\n\r\n  \nab\r", b"\n"], &["ab"]),
            (&[b"ab"], &[]),
            (&[], &[]),
        ];
        for (pieces, expected) in cases {
            assert_eq!(lines(4, pieces).unwrap(), *expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
        let piece = [b'x'; 10];
        let mut lines = Lines::new(25);
        let ignore = |_: &[u8]| Ok::<(), TooLong>(());
        lines.split(&piece, ignore).unwrap();
        lines.split(&piece, ignore).unwrap();
        assert_eq!(lines.split(&piece, ignore), Err(TooLong { most: 25 }));
        assert!(lines.begun.capacity() <= 50);
        // One that ends within the piece is as long.
        let mut lines = Lines::new(9);
        assert!(lines.split(b"xxxxxxxxxx\n", ignore).is_err());
    }

    #[test]
    fn what_fails_ends_the_piece() {
        #[derive(Debug, PartialEq)]
        struct Failed;
        impl From<TooLong> for Failed {
            fn from(_: TooLong) -> Self {
                Self
            }
        }
        let mut seen = 0;
        let split = Lines::new(9).split(b"a\nb\nc\n", |_| {
            seen += 1;
            if seen == 2 { Err(Failed) } else { Ok(()) }
        });
        assert_eq!((split, seen), (Err(Failed), 2));
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_make_the_same_lines(
            stream in vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'\n')], 0..300),
            sizes in vec(1_usize..40, 1..40),
        ) {
            let mut pieces = Vec::new();
            let mut rest = stream.as_slice();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, further) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = further;
            }
            let ended = stream.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let expected: Vec<String> = stream[..ended]
                .split(|byte| *byte == b'\n')
                .map(<[u8]>::trim_ascii)
                .filter(|line| !line.is_empty())
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect();
            prop_assert_eq!(lines(1000, &pieces).unwrap(), expected);
        }

        #[test]
        fn never_more_is_held_than_the_longest_line(pieces in vec(vec(any::<u8>(), 0..60), 0..40)) {
            let mut lines = Lines::new(50);
            for piece in &pieces {
                let split = lines.split(piece, |line| {
                    assert!(line.len() <= 50);
                    Ok::<(), TooLong>(())
                });
                if split.is_err() {
                    break;
                }
                prop_assert!(lines.begun.len() <= 50);
            }
        }
    }
}
