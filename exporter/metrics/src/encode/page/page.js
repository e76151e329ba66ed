// Fetches the page again, puts its numbers in place of the old ones, and computes what lies between two refreshes. Rows
// carry their counts, which never fall, in data-counts; a cell says in data-show what of them it shows. What words.rs
// writes on the server is written the same way here.
"use strict";
(() => {
  const EVERY = 5000; // milliseconds
  const NONE = "–";
  const $ = (id) => document.getElementById(id);
  const main = $("main");
  let before = null; // counts of the refresh before
  let now = read(document);
  let paused = false;
  let timer;
  let turn = Promise.resolve(); // one refresh after the other
  let waiting = 0;

  /** Counts of a document by row, and what tells whether those of another can be compared with them. */
  function read(page) {
    const { generation, at } = page.getElementById("main").dataset;
    const rows = new Map();
    for (const row of page.querySelectorAll("[data-counts]:not([data-rest])")) rows.set(key(row), counts(row));
    return { generation, at: Number(at), rows, cut: page.querySelectorAll("[data-rest]").length > 0 };
  }

  function key(row) {
    return row.closest("[data-live]").id + "\n" + (row.dataset.key ?? "");
  }

  function counts(row) {
    return JSON.parse(row.dataset.counts);
  }

  /** What was counted between two readings of a row; without the first, all of it. */
  function minus(later, earlier) {
    const result = {};
    for (const [name, value] of Object.entries(later)) {
      if (value === null) result[name] = null;
      else if (name === "rtt") result.rtt = minusTimes(value, earlier?.rtt);
      else result[name] = Math.max(0, value - (earlier?.[name] ?? 0));
    }
    return result;
  }

  function minusTimes({ schema, last, buckets }, earlier) {
    const left = {};
    for (const [index, count] of Object.entries(buckets)) left[index] = Math.max(0, count - (earlier?.buckets[index] ?? 0));
    return { schema, last, buckets: left };
  }

  const show = {
    ratio: (row) => (ratio(row) === null ? NONE : percent(ratio(row))),
    median: (row) => quantile(row.rtt, 0.5),
    p90: (row) => quantile(row.rtt, 0.9),
    sent: (row) => maybe(row.sent),
    again: (row) => maybe(row.again),
    dropped: (row) => maybe(row.dropped),
    packets: (row) => count(row.packets),
    bytes: (row) => (row.bytes === null ? NONE : bytes(row.bytes)),
    rate: (row, seconds) => rate(row.packets / seconds),
  };
  // Of a bar: the number whose share of the largest one it shows.
  const bar = { ratio: (row) => ratio(row) ?? 0, packets: (row) => row.packets };

  function ratio(row) {
    return row.sent ? row.again / row.sent : null;
  }
  function count(value) {
    return Math.round(value).toLocaleString("en");
  }
  function maybe(value) {
    return value === null ? NONE : count(value);
  }
  function percent(share) {
    return share > 0 && share < 0.0001 ? "< 0.01 %" : (share * 100).toFixed(2) + " %";
  }
  function digits(value) {
    return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : count(value);
  }
  function rate(value) {
    return value > 0 && value < 0.01 ? "< 0.01" : digits(value);
  }
  function time(seconds) {
    if (seconds < 0.001) return digits(seconds * 1e6) + " µs";
    return seconds < 1 ? digits(seconds * 1e3) + " ms" : digits(seconds) + " s";
  }
  function bytes(value) {
    if (value < 1000) return value + " B";
    for (const unit of ["kB", "MB", "GB", "TB"]) {
      value /= 1000;
      if (value < 1000) return digits(value) + " " + unit;
    }
    return digits(value / 1000) + " PB";
  }
  function quantile(rtt, share) {
    if (!rtt) return NONE;
    const buckets = Object.entries(rtt.buckets).map(([index, count]) => [Number(index), count]);
    buckets.sort(([left], [right]) => left - right);
    const rank = share * buckets.reduce((sum, [, count]) => sum + count, 0);
    const bound = (index) => 2 ** (index / 2 ** rtt.schema);
    let below = 0;
    for (const [index, count] of buckets) {
      if (count > 0 && below + count >= rank) {
        return index === rtt.last ? "> " + time(bound(index - 1)) : time(bound(index - 1 + (rank - below) / count));
      }
      below += count;
    }
    return NONE;
  }

  /** Fills the cells by the chosen mode. */
  function paint() {
    const live = document.querySelector("input[name=mode]:checked").value === "live" && before !== null;
    const seconds = live ? (now.at - before.at) / 1000 : 0;
    const words = live ? "over the last " + seconds.toFixed(1) + " s" : "since the start";
    for (const span of document.querySelectorAll("[data-window]")) span.textContent = words;
    const sentence = $("window");
    if (!sentence) return; // what is shown is why there are no numbers
    sentence.dataset.total ??= sentence.textContent;
    sentence.textContent = live ? "All numbers are those " + words + ", between two refreshes; connections are those that are open." : sentence.dataset.total;
    for (const box of document.querySelectorAll("table, .figures")) paintRows(box, live, seconds);
  }

  function paintRows(box, live, seconds) {
    const rows = [...box.querySelectorAll("[data-counts]")];
    const deltas = new Map();
    for (const row of rows) {
      const old = live ? before.rows.get(key(row)) : undefined;
      // A row that was among the others before has nothing to be compared with yet.
      const unknown = live && old === undefined && before.cut && "key" in row.dataset;
      if (!unknown && !("rest" in row.dataset)) deltas.set(row, minus(counts(row), old));
    }
    const rest = rows.find((row) => "rest" in row.dataset);
    if (rest) deltas.set(rest, others(rest, rows, deltas, live));
    const largest = {};
    for (const [row, delta] of deltas) {
      if ("all" in row.dataset) continue;
      for (const [name, of] of Object.entries(bar)) largest[name] = Math.max(largest[name] ?? 0, of(delta) || 0);
    }
    const all = rows.find((row) => "all" in row.dataset);
    if (all && deltas.get(all).packets !== undefined) largest.packets = deltas.get(all).packets;
    for (const row of rows) {
      for (const cell of row.querySelectorAll("[data-show]")) {
        cell.dataset.total ??= cell.textContent;
        const delta = deltas.get(row);
        cell.textContent = !live ? cell.dataset.total : delta ? show[cell.dataset.show](delta, seconds) : NONE;
      }
      for (const svg of row.querySelectorAll("[data-bar]")) {
        const value = deltas.has(row) ? bar[svg.dataset.bar](deltas.get(row)) || 0 : 0;
        svg.firstElementChild.setAttribute("width", (100 * value) / (largest[svg.dataset.bar] || 1) + "%");
      }
    }
  }

  /** What all rows together have beyond those that are shown. */
  function others(rest, rows, deltas, live) {
    if (!live) return counts(rest);
    const all = rows.find((row) => "all" in row.dataset);
    return rows.filter((row) => "key" in row.dataset && deltas.has(row)).reduce((left, row) => minus(left, deltas.get(row)), deltas.get(all));
  }

  /** Puts the new parts in place of the old ones; what may have the focus stays. */
  function swap(page) {
    const live = [...document.querySelectorAll("[data-live]")];
    const same = live.length === page.querySelectorAll("[data-live]").length;
    if (same && live.every((part) => page.getElementById(part.id))) {
      for (const part of live) {
        const next = page.getElementById(part.id);
        if (next.dataset.counts) part.dataset.counts = next.dataset.counts;
        for (const open of part.querySelectorAll("details[data-key][open]")) {
          const same = next.querySelector("details[data-key=" + CSS.escape(open.dataset.key) + "]");
          if (same) same.open = true;
        }
        part.replaceChildren(...next.childNodes);
      }
    } else {
      main.replaceChildren(...page.getElementById("main").childNodes);
    }
    document.title = page.title;
    $("icon").href = page.getElementById("icon").href;
    const sentence = page.getElementById("window");
    if (sentence && $("window")) $("window").dataset.total = sentence.textContent;
  }

  function refresh() {
    clearTimeout(timer);
    waiting += 1;
    main.setAttribute("aria-busy", "true");
    turn = turn.then(ask).then(() => {
      waiting -= 1;
      if (waiting === 0) main.setAttribute("aria-busy", "false");
      plan();
    });
  }

  async function ask() {
    try {
      // Without the name and password that the address of the page may hold.
      const answer = await fetch(location.origin + location.pathname, { cache: "no-store", signal: AbortSignal.timeout(30000) });
      if (!answer.ok) throw new Error("it answers " + answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = read(page);
      // Those who ask together share a collection: then there is nothing new.
      if (next.at !== now.at) {
        before = next.generation === now.generation ? now : null;
        now = next;
        swap(page);
        paint();
      }
      $("updated").textContent = "Updated " + new Date().toLocaleTimeString() + ".";
      say(paused ? "Paused." : "Refreshes every " + EVERY / 1000 + " seconds.");
    } catch (error) {
      say("No new numbers: " + error.message + ". " + (paused ? "Paused." : "Trying again."));
    }
  }

  /** Told to screen readers when it changes only. */
  function say(text) {
    if ($("status").textContent !== text) $("status").textContent = text;
  }

  /** A page that nobody sees asks for nothing. */
  function plan() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(refresh, EVERY);
  }

  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    if (paused) {
      plan();
      say("Paused.");
    } else {
      refresh();
    }
  });
  $("refresh").addEventListener("click", refresh);
  document.addEventListener("visibilitychange", () => (document.hidden || paused ? plan() : refresh()));
  for (const input of document.querySelectorAll("input[name=mode]")) input.addEventListener("change", paint);
  $("controls").hidden = false;
  say("Refreshes every " + EVERY / 1000 + " seconds.");
  paint();
  plan();
})();
