// Draws panels of one dashboard with Grafana's own panel components, from the answers that a real Prometheus gave. It is not
// the Grafana application: no variables, no menus, and no heat maps, which Grafana does not publish as a component.

import 'uplot/dist/uPlot.min.css';
import { createRoot } from 'react-dom/client';
import {
  applyFieldOverrides,
  createTheme,
  dateTime,
  FieldType,
  getDisplayProcessor,
  getFieldDisplayName,
  getFieldDisplayValues,
  standardTransformers,
  standardTransformersRegistry,
  ThemeContext,
  toDataFrame,
  transformDataFrame,
  VizOrientation,
  type DataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, TimeSeries } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

// esbuild puts the name of the dashboard, the numbers of the panels and what they show here.
declare const SHOWN: { dashboard: any; answers: any[] };
declare const PANELS: number[];

const COLUMN = 52;
const ROW = 38;
const GAP = 8;

const theme = createTheme({ colors: { mode: 'dark' } });
standardTransformersRegistry.setInit(() =>
  // Some have two names there.
  [...new Set(Object.values(standardTransformers))].map((transformation: any) => ({ id: transformation.id, name: transformation.name, transformation: async () => transformation, editor: null as any }))
);

type Line = [Record<string, string>, [number, number][]];

const times = SHOWN.answers.flatMap((answer) => answer.series.flatMap(([, points]: Line) => points.map(([time]) => time))).filter((time) => time > 0);
const range = { from: dateTime(Math.min(...times) * 1000), to: dateTime(Math.max(...times) * 1000) };
const timeRange = { ...range, raw: range };

const legend = (format: string, labels: Record<string, string>) =>
  format ? format.replace(/{{\s*(\w+)\s*}}/g, (_, name) => labels[name] ?? '') : JSON.stringify(labels);

/** Of a range: one frame for each series. */
function seriesFrames(panel: any, targets = panel.targets): DataFrame[] {
  return targets.flatMap((target: any) => {
    const answer = SHOWN.answers.find(({ panel: id, refId }) => id === panel.id && refId === target.refId);
    return answer.series.map(([labels, points]: Line) => {
      const name = legend(target.legendFormat, labels);
      return toDataFrame({
        refId: target.refId,
        name,
        fields: [
          { name: 'Time', type: FieldType.time, values: points.map(([time]) => time * 1000) },
          { name: 'Value', type: FieldType.number, labels, values: points.map(([, value]) => value), config: { displayName: name } },
        ],
      });
    });
  });
}

/** Of a moment, as a table: one frame for each query, named like Grafana's data source names its columns. */
function tableFrames(panel: any): DataFrame[] {
  return panel.targets.filter((target: any) => target.format === 'table').map((target: any) => {
    const answer = SHOWN.answers.find(({ panel: id, refId }) => id === panel.id && refId === target.refId);
    const lines: Line[] = answer.series;
    const names = [...new Set(lines.flatMap(([labels]) => Object.keys(labels)))];
    return toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: lines.map(() => 0) },
        ...names.map((name) => ({ name, type: FieldType.string, values: lines.map(([labels]) => labels[name] ?? '') })),
        { name: panel.targets.length > 1 ? `Value #${target.refId}` : 'Value', type: FieldType.number, values: lines.map(([, points]) => points[0][1]) },
      ],
    });
  });
}

/**
 * Of ranges, as a table: one frame for each query, whose rows have the labels of a series and the series itself, as the application's
 * transformation `timeSeriesTable` has it, which is not published.
 */
function trendFrames(panel: any): DataFrame[] {
  return panel.targets.filter((target: any) => target.format === 'time_series').map((target: any) => {
    const frames = seriesFrames(panel, [target]);
    const labels = frames.map((frame) => frame.fields[1].labels ?? {});
    const names = [...new Set(labels.flatMap((each) => Object.keys(each)))];
    return toDataFrame({
      refId: target.refId,
      fields: [
        ...names.map((name) => ({ name, type: FieldType.string, values: labels.map((each) => each[name] ?? '') })),
        { name: `Trend #${target.refId}`, type: FieldType.frame, values: frames.map((frame) => ({ ...frame, value: frame.fields[1].values.at(-1) })) },
      ],
    });
  });
}

/** The settings of a field: the panel's, then its overrides by name. The application's own registry of them is not published. */
function override(panel: any, data: DataFrame[]): DataFrame[] {
  const { defaults, overrides } = panel.fieldConfig;
  for (const field of data.flatMap(({ fields }) => fields)) {
    const config: any = { ...defaults, ...field.config, custom: { ...defaults.custom }, links: undefined };
    const named = overrides.filter(({ matcher }: any) => matcher.options === (field.config.displayName ?? field.name));
    for (const { id, value } of named.flatMap(({ properties }: any) => properties)) {
      if (id.startsWith('custom.')) {
        config.custom[id.slice(7)] = value;
      } else if (id !== 'links') {
        config[id] = value;
      }
    }
    field.config = config;
  }
  return applyFieldOverrides({ data, fieldConfig: { defaults: {}, overrides: [] }, theme, replaceVariables: (text) => text, timeZone: 'utc' });
}

