//! What an entry needs of the kernel, tried out before the exporter runs, in namespaces of nobody else.

use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};
use tests::kernel::kernel_facts::has_type_name;
use tests::net::nft;
use tests::net::pair::{DEVICE, Pair};

/// Something that not every kernel has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// A kind of device: what follows `ip link add dev probe`.
    Device(&'static str),
    /// A parameter of a network namespace.
    Setting(&'static str),
    /// A queueing discipline: what follows `tc qdisc add dev … root`.
    Queue(&'static str),
    /// A filter of tc(8) on received packets: what follows `tc filter add dev … ingress`.
    Filter(&'static str),
    /// A whole ruleset of nft(8).
    Ruleset(&'static str),
    /// A command of ip(8), without that word.
    Ip(&'static str),
    /// A protocol of stream sockets.
    Streams(i32),
    /// A name among those of the kernel's types.
    TypeName(&'static str),
    /// The file of a TUN device.
    Tun,
}

impl Need {
    /// Why this kernel does not have it; `None` where it does. Leaves nothing behind.
    pub(super) fn missing(&self, scratch: &Pair) -> Option<String> {
        let namespace = &scratch.client;
        let tried = match self {
            Self::Device(words) => {
                let made = namespace.exec(&format!("ip link add dev probe {words}"));
                // It may be somebody else's too: a device of a pair goes with the other.
                namespace.exec("ip link del dev probe").ok();
                made.map(drop)
            }
            Self::Setting(setting) => match namespace.has(&format!("{setting}=")) {
                Ok(false) => return Some(format!("this kernel has no {setting}")),
                other => other.map(drop),
            },
            Self::Queue(words) => {
                let made = namespace.exec(&format!("tc qdisc add dev {DEVICE} root {words}"));
                namespace.exec(&format!("tc qdisc del dev {DEVICE} root")).ok();
                made.map(drop)
            }
            Self::Filter(words) => {
                let made = namespace
                    .exec(&format!("tc qdisc add dev {DEVICE} clsact"))
                    .and_then(|_| namespace.exec(&format!("tc filter add dev {DEVICE} ingress {words}")));
                namespace.exec(&format!("tc qdisc del dev {DEVICE} clsact")).ok();
                made.map(drop)
            }
            Self::Ruleset(rules) => {
                let made = nft::load(namespace, rules);
                nft::flush(namespace).ok();
                made
            }
            Self::Ip(words) => namespace.exec(&format!("ip {words}")).map(drop),
            Self::Streams(protocol) => namespace.run(|| {
                Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(*protocol)))?;
                Ok(())
            }),
            Self::TypeName(name) => match has_type_name(name) {
                Ok(false) => return Some(format!("this kernel has no type with {name}")),
                other => other.map(drop),
            },
            Self::Tun => match Path::new("/dev/net/tun").exists() {
                true => Ok(()),
                false => return Some("there is no /dev/net/tun".to_owned()),
            },
        };
        let error = format!("{:#}", tried.err()?);
        let last = error
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty() && !line.starts_with('^'));
        Some(format!("{self:?}: {}", last.unwrap_or("refused")))
    }
}
