//! Passwords of HTTP basic authentication, compared with bcrypt hashes.
//! It must never keep a password, nor show by its time whether a user exists.
//! Asked by the guard for each request; it knows the users of one web configuration.

mod queue;
mod tag;

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

use crate::serve::web::{config::Secret, transport::peer::Peer};
use queue::Queue;
pub(crate) use tag::Tag;

/// Most answers that are remembered. There are more than users only where bcrypt ignores the end of long passwords.
const MOST_KNOWN: usize = 1000;

/// Salt and digest of no password at all; with a cost in front it costs as much to compare as a user's.
const NOBODY: &str = "QHrQHrQHrQHrQHrQHrQHrOQHrQHrQHrQHrQHrQHrQHrQHrQHrQHr.";

/// Who may log in.
#[derive(Debug)]
pub(crate) struct Login {
    users: BTreeMap<String, Secret>,
    /// What the dearest comparison costs, and so every one that fails.
    dearest: u32,
}

/// What a request shows.
#[derive(Debug)]
pub(crate) enum Shown {
    /// Nobody is asked for a password.
    NotAsked,
    /// No name and password.
    Nothing,
    /// A name and a password.
    Credentials(Credentials),
}

/// A name and a password, and what they are to be compared with.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) tag: Tag,
    name: Tag,
    password: Vec<u8>,
    /// None where there is no such user.
    hash: Option<Secret>,
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    Right,
    Wrong,
    /// Too many wait: of this name, of this peer or in all.
    Refused,
}

impl Login {
    pub(crate) fn new(users: BTreeMap<String, Secret>) -> Self {
        let dearest = users.values().filter_map(cost).max().unwrap_or(10);
        Self { users, dearest }
    }

    /// What a request with this `Authorization` shows.
    pub(crate) fn shown(&self, authorization: Option<&HeaderValue>, logins: &Logins) -> Shown {
        if self.users.is_empty() {
            return Shown::NotAsked;
        }
        let Some((user, password)) = authorization.and_then(credentials) else {
            return Shown::Nothing;
        };
        let hash = str::from_utf8(&user)
            .ok()
            .and_then(|user| self.users.get(user))
            .cloned();
        let compared = hash.as_ref().map_or(&[][..], |hash| hash.reveal().as_bytes());
        Shown::Credentials(Credentials {
            tag: logins.tag(&[&user, compared, &password]),
            name: logins.tag(&[&user]),
            password,
            hash,
        })
    }

    /// Compares; whoever waits may go away, the work is done all the same.
    pub(crate) async fn compare(
        &self,
        credentials: Credentials,
        peer: Peer,
        known: bool,
        logins: &Arc<Logins>,
    ) -> Compared {
        let Some(ticket) = logins.queue.enter(peer, credentials.name, known) else {
            return Compared::Refused;
        };
        let (logins, dearest) = (Arc::clone(logins), self.dearest);
        let compared = tokio::spawn(async move {
            let Credentials {
                tag, password, hash, ..
            } = credentials;
            let Some(turn) = ticket.turn().await else {
                return Compared::Refused;
            };
            // Many scrapers with one password wait for one comparison.
            if logins.knows(&tag) {
                return Compared::Right;
            }
            let work = move || {
                // The turn lasts as long as the work.
                let _turn = turn;
                is_right(&password, hash.as_ref(), dearest)
            };
            if tokio::task::spawn_blocking(work).await.unwrap_or(false) {
                ticket.succeeded();
                logins.remember(tag);
                Compared::Right
            } else {
                ticket.failed().await;
                Compared::Wrong
            }
        });
        compared.await.unwrap_or(Compared::Refused)
    }
}

/// A comparison that fails takes the time of the dearest, whoever the user is: one of cost `c`, another `c`, `c + 1` and so
/// on up to the last before the dearest add up to just that.
fn is_right(password: &[u8], hash: Option<&Secret>, dearest: u32) -> bool {
    let verify = |hash: &str| bcrypt::verify(password, hash).unwrap_or(false);
    let nobody = |cost: u32| format!("$2b${cost:02}${NOBODY}");
    let Some(hash) = hash else {
        let _nobody = verify(&nobody(dearest));
        return false;
    };
    if verify(hash.reveal()) {
        return true;
    }
    for cost in cost(hash).unwrap_or(dearest)..dearest {
        let _nobody = verify(&nobody(cost));
    }
    false
}

/// Who has logged in, and who waits to. It stays when the web configuration changes: a password that was right is so for as
/// long as its user has the same hash.
#[derive(Debug)]
pub(crate) struct Logins {
    /// Of this process: what is remembered says nothing to anybody else.
    key: hmac::Key,
    /// Names and passwords that were right, as keyed digests. Wrong ones are not remembered: so nobody drives out those
    /// who may log in, and a guess always costs its time.
    known: Mutex<HashSet<Tag>>,
    queue: Queue,
}

