//! A switch of the kernel module `openvswitch` that drops every IPv4 packet, for a reason that only the module names. Spoken to by
//! generic netlink, so that nothing of Open vSwitch itself is needed.

use std::io::{Error, Read as _};

use anyhow::{Context as _, Result, bail};
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};

use crate::net::namespace::Namespace;

/// What the kernel gives for a flow without actions.
pub const REASON: &str = "OVS_DROP_LAST_ACTION";

const NETLINK_GENERIC: i32 = 16;
/// `NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE`
const FLAGS: u16 = 1 | 4 | 0x400;
/// The only port, by the number that we give it.
const PORT: u32 = 1;
/// `ETH_P_IP`
const IPV4: [u8; 2] = [8, 0];

/// Makes a switch in the namespace with one port, the device, on which it drops what comes in by IPv4.
pub fn drop_all(namespace: &Namespace, device: &str) -> Result<()> {
    const NEW: u8 = 1;
    namespace.run(|| {
        let mut netlink = Netlink::open()?;
        let switch = [attribute(1, b"switch\0"), attribute(2, &0_u32.to_ne_bytes())].concat();
        netlink.ask("ovs_datapath", 2, NEW, Some(0), &switch)?;
        let switch = if_nametoindex("switch").context("the switch has no device")?;
        let name = [device.as_bytes(), b"\0"].concat();
        let port = [
            attribute(1, &PORT.to_ne_bytes()),
            // A network device.
            attribute(2, &1_u32.to_ne_bytes()),
            attribute(3, &name),
            attribute(5, &0_u32.to_ne_bytes()),
        ]
        .concat();
        netlink.ask("ovs_vport", 1, NEW, Some(switch), &port)?;
        // Port and type have to be these, addresses and all else may be any.
        let key = |port: u32, kind: [u8; 2]| {
            [
                attribute(3, &port.to_ne_bytes()),
                attribute(4, &[0; 12]),
                attribute(6, &kind),
                attribute(7, &[0; 12]),
            ]
            .concat()
        };
        let flow = [
            attribute(1, &key(PORT, IPV4)),
            // No actions.
            attribute(2, &[]),
            attribute(7, &key(u32::MAX, [0xff; 2])),
        ]
        .concat();
        netlink.ask("ovs_flow", 1, NEW, Some(switch), &flow)?;
        Ok(())
    })
}

/// A netlink attribute, padded.
fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "a few bytes")]
    let length = (4 + content.len()) as u16;
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

struct Netlink(Socket);

impl Netlink {
    fn open() -> Result<Self> {
        let domain = Domain::from(libc::AF_NETLINK);
        Ok(Self(Socket::new(
            domain,
            Type::RAW,
            Some(Protocol::from(NETLINK_GENERIC)),
        )?))
    }

    /// Sends a command to a family of generic netlink and waits until it is done. The families of Open vSwitch want the
    /// switch's device first.
    fn ask(&mut self, family: &str, version: u8, command: u8, switch: Option<u32>, content: &[u8]) -> Result<()> {
        let number = self.family(family)?;
        let header = switch.map(u32::to_ne_bytes).unwrap_or_default();
        let body = [&[command, version, 0, 0], &header[..], content].concat();
        self.exchange(number, &body, |_| ())
            .with_context(|| format!("command {command} of {family}"))
    }

    /// The number that the kernel has given to a family.
    fn family(&mut self, name: &str) -> Result<u16> {
        const CONTROLLER: u16 = 0x10;
        const GET_FAMILY: u8 = 3;
        let name_attribute = attribute(2, &[name.as_bytes(), b"\0"].concat());
        let body = [&[GET_FAMILY, 1, 0, 0], &name_attribute[..]].concat();
        let mut number = None;
        self.exchange(CONTROLLER, &body, |reply| {
            // The first attributes are the family's name and its number.
            let mut rest = reply.get(4..).unwrap_or_default();
            while let [a, b, kind, _, ..] = *rest {
                let length = usize::from(u16::from_ne_bytes([a, b])).max(4);
                if let (1, Some(&[low, high])) = (kind, rest.get(4..6)) {
                    number = Some(u16::from_ne_bytes([low, high]));
                }
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        })
        .with_context(|| format!("ask for the family {name}"))?;
        number.with_context(|| format!("the kernel gives no number for {name}"))
    }

    fn exchange(&mut self, kind: u16, body: &[u8], mut answer: impl FnMut(&[u8])) -> Result<()> {
        const ERROR: u16 = 2;
        let length = u32::try_from(16 + body.len())?;
        let mut message = length.to_ne_bytes().to_vec();
        message.extend([kind.to_ne_bytes(), FLAGS.to_ne_bytes()].concat());
        message.extend([0; 8]);
        message.extend(body);
        self.0.send(&message)?;
        loop {
            let mut buffer = vec![0; 1 << 16];
            let length = self.0.read(&mut buffer)?;
            let mut rest = &buffer[..length];
            while let [a, b, c, d, low, high, ..] = *rest {
                let length = u32::from_ne_bytes([a, b, c, d]) as usize;
                let Some(content) = rest.get(16..length) else {
                    bail!("a netlink message is cut off");
                };
                if u16::from_ne_bytes([low, high]) == ERROR {
                    return match content.get(..4).map(|code| code.try_into().map(i32::from_ne_bytes)) {
                        Some(Ok(0)) => Ok(()),
                        Some(Ok(code)) => Err(Error::from_raw_os_error(-code).into()),
                        _ => bail!("an answer without a code"),
                    };
                }
                answer(content);
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}
