//! The web page in Chromium: what a person sees of it, with and without scripts, on a desk and on a phone.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, start};
use tests::machine::turn;
use tests::net::nft;
use tests::net::pair::{Cable, Pair};
use tests::net::subnet::Family::V4;
use tests::net::subnet::SERVER;
use tests::net::traffic::{Flow, listen, settle};
use tests::readers::browser::{Browser, View};

const NARROW: View = View {
    width: 360,
    height: 640,
    ..View::WIDE
};

fn url(exporter: &Exporter<'_>) -> String {
    format!("http://{}/", exporter.address())
}

/// The rules of accessibility, a script for the page.
fn axe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/browser/node_modules/axe-core/axe.min.js")
}

/// What one cell of a subnet's row says, and what that is of.
fn cell(browser: &mut Browser, subnet: &str, shows: &str) -> Result<[String; 2]> {
    let cell = format!("document.querySelector('#subnets-rows [data-key=\"{subnet}\"] [data-show={shows}]')");
    let mut of = |what: &str| -> Result<String> {
        let text = browser.evaluate(&format!("{cell}?.{what}"))?;
        let text = text.as_str().with_context(|| format!("no {shows} of {subnet}"))?;
        Ok(text.to_owned())
    };
    Ok([of("textContent")?, of("title")?])
}

/// The same of the segments that were sent, by how many there were.
fn retransmitted([sent, again]: [f64; 2]) -> [String; 2] {
    let share = if sent == 0.0 {
        "–".to_owned()
    } else {
        percent(again / sent)
    };
    [share, format!("{} of {} data segments", words(again), words(sent))]
}

/// A share as the page writes it.
fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0 %".to_owned(),
        value if value < 1.0 => format!("{value:.2} %"),
        value if value < 10.0 => format!("{value:.1} %"),
        value => format!("{value:.0} %"),
    }
}

/// Has the page refresh itself now, and waits until it shows another collection.
fn refresh(browser: &mut Browser) -> Result<()> {
    browser.evaluate("window.shown = document.getElementById('health-facts').textContent; null")?;
    browser.evaluate("document.getElementById('refresh').click()")?;
    // Its collections are counted there.
    browser.until(
        "new numbers",
        "document.getElementById('health-facts').textContent !== window.shown",
    )
}

fn segments(scrape: &Scrape, subnet: &str) -> Result<[f64; 2]> {
    let labels = [("subnet", subnet), ("direction", "transmit")];
    Ok([
        scrape.sum("tcpvitals_tcp_data_segments_total", &labels)?,
        scrape.sum("tcpvitals_tcp_retransmitted_segments_total", &labels[..1])?,
    ])
}

/// A count as the page writes it, up to a million.
fn words(count: f64) -> String {
    if count < 1000.0 {
        format!("{count}")
    } else {
        format!("{},{:03}", (count / 1000.0).floor(), count % 1000.0)
    }
}

