use super::*;
use crate::commands::top::{
    rows::FlowRow,
    view::{
        Reading,
        tests::{AT, press, reading, view},
    },
};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, style::Color};
use std::{fs, path::Path, sync::Arc, time::Duration};
use tcpvitals_metrics::{
    findings::report::Report,
    rows::{
        drops::table::SiteTable,
        samples::{FILTER, dropped, flow_of, in_pod, owned},
    },
};

fn drawn(view: &View, width: u16, height: u16, has_colour: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view, Look { has_colour })).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(view: &View, width: u16, height: u16) -> Vec<String> {
    let buffer = drawn(view, width, height, true);
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned()).collect()
}

/// Requires that a screen is the one in a file of `golden/`; with UPDATE=1 the file becomes it.
#[track_caller]
fn check(view: &View, [width, height]: [u16; 2], name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/top/screen/golden");
    let file = folder.join(format!("{name}-{width}x{height}.txt"));
    let drawn = lines(view, width, height).join("\n") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &drawn).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(drawn, expected, "{}:\n{drawn}", file.display());
}

#[test]
fn every_view_is_drawn_as_before_at_each_size() {
    for size in [[80, 24], [160, 50], [40, 20]] {
        let mut view = view();
        for (keys, name) in [("1", "findings"), ("2", "subnets"), ("4", "flows"), ("5\n", "drops")] {
            press(&mut view, keys);
            check(&view, size, name);
        }
    }
}

#[test]
fn without_room_only_what_matters_is_there_and_no_number_is_cut() {
    for tab in ["1", "2", "3", "4", "5"] {
        let mut view = view();
        press(&mut view, tab);
        for (width, height) in [(200, 60), (80, 24), (40, 20), (20, 8), (10, 3), (1, 1)] {
            for keys in ["", "\n", "?", "c", "y"] {
                press(&mut view, keys);
                assert_eq!(lines(&view, width, height).len(), usize::from(height));
            }
        }
    }
}

#[test]
fn wide_screens_have_more_columns_and_whole_ends() {
    let mut view = view();
    press(&mut view, "4");
    let wide = lines(&view, 160, 50);
    for title in ["RATE▼", "OUT/s", "IN/s", "CWND", "RTO", "CAUSE", "AGE"] {
        assert!(wide[3].contains(title), "{title}: {}", wide[3]);
    }
    assert!(wide[5].starts_with("10.0.0.1:40000 <> 192.0.2.9:443 "), "{wide:#?}");
    let narrow = lines(&view, 40, 20);
    assert!(
        narrow[3].starts_with("FLOW ") && narrow[3].contains("RATE▼"),
        "{narrow:#?}"
    );
    press(&mut view, "2");
    for title in ["RTTp50", "IN/s", "FLOOR", "OPEN/s"] {
        assert!(lines(&view, 160, 50)[3].contains(title), "{title}");
    }
}

#[test]
fn the_pane_says_whose_a_flow_is() {
    let mut view = view();
    let owner = ["shop", "Deployment", "cart"];
    let Reading { flows, .. } = reading(AT);
    let flows = flows.into_iter().map(|row| FlowRow {
        flow: in_pod(flow_of(row.flow.clone(), owner), "cart-0"),
        ..row
    });
    let rows = [owned(dropped(1, &format!("{FILTER} office wired"), 3), "shop cart")];
    let of_workloads = tcpvitals_metrics::rows::traffic::rows(
        &[],
        &[tcpvitals_metrics::rows::samples::counted(1, "office client", &[])],
        Duration::from_secs(2),
        |_| Some("shop/cart".to_owned()),
    );
    view.update(Reading {
        flows: flows.collect(),
        drops: SiteTable::new(&[], &rows, Duration::from_secs(1)),
        workloads: of_workloads,
        ..reading(AT)
    });
    press(&mut view, "4\n");
    let wide = lines(&view, 120, 24).join("\n");
    assert!(
        wide.contains("  Deployment shop/cart  pod cart-0  container 0123456789ab"),
        "{wide}"
    );
    assert!(wide.contains("WORKLOAD") && wide.contains("round-trip time"), "{wide}");
    press(&mut view, "5\n");
    let narrow = lines(&view, 80, 24).join("\n");
    assert!(narrow.contains("workloads: shop/cart 100%"), "{narrow}");
    assert!(lines(&view, 160, 24)[3].contains(" WORKLOADS"));
    press(&mut view, "3");
    assert!(lines(&view, 80, 24)[4].starts_with("shop/cart "));
}

#[test]
fn an_empty_view_says_why() {
    let mut view = view();
    let says = |view: &View, words: &str| {
        let screen = lines(view, 80, 24).join("\n");
        assert!(screen.contains(words), "{words}: {screen}");
    };
    press(&mut view, "5/nothing\n");
    says(&view, "0 of 2 drop sites match \"nothing\"; Esc clears");
    press(&mut view, "\u{1b}3");
    says(&view, "workloads: {source: auto}");
    view.update(Reading::default());
    press(&mut view, "1");
    says(&view, "nobody judges here");
    let report = Report {
        window_seconds: 4.0,
        ..Report::default()
    };
    view.update(Reading {
        report: Some(Arc::new(report.clone())),
        ..Reading::default()
    });
    says(&view, "not yet: 4 s were seen");
    view.update(Reading {
        report: Some(Arc::new(Report {
            state: tcpvitals_metrics::findings::report::State::Judged,
            ..report
        })),
        ..reading(AT)
    });
    says(&view, "nothing to report in the last 4 s: 3 connections, 3 subnets");
    view.head.asked = "--subnet lab".to_owned();
    view.update(Reading::default());
    press(&mut view, "5");
    says(&view, "no drop sites yet that --subnet lab chooses");
}

#[test]
fn the_head_says_of_what_the_flows_are() {
    let mut view = view();
    press(&mut view, "2/office\n\n");
    assert!(lines(&view, 80, 24)[2].contains("[4:Flows of office]"));
    assert!(lines(&view, 40, 20)[2].starts_with("1 2 3 [4:Flows of office] 5"));
}

#[test]
fn the_selected_row_is_always_drawn() {
    let mut view = view();
    press(&mut view, "4G");
    let lines = lines(&view, 80, 8);
    assert!(lines[6].contains(" idle"), "{lines:#?}");
    assert_eq!(
        [0, 2, 3, 9].map(|selected| window(selected, Rect::new(0, 0, 80, 4))),
        [0, 0, 1, 7]
    );
}

#[test]
fn without_colour_nothing_is_coloured() {
    let is_coloured = |has_colour| {
        let buffer = drawn(&view(), 80, 24, has_colour);
        let mut cells = buffer.content().iter();
        cells.any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(is_coloured(true) && !is_coloured(false));
}

#[test]
fn the_bottom_line_shows_the_filter() {
    let mut view = view();
    press(&mut view, "/x");
    assert!(lines(&view, 80, 24)[23].starts_with("filter: x_"));
    press(&mut view, "\n");
    assert!(lines(&view, 80, 24)[23].starts_with("filter: x   Esc"));
}
