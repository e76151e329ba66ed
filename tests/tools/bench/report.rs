//! From files of results to the page and its pictures. What makes them is pure: results in, text out.

pub(crate) mod model;
mod page;
pub(crate) mod plot;

use std::fs::{create_dir_all, read_to_string, write};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use model::Item;
pub(crate) use page::number;

use crate::items::ITEMS;

/// Writes `benchmarks.md` and its pictures into the folder of documentation, from the results that there are.
pub(crate) fn write_to(docs: &Path, results: &Path) -> Result<()> {
    let mut items: Vec<Item> = Vec::new();
    for entry in ITEMS {
        let path = results.join(format!("{}.json", entry.id));
        if path.exists() {
            let text = read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            items.push(serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?);
        }
    }
    ensure!(
        !items.is_empty(),
        "no results in {}: run `make bench`",
        results.display()
    );
    let images = docs.join("images");
    create_dir_all(&images)?;
    for item in &items {
        if let Some(picture) = plot::draw(item)? {
            save(&images.join(picture_of(&item.id)), &picture)?;
        }
    }
    save(&docs.join("benchmarks.md"), &page::page(&items))
}

/// Name of an item's picture.
fn picture_of(id: &str) -> String {
    format!("bench-{id}.svg")
}

fn save(path: &Path, text: &str) -> Result<()> {
    write(path, text).with_context(|| format!("write {}", path.display()))
}
