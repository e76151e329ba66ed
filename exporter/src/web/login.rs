//! Passwords of HTTP basic authentication, compared with bcrypt hashes.
//! It must never keep a password, nor show by its time whether a user exists.
//! Asked by the guard for each request; it knows the users of one web configuration.

use axum::http::HeaderValue;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    hmac::{self, HMAC_SHA256},
    rand::SystemRandom,
};
use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

use super::config::Secret;

/// Most answers that are remembered. There are more than users only where bcrypt ignores the end of long passwords.
const MOST_KNOWN: usize = 1000;

/// Salt and digest of no password at all; with a cost in front it costs as much to compare as a user's.
const NOBODY: &str = "QHrQHrQHrQHrQHrQHrQHrOQHrQHrQHrQHrQHrQHrQHrQHrQHrQHr.";

/// Who may log in.
#[derive(Debug)]
pub(super) struct Login {
    users: BTreeMap<String, Secret>,
    /// Compared with when the user is unknown.
    nobody: Secret,
    /// Of this process: what is remembered says nothing to anybody else.
    key: hmac::Key,
    /// Names and passwords that were right, as keyed digests. Wrong ones are not remembered: so nobody drives out those
    /// who may log in, and a guess always costs its time.
    known: Mutex<HashSet<[u8; 32]>>,
    /// One comparison at a time: guesses take one CPU at most.
    turn: Arc<Semaphore>,
}

impl Login {
    pub(super) fn new(users: BTreeMap<String, Secret>) -> io::Result<Self> {
        let cost = users.values().filter_map(cost).max().unwrap_or(10);
        let key = hmac::Key::generate(HMAC_SHA256, &SystemRandom::new())
            .map_err(|_unsaid| io::Error::other("the system gives no random numbers"))?;
        Ok(Self {
            users,
            nobody: Secret::new(format!("$2b${cost:02}${NOBODY}")),
            key,
            known: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        })
    }

    /// Whether a request with this `Authorization` may pass.
    pub(super) async fn admits(&self, authorization: Option<HeaderValue>) -> bool {
        if self.users.is_empty() {
            return true;
        }
        let Some((user, password)) = authorization.as_ref().and_then(credentials) else {
            return false;
        };
        let hash = str::from_utf8(&user).ok().and_then(|user| self.users.get(user));
        let tag = self.tag(&user, hash.unwrap_or(&self.nobody), &password);
        if self.knows(&tag) {
            return true;
        }
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
            return false;
        };
        // Many scrapers with one password wait for one comparison.
        if self.knows(&tag) {
            return true;
        }
        let compared = hash.unwrap_or(&self.nobody).clone();
        let same = tokio::task::spawn_blocking(move || {
            // The turn lasts as long as the work, even where nobody waits for the answer any more.
            let _turn = turn;
            bcrypt::verify(password, compared.reveal()).unwrap_or(false)
        });
        let right = same.await.unwrap_or(false) && hash.is_some();
        if right {
            self.remember(tag);
        }
        right
    }

    fn tag(&self, user: &[u8], hash: &Secret, password: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user, hash.reveal().as_bytes(), password] {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    fn knows(&self, tag: &[u8; 32]) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(tag)
    }

    fn remember(&self, tag: [u8; 32]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(tag);
    }
}

fn cost(hash: &Secret) -> Option<u32> {
    let parts: bcrypt::HashParts = hash.reveal().parse().ok()?;
    Some(parts.get_cost())
}

/// Name and password of `Basic BASE64(name:password)`.
fn credentials(authorization: &HeaderValue) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = authorization.as_bytes().split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = STANDARD.decode(encoded).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = decoded.split_at(colon);
    Some((user.to_vec(), password.get(1..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(users: &[(&str, &str)]) -> Login {
        let hash =
            |(user, password): &(&str, &str)| ((*user).to_owned(), Secret::new(bcrypt::hash(password, 4).unwrap()));
        Login::new(users.iter().map(hash).collect()).unwrap()
    }

    fn admits(login: &Login, authorization: Option<&str>) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(login.admits(authorization.map(|text| HeaderValue::from_str(text).unwrap())))
    }

    fn basic(user_and_password: &str) -> String {
        format!("Basic {}", STANDARD.encode(user_and_password))
    }

    #[test]
    fn the_right_password_of_a_known_user_is_admitted() {
        let login = login(&[("alice", "open: sesame"), ("", "nameless")]);
        for right in ["alice:open: sesame", ":nameless"] {
            assert!(admits(&login, Some(&basic(right))), "{right}");
            // From memory too.
            assert!(admits(&login, Some(&basic(right))), "{right}");
        }
        assert!(admits(
            &login,
            Some(&basic("alice:open: sesame").replacen("Basic", "bASIC", 1))
        ));
        assert_eq!(login.known.lock().unwrap().len(), 2);
    }

    #[test]
    fn nobody_else_is_and_nothing_is_remembered() {
        let login = login(&[("alice", "open")]);
        for wrong in [
            "alice:",
            "alice:Open",
            "Alice:open",
            "bob:open",
            "alice",
            ":open",
            "alice:open\n",
            "\u{e4}:open",
        ] {
            assert!(!admits(&login, Some(&basic(wrong))), "{wrong}");
        }
        let good = STANDARD.encode("alice:open");
        for wrong in [
            "",
            "Basic",
            "Basic ",
            "Basic !",
            "Bearer x",
            &format!("Basic{good}"),
            &format!("Digest {good}"),
        ] {
            assert!(!admits(&login, Some(wrong)), "{wrong}");
        }
        assert!(!admits(&login, None));
        assert_eq!(login.known.lock().unwrap().len(), 0);
    }

    #[test]
    fn without_users_everybody_is() {
        let login = login(&[]);
        assert!(admits(&login, None) && admits(&login, Some("Bearer x")));
    }

    #[test]
    fn an_unknown_user_costs_what_the_dearest_known_one_does() {
        let hash = |cost| Secret::new(bcrypt::hash("x", cost).unwrap());
        let users = BTreeMap::from([("a".to_owned(), hash(4)), ("b".to_owned(), hash(5))]);
        let nobody = Login::new(users).unwrap().nobody;
        assert_eq!(cost(&nobody), Some(5));
        // Comparing works: it is no error that ends early.
        assert!(!bcrypt::verify("x", nobody.reveal()).unwrap());
    }

    #[test]
    fn memory_is_bounded() {
        let login = login(&[("alice", "open")]);
        for number in 0..=MOST_KNOWN {
            login.remember(login.tag(b"alice", &login.nobody, &number.to_le_bytes()));
            assert!(login.known.lock().unwrap().len() <= MOST_KNOWN);
        }
    }
}