#[test]
fn a_refresh_shows_what_happened_since_the_one_before() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::one_segment_per_packet()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    let flow = Flow::open(&pair, V4, 443)?;
    flow.exchange(500_000, 1_000)?;
    let flows = [flow];
    settle(&flows)?;
    // So low that there is something to scroll.
    let mut browser = Browser::start(View {
        height: 400,
        ..View::WIDE
    })?;
    browser.open(&url(&exporter))?;
    let first = segments(&exporter.scrape()?, &subnet)?;
    assert_eq!(cell(&mut browser, &subnet, "retransmitted")?, retransmitted(first));
    // From now on it refreshes when it is told to.
    browser.evaluate("document.getElementById('pause').click()")?;
    browser.evaluate("document.querySelector('input[value=\"5\"]').click()")?;
    refresh(&mut browser)?;
    assert_eq!(cell(&mut browser, &subnet, "retransmitted")?, retransmitted([0.0; 2]));

    nft::drop_matching(&pair.server, "input", "tcp dport 443 numgen inc mod 40 == 39")?;
    flows[0].exchange(400_000, 1_000)?;
    settle(&flows)?;
    let focus = "document.activeElement.getAttribute('aria-labelledby')";
    browser.evaluate("document.querySelector('#drops-table').parentElement.focus(); scrollTo(0, 100); null")?;
    refresh(&mut browser)?;
    let second = segments(&exporter.scrape()?, &subnet)?;
    let [sent, again] = [second[0] - first[0], second[1] - first[1]];
    assert!(sent > 250.0 && again > 0.0, "{sent} segments, {again} of them again");
    assert_eq!(
        cell(&mut browser, &subnet, "retransmitted")?,
        retransmitted([sent, again])
    );
    let window = browser.evaluate("document.getElementById('window').textContent")?;
    assert!(
        window.as_str().is_some_and(|text| text.contains("over the last")),
        "{window}"
    );
    assert_eq!(browser.evaluate(focus)?, "drops");
    assert_eq!(browser.evaluate("scrollY")?, 100);

    browser.evaluate("document.querySelector('input[value=total]').click()")?;
    assert_eq!(cell(&mut browser, &subnet, "retransmitted")?, retransmitted(second));
    assert_eq!(browser.complaints()?, [""; 0]);

    // What was seen stays, with a word on why it is old.
    exporter.stop(Signal::SIGTERM)?;
    browser.evaluate("document.getElementById('refresh').click()")?;
    let status = "document.getElementById('status').textContent";
    browser.until("the page to say so", &format!("{status}.startsWith('No new numbers')"))?;
    assert_eq!(cell(&mut browser, &subnet, "retransmitted")?, retransmitted(second));
    Ok(())
}

#[test]
fn it_refreshes_by_itself() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("collect: {max_age: 1ms}")?;
    let mut browser = Browser::start(View::WIDE)?;
    browser.open(&url(&exporter))?;
    browser.until(
        "a refresh",
        "document.getElementById('window').textContent.includes('over the last')",
    )?;
    // As after a page that says why there are no numbers.
    browser.evaluate("document.getElementById('main').replaceChildren(); null")?;
    browser.evaluate("document.querySelector('input[value=total]').click()")?;
    browser.until(
        "the numbers to be there again",
        "document.getElementById('drops-rows') !== null",
    )?;
    assert_eq!(browser.complaints()?, [""; 0]);
    // Whatever got into the page, it does not run.
    let intruder = "const element = document.createElement('script'); element.textContent = 'window.ran = true';";
    assert_eq!(
        browser.evaluate(&format!(
            "{intruder} document.body.append(element); window.ran === true"
        ))?,
        false
    );
    assert!(!browser.complaints()?.is_empty(), "the policy stops nothing");
    Ok(())
}

#[test]
fn a_row_opens_to_what_is_known_of_it_and_stays_open() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::one_segment_per_packet()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    let flow = Flow::open(&pair, V4, 443)?;
    flow.exchange(100_000, 1_000)?;
    let flows = [flow];
    settle(&flows)?;
    let mut browser = Browser::start(View::WIDE)?;
    browser.open(&format!("{}#subnet={subnet}", url(&exporter)))?;
    browser.evaluate("document.getElementById('pause').click()")?;
    let opened = format!("document.querySelector('[data-more=\"{subnet}\"]')");
    let seen = format!("{opened}.checkVisibility()");
    assert_eq!(browser.evaluate(&seen)?, true);
    let ends = format!("{} > {}", flows[0].client.local_addr()?, flows[0].client.peer_addr()?);
    browser.until("the flows", &format!("{opened}.textContent.includes('{ends}')"))?;
    let text = browser.evaluate(&format!("{opened}.innerText"))?;
    let text = text.as_str().context("it has no text")?;
    for part in [
        "data segments · after a drop here",
        "https: ",
        &format!("tcpvitals top --subnet {subnet}"),
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    // Whoever reads on with the keyboard is not disturbed.
    let button = format!("{opened}.querySelector('button')");
    browser.evaluate(&format!("{button}.focus(); window.own = {button}; null"))?;
    refresh(&mut browser)?;
    refresh(&mut browser)?;
    assert_eq!(browser.evaluate("document.activeElement === window.own")?, true);
    assert_eq!(browser.evaluate(&seen)?, true);
    browser.evaluate(&format!("{button}.click()"))?;
    browser.until(
        "a word about it",
        "['Copied.', 'Marked, to be copied.'].includes(document.getElementById('status').textContent)",
    )?;

    // A line of ten minutes, and what has begun meanwhile.
    let line = format!("document.querySelector('[data-key=\"{subnet}\"] .spark path').getAttribute('d')");
    assert!(
        browser.evaluate(&line)?.as_str().is_some_and(|line| line.contains('L')),
        "no line"
    );
    nft::drop_matching(&pair.server, "input", "tcp dport 443 numgen inc mod 10 == 9")?;
    flows[0].exchange(200_000, 1_000)?;
    settle(&flows)?;
    refresh(&mut browser)?;
    let changed = browser.evaluate("document.getElementById('changed').innerText")?;
    let changed = changed.as_str().context("nothing has changed")?;
    for part in ["exporter started", &format!("{subnet} retransmitted 0 % → ")] {
        assert!(changed.contains(part), "no {part:?} in {changed}");
    }
    assert_eq!(browser.complaints()?, [""; 0]);
    Ok(())
}

