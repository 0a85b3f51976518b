/** The PromQL of a page. */
export const queriesOf = (page: string): string[] =>
  [...page.matchAll(/```promql\n([^`]*)\n```/g)].map(([, query = '']) => query);
