//! `subnets_files`: named networks in files of their own, as CSV (`cidr,name`) or as YAML in the form of `subnets`.
//! It must never hold a network twice, or a name that the configuration itself could not have.
//! From patterns of paths; to the subnets of the configuration.

use super::{Fallback, Subnets, parse_network};
use crate::{
    file::{ConfigError, Problem, Quote, Source, files, unreadable},
    kinds::words,
    raw::RawSubnet,
    sections::drops::Glob,
};
use ipnet::IpNet;
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

/// Most files of networks: each is looked at again every few seconds.
const MOST_FILES: usize = 1000;

/// Files of networks, by patterns of their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubnetFiles(Vec<Pattern>);

/// What was read of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworksOfFiles {
    /// How many files there were.
    pub files: usize,
    /// Networks that they name.
    pub networks: usize,
}

/// Files in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    folder: PathBuf,
    name: String,
    /// Of a name with a star.
    glob: Option<Glob>,
}

impl Pattern {
    fn parse(key: &str, text: &str) -> Result<Self, Problem> {
        let refuse = |what: &str| Err(Problem::new(key, format!("{text:?} {what}")));
        let path = Path::new(text);
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return refuse("names no file; write the path of a .csv, .yaml or .yml file");
        };
        if form(path).is_none() {
            return refuse("is neither .csv nor .yaml nor .yml; name such a file, or rename it");
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        if folder.to_string_lossy().contains('*') {
            return refuse("has a star before its last part; write it in the name of the file alone");
        }
        let glob = name.contains('*').then(|| Glob::new(name)).transpose();
        Ok(Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            glob: glob.map_err(|what| Problem::new(key, what))?,
        })
    }

    /// The file, or those of the folder that match, in the order of their names. Hidden ones do not match a star.
    fn expand(&self) -> Result<Vec<PathBuf>, ConfigError> {
        let Some(glob) = &self.glob else {
            return Ok(vec![self.folder.join(&self.name)]);
        };
        let folder = if self.folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.folder
        };
        let names = files::names_in(folder).map_err(|error| {
            let what = format!("the folder cannot be read: {error}; check subnets_files");
            ConfigError::at(folder, None, what)
        })?;
        let is_hidden = |name: &str| name.starts_with('.');
        let wanted = names
            .iter()
            .filter(|name| glob.matches(name) && is_hidden(name) == is_hidden(&self.name));
        Ok(wanted.map(|name| folder.join(name)).collect())
    }
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Csv,
    Yaml,
}

fn form(path: &Path) -> Option<Form> {
    match path.extension()?.to_str()? {
        "csv" => Some(Form::Csv),
        "yaml" | "yml" => Some(Form::Yaml),
        _ => None,
    }
}

impl SubnetFiles {
    pub(crate) fn parse(list: &[String]) -> Result<Self, Problem> {
        let patterns = list.iter().enumerate();
        let patterns = patterns.map(|(index, text)| Pattern::parse(&format!("subnets_files[{index}]"), text));
        Ok(Self(patterns.collect::<Result<_, _>>()?))
    }

    /// Relative paths begin at a folder.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        for pattern in &mut self.0 {
            pattern.folder = folder.join(&pattern.folder);
        }
    }

    /// The files that there are now.
    ///
    /// # Errors
    /// [`ConfigError`] where a folder cannot be read, and where there are too many files.
    pub fn expand(&self) -> Result<Vec<PathBuf>, ConfigError> {
        let (mut all, mut known) = (Vec::new(), HashSet::new());
        for pattern in &self.0 {
            let new = |file: &PathBuf| known.insert(file.clone());
            all.extend(pattern.expand()?.into_iter().filter(new));
            if all.len() > MOST_FILES {
                let what = format!("subnets_files: there are more than {MOST_FILES} files; join files, or name fewer");
                return Err(ConfigError::at(&pattern.folder.join(&pattern.name), None, what));
            }
        }
        Ok(all)
    }
}