/// The subnets whose rows are shown, from top to bottom.
fn shown(browser: &mut Browser) -> Result<Vec<String>> {
    let rows = "[...document.querySelectorAll('#subnets-rows > [data-key]')]";
    let shown = browser.evaluate(&format!(
        "{rows}.filter((row) => row.checkVisibility()).map((row) => row.dataset.key)"
    ))?;
    Ok(serde_json::from_value(shown)?)
}

/// The same of these subnets alone: the browser's own connections are of another one.
fn order(browser: &mut Browser, names: &[String]) -> Result<Vec<String>> {
    let mut shown = shown(browser)?;
    shown.retain(|name| names.contains(name));
    Ok(shown)
}

#[test]
fn a_click_on_a_head_sorts_by_the_column_and_a_filter_hides_rows() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::with(Cable {
        subnets: 2,
        one_segment_per_packet: true,
        is_spread: false,
    })?;
    let exporter = start(pair.config())?;
    // The second one of the alphabet has less.
    let mut subnets = pair.subnets.clone();
    subnets.sort_by_key(|subnet| subnet.name());
    let names: Vec<String> = subnets.iter().map(|subnet| subnet.name()).collect();
    let mut flows = Vec::new();
    for (subnet, bytes) in subnets.iter().zip([200_000, 20_000]) {
        let to = (subnet.address(V4, SERVER), 443).into();
        let flow = Flow::through(&listen(&pair.server, to)?, &pair, to)?;
        flow.exchange(bytes, 1_000)?;
        flows.push(flow);
    }
    settle(&flows)?;
    let mut browser = Browser::start(View::WIDE)?;
    browser.open(&url(&exporter))?;
    browser.evaluate("document.getElementById('pause').click()")?;
    browser.evaluate("document.querySelector('input[value=total]').click()")?;
    let backwards: Vec<String> = names.iter().rev().cloned().collect();
    // The columns of names and of throughput: what each click makes of the order, and what the head says of it.
    let columns = [
        ("Subnet", ["ascending", "descending"]),
        ("Mbit/s", ["descending", "ascending"]),
    ];
    for (column, said) in columns {
        let heads = "[...document.querySelectorAll('#subnets-table thead th')]";
        let head = format!("{heads}.find((head) => head.textContent.trim().startsWith('{column}'))");
        for (wanted, says) in [&names, &backwards].into_iter().zip(said) {
            browser.evaluate(&format!("{head}.querySelector('button').click()"))?;
            assert_eq!(browser.evaluate(&format!("{head}.ariaSort"))?, says);
            assert_eq!(order(&mut browser, &names)?, *wanted, "column {column}, {says}");
            refresh(&mut browser)?;
            assert_eq!(
                order(&mut browser, &names)?,
                *wanted,
                "column {column}, {says}, refreshed"
            );
        }
        browser.evaluate(&format!("{head}.querySelector('button').click()"))?;
        assert_eq!(browser.evaluate(&format!("{head}.ariaSort"))?, Value::Null);
    }
    let filter = |browser: &mut Browser, text: &str| {
        let element = "document.getElementById('filter')";
        browser.evaluate(&format!(
            "{element}.value = '{text}'; {element}.dispatchEvent(new Event('input'))"
        ))?;
        browser.evaluate("document.getElementById('matches').textContent")
    };
    let second = names.last().context("no subnet")?;
    let said = filter(&mut browser, &second.to_uppercase())?;
    assert!(said.as_str().is_some_and(|said| said.contains(" of ")), "{said}");
    assert_eq!(shown(&mut browser)?, std::slice::from_ref(second));
    refresh(&mut browser)?;
    assert_eq!(shown(&mut browser)?, std::slice::from_ref(second));
    assert_eq!(filter(&mut browser, "")?, "");
    assert_eq!(order(&mut browser, &names)?.len(), names.len());
    assert_eq!(browser.complaints()?, [""; 0]);
    Ok(())
}

