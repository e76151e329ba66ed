//! `top` on a real terminal: keys and what they show, and the terminal as it was before however it ends.

use std::fs::{read_to_string, write};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tests::exporter::binary;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, send_datagrams};
use tests::readers::tmux::Terminal;

/// A folder with the script `top`, which becomes the program and leaves its process id.
fn folder(pair: &Pair, environment: &str) -> Result<TempDir> {
    let folder = TempDir::new()?;
    let binary = binary()?.canonicalize()?;
    write(folder.path().join("config.yaml"), pair.config())?;
    let subnet = pair.subnet()?.name();
    let script = format!(
        "echo $$ >pid\nexec env {environment} {} top --interval 200ms --view flows --config.file config.yaml --filter {subnet}\n",
        binary.display()
    );
    write(folder.path().join("top"), script)?;
    Ok(folder)
}

/// Waits until a flow over https is shown, which in another namespace takes a segment.
fn wait_for_flows(terminal: &Terminal, flow: &Flow) -> Result<()> {
    terminal.wait_for("its screen", |screen| screen.contains("[4:Flows]"))?;
    flow.exchange(1, 1)?;
    terminal.wait_for("the flow", |screen| screen.contains("https"))?;
    Ok(())
}

/// Starts it, waits until it shows flows, ends it, and requires that nothing of it is left but its exit code.
fn ends_well(pair: &Pair, flow: &Flow, end: impl FnOnce(&Terminal, Pid) -> Result<()>) -> Result<()> {
    let folder = folder(pair, "LC_ALL=C.UTF-8")?;
    let terminal = Terminal::open(80, 24, folder.path())?;
    terminal.type_text("echo something on the screen")?;
    terminal.press("Enter")?;
    terminal.wait_for("an echo", |screen| screen.contains("\nsomething on the screen\nready>"))?;
    terminal.type_text("sh top; echo ended with $?")?;
    let before = terminal.wait_for("the command line", |screen| screen.contains("ended with $?"))?;
    terminal.press("Enter")?;
    wait_for_flows(&terminal, flow)?;
    let id = read_to_string(folder.path().join("pid"))?;
    end(&terminal, Pid::from_raw(id.trim().parse()?))?;
    let after = terminal.wait_for("the shell", |screen| screen.contains("ended with 0\nready>"))?;
    assert_eq!(after.trim_end(), format!("{}\nended with 0\nready>", before.trim_end()));
    // What is typed is shown again.
    terminal.type_text("echo typed")?;
    terminal.wait_for("an echo", |screen| screen.contains("ready> echo typed"))?;
    Ok(())
}

#[test]
fn the_terminal_is_as_before_however_it_ends() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    ends_well(&pair, &flow, |terminal, _| terminal.press("q"))?;
    ends_well(&pair, &flow, |terminal, _| terminal.press("C-c"))?;
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        ends_well(&pair, &flow, |_, process| {
            kill(process, signal).context("send a signal")
        })?;
    }
    drop(flow);
    Ok(())
}

