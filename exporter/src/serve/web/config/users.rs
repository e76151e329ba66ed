//! Who may ask: names and bcrypt hashes of passwords.
//! It must never say what a hash is, and never let one through with which no password can be compared.
//! From `basic_auth_users`; to `login`.

use std::collections::BTreeMap;

use base64::Engine as _;
use bcrypt::{BASE_64, HashParts};

use tcpvitals_config::file::Problem;

use super::Secret;
use super::raw::Pairs;

/// The highest cost: a comparison takes about a second with it, and there is one at a time.
const MOST_COST: u32 = 14;

pub(super) fn parse(Pairs(pairs): Pairs) -> Result<BTreeMap<String, Secret>, Problem> {
    let mut users = BTreeMap::new();
    for (name, hash) in pairs {
        if let Err(fault) = check(hash.reveal()) {
            let what = format!("{fault}; write what `htpasswd -nBC 10 {name}` prints behind the colon");
            return Err(Problem::new(key(&name), what));
        }
        if name.contains(':') {
            let what = "HTTP basic authentication has no names with a colon; choose another name";
            return Err(Problem::new(key(&name), what));
        }
        users.insert(name, hash);
    }
    Ok(users)
}

fn key(name: &str) -> String {
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if plain {
        format!("basic_auth_users.{name}")
    } else {
        format!("basic_auth_users[\"{name}\"]")
    }
}

/// Whether a password can be compared with this text.
fn check(hash: &str) -> Result<(), String> {
    let no_hash = || "this is not a bcrypt hash".to_owned();
    let parts: HashParts = hash.parse().map_err(|_unsaid| no_hash())?;
    let cost = parts.get_cost();
    if !(4..=31).contains(&cost) {
        return Err("bcrypt has no such cost, but 04 to 31".to_owned());
    }
    if cost > MOST_COST {
        let seconds = 2_u64.pow(cost - MOST_COST);
        return Err(format!(
            "with a cost of {cost} every comparison takes about {seconds} s, in which nobody else can log in; {MOST_COST} is the most"
        ));
    }
    // The crate compares only what decodes.
    let (_, digest) = hash.rsplit_once('$').ok_or_else(no_hash)?;
    let (salt, digest) = digest.split_at_checked(22).ok_or_else(no_hash)?;
    let decodes = |text: &str| BASE_64.decode(text).is_ok();
    if decodes(salt) && decodes(digest) {
        Ok(())
    } else {
        Err(no_hash())
    }
}