/** What a panel shows, made before anything is drawn. */
async function prepare(panel: any): Promise<DataFrame[]> {
  if (panel.type !== 'table') {
    return override(panel, seriesFrames(panel));
  }
  const { firstValueFrom } = await import('rxjs');
  const published = panel.transformations.filter(({ id }: any) => id !== 'timeSeriesTable');
  const [frame] = override(panel, await firstValueFrom(transformDataFrame(published, [...tableFrames(panel), ...trendFrames(panel)])));
  // The component shows the names that were worked out before.
  frame.fields.forEach((field) => getFieldDisplayName(field, frame));
  const { displayName, desc } = panel.options.sortBy[0] ?? {};
  const key = frame.fields.find((field) => field.name === displayName || field.config.displayName === displayName);
  if (key) {
    const order = [...key.values.keys()].sort((a, b) => (key.values[a] - key.values[b]) * (desc ? -1 : 1));
    frame.fields.forEach((field) => (field.values = order.map((index) => field.values[index])));
  }
  return [frame];
}

function Content({ panel, frames, width, height }: any) {
  if (panel.targets && frames.every(({ length }: DataFrame) => length === 0)) {
    return <div style={{ padding: 8 }}>No data</div>;
  }
  switch (panel.type) {
    case 'timeseries':
      return (
        <TimeSeries frames={frames} structureRev={1} width={width} height={height} timeRange={timeRange as any} timeZone="utc" legend={panel.options.legend} options={panel.options}>
          {() => <></>}
        </TimeSeries>
      );
    case 'table':
      return <TableNG data={frames[0]} width={width} height={height} structureRev={1} getActions={() => []} />;
    case 'text':
      return <div style={{ padding: 8, fontSize: 14 }}>{panel.options.content.replace(/\*\*/g, '')}</div>;
    default: {
      const values = getFieldDisplayValues({ fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions, replaceVariables: (text) => text, theme, data: frames, sparkline: true, timeZone: 'utc' });
      if (panel.type === 'stat') {
        return values.slice(0, 1).map((value, index) => (
          <BigValue key={index} value={{ ...value.display, title: '' }} sparkline={panel.options.graphMode === 'area' ? value.sparkline : undefined} width={width} height={height} theme={theme} colorMode={panel.options.colorMode} graphMode={panel.options.graphMode} textMode={panel.options.textMode} justifyMode={panel.options.justifyMode} />
        ));
      }
      const bar = Math.min(panel.options.maxVizHeight, height / values.length - 8);
      return values.map((value, index) => (
        <div key={index} style={{ marginBottom: 8 }}>
          <BarGauge value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex!) ?? getDisplayProcessor({ field: value.field as any, theme })} width={width} height={bar} theme={theme} orientation={VizOrientation.Horizontal} displayMode={panel.options.displayMode} itemSpacing={8} lcdCellWidth={8} />
        </div>
      ));
    }
  }
}

const all = SHOWN.dashboard.panels.flatMap((panel: any) => [panel, ...(panel.panels ?? [])]);
const chosen = PANELS.map((id) => all.find((panel: any) => panel.id === id));
const drawn = await Promise.all(chosen.map(async (panel) => [panel, panel.targets ? await prepare(panel) : []] as const));

// Panels keep their width and stand in the order of the list.
let [x, y, tallest] = [0, 0, 0];
const placed = drawn.map(([panel, frames]) => {
  const { w, h } = panel.gridPos;
  if (x + w > 24) {
    [x, y, tallest] = [0, y + tallest, 0];
  }
  const place = { left: x * COLUMN, top: y * ROW, width: w * COLUMN - GAP, height: h * ROW - GAP };
  [x, tallest] = [x + w, Math.max(tallest, h)];
  return { panel, frames, place };
});

createRoot(document.getElementById('root')!).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <div style={{ position: 'relative' }}>
      {placed.map(({ panel, frames, place }) => (
        <div key={panel.id} style={{ position: 'absolute', left: place.left, top: place.top }}>
          <PanelChrome title={panel.title} width={place.width} height={place.height}>
            {(width: number, height: number) => <Content panel={panel} frames={frames} width={width} height={height} />}
          </PanelChrome>
        </div>
      ))}
    </div>
  </ThemeContext.Provider>
);
document.title = String((y + tallest) * ROW);