#[test]
fn keys_sort_filter_pause_and_change_the_view() -> Result<()> {
    // Whatever others drop at the same place is in the same row.
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let flows: Vec<Flow> = [443, 5432]
        .map(|port| Flow::open(&pair, Family::V4, port))
        .into_iter()
        .collect::<Result<_>>()?;
    let folder = folder(&pair, "LC_ALL=C.UTF-8")?;
    let terminal = Terminal::open(80, 24, folder.path())?;
    terminal.type_text("sh top")?;
    terminal.press("Enter")?;
    let rows = |screen: &str, words: &[&str]| {
        let matching = screen
            .lines()
            .filter(|line| words.iter().all(|word| line.contains(word)));
        matching.count()
    };
    terminal.wait_for("its screen", |screen| screen.contains("[4:Flows]"))?;
    flows.iter().try_for_each(|flow| flow.exchange(1, 1))?;
    let screen = terminal.wait_for("both flows, each with both of its ends", |screen| {
        rows(screen, &[&subnet, "https", "<>"]) == 1 && rows(screen, &[&subnet, "postgre", "<>"]) == 1
    })?;
    assert!(screen.contains("RATE▼") && screen.contains("Esc clears"), "{screen}");
    assert!(screen.contains("finding") && screen.contains(" UTC"), "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");

    terminal.press("s")?;
    terminal.wait_for("another order", |screen| screen.contains("OUT/s▼"))?;
    terminal.press("r")?;
    terminal.wait_for("the reverse order", |screen| screen.contains("OUT/s▲"))?;
    terminal.press("r")?;
    until("the flow that sends in the first row", || {
        flows[1].exchange(1_000_000, 0)?;
        let screen = terminal.screen()?;
        let first = screen.lines().nth(4).unwrap_or_default();
        Ok((first.contains(":5432 ") && first.contains('M')).then_some(()))
    })?;

    terminal.type_text("/ https")?;
    terminal.wait_for("the typed filter", |screen| {
        screen.contains(&format!("filter: {subnet} https_"))
    })?;
    terminal.press("Enter")?;
    terminal.wait_for("the chosen flow only", |screen| {
        rows(screen, &[":443 ", "<>"]) == 1 && rows(screen, &[":5432 "]) == 0
    })?;

    terminal.press("Enter")?;
    let pane = terminal.wait_for("the pane", |screen| screen.contains("round-trip time"))?;
    assert!(
        pane.contains("segments out") && pane.contains(&pair.to(Family::V4, 443)?.to_string()),
        "{pane}"
    );
    terminal.press("y")?;
    terminal.wait_for("the query of the row", |screen| {
        screen.contains("PromQL; any key") && screen.contains("tcpvitals_tcp_data_bytes_total")
    })?;
    terminal.press("x")?;
    terminal.press("p")?;
    let paused = terminal.wait_for("the pause", |screen| screen.contains("PAUSED"))?;
    flows[0].exchange(100_000, 100_000)?;
    terminal.press("p")?;
    terminal.wait_for("what happened meanwhile", |screen| {
        !screen.contains("PAUSED") && screen != paused
    })?;

    terminal.resize(130, 30)?;
    let wide = flows[0].client.local_addr()?.to_string();
    terminal.wait_for("both ends in full on a large screen", |screen| {
        rows(screen, &[&wide, "https"]) > 0 && screen.lines().count() > 24 && screen.contains("Esc clears")
    })?;
    terminal.resize(60, 12)?;
    terminal.wait_for("a small screen", |screen| {
        screen.contains("[4:Flows]") && screen.contains("Esc clears") && rows(screen, &[&wide, "https"]) == 0
    })?;
    terminal.resize(80, 24)?;

    terminal.press("Escape")?;
    terminal.type_text(&format!("2/{subnet}"))?;
    terminal.press("Enter")?;
    terminal.wait_for("subnets", |screen| {
        screen.contains("[2:Subnets]") && rows(screen, &[&subnet, "Enter"]) == 1
    })?;
    terminal.press("Enter")?;
    terminal.wait_for("the flows of the subnet", |screen| {
        screen.contains("[4:Flows of ") && rows(screen, &[&subnet, "<>"]) == 2
    })?;
    terminal.press("Escape")?;
    terminal.wait_for("subnets again", |screen| screen.contains("[2:Subnets]"))?;
    terminal.type_text("5")?;
    terminal.wait_for("drop sites", |screen| {
        screen.contains("[5:Drops]") && screen.contains("LOCATION")
    })?;
    nft::drop_matching(&pair.server, "input", "udp dport 4000")?;
    send_datagrams(&pair.client, pair.to(Family::V4, 4000)?, 9, 100)?;
    terminal.type_text(&format!("/{subnet}"))?;
    terminal.press("Enter")?;
    terminal.wait_for("the filter's drops", |screen| {
        rows(screen, &["NETFILTER_DROP", "policy", "udp"]) == 1
    })?;
    terminal.press("Enter")?;
    terminal.wait_for("what the reason means", |screen| {
        screen.contains("a rule of the packet filter dropped it") && screen.contains("nft list ruleset")
    })?;
    terminal.type_text("/nothing")?;
    terminal.wait_for("why there is nothing", |screen| screen.contains("drop sites match"))?;
    terminal.press("Escape")?;
    terminal.press("?")?;
    terminal.wait_for("the keys", |screen| screen.contains("Keys;"))?;
    Ok(())
}

#[test]
fn colours_are_left_out_on_request() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    for (environment, is_coloured) in [("NO_COLOR=", true), ("NO_COLOR=1", false)] {
        let folder = folder(&pair, environment)?;
        let terminal = Terminal::open(80, 24, folder.path())?;
        terminal.type_text("sh top")?;
        terminal.press("Enter")?;
        wait_for_flows(&terminal, &flow)?;
        terminal.wait_for("the bottom line", |screen| screen.contains("Esc clears"))?;
        let screen = terminal.coloured_screen()?;
        // Select Graphic Rendition 38;5;n is a colour of letters (ECMA-48, ITU-T T.416).
        let has_colours = screen.contains("38;5;");
        assert_eq!(has_colours, is_coloured, "{environment}: {screen:?}");
    }
    drop(flow);
    Ok(())
}