impl Logins {
    /// Nobody yet.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let key = hmac::Key::generate(HMAC_SHA256, &SystemRandom::new())
            .map_err(|_unsaid| io::Error::other("the system gives no random numbers"))?;
        Ok(Arc::new(Self {
            key,
            known: Mutex::default(),
            queue: Queue::default(),
        }))
    }

    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Whether this was right before.
    pub(crate) fn knows(&self, tag: &Tag) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(tag)
    }

    fn remember(&self, tag: Tag) {
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
        Login::new(users.iter().map(hash).collect())
    }

    fn peer() -> Peer {
        Peer::new("192.0.2.1".parse().unwrap())
    }

    /// Whether it is let in, as the guard does it.
    fn admits(login: &Login, logins: &Arc<Logins>, authorization: Option<&str>) -> bool {
        let header = authorization.map(|text| HeaderValue::from_str(text).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(async {
            match login.shown(header.as_ref(), logins) {
                Shown::NotAsked => true,
                Shown::Nothing => false,
                Shown::Credentials(shown) => {
                    logins.knows(&shown.tag) || login.compare(shown, peer(), false, logins).await == Compared::Right
                }
            }
        })
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn a_password_that_was_right_is_known_and_a_wrong_one_is_not() {
        let (login, logins) = (login(&[("alice", "open"), ("bob", "")]), Logins::new().unwrap());
        let known = || logins.known.lock().unwrap().len();
        for _ in 0..2 {
            assert!(admits(&login, &logins, Some(&basic("alice:open"))));
        }
        assert_eq!(known(), 1);
        assert!(admits(&login, &logins, Some(&basic("bob:").replace("Basic", "bAsIc"))));
        assert_eq!(known(), 2);
        for wrong in [
            "alice:close",
            "alice:",
            "alice:open ",
            "bob:open",
            "carol:open",
            ":open",
            "open",
        ] {
            assert!(!admits(&login, &logins, Some(&basic(wrong))), "{wrong}");
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
            assert!(!admits(&login, &logins, Some(wrong)), "{wrong}");
        }
        assert!(!admits(&login, &logins, None));
        assert_eq!(known(), 2);
    }

    #[test]
    fn a_password_is_known_as_long_as_its_user_has_the_same_hash() {
        let logins = Logins::new().unwrap();
        let first = login(&[("alice", "open")]);
        assert!(admits(&first, &logins, Some(&basic("alice:open"))));
        let is_known = |login: &Login| {
            let header = HeaderValue::from_str(&basic("alice:open")).unwrap();
            match login.shown(Some(&header), &logins) {
                Shown::Credentials(shown) => logins.knows(&shown.tag),
                Shown::NotAsked | Shown::Nothing => false,
            }
        };
        assert!(is_known(&Login::new(first.users)));
        // The same password with another salt, another user, and none of that name.
        for other in [login(&[("alice", "open")]), login(&[("bob", "open")])] {
            assert!(!is_known(&other));
        }
    }

    #[test]
    fn without_users_everybody_is() {
        let (login, logins) = (login(&[]), Logins::new().unwrap());
        assert!(admits(&login, &logins, None) && admits(&login, &logins, Some("Bearer x")));
    }

    #[test]
    fn every_user_costs_what_the_dearest_one_does() {
        let hash = |cost| Secret::new(bcrypt::hash("x", cost).unwrap());
        let (cheap, dear) = (hash(4), hash(6));
        let login = Login::new([("a".to_owned(), cheap.clone()), ("b".to_owned(), dear.clone())].into());
        assert_eq!(login.dearest, 6);
        for hash in [Some(&cheap), Some(&dear)] {
            assert!(is_right(b"x", hash, login.dearest) && !is_right(b"y", hash, login.dearest));
        }
        assert!(!is_right(b"x", None, login.dearest));
        // 4, and then 4 and 5: as much as 6.
        assert_eq!((1_u32 << 4) + (4..6).map(|cost| 1 << cost).sum::<u32>(), 1 << 6);
        // Comparing with nobody works: it is no error that ends early.
        assert!(!bcrypt::verify("x", &format!("$2b$04${NOBODY}")).unwrap());
    }

    #[test]
    fn memory_is_bounded() {
        let logins = Logins::new().unwrap();
        for number in 0..=MOST_KNOWN {
            logins.remember(logins.tag(&[&number.to_le_bytes()]));
            assert!(logins.known.lock().unwrap().len() <= MOST_KNOWN);
        }
    }
}
