//! Names of kernel addresses, from `/proc/kallsyms`.
//!
//! The table is read only when an address is met for the first time, and only the names asked for are kept. The file stays
//! open: the kernel decides when it is opened whether its addresses may be seen, so the capability can be dropped then.

use std::{
    collections::HashMap,
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::{self, BufRead, BufReader, Seek, SeekFrom},
};

/// What stands for a place that the kernel does not name. Its address would tell where the kernel lies in memory.
pub const UNKNOWN: &str = "unknown";

/// No function is so long: what lies further behind the beginning of one lies in something without a name.
const LONGEST_FUNCTION: u64 = 1 << 20;

/// Names of the addresses asked for so far.
#[derive(Debug)]
pub struct Symbols {
    table: Option<File>,
    /// Without a symbol where none is known.
    known: HashMap<u64, Option<Symbol>>,
    hidden: bool,
    /// Of this process: numbers made with it tell nothing of the addresses.
    key: RandomState,
}

/// Where in the kernel's code an address lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The function, without the suffixes that a compiler adds.
    pub function: String,
    /// Bytes from its beginning.
    pub offset: u64,
    /// The module that it is part of, unless it is the kernel itself.
    pub module: Option<String>,
}

impl Symbols {
    /// Opens the table. Without one no address has a name.
    pub fn open() -> Self {
        let mut symbols = Self {
            table: File::open("/proc/kallsyms").ok(),
            known: HashMap::new(),
            hidden: false,
            key: RandomState::new(),
        };
        symbols.hidden = !symbols.first_address_is_shown().unwrap_or(false);
        symbols
    }

    /// The kernel hides its addresses from this process (`kernel.kptr_restrict` or `kernel.perf_event_paranoid` without CAP_SYSLOG).
    pub const fn are_hidden(&self) -> bool {
        self.hidden
    }

    /// Finds the names of code addresses that have not been met before.
    ///
    /// # Errors
    /// What the kernel said when the table was read.
    pub fn resolve(&mut self, addresses: impl IntoIterator<Item = u64>) -> io::Result<()> {
        let mut unknown: Vec<u64> = addresses
            .into_iter()
            .filter(|address| !self.known.contains_key(address))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let found = match &mut self.table {
                Some(table) if !self.hidden => {
                    table.seek(SeekFrom::Start(0))?;
                    functions_at(BufReader::with_capacity(1 << 16, table), &unknown)?
                }
                _ => vec![None; unknown.len()],
            };
            self.known.extend(unknown.into_iter().zip(found));
        }
        Ok(())
    }

    /// Where a resolved address lies, if the kernel says so.
    pub fn symbol(&self, address: u64) -> Option<&Symbol> {
        self.known.get(&address)?.as_ref()
    }

    /// The function that a resolved address lies in, or [`UNKNOWN`].
    pub fn name(&self, address: u64) -> &str {
        self.symbol(address).map_or(UNKNOWN, |symbol| &symbol.function)
    }

    /// What tells an address without a name from others, as long as this process runs.
    pub fn alias(&self, address: u64) -> String {
        format!("{UNKNOWN}-{:08x}", self.key.hash_one(address) >> 32)
    }

    fn first_address_is_shown(&mut self) -> io::Result<bool> {
        let Some(table) = &mut self.table else { return Ok(false) };
        // Per-CPU symbols come first and have small addresses on some kernels; all are zero only when hidden.
        for line in BufReader::new(table).lines().take(1000) {
            if parse(&line?).is_some_and(|(address, ..)| address != 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// For each of the sorted `addresses` the function that begins last before or at it.
fn functions_at(table: impl BufRead, addresses: &[u64]) -> io::Result<Vec<Option<Symbol>>> {
    type Function = (u64, String, Option<String>);
    let mut nearest: Vec<Option<Function>> = vec![None; addresses.len()];
    for line in table.lines() {
        let line = line?;
        let Some((start, name, module)) = parse(&line) else {
            continue;
        };
        // Enough for the first address behind the symbol: the others take it over below.
        let index = addresses.partition_point(|address| *address < start);
        if let Some(entry) = nearest.get_mut(index)
            && entry.as_ref().is_none_or(|(known, ..)| *known < start)
        {
            *entry = Some((start, name.to_owned(), module.map(str::to_owned)));
        }
    }
    let mut last = None;
    Ok(nearest
        .into_iter()
        .zip(addresses)
        .map(|(entry, address)| {
            last = entry.max(last.take());
            let (start, function, module) = last.as_ref()?;
            let offset = address - start;
            (offset < LONGEST_FUNCTION).then(|| Symbol {
                function: function.clone(),
                offset,
                module: module.clone(),
            })
        })
        .collect())
}

/// Address, name and module of a function; suffixes that the compiler adds (`.isra.0`, `.cold`) are cut.
fn parse(line: &str) -> Option<(u64, &str, Option<&str>)> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let kind = words.next()?;
    let name = words.next()?;
    let module = words.next().map(|module| module.trim_matches(['[', ']']));
    matches!(kind, "t" | "T" | "w" | "W").then(|| (address, name.split('.').next().unwrap_or(name), module))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
        0000000000001000 T first\n\
        0000000000002000 t second.isra.0\n\
        0000000000002800 d data\n\
        0000000000003000 W third\n\
        0000000000000800 t module_function\t[module]\n";

    fn check(addresses: &[u64], expected: &[Option<&str>]) {
        let found = functions_at(TABLE.as_bytes(), addresses).unwrap();
        let functions = found
            .iter()
            .map(|found| found.as_ref().map(|symbol| symbol.function.as_str()));
        assert_eq!(functions.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_address_is_named_by_the_function_it_lies_in() {
        check(
            &[0x10, 0x800, 0x1000, 0x1fff, 0x2001, 0x2900, 0x9000, 0x10_3000],
            &[
                None,
                Some("module_function"),
                Some("first"),
                Some("first"),
                Some("second"),
                Some("second"),
                Some("third"),
                None,
            ],
        );
    }

    #[test]
    fn a_symbol_says_how_far_into_it_and_in_which_module_the_address_is() {
        let found = functions_at(TABLE.as_bytes(), &[0x810, 0x2001]).unwrap();
        let symbol = |function: &str, offset, module: Option<&str>| {
            Some(Symbol {
                function: function.to_owned(),
                offset,
                module: module.map(str::to_owned),
            })
        };
        assert_eq!(
            found,
            [
                symbol("module_function", 0x10, Some("module")),
                symbol("second", 1, None)
            ]
        );
    }

    #[test]
    fn an_alias_stays_and_tells_one_address_from_another_but_no_address() {
        let symbols = [(); 2].map(|()| Symbols::open());
        let alias = |of: usize, address: u64| symbols[of].alias(address);
        assert_eq!(alias(0, 1), alias(0, 1));
        assert_ne!(alias(0, 1), alias(0, 2));
        assert_ne!(alias(0, 1), alias(1, 1));
        assert_eq!(symbols[0].name(1), UNKNOWN);
    }
}
