//! The line of the TCP tracer of 2014 with all of its values, and behind it those that it lacked.

use super::item::{self, Item, LOST, LostEvents, Setting};
use crate::commands::words::add_word;
use common::tcp::event::EventKind;
use std::fmt::Write as _;

/// The line of an item, with its end.
pub fn line(item: &Item, setting: &Setting) -> String {
    let mut line = String::new();
    match item {
        // Shown with the events.
        Item::Workload(_) | Item::Instance(_) => return line,
        Item::Lost(LostEvents { now: _, count }) => add(&mut line, format_args!("# {LOST} {count}")),
        Item::Event(kind, record) => {
            let (local, remote) = (item::local(record), item::remote(record));
            add(&mut line, format_args!("{} {local} {remote}", kind.as_str()));
            let numbers = |line: &mut String, numbers: &[item::Number]| {
                for (name, number) in numbers {
                    add(line, format_args!(" {name}={number}"));
                }
            };
            numbers(&mut line, &item::basic(record));
            if *kind != EventKind::Established {
                numbers(&mut line, &item::statistics(record));
                numbers(&mut line, &item::further(record));
                for (name, word) in item::words(record, &setting.names) {
                    add_word(&mut line, name, &word);
                }
            }
        }
    }
    line.push('\n');
    line
}

fn add(line: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    line.write_fmt(more).ok();
}
