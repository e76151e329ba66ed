//! As many words as fit into a line.

/// As many words as fit, whole.
pub(super) fn words(words: &[&str], between: &str, width: u16) -> String {
    let ranked: Vec<(&str, usize)> = words.iter().zip(0..).map(|(word, rank)| (*word, rank)).collect();
    chosen(&ranked, between, width)
}

/// Words in their order; where they do not fit, those with the largest ranks go first.
pub(super) fn chosen(words: &[(&str, usize)], between: &str, width: u16) -> String {
    let mut kept: Vec<(&str, usize)> = words.iter().filter(|(word, _)| !word.is_empty()).copied().collect();
    loop {
        let texts: Vec<&str> = kept.iter().map(|(word, _)| *word).collect();
        let line = texts.join(between);
        if line.chars().count() <= width.into() {
            return line;
        }
        let last = kept.iter().enumerate().max_by_key(|(_, (_, rank))| *rank);
        let Some((place, _)) = last else { return String::new() };
        kept.remove(place);
    }
}
