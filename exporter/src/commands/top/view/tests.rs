use super::*;
use crate::{
    cli::Arguments,
    commands::top::rows::{
        paired,
        tests::{both_ends, three},
    },
};
use clap::CommandFactory;
use common::tcp::group::Counter;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use std::borrow::Cow;
use tcpvitals_metrics::{
    findings::{
        Whose,
        report::{Seen, Since},
    },
    rows::{
        samples::{counted, table},
        traffic::Counted,
    },
};

const SECOND: Duration = Duration::from_secs(1);
/// 20:16:21 on some day.
pub(crate) const AT: Duration = Duration::from_secs(20 * 3600 + 16 * 60 + 21);

/// What is found of a subnet.
pub(crate) fn finding(name: &'static str, whose: Whose, subnet: &str, says: &str) -> Finding {
    Finding {
        finding: Cow::Borrowed(name),
        whose,
        subnet: subnet.to_owned(),
        severity: 46.8,
        rate: 35.1,
        share: 0.047,
        says: says.to_owned(),
        services: vec!["https".to_owned(), "ssh".to_owned()],
        workloads: Vec::new(),
        sites: vec![Seen {
            location: "nft_do_chain".to_owned(),
            reason: "NETFILTER_DROP".to_owned(),
            class: "policy".to_owned(),
            direction: "receive".to_owned(),
            protocol: "tcp".to_owned(),
            packets_per_second: 27.0,
        }],
        flows: None,
        next: Cow::Borrowed("tc -s qdisc show"),
        runbook: Cow::Borrowed("TcpvitalsOwnDrops"),
        since: Since {
            at: AT - 135 * SECOND,
            or_before: false,
        },
    }
}

/// Three subnets, of which two have a finding each; a third finding is of no subnet. Four flows, one of them with both ends here,
/// and two drop sites.
pub(crate) fn reading(at: Duration) -> Reading {
    let rows = [
        counted(
            1,
            "branch-7 client",
            &[
                (Counter::DataSegmentsTransmitted, 1906),
                (Counter::RetransmittedSegmentsFast, 4),
                (Counter::LocallyDroppedSegments, 94),
                (Counter::DataBytesTransmitted, 2_000_000),
            ],
        ),
        counted(
            2,
            "payments-api client",
            &[
                (Counter::FailedRefused, 20),
                (Counter::Opened, 1),
                (Counter::DataBytesTransmitted, 590_000),
            ],
        ),
        counted(
            3,
            "office client",
            &[
                (Counter::DataSegmentsTransmitted, 50),
                (Counter::DataBytesReceived, 900),
            ],
        ),
    ];
    let report = Report {
        at,
        state: State::Judged,
        window_seconds: 60.0,
        findings: vec![
            finding(
                "own_queue",
                Whose::Ours,
                "branch-7",
                "this host drops 4.7 % of its own segments: a queue is full",
            ),
            finding(
                "refused",
                Whose::Peer,
                "payments-api",
                "95 % of the opens are refused, 10 a second: nobody listens there",
            ),
            finding(
                "socket_buffer_full",
                Whose::Here,
                "",
                "socket buffers are full: 3 packets a second are dropped",
            ),
        ],
        ..Report::default()
    };
    Reading {
        at,
        subnets: traffic::rows(&[], &rows, 2 * SECOND, Counted::subnet),
        workloads: Vec::new(),
        flows: [three(), paired(both_ends())].concat(),
        drops: table(),
        report: Some(Arc::new(report)),
    }
}

/// A view of that reading.
pub(crate) fn view() -> View {
    let head = Head {
        host: Host {
            name: "host-1".to_owned(),
            release: "6.18.33+deb14-amd64".to_owned(),
            ..Host::default()
        },
        interval: 2 * SECOND,
        ..Head::default()
    };
    let mut view = View::new(Tab::Subnets, "", head);
    view.update(reading(AT));
    view
}

pub(crate) fn press(view: &mut View, keys: &str) -> Next {
    let mut next = Next::Draw;
    for character in keys.chars() {
        let code = match character {
            '\t' => KeyCode::Tab,
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            other => KeyCode::Char(other),
        };
        next = view.key(code, KeyModifiers::NONE);
    }
    next
}

fn cookies(view: &View) -> Vec<u64> {
    view.tables.flows.shown().map(|row| row.flow.record.cookie).collect()
}

