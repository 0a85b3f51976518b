// What an answer cost: its time by stage, and its work.
import type { Answer } from './api.ts';
import { byId, make } from './dom.ts';
import { count, milliseconds } from './format.ts';
import { STAGES, type StageTime, stageTimes } from './timing.ts';

/** Shows the cost of an answer, or nothing. */
export function showCost(answer: Answer | undefined): void {
  const total = byId('total', HTMLElement);
  const bar = byId('bar', HTMLElement);
  const work = byId('work', HTMLElement);
  if (!answer) {
    total.textContent = '–';
    bar.replaceChildren();
    bar.setAttribute('aria-label', 'No timing yet');
    showLegend(() => '–');
    work.textContent = '';
    return;
  }
  const { timing, madds, precision } = answer.body;
  const times = stageTimes(timing);
  total.textContent = `${milliseconds(timing.total_ms)} in the server`;
  bar.replaceChildren(
    ...times
      .filter(({ ms }) => ms > 0)
      .map(({ stage, share }) => {
        const part = make('span', stage);
        part.style.setProperty('--share', String(share));
        return part;
      }),
  );
  bar.setAttribute('aria-label', times.map(({ stage, ms }) => `${stage} ${milliseconds(ms)}`).join(', '));
  const figures = new Map(times.map(({ stage, ms }) => [stage, milliseconds(ms)]));
  showLegend((stage) => figures.get(stage) ?? '–');
  work.textContent = `${count(madds)} multiply-adds (MAdds) in ${precision} · ${milliseconds(answer.roundTripMs)} as seen from this browser`;
}

/** Every stage has its line from the start, so that nothing moves when figures come. */
function showLegend(figureOf: (stage: StageTime['stage']) => string): void {
  const lines = STAGES.map((stage) =>
    make(
      'div',
      stage,
      {},
      make('dt', '', {}, make('span', 'swatch', { 'aria-hidden': 'true' }), stage),
      make('dd', '', {}, figureOf(stage)),
    ),
  );
  byId('stages', HTMLDListElement).replaceChildren(...lines);
}
