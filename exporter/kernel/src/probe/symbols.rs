//! Names of kernel addresses, from `/proc/kallsyms`.
//!
//! The table is read only when an address is met for the first time, and only the names asked for are kept. The file stays
//! open: the kernel decides when it is opened whether its addresses may be seen, so the capability can be dropped then. The same holds
//! for `/proc/modules`, which tells when an address may have come to mean something else.

use std::{
    collections::{BTreeSet, HashMap},
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
    modules: Option<File>,
    /// Without a symbol where none is known.
    known: HashMap<u64, Option<Symbol>>,
    /// As they were when names were last found again.
    loaded: BTreeSet<Module>,
    hidden: bool,
    /// Of this process: numbers made with it tell nothing of the addresses.
    key: RandomState,
}

/// Name and address of a module.
type Module = (String, String);

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
            modules: File::open("/proc/modules").ok(),
            known: HashMap::new(),
            loaded: BTreeSet::new(),
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
                Some(table) if !self.hidden => functions_at(from_start(table)?, &unknown)?,
                _ => vec![None; unknown.len()],
            };
            self.known.extend(unknown.into_iter().zip(found));
        }
        Ok(())
    }

    /// Finds the names again that a module may have changed which came since this was last called. A place of a module that has gone
    /// keeps its name until another takes its address: what was counted there was counted by that module.
    ///
    /// # Errors
    /// What the kernel said when a table was read.
    pub fn follow_modules(&mut self) -> io::Result<()> {
        let (Some(table), Some(modules), false) = (&mut self.table, &mut self.modules, self.hidden) else {
            return Ok(());
        };
        if !self.known.values().any(may_change) {
            return Ok(());
        }
        let now = loaded(from_start(modules)?)?;
        let came: BTreeSet<&str> = now.difference(&self.loaded).map(|(name, _)| name.as_str()).collect();
        if !came.is_empty() {
            rename(&mut self.known, &came, from_start(table)?)?;
        }
        self.loaded = now;
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

fn from_start(file: &mut File) -> io::Result<BufReader<&mut File>> {
    file.seek(SeekFrom::Start(0))?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

/// Whether modules decide what lies at an address: the kernel's own functions stay where they are.
fn may_change(symbol: &Option<Symbol>) -> bool {
    symbol.as_ref().is_none_or(|symbol| symbol.module.is_some())
}

/// The modules in `/proc/modules`, of which each line has name, size, number of users, users, state and address.
fn loaded(table: impl BufRead) -> io::Result<BTreeSet<Module>> {
    let mut modules = BTreeSet::new();
    for line in table.lines() {
        let line = line?;
        let mut words = line.split_ascii_whitespace();
        if let (Some(name), Some(address)) = (words.next(), words.nth(4)) {
            modules.insert((name.to_owned(), address.to_owned()));
        }
    }
    Ok(modules)
}

/// Gives those addresses another name that lie in a module which came.
fn rename(known: &mut HashMap<u64, Option<Symbol>>, came: &BTreeSet<&str>, table: impl BufRead) -> io::Result<()> {
    let changing = known.iter().filter(|(_, symbol)| may_change(symbol));
    let mut addresses: Vec<u64> = changing.map(|(address, _)| *address).collect();
    addresses.sort_unstable();
    let found = functions_at(table, &addresses)?;
    let is_new = |symbol: &Option<Symbol>| {
        let module = symbol.as_ref().and_then(|symbol| symbol.module.as_deref());
        module.is_some_and(|module| came.contains(module))
    };
    known.extend(addresses.into_iter().zip(found).filter(|(_, symbol)| is_new(symbol)));
    Ok(())
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
    fn a_module_that_came_names_the_addresses_that_it_has_taken() {
        const OLD: &str = "old 4096 0 - Live 0x0000000000008000\nstays 4096 3 old, Live 0x0000000000009000\n";
        const NEW: &str = "stays 4096 2 - Live 0x0000000000009000 (O)\nnew 4096 0 - Live 0x0000000000008000\n";
        const SYMBOLS: &str = "1000 T first\n8000 t new_function\t[new]\n9000 t stays_function\t[stays]\n";
        let name = |function: &str, module: Option<&str>| {
            Some(Symbol {
                function: function.to_owned(),
                offset: 4,
                module: module.map(str::to_owned),
            })
        };
        let first = name("first", None);
        let gone = name("gone_function", Some("gone"));
        let mut known = HashMap::from([
            (0x1004, first.clone()),
            (0x8004, name("old_function", Some("old"))),
            (0x8008, None),
            // Behind the functions of a module that stays.
            (0x9400, gone.clone()),
        ]);
        let [before, after] = [OLD, NEW].map(|text| loaded(text.as_bytes()).unwrap());
        let came: BTreeSet<&str> = after.difference(&before).map(|(name, _)| name.as_str()).collect();
        assert_eq!(came, ["new"].into());
        rename(&mut known, &came, SYMBOLS.as_bytes()).unwrap();
        let new = name("new_function", Some("new"));
        assert_eq!(
            (&known[&0x1004], &known[&0x8004], &known[&0x9400]),
            (&first, &new, &gone)
        );
        assert_eq!(known[&0x8008].as_ref().map(|symbol| symbol.offset), Some(8));
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