fn subnets(view: &View) -> Vec<&str> {
    view.tables
        .subnets
        .shown()
        .map(|row| row.traffic.name.as_str())
        .collect()
}

#[test]
fn the_first_view_is_of_subnets_those_with_findings_first() {
    let view = view();
    assert_eq!(view.place.tab, Tab::Subnets);
    assert_eq!(subnets(&view), ["branch-7", "payments-api", "office"]);
    assert!((view.head.drops - 18.5).abs() < 1e-9 && view.head.benign_drops == 0.0);
    assert_eq!(view.head.traffic.live, 3);
}

#[test]
fn keys_sort_filter_and_reverse() {
    let mut view = view();
    press(&mut view, "4");
    assert_eq!(cookies(&view), [1, 7, 2, 3]);
    press(&mut view, ">>>");
    assert_eq!(
        (view.tables.flows.column().key, cookies(&view)),
        ("retransmits", vec![2, 7, 1, 3])
    );
    press(&mut view, "<S");
    assert_eq!(view.tables.flows.column().key, "out");
    press(&mut view, "r");
    assert!(view.tables.flows.reversed && cookies(&view)[3] == 1);
    press(&mut view, "/nothing\n");
    assert_eq!(view.tables.of(Tab::Flows).counts(), (0, 4));
    press(&mut view, "/\u{8}\u{8}");
    assert_eq!(view.filter, "nothi");
    press(&mut view, "\u{1b}");
    assert_eq!((view.tables.of(Tab::Flows).counts(), view.is_typing), ((4, 4), false));
    assert_eq!(view.sort_by("rtt"), Ok(()));
    assert!(view.sort_by("speed").is_err_and(|keys| keys.contains(&"retransmits")));
}

#[test]
fn enter_leads_down_and_escape_up() {
    let mut view = view();
    press(&mut view, "1j");
    assert_eq!(view.tables.findings.row().unwrap().0.subnet, "payments-api");
    press(&mut view, "\n");
    assert_eq!(view.place.tab, Tab::Subnets);
    assert_eq!(view.tables.subnets.row().unwrap().traffic.name, "payments-api");
    press(&mut view, "\u{1b}");
    assert_eq!(view.place.tab, Tab::Findings);
    // What hits no subnet leads to the place where it happens.
    press(&mut view, "G\n");
    assert_eq!(view.place.tab, Tab::Drops);
    assert_eq!(view.tables.drops.row().unwrap().reason(), "NETFILTER_DROP");
    press(&mut view, "\n");
    assert!(view.has_detail);
    press(&mut view, "\u{1b}");
    assert!(!view.has_detail && view.place.tab == Tab::Drops);
    press(&mut view, "\u{1b}");
    assert_eq!(view.place.tab, Tab::Findings);
    // From a subnet to its flows and no others, and the filter stays above.
    press(&mut view, "2/office\n\n");
    assert_eq!(view.place.scope, Some(Scope::Subnet("office".to_owned())));
    assert_eq!((cookies(&view).len(), view.filter.as_str()), (4, ""));
    press(&mut view, "\u{1b}2\n");
    assert_eq!((view.place.tab, cookies(&view).len()), (Tab::Flows, 0));
    press(&mut view, "4");
    assert_eq!((view.place.scope.clone(), cookies(&view).len()), (None, 4));
}

#[test]
fn the_cursor_stays_on_its_flow() {
    let mut view = view();
    let selected = |view: &View| view.tables.flows.row().map(|row| row.flow.record.cookie);
    press(&mut view, "4j");
    assert_eq!(selected(&view), Some(7));
    press(&mut view, "r");
    assert_eq!((selected(&view), view.tables.flows.selected), (Some(7), 2));
    view.update(Reading::default());
    assert_eq!(selected(&view), None);
}

#[test]
fn a_paused_view_shows_what_it_showed() {
    let mut view = view();
    press(&mut view, "p");
    view.update(Reading::default());
    assert_eq!(view.tables.flows.all().len(), 4);
    press(&mut view, " ");
    view.update(Reading::default());
    assert_eq!(view.tables.flows.all().len(), 0);
}

#[test]
fn digits_and_tab_change_the_view_and_the_filter_is_for_all() {
    let mut view = view();
    press(&mut view, "5/netfilter\n");
    assert_eq!(
        (view.place.tab, view.tables.of(Tab::Drops).counts()),
        (Tab::Drops, (1, 2))
    );
    press(&mut view, "\t?");
    assert!(view.has_help && view.place.tab == Tab::Findings);
    assert_eq!(view.tables.of(Tab::Findings).counts().0, 3);
    // Any key closes the help, and does nothing else.
    press(&mut view, "q");
    assert!(!view.has_help);
    view.key(KeyCode::BackTab, KeyModifiers::NONE);
    assert_eq!(view.place.tab, Tab::Drops);
}

