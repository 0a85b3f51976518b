import { table } from './markdown.js';

/** What people ask of the metrics, and how Prometheus is asked. */
const QUERIES = [
  [
    'Requests a second, by route and status',
    'sum by (route, status) (rate(thinlens_request_duration_seconds_count[5m]))',
  ],
  [
    'Share of requests that the server failed to answer (5xx)',
    'sum(rate(thinlens_request_duration_seconds_count{status=~"5.."}[5m])) / sum(rate(thinlens_request_duration_seconds_count[5m]))',
  ],
  [
    'The time that 95 % of requests with photos stay below, by model',
    'histogram_quantile(0.95, sum by (le, model) (rate(thinlens_request_duration_seconds_bucket{route=~"/v1/(detect|segment)"}[5m])))',
  ],
  [
    'Where the time of a photo goes: mean seconds of each stage, by model',
    'sum by (model, stage) (rate(thinlens_stage_duration_seconds_sum[5m])) / sum by (model, stage) (rate(thinlens_stage_duration_seconds_count[5m]))',
  ],
  ['Work a second, in multiply-adds', 'sum(rate(thinlens_request_madds_sum[1m]))'],
  [
    'Multiply-adds in each second of inference, by model: how well the CPU is used',
    'sum by (model) (rate(thinlens_request_madds_sum[5m])) / sum by (model) (rate(thinlens_stage_duration_seconds_sum{stage="inference"}[5m]))',
  ],
  [
    'Requests refused because the queue was full, a second',
    'rate(thinlens_requests_rejected_total{reason="overloaded"}[5m])',
  ],
  ['Photos that waited, at most', 'max_over_time(thinlens_queue_depth[5m])'],
  ['Workers lost in the last hour, by why', 'increase(thinlens_worker_restarts_total[1h])'],
  ['Models that run in fp32 although int8 would be faster', 'thinlens_model_precision_fallback == 1'],
];

/** docs/reference/metrics.md: what Prometheus is told. */
export async function metricsPage() {
  const { LABELS, Metrics } = await import('../../dist/server/observability/metrics.js');
  const { registry } = new Metrics(() => 0, []);
  const metrics = (await registry.getMetricsAsJSON())
    .filter(({ name }) => name.startsWith('thinlens_'))
    .map((metric) => ({ ...metric, labels: registry.getSingleMetric(metric.name).labelNames }));
  const stray = metrics.flatMap(({ labels }) => labels).find((label) => !Object.hasOwn(LABELS, label));
  if (stray) throw new Error(`server/observability/metrics.ts does not say what the label ${stray} means`);
  return `<!-- Written by scripts/generate-docs.js from server/observability/metrics.ts: edit that instead. -->
# Metrics

\`GET /metrics\` answers in Prometheus' text format, whatever the load: it depends on no worker and no queue. Units are seconds and multiply-adds (multiply-accumulates of
convolution and fully connected layers).

${table(
  ['name', 'type', 'labels', 'help'],
  metrics.map(({ name, type, labels, help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
  ]),
)}

Their labels, few and fixed; what callers write never becomes one:

${Object.entries(LABELS)
  .map(([label, meaning]) => `- \`${label}\`: ${meaning}`)
  .join('\n')}

A histogram also has \`_bucket\`, \`_sum\` and \`_count\`. Beside these are prom-client's metrics of the server's process and of Node.js (\`process_*\`, \`nodejs_*\`); workers are
processes of their own and not in them.

## Queries

${QUERIES.map(([title, query]) => `${title}:\n\n\`\`\`promql\n${query}\n\`\`\``).join('\n\n')}
`;
}