#[test]
fn the_documents_are_accessible_and_lead_on() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("{}")?;
    let mut browser = Browser::start(NARROW)?;
    for (path, text) in [
        ("docs", "TcpvitalsOwnDrops"),
        ("docs/reasons", "nft list ruleset"),
        ("docs/runbooks/TcpvitalsCapacityDrops", "QDISC_DROP"),
    ] {
        browser.open(&format!("{}{path}", url(&exporter)))?;
        let shown = browser.evaluate("document.body.innerText")?;
        assert!(
            shown.as_str().is_some_and(|shown| shown.contains(text)),
            "no {text} in {shown}"
        );
        browser.run(&axe())?;
        let found = browser.evaluate("axe.run().then((found) => found.violations)")?;
        assert_eq!(found, Value::Array(Vec::new()), "{path}");
        let wide = "document.documentElement.scrollWidth - innerWidth";
        assert_eq!(browser.evaluate(wide)?, 0, "{path}");
    }
    assert_eq!(browser.complaints()?, [""; 0]);
    assert_eq!(exporter.get("/docs/runbooks/Nothing", "text/html")?.status, 404);
    Ok(())
}

#[test]
fn it_is_accessible_in_every_view() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::one_segment_per_packet()?;
    let exporter = start(pair.config())?;
    nft::drop_matching(&pair.server, "input", "tcp dport 443 numgen inc mod 40 == 39")?;
    let flow = Flow::open(&pair, V4, 443)?;
    flow.exchange(400_000, 1_000)?;
    let mut browser = Browser::start(View::WIDE)?;
    let mut backgrounds = Vec::new();
    for view in [
        View::WIDE,
        View {
            dark: true,
            ..View::WIDE
        },
        NARROW,
        View { dark: true, ..NARROW },
    ] {
        browser.show_as(view)?;
        browser.open(&url(&exporter))?;
        assert_eq!(browser.complaints()?, [""; 0], "{view:?}");
        browser.evaluate("document.querySelectorAll('main details').forEach((details) => (details.open = true))")?;
        let wide = "document.documentElement.scrollWidth - innerWidth";
        assert_eq!(browser.evaluate(wide)?, 0, "{view:?}: it is wider than the window");
        backgrounds.push(browser.evaluate("getComputedStyle(document.body).backgroundColor")?);
        browser.run(&axe())?;
        let found =
            browser.evaluate("axe.run().then((found) => ({passed: found.passes.length, wrong: found.violations}))")?;
        assert_eq!(found["wrong"], Value::Array(Vec::new()), "{view:?}");
        assert!(found["passed"].as_u64() > Some(20), "{view:?}: {found}");
    }
    assert_eq!(backgrounds[0], backgrounds[2]);
    assert_ne!(backgrounds[0], backgrounds[1]);
    Ok(())
}

#[test]
fn it_needs_no_script() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("{}")?;
    let mut browser = Browser::start(View {
        scripts: false,
        ..View::WIDE
    })?;
    browser.open(&url(&exporter))?;
    let text = browser.evaluate("document.body.innerText")?;
    let text = text.as_str().context("the page has no text")?;
    for part in ["since the exporter started", "Health", "programs are attached"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    // A quiet row may be folded, but it is there.
    let whole = browser.evaluate("document.body.textContent")?;
    assert!(
        whole.as_str().is_some_and(|whole| whole.contains("loopback")),
        "{whole}"
    );
    assert!(!text.contains("Pause"), "{text}");
    Ok(())
}
