// The page: photos in, answers of the server out. It holds what is picked, and tells the parts what to show.
import type { DetectResponse, SegmentResponse } from '../../openapi/types.ts';
import {
  type Answer,
  ApiError,
  type Choice,
  choiceQuery,
  type FileKind,
  findingsFile,
  look,
  operationUrl,
} from './api.ts';
import { classColor, css } from './class_colors.ts';
import { showCost } from './cost.ts';
import { curlCommand, type Query, withQuery } from './curl.ts';
import { byId, save } from './dom.ts';
import { classesOf, LOWEST_SCORE, notHidden, scoringAtLeast } from './filter.ts';
import { Chips, Rows } from './findings.ts';
import {
  classCount,
  detectionSummary,
  plural,
  type Summary,
  segmentSummary,
  sharePercent,
} from './format.ts';
import { curlNote, curlSource, type Photo, Strip } from './photos.ts';
import { Picker } from './picker.ts';
import { shownQuery } from './request.ts';
import { scorePercent } from './score_percent.ts';
import { Stage } from './stage.ts';

const slider = byId('slider', HTMLInputElement);
const summary = byId('summary', HTMLElement);
const said = byId('said', HTMLElement);
const curl = byId('curl', HTMLTextAreaElement);
const downloads = {
  picture: byId('download-picture', HTMLButtonElement),
  png: byId('download-png', HTMLButtonElement),
  rle: byId('download-rle', HTMLButtonElement),
  json: byId('download-json', HTMLButtonElement),
};
const copy = byId('copy', HTMLButtonElement);

let photo: Photo | undefined;
let choice: Choice | undefined;
/** Of `photo` and `choice`, once it is there. */
let answer: Answer | undefined;
/** Ids of classes, of the chosen model. */
const hidden = new Set<number>();
/** In percent, as the slider has them. */
const values = { threshold: 30, opacity: 55 };

const stage = new Stage();
const chips = new Chips((classId) => {
  if (!hidden.delete(classId)) hidden.add(classId);
  showFindings();
});
const rows = new Rows((finding) => stage.single(finding));
new Strip(
  (picked) => {
    photo = picked;
    stage.show(picked);
    void ask();
  },
  ({ name }) => say(`${name} was removed.`),
);
const picker = new Picker((chosen) => {
  // Another model may mean something else by the same ids.
  if (choice?.model.name !== chosen.model.name) hidden.clear();
  choice = chosen;
  showSlider();
  void ask();
});

/** Asks the server about the photo, unless it was asked that before, and shows what it answers. */
async function ask(): Promise<void> {
  answer = undefined;
  stage.clear();
  stage.busy = false;
  showFindings();
  if (!photo || !choice) return;
  const asked = { photo, choice };
  const isCurrent = () => photo === asked.photo && choice === asked.choice;
  stage.busy = true;
  summary.textContent = `Looking at ${photo.name} …`;
  const key = `${choice.model.name} ${choice.precision}`;
  try {
    let coming = photo.answers.get(key);
    if (!coming) {
      coming = photo.bytes().then((bytes) => look(bytes, asked.choice));
      photo.answers.set(key, coming);
    }
    const came = await coming;
    if (!isCurrent()) return;
    answer = came;
    stage.busy = false;
    showFindings();
  } catch (error) {
    asked.photo.answers.delete(key);
    if (!isCurrent()) return;
    stage.busy = false;
    summary.textContent = 'No findings: the request failed.';
    showError(error, ask);
  }
}

/** Shows the answer as threshold, opacity and hidden classes say, without a request. */
function showFindings(): void {
  if (!answer) {
    chips.show([], hidden);
    rows.show([]);
    summary.textContent = photo ? '' : 'No photo yet.';
  } else if ('segments' in answer.body) {
    showSegments(answer.body);
  } else {
    showDetections(answer.body);
  }
  showCost(answer);
  showRequest();
}

function showDetections({ detections, image }: DetectResponse): void {
  const threshold = values.threshold / 100;
  const above = scoringAtLeast(detections, threshold);
  const classes = classesOf(above);
  const shown = notHidden(above, hidden);
  stage.showDetections(shown, image);
  chips.show(
    classes.map((present) => ({
      classId: present.classId,
      text: classCount(present),
      color: css(classColor(present.classId)),
    })),
    hidden,
  );
  rows.show(
    shown.map((finding) => ({
      finding,
      label: finding.label,
      figure: scorePercent(finding.score),
      place: placeOf(finding.box),
      color: css(classColor(finding.class_id)),
    })),
  );
  summarise(detectionSummary(detections, above, classes, shown.length, threshold));
}

function showSegments({ segments, image }: SegmentResponse): void {
  const shown = notHidden(segments, hidden);
  stage.showSegments(shown, image);
  chips.show(
    segments.map(({ class_id, label }) => ({
      classId: class_id,
      text: label,
      color: css(classColor(class_id)),
    })),
    hidden,
  );
  rows.show(
    shown.map((finding) => ({
      finding,
      label: finding.label,
      figure: sharePercent(finding.fraction),
      place: `${plural(finding.pixels, 'pixel')}, ${placeOf(finding.box)}`,
      color: css(classColor(finding.class_id)),
    })),
  );
  summarise(segmentSummary(segments, shown.length));
}

