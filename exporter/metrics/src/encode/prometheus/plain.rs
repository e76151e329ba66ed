//! OpenMetrics as text 0.0.4: there the family of a counter has its suffix, and units and the end mark do not exist.

pub(super) fn from_openmetrics(openmetrics: &str) -> String {
    let mut body = String::with_capacity(openmetrics.len());
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        // The type of a family follows its help.
        let is_counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let of_counter =
            is_counter(line) || (line.starts_with("# HELP ") && lines.peek().is_some_and(|next| is_counter(next)));
        let mut words = line.splitn(4, ' ');
        match (of_counter, words.next(), words.next(), words.next(), words.next()) {
            (true, Some(hash), Some(keyword), Some(name), Some(rest)) => {
                body.extend([hash, " ", keyword, " ", name, "_total ", rest, "\n"]);
            }
            _ => body.extend([line, "\n"]),
        }
    }
    body
}