/// Adds the networks of files, one after the other, to those of a configuration; `most` in all. Gives how many came from files.
pub(crate) fn join(subnets: &mut Subnets, files: &[PathBuf], most: usize) -> Result<usize, ConfigError> {
    // A file that names a network that is built in means it.
    let is_built_in = subnets.networks == Subnets::built_in().networks;
    let built_in = if is_built_in { subnets.networks.len() } else { 0 };
    let mut joining = Joining {
        most,
        ids: (0..).zip(&subnets.names).map(|(id, name)| (name.clone(), id)).collect(),
        own: subnets
            .networks
            .iter()
            .skip(built_in)
            .map(|(network, _)| *network)
            .collect(),
        places: HashMap::new(),
        files,
        subnets,
    };
    for (number, path) in (0..).zip(files) {
        joining.read(number, path)?;
    }
    let Joining { places, subnets, .. } = joining;
    let mut index = 0;
    subnets.networks.retain(|(network, _)| {
        index += 1;
        index > built_in || !places.contains_key(network)
    });
    Ok(places.len())
}

/// The networks of a configuration while those of files come to them.
struct Joining<'a> {
    subnets: &'a mut Subnets,
    most: usize,
    ids: HashMap<String, u32>,
    /// Those that the configuration itself names.
    own: HashSet<IpNet>,
    /// Those of files, each with the number of its file and its line.
    places: HashMap<IpNet, (u32, u32)>,
    files: &'a [PathBuf],
}

impl Joining<'_> {
    fn read(&mut self, number: u32, path: &Path) -> Result<(), ConfigError> {
        let bytes = files::read(path, files::SUBNETS).map_err(|error| {
            let what = unreadable(&error, "remove it from subnets_files");
            ConfigError::at(path, None, what)
        })?;
        match form(path) {
            Some(Form::Yaml) => self.read_yaml(number, path, &bytes),
            Some(Form::Csv) | None => self.read_csv(number, path, &bytes),
        }
    }

    fn read_csv(&mut self, number: u32, path: &Path, bytes: &[u8]) -> Result<(), ConfigError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(bytes);
        let mut record = csv::StringRecord::new();
        let mut is_first = true;
        loop {
            let is_record = reader.read_record(&mut record).map_err(|error| {
                let line = error.position().and_then(|at| usize::try_from(at.line()).ok());
                ConfigError::at(path, line, "the line is not CSV in UTF-8; save it as such")
            })?;
            if !is_record {
                return Ok(());
            }
            let line = last_line(bytes, reader.position());
            let wrong = |what: String| ConfigError::at(path, Some(line as usize), what);
            let (Some(network), Some(name), None) = (record.get(0), record.get(1), record.get(2)) else {
                return Err(wrong(
                    "a line is a network, a comma and a name; for example 10.1.0.0/16,dc-east".to_owned(),
                ));
            };
            // The head may come after comments.
            if std::mem::take(&mut is_first) && network.eq_ignore_ascii_case("cidr") {
                continue;
            }
            let place = Place { path, number, line };
            let network = parse_network(network).map_err(wrong)?;
            let name = words::name("", name).map_err(|problem| wrong(problem.what().to_owned()))?;
            self.add(name, network, place)?;
        }
    }

    fn read_yaml(&mut self, number: u32, path: &Path, bytes: &[u8]) -> Result<(), ConfigError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_malformed| ConfigError::at(path, None, "the file is not UTF-8 text; save it as UTF-8"))?;
        let shown = path.display().to_string();
        let source = Source::new(text, &shown);
        let list: Vec<RawSubnet> = source.parse(Quote::Values)?;
        let checked = Subnets::parse_list("", &list).map_err(|problem| source.error(&problem))?;
        for (network, id) in checked.networks {
            // All of a list stand in one line, as far as is told.
            let place = Place { path, number, line: 0 };
            if let Some(name) = checked.names.get(id as usize) {
                self.add(name, network, place)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, network: IpNet, place: Place<'_>) -> Result<(), ConfigError> {
        if self.own.contains(&network) {
            let what = format!("the network {network} is already in subnets; remove one of the two");
            return Err(place.error(what));
        }
        if let Some((file, line)) = self.places.insert(network, (place.number, place.line)) {
            let first = self
                .files
                .get(file as usize)
                .map(|file| file.display().to_string())
                .unwrap_or_default();
            let first = if line == 0 { first } else { format!("{first}:{line}") };
            let what = format!("the network {network} is already in {first}; remove one of the two");
            return Err(place.error(what));
        }
        if self.subnets.networks.len() >= self.most {
            let what = format!(
                "there are more networks than the {} that limits.subnets allows; join networks or raise the limit",
                self.most
            );
            return Err(place.error(what));
        }
        if let Fallback::Name(fallback) = &self.subnets.fallback
            && fallback == name
        {
            let what = format!(
                "{name:?} is what addresses outside all subnets are called; choose another name, or set subnets_fallback"
            );
            return Err(place.error(what));
        }
        let id = match self.ids.get(name) {
            Some(id) => *id,
            None => {
                let id = u32::try_from(self.subnets.names.len()).unwrap_or(u32::MAX);
                self.ids.insert(name.to_owned(), id);
                self.subnets.names.push(name.to_owned());
                id
            }
        };
        self.subnets.networks.push((network, id));
        Ok(())
    }
}

