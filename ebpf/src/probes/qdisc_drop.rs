//! `qdisc_drop(struct Qdisc *qdisc, const struct netdev_queue *txq, struct net_device *dev, struct sk_buff *skb, enum
//! qdisc_drop_reason reason)`, 7.2. A queueing discipline drops a packet, and says why; `kfree_skb` follows for the same packet and
//! knows only that a queue dropped it.

use crate::{drops::notes, kernel::SkBuff, nested::programs};
use aya_ebpf::programs::BtfTracePointContext;

programs!(QdiscDrop, "qdisc_drop", qdisc_drop, qdisc_drop_nested, on_event);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    if let Some(packet) = SkBuff::argument(context, 3) {
        notes::qdisc_drops(packet, context.arg(4));
    }
}
