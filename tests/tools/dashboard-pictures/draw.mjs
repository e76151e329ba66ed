// Makes docs/images/dashboard-*.png of what `cargo run --bin dashboard-pictures` wrote: bundles draw.tsx once for each picture and has
// headless Chromium draw it. Usage: node draw.mjs SHOWN.json TOOLS FOLDER

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const [shownFile, tools, folder] = process.argv.slice(2).map((path) => resolve(path));
const { buildSync } = createRequire(join(tools, 'package.json'))('esbuild');
const here = import.meta.dirname;

// Dashboard, name of the picture, titles of the panels that are in it.
const PICTURES = [
  ['tcp-health.json', 'dashboard-tcp-health', ['Retransmitted, worst', 'Dropped here, worst', 'Opens fail, worst', 'SYNs unanswered', 'Waits for peer, worst', 'Capacity drops', 'Subnets', 'Retransmitted, by subnet', 'Dropped here, by subnet', 'Opens that fail, by reason', 'What senders wait for']],
  ['drop-sites.json', 'dashboard-drop-sites', ['capacity', 'error', 'policy', 'benign', 'Worst drop sites, without benign ones', 'Drops by class', 'Capacity drops, by drop site']],
  ['exporter-health.json', 'dashboard-exporter-health', ['Exporters', 'Programs not running', 'Failed reloads', 'Events lost', 'Fullest group table', 'Refused label sets', 'Programs that are not attached', 'Versions', 'Collection', 'CPU time', 'Resident memory']],
];
const ALL = 24 * 52;

const shown = JSON.parse(readFileSync(shownFile, 'utf8'));
const scene = mkdtempSync(join(tmpdir(), 'pictures-'));
for (const [file, name, titles] of PICTURES) {
  const one = shown.find((each) => each.file === file);
  const panels = titles.map((title) => {
    const all = one.dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
    const panel = all.find((panel) => panel.title === title);
    if (!panel) throw new Error(`${file} has no panel ${title}`);
    return panel;
  });
  const [page, picture] = [join(scene, `${name}.html`), join(folder, `${name}.png`)];
  const bundle = buildSync({
    entryPoints: [join(here, 'draw.tsx')],
    bundle: true,
    write: false,
    format: 'esm',
    jsx: 'automatic',
    nodePaths: [join(tools, 'node_modules')],
    outfile: join(scene, 'draw.js'),
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window', SHOWN: JSON.stringify({ dashboard: one.dashboard, answers: one.answers }), PANELS: JSON.stringify(panels.map(({ id }) => id)) },
    loader: { '.svg': 'dataurl', '.woff2': 'dataurl', '.png': 'dataurl', '.ttf': 'dataurl' },
  });
  const [script, style] = ['.js', '.css'].map((end) => bundle.outputFiles.find(({ path }) => path.endsWith(end))?.text ?? '');
  writeFileSync(join(scene, `${name}.js`), script);
  writeFileSync(page, `<!doctype html><meta charset="utf-8"><style>${style} body { background: #111217; margin: 8px; width: ${ALL}px }</style><div id="root"></div><script src="${name}.js" type="module"></script>`);
  const chromium = (...options) =>
    execFileSync('chromium-headless-shell', ['--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--allow-file-access-from-files', '--virtual-time-budget=8000', ...options, `file://${page}`], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28, timeout: 120_000 });
  // The page says in its title how high it is.
  const title = chromium('--dump-dom').match(/<title>(\d+)<\/title>/);
  if (!title) throw new Error(`${name} draws nothing: ${script.length} bytes of script`);
  chromium(`--window-size=${ALL + 8},${Number(title[1]) + 8}`, `--screenshot=${picture}`);
  execFileSync('pngquant', ['--force', '--ext', '.png', '--strip', picture]);
  console.log(`${name}.png: ${readFileSync(picture).length} bytes`);
}
rmSync(scene, { recursive: true });
