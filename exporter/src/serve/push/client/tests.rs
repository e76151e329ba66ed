//! What is sent, and what is said when the receiver is not what the settings take it for.

use super::*;
use std::io::Read as _;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use tcpvitals_config::Config;

#[test]
fn a_receiver_says_by_seconds_or_a_date_when_to_try_again() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
    for (text, seconds) in [
        ("120", Some(120)),
        // 784111777 seconds after 1970.
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(77)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("soon", None),
    ] {
        assert_eq!(delay(text, now), seconds.map(Duration::from_secs), "{text}");
    }
}

const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const NO_PATH: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nunsupported path\n";
const HTTPS_SERVER: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
/// A frame with settings, then one that says goodbye for a protocol error.
const HTTP2: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01";
/// A record with the alert "decode error".
const TLS_ALERT: &[u8] = b"\x15\x03\x01\0\x02\x02\x32";

/// A server that gives this answer to whatever comes. Its port, and what came.
fn server(answer: &'static [u8]) -> (u16, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut came = vec![0; 4096];
        let length = peer.read(&mut came).unwrap();
        came.truncate(length);
        peer.write_all(answer).unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        // Closed with something unread, the answer would be lost.
        let _rest = peer.read_to_end(&mut Vec::new());
        came
    });
    (port, came)
}

fn receiver(section: &str, proxies: &Matcher) -> Receiver {
    let config = Config::from_yaml(&format!("otlp: {{{section}}}"), "t.yaml").unwrap();
    let (settings, _) = config.otlp.settings(|_| None).unwrap();
    Receiver::behind(proxies, settings.unwrap()).unwrap()
}

fn sent(receiver: &Receiver) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut client = receiver.client();
        let parcel = client.pack(ExportMetricsServiceRequest::default());
        client.send(&parcel).await
    })
}

#[test]
fn a_failed_push_names_the_likely_mistake() {
    let ca = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ca.cert.pem()).unwrap();
    let tls = format!("tls: {{ca_file: {}}}", file.path().display());
    for (scheme, protocol, answer, mistake) in [
        (
            "http",
            "grpc",
            BAD_REQUEST,
            "for HTTP (4318) write protocol: http/protobuf, for TLS https://",
        ),
        (
            "http",
            "grpc",
            TLS_ALERT,
            "for HTTP (4318) write protocol: http/protobuf, for TLS https://",
        ),
        (
            "http",
            "http/protobuf",
            HTTP2,
            "for gRPC (4317) write protocol: grpc, for TLS https://",
        ),
        (
            "http",
            "http/protobuf",
            TLS_ALERT,
            "for gRPC (4317) write protocol: grpc, for TLS https://",
        ),
        (
            "http",
            "http/protobuf",
            NO_PATH,
            "unsupported path; check the path of the endpoint",
        ),
        (
            "http",
            "http/protobuf",
            HTTPS_SERVER,
            "the port wants TLS; write https://",
        ),
        ("https", "grpc", BAD_REQUEST, "the port may speak no TLS; write http://"),
        (
            "https",
            "http/protobuf",
            HTTP2,
            "the port may speak no TLS; write http://",
        ),
        (
            "https",
            "http/protobuf",
            b"",
            "the port may speak no TLS; write http://",
        ),
    ] {
        let (port, came) = server(answer);
        let tls = if scheme == "https" { &tls } else { "" };
        let section = format!("endpoint: \"{scheme}://localhost:{port}\", protocol: {protocol}, timeout: 3s, {tls}");
        let answer = sent(&receiver(&section, &Matcher::builder().build()));
        let (Answer::Silence { why } | Answer::Refused { why }) = &answer else {
            panic!("{section}: {answer:?}")
        };
        assert!(why.contains(mistake), "{section}: {why}");
        came.join().unwrap();
    }
}

#[test]
fn a_good_status_without_an_answer_of_otlp_is_remarked_on() {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    let pages = ["<html>Welcome</html>".to_owned(), "x".repeat(LARGEST_ANSWER + 1)];
    for page in pages {
        let answer = format!("{head}Content-Length: {}\r\n\r\n{page}", page.len());
        let (port, came) = server(answer.leak().as_bytes());
        let section = format!("endpoint: \"http://localhost:{port}\", protocol: http/protobuf, timeout: 3s");
        let answer = sent(&receiver(&section, &Matcher::builder().build()));
        let Answer::Taken { rejected: 0, message } = &answer else {
            panic!("{answer:?}")
        };
        assert!(message.contains("compare otlp.endpoint"), "{message}");
        came.join().unwrap();
    }
}

const LOGIN: &str = "me:geheim";

#[test]
fn a_receiver_with_tls_is_reached_through_the_tunnel_of_a_proxy() {
    let ca = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ca.cert.pem()).unwrap();
    let through = |scheme: &str, host: &str| {
        let (port, came) = server(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        let proxies = Matcher::builder()
            .all(format!("{scheme}://{LOGIN}@127.0.0.1:{port}"))
            .no("127.0.0.0/8, .internal")
            .build();
        let tls = format!("tls: {{ca_file: {}}}", file.path().display());
        (
            receiver(&format!("endpoint: \"https://{host}:4317\", {tls}"), &proxies),
            came,
        )
    };
    let (tunnelled, came) = through("http", "collector.invalid");
    let answer = sent(&tunnelled);
    let Answer::Silence { why } = &answer else {
        panic!("{answer:?}")
    };
    assert!(
        why.contains("proxy authorization required") && why.contains("name the receiver in NO_PROXY"),
        "{why}"
    );
    let came = String::from_utf8(came.join().unwrap()).unwrap();
    assert!(
        came.starts_with("CONNECT collector.invalid:4317 HTTP/1.1\r\n"),
        "{came}"
    );
    // me:geheim
    assert!(came.contains("Basic bWU6Z2VoZWlt"), "{came}");
    assert!(!format!("{tunnelled:?}").contains("geheim"), "{tunnelled:?}");
    for (scheme, host) in [
        ("http", "127.0.0.1"),
        ("http", "a.internal"),
        ("socks5", "collector.invalid"),
        ("https", "a.invalid"),
    ] {
        assert_eq!(through(scheme, host).0.proxy(), None, "{scheme} {host}");
    }
    let proxies = Matcher::builder().all("http://127.0.0.1:1").build();
    assert_eq!(
        receiver("endpoint: \"http://collector.invalid:4317\"", &proxies).proxy(),
        None
    );
}
