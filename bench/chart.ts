import type { BenchResult, Figures } from './support/result.ts';

/** Pixels of the drawing. */
const WIDTH = 840;
const NAMES = 170;
const GAP = 70;
const BAR = 18;
const ROW = 28;
const HEADING = 34;
const TOP = 78;
const BOTTOM = 52;
const FOOT = 42;

/** One column of bars. */
interface Panel {
  readonly title: string;
  readonly axis: string;
  readonly figureOf: (figures: Figures) => number;
}

const PANELS = (clients: number): readonly Panel[] => [
  {
    title: `Throughput, ${clients} clients`,
    axis: 'photos per second (more is better)',
    figureOf: ({ busy }) => busy.photos_per_second.median,
  },
  {
    title: 'Median latency, 1 client',
    axis: 'milliseconds (less is better)',
    figureOf: ({ alone }) => alone.latency_ms.p50,
  },
];

/** Colours are of the chart itself, its background included, so that it can be read on whatever page it lies. */
const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-size: 17px; font-weight: 600 }
    .panel, .task { font-weight: 600 }
    .note { font-size: 12px; fill: #59636e }
    .page { fill: #ffffff; stroke: #d1d9e0 }
    .axis { stroke: #d1d9e0 }
    .thinlens { fill: #0969da } .floor { fill: #8c959f } .tfjs, .tutorial { fill: #bc4c00 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .note { fill: #9198a1 }
      .page { fill: #0d1117; stroke: #3d444d }
      .axis { stroke: #3d444d }
      .thinlens { fill: #4493f8 } .floor { fill: #9198a1 } .tfjs, .tutorial { fill: #db6d28 }
    }
  `;

const number = (value: number) => (value < 10 ? value.toFixed(1) : value.toFixed(0));
/** Coordinates to a tenth of a pixel. */
const at = (value: number) => String(Math.round(value * 10) / 10);
const escaped = (text: string) => text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** A step of 1, 2 or 5 times a power of ten, of which `most` is at least three and at most eight. */
function tickStep(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most / 3));
  return ([5, 2, 1].find((factor) => factor * power * 3 <= most) ?? 1) * power;
}

/**
 * A result as a drawing: bars of the photos per second that each contestant answers, and of the median latency that one
 * client sees, by task. The text alternative says every figure.
 */
export function chart(result: BenchResult): string {
  const { contestants, clients, photos, machine, date, workers } = result;
  const tasks = [...new Set(contestants.map(({ task }) => task))];
  const rows: { y: number; figures: Figures }[] = [];
  const parts: string[] = [];
  let y = TOP;
  for (const task of tasks) {
    y += HEADING;
    parts.push(`<text class="task" x="20" y="${y - 12}">${escaped(capital(task))}</text>`);
    for (const figures of contestants.filter((each) => each.task === task)) {
      parts.push(`<text x="${NAMES - 8}" y="${y + 13}" text-anchor="end">${escaped(figures.name)}</text>`);
      rows.push({ y, figures });
      y += ROW;
    }
  }
  const height = y + BOTTOM;
  const panelWidth = (WIDTH - NAMES - 2 * GAP + 20) / 2;
  const described: string[] = [];
  PANELS(clients).forEach(({ title, axis, figureOf }, index) => {
    const left = NAMES + index * (panelWidth + GAP);
    const most = Math.max(...rows.map(({ figures }) => figureOf(figures)));
    const scale = panelWidth / most;
    parts.push(`<text class="panel" x="${at(left)}" y="64">${escaped(title)}</text>`);
    const step = tickStep(most);
    for (let tick = 0; tick <= most; tick += step) {
      const x = at(left + tick * scale);
      parts.push(
        `<line class="axis" x1="${x}" y1="${TOP + 4}" x2="${x}" y2="${y}"/>`,
        `<text class="note" x="${x}" y="${y + 16}" text-anchor="middle">${Number(tick.toPrecision(6))}</text>`,
      );
    }
    parts.push(`<text class="note" x="${at(left)}" y="${y + 36}">${escaped(axis)}</text>`);
    for (const { y: top, figures } of rows) {
      const value = figureOf(figures);
      const length = at(value * scale);
      parts.push(
        `<rect class="${figures.kind}" x="${at(left)}" y="${top}" width="${length}" height="${BAR}" rx="2"/>`,
        `<text x="${at(left + value * scale + 6)}" y="${top + 13}">${number(value)}</text>`,
      );
    }
    const figures = rows.map(
      ({ figures }) => `${figures.task}, ${figures.name} ${number(figureOf(figures))}`,
    );
    described.push(`${title}, ${axis}: ${figures.join('; ')}.`);
  });
  const heading = 'Photos over HTTP: thinlens, the floor beneath it, and other servers';
  const where = `${date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, ${workers} workers, ${photos.count} photos.`;
  const floor =
    'Floor: the same decoding and network in a bare loop, as many processes as workers; no HTTP, and no answer made.';
  const frame = height + FOOT;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${frame}" width="${WIDTH}" height="${frame}" role="img" aria-labelledby="title description">
  <title id="title">${escaped(heading)}</title>
  <desc id="description">${escaped([...described, floor, where].join(' '))}</desc>
  <style>${STYLE}</style>
  <rect class="page" x="0.5" y="0.5" width="${WIDTH - 1}" height="${frame - 1}" rx="6"/>
  <text class="title" x="20" y="34">${escaped(heading)}</text>
  ${parts.join('\n  ')}
  <text class="note" x="20" y="${height + 6}">${escaped(floor)}</text>
  <text class="note" x="20" y="${height + 24}">${escaped(where)}</text>
</svg>
`;
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
