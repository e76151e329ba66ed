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
        "200 clients request 10,000 series without gzip and read one byte per second, over many collections",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "slow_readers_of_own_answers",
        "100 clients request `/api/v1/flows` of 2000 connections and read nothing",
        "scrapes within 1 s, the process within 64 MB; answers beyond the memory limit are cut off or get 503 and `Retry-After`",
    ),
    attack(
        "slow_readers_of_chosen_metrics",
        "200 clients request metrics by name (`?name[]=`), an answer for each of them alone, and read a byte a second",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "crowds_that_ask_for_answers_of_their_own",
        "400 clients at once request compressed answers that are made for each of them, again and again: flows, drops, cardinality, status, \
         findings, metrics by name, and pages of `/docs`",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "reloads_that_nobody_waits_for",
        "clients post to `/-/reload`, where that is enabled, and close the connection at once",
        "scrapes within 1 s; one reload runs and one waits; memory does not grow",
    ),
    attack(
        "streams_without_a_window",
        "100 HTTP/2 connections with a flow-control window of 0 and the maximum number of streams, for every route",
        "scrapes within 1 s, the process within 64 MB; 4 streams per connection",
    ),
    attack(
        "answers_that_nobody_takes",
        "a client reads an answer at one byte per second, a client does not read a small answer that fits into the kernel's buffer, and an HTTP/2 stream keeps its window at 0",
        "each is cut off after 60 s, with a line in the log",
    ),
    attack(
        "answers_that_are_taken_slowly_again",
        "a client reads an answer slowly, and requests another one on the same connection more than a minute later",
        "not an attack: both are delivered completely",
    ),
    attack(
        "bodies_that_nobody_asked_for",
        "50 HTTP/2 connections send request bodies until flow control stops them",
        "flow control stops them after 16 KiB per stream",
    ),
    attack(
        "idle_connections",
        "3000 connections that send nothing and are reopened when they are closed",
        "scrapes within 1 s, `/healthz` within 100 ms; the longest idle connection is closed first",
    ),
    attack(
        "busy_connections",
        "600 connections that request `/healthz` repeatedly",
        "scrapes within 1 s, `/healthz` within 100 ms",
    ),
    attack(
        "handshakes_that_do_not_begin",
        "600 connections that send no ClientHello and are reopened when they are closed",
        "scrapes over TLS within 1 s, `/healthz` within 100 ms",
    ),
    attack(
        "handshakes_that_do_not_end",
        "300 connections that send a ClientHello byte by byte",
        "scrapes over TLS within 1 s, `/healthz` within 100 ms",
    ),
    attack(
        "handshakes_of_many_bytes",
        "600 connections send a ClientHello of 64 KB, with the names of 3300 hosts, that does not end",
        "scrapes over TLS within 1 s, `/healthz` within 100 ms; memory grows by less than 26 MB",
    ),
    attack(
        "floods_of_frames",
        "an HTTP/2 connection sends, as fast as possible and without reading: resets of its own requests, settings, pings, priorities, \
         window updates, empty data, endless headers, headers that expand when decompressed, or unknown frames",
        "scrapes over TLS within 1 s, `/healthz` within 100 ms, the process within 64 MB; not one log line for each",
    ),
    attack(
        "bodies_that_never_end",
        "100 connections announce endless bodies (chunked, by length, or with `Expect`) and send them slowly",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "rows_of_requests_that_nobody_reads",
        "thousands of connections that send 1000 requests each at once and read nothing",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "rows_of_requests_without_an_end",
        "300 connections that send requests without a pause, whole or in pieces, and read the answers",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "rows_of_streams",
        "60 HTTP/2 connections that repeatedly request four answers at once",
        "scrapes over TLS within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "a_peer_with_many_connections",
        "one address opens 100 connections and keeps all of them busy",
        "it gets `limits.connections_per_peer` connections; on further ones only `/healthz` and `/readyz` are answered, the rest gets 503; other addresses are not affected",
    ),
    attack(
        "connections_that_outlast_a_certificate",
        "a client keeps its connection open while the web configuration revokes its access",
        "the connection is closed within seconds, after the answer in progress",
    ),
    attack(
        "headers_that_do_not_end",
        "600 connections send headers without an end: 10,000 lines, a line of a megabyte, and as much as is allowed",
        "scrapes within 1 s, `/healthz` within 100 ms, the process within 64 MB",
    ),
    attack(
        "a_header_that_does_not_end",
        "a connection sends the first lines of a header and nothing else",
        "it is closed after 20 s",
    ),
    attack(
        "requests_that_are_given_up",
        "connections that request the metrics and are reset, as fast as possible",
        "scrapes within 1 s; the number of threads does not grow",
    ),
    attack(
        "guessers",
        "40 clients guess passwords",
        "a user who logged in before gets answers within 1 s, also after a change of the web configuration; the first login of another user takes a few comparisons; further guesses get 429",
    ),
    attack(
        "users_by_time",
        "wrong passwords for users whose hashes have different costs, and for a user who does not exist",
        "all answers take the same time",
    ),
    attack(
        "requests_beyond_the_rate",
        "a client without a password sends requests in a loop, with a `rate_limit` configured",
        "users who logged in never get 429",
    ),
    attack(
        "another_host_s_name",
        "a web page whose DNS name points to 127.0.0.1 sends requests to a loopback address, in any version of HTTP",
        "403 on every path, unless the request names `localhost` or an address",
    ),
    attack(
        "pages_of_another_site",
        "a web page of another site posts to `/-/reload` and requests `/api/v1/flows`",
        "403 by `Origin` and by `Sec-Fetch-Site`",
    ),
    attack(
        "requests_for_no_host_or_two",
        "HTTP/1.1 requests without a Host header, with two, and with an invalid one",
        "400, and the connection is closed",
    ),
    attack(
        "configurations_that_are_no_files",
        "the configuration is a pipe, a device or a folder, has a terabyte, 100,000 levels, 8,000,000 words, aliases that repeat 8,000,000, 1000 views or 100,001 networks, at the start and at a reload",
        "it is rejected within seconds with the reason; clients are served meanwhile, and memory does not grow",
    ),
    attack(
        "web_configurations_that_are_pipes",
        "the web configuration becomes a pipe without a writer",
        "requests are answered as before, one log line gives the reason, and SIGTERM ends the process",
    ),
    attack(
        "keys_without_an_end",
        "certificates, keys, logins, recordings and type information are pipes or `/dev/zero`",
        "they are rejected within seconds with the reason",
    ),
    attack(
        "names_and_values_without_bounds",
        "names with megabytes, control characters or characters that reverse text, and values of a megabyte",
        "they are rejected in one short line",
    ),
    attack(
        "reloads_between_two_pushes",
        "60 reloads between two pushes of deltas, while the receiver is away",
        "memory does not grow",
    ),
    attack(
        "addresses_of_the_kernel",
        "a client requests every path of an exporter without CAP_SYSLOG",
        "no answer contains an address of the kernel",
    ),
    attack(
        "hangups_before_it_serves",
        "SIGHUP at ten moments during the start",
        "each causes a reload",
    ),
    attack(
        "storms_of_signals",
        "hundreds of SIGHUP from the first moment of the start on, then SIGTERM or SIGINT",
        "reloads take turns, and the process ends with exit code 0",
    ),
    attack(
        "ends_at_any_moment",
        "SIGTERM and SIGINT at ten moments during the start",
        "the process ends with exit code 0 each time, within a second or two",
    ),
    attack(
        "too_few_threads",
        "a user with a limit of 2 to 12 threads",
        "exit code 1 at the start, with the remedy",
    ),
    attack(
        "requests_that_want_threads",
        "a client requests every path, and a reload",
        "no thread is created",
    ),
    attack(
        "too_few_descriptors",
        "limits of open files from 32 to 600, and a soft limit of 100",
        "exit code 1 with the remedy; the soft limit is raised to the hard limit",
    ),
    attack(
        "too_little_stack",
        "a limit of 64 KiB for the stack, and a soft limit of 64 KiB",
        "exit code 1 with the remedy; the soft limit is raised",
    ),
    attack(
        "logs_that_may_not_grow",
        "standard error is a file that reaches the limit of file sizes",
        "the exporter continues without a log, and ends with exit code 0",
    ),
    attack(
        "terminals_of_any_size",
        "`top` on a terminal of 65535 columns and rows",
        "it draws 1000 of each, and SIGTERM ends it",
    ),
    attack(
        "commands_under_the_shipped_profile",
        "every command except `serve` and `demo` runs under the profile of `deploy/seccomp`, changed to kill",
        "no command makes a system call that the profile does not name",
    ),
    attack(
        "servers_under_the_shipped_profile",
        "`serve` and `demo` run under the same profile, with TLS and passwords, on a unix socket, with a push, and while files change",
        "no system call that the profile does not name",
    ),
    attack(
        "exporters_that_write_to_the_terminal",
        "the server that `cardinality --from` and `explain --from` ask puts escape sequences and bidirectional characters into names",
        "none of them reaches the terminal",
    ),
    attack(
        "captures_into_folders",
        "`capture -w` names a folder, in several forms, with and without rotation",
        "exit code 2, and no file is created",
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