/// The line that was read last, when the reader is at this position: lines without a record are not told.
fn last_line(bytes: &[u8], at: &csv::Position) -> u32 {
    let byte = usize::try_from(at.byte()).unwrap_or(usize::MAX);
    let ended = byte.checked_sub(1).and_then(|last| bytes.get(last)) == Some(&b'\n');
    u32::try_from(at.line().saturating_sub(ended.into())).unwrap_or(u32::MAX)
}

/// Where a network stands.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    path: &'a Path,
    /// Of the file.
    number: u32,
    /// 0 where it is not known.
    line: u32,
}

impl Place<'_> {
    fn error(self, what: String) -> ConfigError {
        let line = (self.line != 0).then_some(self.line as usize);
        ConfigError::at(self.path, line, what)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Config, NetworksOfFiles};
    use std::fs::write;
    use tempfile::TempDir;

    /// A folder with a configuration and these files.
    fn folder(config: &str, files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files.iter().chain([&("config.yaml", config)]) {
            write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    /// What a configuration with these files means, or why not.
    fn read(config: &str, files: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        let folder = folder(config, files);
        let config = Config::read(&folder.path().join("config.yaml"), |_| Ok(()));
        let config = config.and_then(Config::with_networks_of_files).map_err(|error| {
            let folder = format!("{}/", folder.path().display());
            error.to_string().replace(&folder, "")
        })?;
        let names = config.subnets.names();
        let named = config.subnets.networks();
        Ok(named
            .map(|(network, id)| (network.to_string(), names[id as usize].clone()))
            .collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(network, name)| (String::from(*network), String::from(*name)))
            .collect()
    }

    #[test]
    fn networks_of_files_come_to_those_of_the_configuration() {
        let own = "subnets: [{name: a, cidrs: [10.0.0.0/8]}]\nsubnets_files: [b.csv, \"*.yaml\", none-*.csv]\n";
        // The configuration itself has another ending here.
        let own = own.replace("*.yaml", "c*.yml");
        let csv =
            "# of the network team\ncidr,name\n# two sites\n10.1.0.0/16,\"b, east\"\n10.2.0.0/16,a\nfd00:1::/32,b\n";
        let yaml = "- {name: c, cidrs: [10.3.0.0/16]}\n";
        assert_eq!(
            read(&own, &[("b.csv", csv), ("c1.yml", yaml), (".c2.yml", "wrong")]),
            Ok(pairs(&[
                ("10.0.0.0/8", "a"),
                ("10.1.0.0/16", "b, east"),
                ("10.2.0.0/16", "a"),
                ("fd00:1::/32", "b"),
                ("10.3.0.0/16", "c"),
            ]))
        );
    }

    #[test]
    fn what_was_read_of_files_is_counted() {
        let counted = |config: &str| {
            let folder = folder(
                config,
                &[("a.csv", "10.1.0.0/16,a\n10.2.0.0/16,a\n"), ("b.csv", "fd00::/16,b\n")],
            );
            let config = Config::read(&folder.path().join("config.yaml"), |_| Ok(())).unwrap();
            assert_eq!(config.networks_of_files, None);
            config.with_networks_of_files().unwrap().networks_of_files
        };
        let read = |files, networks| Some(NetworksOfFiles { files, networks });
        assert_eq!(counted("subnets_files: ['*.csv']\n"), read(2, 3));
        assert_eq!(counted("subnets_files: [b.csv]\n"), read(1, 1));
        assert_eq!(counted("subnets_files: ['none-*.csv']\n"), read(0, 0));
        assert_eq!(counted("subnets: [{name: c, cidrs: [10.3.0.0/16]}]\n"), None);
    }

    #[test]
    fn more_files_than_can_be_looked_at_are_refused() {
        let folder = folder("subnets_files: ['*.csv']\n", &[]);
        for number in 0..=super::MOST_FILES {
            write(folder.path().join(format!("{number}.csv")), "").unwrap();
        }
        let config = Config::read(&folder.path().join("config.yaml"), |_| Ok(())).unwrap();
        let error = config.with_networks_of_files().unwrap_err().to_string();
        assert!(
            error.contains("*.csv: subnets_files: there are more than 1000 files"),
            "{error}"
        );
    }

    #[test]
    fn a_file_may_name_a_network_that_is_built_in() {
        let read = read("subnets_files: [a.csv]\n", &[("a.csv", "10.0.0.0/8,dc\n")]).unwrap();
        let named: Vec<&str> = read
            .iter()
            .filter(|(network, _)| network == "10.0.0.0/8")
            .map(|(_, name)| &**name)
            .collect();
        assert_eq!(named, ["dc"]);
        assert!(read.contains(&("192.168.0.0/16".to_owned(), "private-192".to_owned())));
    }

    #[test]
    fn what_is_wrong_is_told_with_file_and_line() {
        let check = |config: &str, csv: &str, expected: &str| {
            assert_eq!(
                read(config, &[("a.csv", csv), ("b.csv", "10.9.0.0/16,b\n")]).unwrap_err(),
                expected,
                "{csv}"
            );
        };
        let one = "subnets_files: [a.csv]\n";
        check(
            one,
            "10.1.0.0/16\n",
            "a.csv:1: a line is a network, a comma and a name; for example 10.1.0.0/16,dc-east",
        );
        check(
            one,
            "10.1.0.0/16,a\n10.1.0.1/16,b\n",
            "a.csv:2: \"10.1.0.1/16\" has address bits behind its prefix; write 10.1.0.0/16",
        );
        check(
            one,
            "10.1.0.0/16,a\n\n10.1.0.0/16,b\n",
            "a.csv:3: the network 10.1.0.0/16 is already in a.csv:1; remove one of the two",
        );
        check(
            one,
            "10.1.0.0/16,other\n",
            "a.csv:1: \"other\" is what the exporter calls everything else; choose another name",
        );
        check(
            one,
            "10.1.0.0/16,internet\n",
            "a.csv:1: \"internet\" is what addresses outside all subnets are called; choose another name, or set subnets_fallback",
        );
        check(
            "subnets_files: [\"?.csv\"]\n",
            "",
            "?.csv: there is no such file; check the path, or remove it from subnets_files",
        );
        check(
            "subnets_files: [a.csv, b.csv]\n",
            "10.9.0.0/16,a\n",
            "b.csv:1: the network 10.9.0.0/16 is already in a.csv:1; remove one of the two",
        );
        check(
            "subnets_files: [a.txt]\n",
            "",
            "config.yaml:1: subnets_files[0]: \"a.txt\" is neither .csv nor .yaml nor .yml; name such a file, or rename it",
        );
        check(
            "subnets_files: [\"*/a.csv\"]\n",
            "",
            "config.yaml:1: subnets_files[0]: \"*/a.csv\" has a star before its last part; write it in the name of the file alone",
        );
        check(
            "{subnets_files: [a.csv], limits: {subnets: 1}, subnets: []}\n",
            "10.1.0.0/16,a\n10.2.0.0/16,a\n",
            "a.csv:2: there are more networks than the 1 that limits.subnets allows; join networks or raise the limit",
        );
    }
}
