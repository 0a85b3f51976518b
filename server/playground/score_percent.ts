/** A score, 0 to 1, as a whole percentage; one of less than 1 is never called 100. Of the page and of drawn pictures, as class_colors.ts is. */
export function scorePercent(score: number): string {
  return `${Math.min(Math.round(100 * score), score < 1 ? 99 : 100)} %`;
}
