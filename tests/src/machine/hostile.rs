//! What outsiders try: a table of attacks, each with the test that makes it and what must hold meanwhile.
//!
//! The test of an attack is the function of that name in `tests/kernel/hostile/`; the table of `docs/security.md` is made from this one.

use std::fmt::Write as _;

/// An attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// The name of its test.
    pub test: &'static str,
    /// What the attacker does.
    pub does: &'static str,
    /// What must hold.
    pub holds: &'static str,
}

/// A line of the table.
const fn attack(test: &'static str, does: &'static str, holds: &'static str) -> Attack {
    Attack { test, does, holds }
}

/// All attacks.
pub const ATTACKS: &[Attack] = &[
    attack(
        "slow_readers_over_http_1",
        "200 clients ask for 10,000 series without gzip and read a byte a second, over many collections",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "slow_readers_of_own_answers",
        "100 clients ask for `/api/v1/flows` of 2000 connections and read nothing",
        "scrapes within 1 s; the process within 64 MB; those beyond the memory for answers are cut off or get 503 and `Retry-After`",
    ),
    attack(
        "streams_without_a_window",
        "100 connections of HTTP/2 with a flow-control window of 0, with as many streams as they may have",
        "scrapes within 1 s, the process within 64 MB; 4 streams a connection",
    ),
    attack(
        "answers_that_nobody_takes",
        "an answer that is read a byte a second, a small one that the kernel has room for, and a stream of HTTP/2 whose window stays 0",
        "all are cut off after 60 s, with a line in the log",
    ),
    attack(
        "answers_that_are_taken_slowly_again",
        "answers that are taken slowly, and more than a minute later others on the same connection",
        "no attack: they are delivered whole",
    ),
    attack(
        "bodies_that_nobody_asked_for",
        "50 connections of HTTP/2 send bodies of requests until the flow control stops them",
        "it stops them after 16 KiB a stream",
    ),
    attack(
        "idle_connections",
        "3000 connections that say nothing, opened anew when they are closed",
        "scrapes within 1 s, `/healthz` within 100 ms; the longest idle connection makes room",
    ),
    attack(
        "busy_connections",
        "600 connections that ask for `/healthz` again and again",
        "scrapes within 1 s, `/healthz` within 100 ms",
    ),
    attack(
        "handshakes_that_do_not_begin",
        "600 connections without a ClientHello, opened anew when they are closed",
        "scrapes over TLS within 1 s, `/healthz` within 100 ms",
    ),
    attack(
        "handshakes_that_do_not_end",
        "300 connections send a ClientHello byte for byte",
        "scrapes over TLS within 1 s, `/healthz` within 100 ms",
    ),
    attack(
        "floods_of_frames",
        "a connection of HTTP/2 sends resets of requests that it has just made, settings, pings, priorities, windows, empty data, headers \
         without an end, headers that unpack to more than they are, or unknown frames, as fast as one can, and reads nothing",
        "scrapes over TLS within 1 s, `/healthz` within 100 ms, the process within 64 MB, no line of the log for each",
    ),
    attack(
        "bodies_that_never_end",
        "100 connections announce bodies without an end, in chunks, by length or after a promise (`Expect`), and send them slowly",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "rows_of_requests_that_nobody_reads",
        "thousands of connections that send 1000 requests each at once and read nothing",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "rows_of_requests_without_an_end",
        "300 connections that send request after request, whole or in pieces, and read what comes",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "rows_of_streams",
        "60 connections of HTTP/2 that ask for four answers at once, again and again",
        "scrapes over TLS within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "a_peer_with_many_connections",
        "one address opens 100 connections, then keeps all of its own busy",
        "it has `limits.connections_per_peer` of them; beyond, only `/healthz` and `/readyz` are answered, the rest gets 503; other addresses notice nothing",
    ),
    attack(
        "connections_that_outlast_a_certificate",
        "a client keeps its connection open while the web configuration changes who is let in",
        "the connection is closed within seconds, after the answer that is under way",
    ),
    attack(
        "requests_that_are_given_up",
        "connections that are reset once they have asked for the metrics, as fast as one can",
        "scrapes within 1 s; the number of threads stays",
    ),
    attack(
        "guessers",
        "40 clients guess passwords",
        "who has logged in before is answered within 1 s, also after the web configuration was written anew; another user's first login takes a few comparisons; more guesses get 429",
    ),
    attack(
        "users_by_time",
        "wrong passwords for users with hashes of different costs, and for one who does not exist",
        "all take the same time",
    ),
    attack(
        "requests_beyond_the_rate",
        "a client without a password asks in a loop, where a `rate_limit` is set",
        "who has logged in never gets 429",
    ),
    attack(
        "another_host_s_name",
        "a page whose DNS was turned to 127.0.0.1 asks a loopback address, in any version of HTTP",
        "403 on every path, unless the request names `localhost` or an address",
    ),
    attack(
        "pages_of_another_site",
        "a page of another site posts to `/-/reload` and asks for `/api/v1/flows`",
        "403 by `Origin` and by `Sec-Fetch-Site`",
    ),
    attack(
        "requests_for_no_host_or_two",
        "HTTP/1.1 without a Host header, with two, and with one that is none",
        "400, and the connection is closed",
    ),
    attack(
        "configurations_that_are_no_files",
        "a configuration is a pipe, a device, a folder, a terabyte, nested 100,000 deep, has 8,000,000 words, or 100,001 networks, at the start and at a reload",
        "it is refused within seconds with the reason; everybody is served meanwhile, and memory stays",
    ),
    attack(
        "web_configurations_that_are_pipes",
        "the web configuration becomes a pipe that nobody writes",
        "requests are answered as before, one line of the log says why, and SIGTERM ends it",
    ),
    attack(
        "keys_without_an_end",
        "certificates, keys and type information are pipes or `/dev/zero`",
        "they are refused within seconds with the reason",
    ),
    attack(
        "names_and_values_without_bounds",
        "names with megabytes, control characters or characters that turn text round, and values of a megabyte",
        "they are refused in one short line",
    ),
    attack(
        "reloads_between_two_pushes",
        "150 reloads between two pushes of deltas, while the receiver is away",
        "memory stays",
    ),
    attack(
        "addresses_of_the_kernel",
        "an exporter without CAP_SYSLOG is asked for everything that it shows",
        "no address of the kernel is in it",
    ),
    attack(
        "hangups_before_it_serves",
        "SIGHUP at ten moments of the start",
        "each is a reload",
    ),
    attack(
        "ends_at_any_moment",
        "SIGTERM and SIGINT at ten moments of the start",
        "each is an end with exit code 0, within a second or two",
    ),
    attack(
        "too_few_threads",
        "a user who may have 2 to 12 threads",
        "exit code 1 at the start, with the remedy",
    ),
    attack(
        "requests_that_want_threads",
        "every path is asked for, and a reload",
        "no thread comes",
    ),
    attack(
        "too_few_descriptors",
        "limits of open files from 32 to 600, and a soft one of 100",
        "exit code 1 with the remedy; the soft one is raised to the hard one",
    ),
    attack(
        "logs_that_may_not_grow",
        "standard error is a file, and a limit of the size of files is reached",
        "it goes on without a log, and ends with exit code 0",
    ),
    attack(
        "terminals_of_any_size",
        "`top` on a terminal of 65535 columns and rows",
        "it draws 1000 of each, and SIGTERM ends it",
    ),
    attack(
        "captures_into_folders",
        "`capture -w` names a folder, in several forms, with and without rotation",
        "exit code 2, and no file is made",
    ),
];

/// The lines of the table in Markdown.
pub fn markdown() -> String {
    let mut text = String::from("| attack | must hold |\n| --- | --- |\n");
    for Attack { test: _, does, holds } in ATTACKS {
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "| {does} | {holds} |");
    }
    text
}