function placeOf({ x_min, y_min, x_max, y_max }: DetectResponse['detections'][number]['box']): string {
  const [left, top, width, height] = [x_min, y_min, x_max - x_min, y_max - y_min].map(Math.round);
  return `${width} × ${height} px at ${left}, ${top}`;
}

function summarise({ short, full }: Summary): void {
  summary.textContent = short;
  say(full);
}

let saying: ReturnType<typeof setTimeout> | undefined;

/** Lets screen readers say a sentence when it has settled: a slider passes many values. */
function say(text: string): void {
  clearTimeout(saying);
  saying = setTimeout(() => {
    said.textContent = text;
  }, 400);
}

/** One slider: the threshold of detections, or the opacity of masks. */
function showSlider(): void {
  const segments = choice?.model.task === 'segmentation';
  byId('slider-label', HTMLElement).textContent = segments ? 'Mask opacity' : 'Score threshold';
  slider.min = segments ? '10' : String(100 * LOWEST_SCORE);
  slider.max = segments ? '100' : '95';
  slider.value = String(segments ? values.opacity : values.threshold);
  showSliderValue();
  for (const kind of ['png', 'rle'] as const) downloads[kind].hidden = !segments;
}

function showSliderValue(): void {
  byId('slider-value', HTMLElement).textContent = `${slider.value} %`;
  slider.setAttribute('aria-valuetext', `${slider.value} %`);
  stage.opacity = values.opacity / 100;
}

slider.addEventListener('input', () => {
  const segments = choice?.model.task === 'segmentation';
  values[segments ? 'opacity' : 'threshold'] = Number(slider.value);
  showSliderValue();
  if (!segments) showFindings();
});

/** What a request has to ask for so that it answers what the page shows; undefined where every class is hidden. */
function wanted(): Query | undefined {
  const threshold = values.threshold / 100;
  if (answer) return shownQuery(answer.body, hidden, threshold);
  return choice?.model.task === 'segmentation' ? {} : { score_threshold: String(threshold) };
}

/** The command that answers what the page shows, and which files there are. */
function showRequest(): void {
  const query = wanted();
  downloads.json.disabled = !answer;
  for (const kind of ['picture', 'png', 'rle'] as const) downloads[kind].disabled = !answer || !query;
  const command = photo && choice && query && commandFor(photo, choice, query);
  copy.disabled = !command;
  curl.value = command ?? '';
  curl.placeholder =
    photo && !query
      ? 'Every class is hidden, and a request for none cannot be made: bring one back.'
      : 'With the first photo, its request appears here as a command.';
  byId('curl-note', HTMLElement).textContent = command && photo ? curlNote(photo) : '\u00a0';
}

function commandFor(of: Photo, by: Choice, query: Query): string {
  return curlCommand(withQuery(operationUrl(by.model), { ...choiceQuery(by), ...query }), curlSource(of));
}

copy.addEventListener('click', async () => {
  const done = await copyText(curl);
  const text = done ? 'Copied' : 'Press Ctrl+C';
  copy.textContent = text;
  say(done ? 'The command was copied.' : 'The command is selected; copy it with Ctrl+C.');
  setTimeout(() => {
    copy.textContent = 'Copy';
  }, 2000);
});

/** Copies what an element holds, or where the browser forbids that (plain HTTP from elsewhere) at least selects it. */
async function copyText(element: HTMLTextAreaElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(element.value);
    return true;
  } catch {
    element.focus();
    element.select();
    return document.execCommand('copy');
  }
}

const stem = (name: string) => name.replace(/\.\w+$/, '');

downloads.json.addEventListener('click', () => {
  if (photo && answer)
    save(new Blob([answer.text], { type: 'application/json' }), `${stem(photo.name)}.json`);
});
for (const [kind, ending] of [
  ['picture', 'found.jpg'],
  ['png', 'classes.png'],
  ['rle', 'rle.json'],
] as const) {
  downloads[kind].addEventListener('click', () => void download(kind, ending));
}

async function download(kind: FileKind, ending: string): Promise<void> {
  const query = wanted();
  if (!photo || !choice || !query) return;
  const asked = photo;
  const { name, bytes } = photo;
  try {
    save(await findingsFile(await bytes(), choice, kind, query), `${stem(name)}.${ending}`);
  } catch (error) {
    // Over another photo it would be taken for that one's.
    if (photo === asked) showError(error, () => download(kind, ending));
  }
}

function showError(error: unknown, retry: () => Promise<void>): void {
  const known = error instanceof ApiError ? error : new ApiError(`The page failed: ${String(error)}`);
  stage.showProblem(known, () => void retry());
}

function loadModels(): Promise<void> {
  return picker.load((error) => showError(error, loadModels));
}

showFindings();
void loadModels();
