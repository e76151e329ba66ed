//! The walk over all cgroups, which announces those that are older than the programs. The kernel's own iterator over cgroups (6.1 and
//! later) shows a process in a container only the cgroups of that container.
#![expect(unsafe_code, reason = "functions that the verifier checks once are exported by name")]

use crate::{kernel::cgroup::Place, label::workloads};

/// Steps of a part of the walk, and parts of a walk. There are fewer than two steps for each cgroup: down to it, or over it to the next.
const STEPS: u32 = 256;
const PARTS: u32 = 256;

/// Beside the address of a cgroup, which is even: all that is in it was visited.
const IS_LEFT: u64 = 1;
/// The walk is over.
const OVER: u64 = 0;

/// Walks the whole tree, as far as there is room to announce what nobody has met yet.
#[inline(always)]
pub(crate) fn find_all() {
    let root = Place::root();
    let mut at = root.0;
    let mut part = 0;
    while part < PARTS && at != OVER {
        at = walk_cgroups(at, root.0);
        part += 1;
    }
}

/// Goes some steps, and gives where the walk is then. With global linkage, as [`step_of_cgroups`]: the verifier checks it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn walk_cgroups(at: u64, root: u64) -> u64 {
    let mut at = at;
    let mut step = 0;
    while step < STEPS && at != OVER {
        at = step_of_cgroups(at, root);
        step += 1;
    }
    at
}

/// Visits a cgroup and goes to the first one in it, else to the next one beside it; else all that is in the one above was visited.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn step_of_cgroups(at: u64, root: u64) -> u64 {
    let place = Place(at & !IS_LEFT);
    if !place.is_there() {
        return OVER;
    }
    if at & IS_LEFT == 0 {
        if !workloads::find(place) {
            return OVER;
        }
        let child = place.child();
        if child != Place::NONE {
            return child.0;
        }
    }
    if place.0 == root {
        return OVER;
    }
    let sibling = place.sibling();
    if sibling != Place::NONE {
        return sibling.0;
    }
    // One without any is none, and ends the walk.
    place.parent().0 | IS_LEFT
}
