//! What the fold is about to walk over, asked for in advance. Between two flows the kernel follows three pointers, from element to
//! storage to socket, and on a host with many flows nothing of that is in a cache: each would be waited for. So a run loads from
//! what the next ones need, all of which arrives together: of the next flow its value and socket, of the second the storage that
//! names its socket, of the third its element. Each list of the kernel's ends anew.
//!
//! Nothing comes of what is read here: it may be stale, or not there.

use crate::kernel::StorageElement;
use common::tcp::flow::FlowState;

/// Asks for what the runs after the one on this flow need.
#[inline(always)]
pub(crate) fn fetch(value: &FlowState) {
    let Some(first) = StorageElement::of_value(value).and_then(StorageElement::next) else {
        return;
    };
    first.fetch_value();
    if let Some(tcp) = first.owner() {
        tcp.fetch();
    }
    if let Some(second) = first.next() {
        let _owner = second.owner();
        let _fourth = second.next().and_then(StorageElement::next);
    }
}
