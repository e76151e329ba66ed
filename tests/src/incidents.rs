//! What goes wrong in networks, with real traffic between namespaces, and what has to be found then; and hosts on which nothing does.
//!
//! [`INCIDENTS`] is the one table: a new incident is one entry there. [`HOSTS`] has the hosts that work.

mod actions;
mod hosts;
mod table;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle, sleep};
use std::time::Duration;

use actions::beside;
use anyhow::{Context as _, Result, anyhow, bail};
pub use hosts::{HOSTS, Host};
pub use table::INCIDENTS;

use crate::machine::wait::Deadline;
use crate::net::namespace::Namespace;
use crate::net::pair::Pair;
use crate::net::peer::Peer;
use crate::net::subnet::{Subnet, config};
use crate::net::way::Way;

/// The application protocol of [`BUSY_PORT`]: of whom a listener turns away nobody knows the subnet.
pub const BUSY: &str = "busy";
/// A port that only one incident has.
pub const BUSY_PORT: u16 = 7443;

/// Something that goes wrong, and what is found and alerted then.
#[derive(Clone, Copy, Debug)]
pub struct Incident {
    /// What it is, in words.
    pub name: &'static str,
    ground: Ground,
    script: fn(&Place, &Course) -> Result<()>,
    /// Findings of its subnet, sorted; with ` -` behind the word those of no subnet.
    pub found: &'static [&'static str],
    /// Alerts of its subnet; where an alert is of something else, a value of its labels stands behind its name.
    pub alerts: &'static [&'static str],
    /// Only who knows some time before it can find it.
    pub needs_history: bool,
    /// Whether it is the same on every kernel of the matrix.
    pub is_everywhere: bool,
}

/// What lies between those who talk.
#[derive(Clone, Copy, Debug)]
enum Ground {
    /// A cable: what is lost on it, this host has lost.
    Cable,
    /// A way through a program, so many milliseconds long: the network, which loses what no kernel sees.
    Way(u64),
    /// A peer that says what it is told to.
    Script,
}

/// Where an incident happens.
#[derive(Debug)]
pub enum Place {
    /// Two namespaces and the cable between them.
    Cable(Pair),
    /// Two namespaces and a way through user space between them.
    Way(Way),
    /// A namespace and a peer that follows a script.
    Script(Script),
}

/// A scripted peer, and the namespace that talks to it.
#[derive(Debug)]
pub struct Script {
    namespace: Namespace,
    peer: Peer,
    subnet: Subnet,
}

/// When all is well, and when something goes wrong: until whoever looks has seen enough.
#[derive(Debug)]
pub struct Course {
    begin: Deadline,
    is_over: AtomicBool,
}

impl Course {
    /// All is well for some time, and then it is not.
    pub fn new(well: Duration) -> Self {
        Self {
            begin: Deadline::after(well),
            is_over: AtomicBool::new(false),
        }
    }

    /// Waits until it begins to go wrong.
    pub fn wait(&self) {
        sleep(self.begin.left());
    }

    /// Whether it has begun to go wrong.
    fn has_begun(&self) -> bool {
        self.begin.passed()
    }

    /// Whether it goes on.
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

const fn incident(name: &'static str, ground: Ground, script: fn(&Place, &Course) -> Result<()>) -> Incident {
    Incident {
        name,
        ground,
        script,
        found: &[],
        alerts: &[],
        needs_history: false,
        is_everywhere: false,
    }
}

impl Incident {
    const fn found(mut self, found: &'static [&'static str]) -> Self {
        self.found = found;
        self
    }

    const fn alerts(mut self, alerts: &'static [&'static str]) -> Self {
        self.alerts = alerts;
        self
    }

    const fn needs_history(mut self) -> Self {
        self.needs_history = true;
        self
    }

    const fn everywhere(mut self) -> Self {
        self.is_everywhere = true;
        self
    }

    /// Makes the place where it happens.
    pub fn place(&self) -> Result<Place> {
        self.ground.place()
    }

    /// Has it happen.
    pub fn happen(&self, place: &Place, course: &Course) -> Result<()> {
        (self.script)(place, course).with_context(|| self.name)
    }

    /// What has to be found in a subnet: finding and subnet.
    pub fn expected(&self, subnet: &str) -> Vec<(&'static str, String)> {
        let each = self.found.iter().map(|found| match found.strip_suffix(" -") {
            Some(found) => (found, String::new()),
            None => (*found, subnet.to_owned()),
        });
        each.collect()
    }

    /// What has to be alerted in a subnet: the alert, and the value of one of its labels.
    pub fn expected_alerts(&self, subnet: &str) -> Vec<(&'static str, String)> {
        let each = self.alerts.iter().map(|alert| match alert.split_once(' ') {
            Some((alert, value)) => (alert, value.to_owned()),
            None => (*alert, subnet.to_owned()),
        });
        each.collect()
    }
}

impl Ground {
    fn place(self) -> Result<Place> {
        Ok(match self {
            Self::Cable => Place::Cable(Pair::new()?),
            Self::Way(delay) => Place::Way(Way::new(Duration::from_millis(delay))?),
            Self::Script => {
                let (namespace, subnet) = (Namespace::new()?, Subnet::take()?);
                let peer = Peer::new(&namespace, subnet)?;
                Place::Script(Script {
                    namespace,
                    peer,
                    subnet,
                })
            }
        })
    }
}

impl Place {
    /// Where it lies.
    pub fn subnet(&self) -> Result<Subnet> {
        match self {
            Self::Cable(pair) => pair.subnet(),
            Self::Way(way) => way.pair.subnet(),
            Self::Script(script) => Ok(script.subnet),
        }
    }

    fn pair(&self) -> Result<&Pair> {
        match self {
            Self::Cable(pair) => Ok(pair),
            Self::Way(way) => Ok(&way.pair),
            Self::Script(_) => bail!("a script has no other end"),
        }
    }

    fn way(&self) -> Result<&Way> {
        match self {
            Self::Way(way) => Ok(way),
            Self::Cable(_) | Self::Script(_) => bail!("no way is there"),
        }
    }

    fn script(&self) -> Result<&Script> {
        match self {
            Self::Script(script) => Ok(script),
            Self::Cable(_) | Self::Way(_) => bail!("no script is there"),
        }
    }
}

/// A configuration that names the subnets of these places, and the one service that has a name of its own.
pub fn configuration(places: &[Place]) -> Result<String> {
    let subnets = places.iter().map(Place::subnet).collect::<Result<Vec<_>>>()?;
    Ok(config(&subnets) + &format!("app_protocols: [{{name: {BUSY}, ports: [{BUSY_PORT}]}}]\n"))
}

/// Has incidents happen beside each other as long as somebody looks, and gives what was seen.
pub fn all_at_once<T: Send>(
    incidents: &[Incident],
    places: &[Place],
    course: &Course,
    look: impl FnOnce() -> Result<T>,
) -> Result<T> {
    thread::scope(|scope| {
        let each = incidents.iter().zip(places);
        let running: Vec<_> = each
            .map(|(incident, place)| scope.spawn(move || incident.happen(place, course)))
            .collect();
        let seen = look();
        course.end();
        running.into_iter().try_for_each(joined)?;
        seen
    })
}

/// What became of a thread.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_panic| anyhow!("a thread panicked"))?
}