#[test]
fn words_on_the_screen_are_words_that_match() {
    let mut view = view();
    for word in ["peer", "rwnd", "receive_window"] {
        press(&mut view, &format!("4/{word}\n"));
        assert_eq!(cookies(&view), [7], "{word}");
        press(&mut view, "\u{1b}");
    }
    press(&mut view, "2/own queue\n");
    assert_eq!(subnets(&view), ["branch-7"]);
}

#[test]
fn q_and_control_c_end_it_but_a_typed_q_does_not() {
    let mut view = view();
    assert_eq!(press(&mut view, "/q"), Next::Draw);
    assert_eq!(view.key(KeyCode::Char('c'), KeyModifiers::CONTROL), Next::Quit);
    assert_eq!(press(&mut view, "\nq"), Next::Quit);
}

#[test]
fn a_row_tells_its_capture_and_its_query() {
    let mut view = view();
    let mut copied = |keys: &str| match press(&mut view, keys) {
        Next::Copy(text) => {
            assert_eq!(view.notice.take().map(|notice| notice.text), Some(text.clone()));
            text
        }
        other @ (Next::Draw | Next::Quit) => format!("{other:?}"),
    };
    assert_eq!(copied("2c"), "tcpvitals capture -w drops.pcapng --subnet branch-7");
    assert_eq!(
        copied(">y"),
        "sum(rate(tcpvitals_tcp_retransmitted_segments_total{subnet=\"branch-7\"}[5m])) / \
         sum(rate(tcpvitals_tcp_data_segments_total{subnet=\"branch-7\",direction=\"transmit\"}[5m]))"
    );
    assert_eq!(
        copied("5c"),
        "tcpvitals capture -w drops.pcapng --reason NETFILTER_DROP --location nft_do_chain"
    );
    assert_eq!(
        copied("5y"),
        "sum by (subnet) (rate(tcpvitals_dropped_packets_total{reason=\"NETFILTER_DROP\",location=\"nft_do_chain\"}[5m]))"
    );
    assert_eq!(copied("4c"), "tcpvitals capture -w drops.pcapng --address 192.0.2.9");
    assert_eq!(
        copied("1c"),
        "tcpvitals capture -w drops.pcapng --subnet branch-7 --reason NETFILTER_DROP --location nft_do_chain"
    );
    assert_eq!(copied("3c"), "Draw");
}

#[test]
fn samples_are_those_of_the_number_that_rows_are_ordered_by() {
    let mut view = view();
    for seconds in 1..=200 {
        view.update(reading(AT + seconds * SECOND));
    }
    let samples = |view: &View| view.tables.subnets.shown().next().unwrap().samples.clone();
    // Ordered by words, it is the traffic; two minutes of it.
    assert!(samples(&view).iter().all(|(_, number)| (*number - 1e6).abs() < 1e-6));
    assert_eq!(samples(&view).len(), 121);
    view.sort_by("here").unwrap();
    view.update(reading(AT + 201 * SECOND));
    assert!(samples(&view).iter().all(|(_, number)| (*number - 0.047).abs() < 1e-6));
    let (_, history) = view.tables.flows.row().map(|row| (0, view.history(row))).unwrap();
    assert_eq!((history.rate.len(), history.rate[0]), (SAMPLES, 4000));
}

#[test]
fn the_help_names_sort_keys_that_there_are() {
    let command = Arguments::command();
    let top = command.find_subcommand("top").unwrap();
    let sort = top.get_arguments().find(|arg| arg.get_id() == "sort").unwrap();
    let help = sort.get_help().unwrap().to_string();
    let (of_subnets, of_flows) = help.split_once(';').unwrap();
    let examples = |text: &str| -> Vec<String> {
        let (_, examples) = text.split_once("for example ").unwrap();
        examples.split(" or ").map(str::to_owned).collect()
    };
    for (tab, text) in [(Tab::Subnets, of_subnets), (Tab::Flows, of_flows)] {
        for key in examples(text) {
            let mut view = View::new(tab, "", Head::default());
            assert_eq!(view.sort_by(&key), Ok(()), "{key}");
        }
    }
}
